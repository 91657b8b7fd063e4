"""How far a batch is, on a terminal: one line that changes; anywhere else a line now and then, and one at the end."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from typing import Any, TextIO

from Products.ERP5Wendelin.compute.loop import Status

REDRAW = 0.1
"""Seconds from one change of the line to the next."""

INTERVAL = 30.0
"""Seconds from one line to the next where they stay."""

ERASE = "\r\x1b[K"

SIZES = ("bytes", "KiB", "MiB", "GiB", "TiB", "PiB")


class ProgressLine:
    """Shows where a batch is on a stream."""

    def __init__(self, stream: TextIO, clock: Callable[[], float] = time.monotonic) -> None:
        self._stream = stream
        self._clock = clock
        self._on_terminal = stream.isatty()
        self._shown_at = clock() - REDRAW if self._on_terminal else clock()
        self._last: Status | None = None
        self._drawn = False
        self._in_line = False
        """Whether the script has begun a line, and not ended it."""

    def show(self, status: Status) -> None:
        """Show it, unless something was shown a moment ago."""
        self._last = status
        now = self._clock()
        if self._in_line or now - self._shown_at < (REDRAW if self._on_terminal else INTERVAL):
            return
        self._shown_at = now
        if self._on_terminal:
            self._stream.write(ERASE + line_of(status)[: shutil.get_terminal_size().columns - 1])
            self._drawn = True
        else:
            self._stream.write(line_of(status) + "\n")
        self._stream.flush()

    def clear(self) -> None:
        """Take the line away, for something else is to be shown."""
        if self._drawn:
            self._stream.write(ERASE)
            self._stream.flush()
            self._drawn = False

    def finish(self) -> None:
        """All of it is done."""
        self.clear()
        if self._last is not None:
            last = self._last
            self._stream.write(f"done: {quantity(last.total, last.unit)} of {last.source}\n")
            self._stream.flush()

    @contextmanager
    def above(self, *streams: TextIO) -> Iterator[None]:
        """Have what is printed meanwhile stand above the line."""
        if not self._on_terminal:
            yield
            return
        out, errors = (_Above(self, stream) if stream.isatty() else stream for stream in streams)
        with redirect_stdout(out), redirect_stderr(errors):
            yield

    def note_printed(self, text: str) -> None:
        """Something else was printed."""
        if text:
            self._in_line = not text.endswith("\n")


class _Above:
    """A stream whose text stands above the line."""

    def __init__(self, line: ProgressLine, stream: TextIO) -> None:
        self._line = line
        self._stream = stream

    def write(self, text: str) -> int:
        self._line.clear()
        self._line.note_printed(text)
        return self._stream.write(text)

    def writelines(self, lines: Any) -> None:
        for line in lines:
            self.write(line)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


def line_of(status: Status) -> str:
    """A status in a line: part done, of how much, rate, time left; at the end what is cut where a line is short."""
    done, total, unit = status.start, status.total, status.unit
    begun = f"{done:,}" if unit != "bytes" else quantity(done, unit)
    parts = [f"{100 * done // total} %"] if total else []
    parts.append(f"{begun} of {quantity(total, unit)}")
    if status.rate:
        parts.append(f"{quantity(round(status.rate), unit)}/s")
        parts.append(f"{duration((total - done) / status.rate)} left")
    parts.append(status.source)
    return "  ".join(parts)


def quantity(number: float, unit: str) -> str:
    """So many units, as people read them: 1,234 rows, 1.5 GiB."""
    if unit != "bytes":
        return f"{number:,} {unit}"
    size, name = float(number), 0
    while size >= 1024 and name < len(SIZES) - 1:
        size, name = size / 1024, name + 1
    return f"{size:.1f} {SIZES[name]}" if name else f"{number:,} bytes"


def duration(seconds: float) -> str:
    """Hours, minutes and seconds, as in 1:02:03."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}"
