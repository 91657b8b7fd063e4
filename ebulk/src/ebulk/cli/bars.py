"""Progress bars on a terminal: one for all, with rate and time left, and one for each large file in flight.

Lines are laid out here, in columns of the terminal (a Chinese character takes two): where there is little room, the bar
gives way first, then the sizes. `rich` keeps them at the bottom of the screen.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from types import TracebackType

from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, RenderResult
from rich.live import Live
from rich.text import Text

from ebulk.cli.meter import Meter
from ebulk.cli.output import count_text, size_text

FILE_BARS = 8
"""Files that have a bar at a time."""

BAR_FROM = 8 * 1024 * 1024
"""Bytes from which a file has a bar of its own: smaller ones are gone before the eye has found them."""

REFRESHED = 8
"""Times a second."""

WIDTH = 120
"""The most columns."""

LEAST_BAR = 8
SIZES_FROM = 48
"""Columns from which the size of a large file is shown."""

NAME_WIDTH = 40
GAP = "  "
FULL, EMPTY = "━", "─"
ASCII = str.maketrans({FULL: "#", EMPTY: "-", "…": "~"})
"""For terminals that know nothing else."""


class Bars:
    """An observer that draws."""

    def __init__(self, verb: str, console: Console | None = None, meter: Meter | None = None) -> None:
        self._verb = verb
        self._meter = meter or Meter()
        self._lock = threading.Lock()
        self._large: dict[str, list[int]] = {}  # path: [bytes done, size]
        self._step: str | None = ""
        self._found = 0
        self._console = console or Console(stderr=True)
        self._live = Live(self, console=self._console, refresh_per_second=REFRESHED, transient=True)

    def __enter__(self) -> Bars:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._live.stop()

    def stage(self, text: str) -> None:
        """A line with its name."""
        self._step, self._found = text, 0
        self._live.start()

    def found(self, files: int) -> None:
        """How many so far, beside it."""
        self._found = files

    def expect(self, files: int, size: int) -> None:
        """The bar for all."""
        self._meter.expect(files, size)
        self._step = None
        self._live.start()

    def skip(self, path: str, size: int) -> None:
        """It counts as done."""
        self._meter.reused(size)
        self._meter.finished()

    def begin(self, path: str, size: int) -> None:
        """A bar for a large file."""
        if size >= BAR_FROM:
            with self._lock:
                self._large.setdefault(path, [0, size])

    def advance(self, path: str, count: int) -> None:
        """Move its bar, and the bar for all."""
        self._meter.transferred(count)
        self._move(path, count)

    def reuse(self, path: str, count: int) -> None:
        """Move them, without an effect on the rate."""
        self._meter.reused(count)
        self._move(path, count)

    def done(self, path: str) -> None:
        """Take its bar away."""
        self._meter.finished()
        with self._lock:
            self._large.pop(path, None)

    def note(self, message: str) -> None:
        """A line above the bars."""
        self._console.print(f"ebulk: {message}", markup=False, highlight=False)

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """What there is to see, called by rich."""
        width = min(WIDTH, options.max_width - len("^C") - 1)  # or Ctrl-C breaks the last line, and bars stay there
        for line in self.lines(width):
            text = line.translate(ASCII).encode("ascii", "replace").decode() if options.ascii_only else line
            yield Text(text, no_wrap=True, overflow="crop")

    def lines(self, width: int) -> Iterator[str]:
        """The lines, none wider than `width` columns."""
        if self._step is not None:
            found = f"  {count_text(self._found)}" if self._found else ""
            yield shortened(f"{self._step}…{found}", width)
            return
        yield self._line_for_all(width)
        with self._lock:
            large = [(path, done, size) for path, (done, size) in self._large.items()][:FILE_BARS]
        name_width = min(NAME_WIDTH, width // 2, max((cell_len(path) for path, _, _ in large), default=0))
        for path, done, size in large:
            name = shortened(path, name_width)
            of = f" of {size_text(size)}" if width >= SIZES_FROM else ""
            padded = f"  {name}{' ' * (name_width - cell_len(name))}"
            yield _laid_out(padded, done / size, [f"{_percent(done / size)}{of}"], width)

    def _line_for_all(self, width: int) -> str:
        meter = self._meter
        head = f"{self._verb} {meter.files_done:,}/{meter.files:,}"
        rate, left = meter.rate(), meter.time_left()
        speed = [f"{size_text(rate)}/s" if rate is not None else "", f"{_clock(left)} left" if left is not None else ""]
        parts = [part for part in speed if part]
        if not meter.size:
            return shortened(GAP.join([head, size_text(meter.size_done), *parts]), width)
        sizes = f"{size_text(meter.size_done)} of {size_text(meter.size)}"
        line = _laid_out(head, meter.fraction, [sizes, *parts], width)
        if cell_len(line) > width:
            line = GAP.join([head, _percent(meter.fraction).strip(), *parts])
        return shortened(line, width)

    def _move(self, path: str, count: int) -> None:
        bar = self._large.get(path)
        if bar is not None:
            with self._lock:
                bar[0] += count


def shortened(name: str, width: int) -> str:
    """A path that takes at most so many columns: its end says more than its beginning."""
    if cell_len(name) <= width:
        return name
    start = 0
    while start < len(name) and cell_len(name[start:]) >= width:
        start += 1
    return f"…{name[start:]}"


def _laid_out(head: str, fraction: float, facts: list[str], width: int) -> str:
    """Head, bar and facts; without the bar where there is no room for it."""
    tail = GAP.join(facts)
    room = width - cell_len(head) - cell_len(tail) - 2 * len(GAP)
    if room < LEAST_BAR:
        return f"{head}{GAP}{tail}"
    full = round(room * min(1.0, max(0.0, fraction)))
    return f"{head}{GAP}{FULL * full}{EMPTY * (room - full)}{GAP}{tail}"


def _percent(fraction: float) -> str:
    return f"{min(100, max(0, int(fraction * 100))):>3} %"


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
