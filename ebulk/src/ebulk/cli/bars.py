"""Progress bars on a terminal."""

from __future__ import annotations

import threading
from types import TracebackType

from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    SpinnerColumn,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)

FILE_BARS = 8
"""Files that have a bar at a time."""

BAR_FROM = 8 * 1024 * 1024
"""Bytes from which a file has a bar of its own: smaller ones are gone before the eye has found them."""


class Bars:
    """A bar for all with rate and time left, and one for each large file in flight."""

    def __init__(self, verb: str) -> None:
        self._verb = verb
        self._lock = threading.Lock()
        self._bars: dict[str, TaskID] = {}
        self._files = self._files_done = 0
        console = Console(stderr=True)
        self._steps = Progress(SpinnerColumn(), TextColumn("{task.description}"), console=console, transient=True)
        self._transfer = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            DownloadColumn(binary_units=True),
            TransferSpeedColumn(),
            TimeRemainingColumn(),
            console=console,
            transient=True,
        )
        self._step = self._steps.add_task("")
        self._all = self._transfer.add_task(verb, total=None, visible=False)

    def __enter__(self) -> Bars:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._steps.stop()
        self._transfer.stop()

    def stage(self, text: str) -> None:
        """A spinner."""
        self._transfer.stop()
        self._steps.update(self._step, description=f"{text}…")
        self._steps.start()

    def found(self, files: int) -> None:
        """How many so far, beside the spinner."""

    def expect(self, files: int, size: int) -> None:
        """The bar for all."""
        self._steps.stop()
        self._files, self._files_done = files, 0
        self._transfer.reset(self._all, total=size, visible=bool(files), description=self._description())
        self._transfer.start()

    def skip(self, path: str, size: int) -> None:
        """It counts as done."""
        self.advance(path, size)
        self.done(path)

    def begin(self, path: str, size: int) -> None:
        """A bar for a large file."""
        if size >= BAR_FROM:
            with self._lock:
                if len(self._bars) < FILE_BARS and path not in self._bars:
                    self._bars[path] = self._transfer.add_task(f"  {_short(path)}", total=size)

    def advance(self, path: str, count: int) -> None:
        """Move its bar, and the bar for all."""
        self._transfer.advance(self._all, count)
        bar = self._bars.get(path)
        if bar is not None:
            self._transfer.advance(bar, count)

    def reuse(self, path: str, count: int) -> None:
        """Move its bar, and the bar for all."""
        self.advance(path, count)

    def done(self, path: str) -> None:
        """Take its bar away."""
        with self._lock:
            self._files_done += 1
            bar = self._bars.pop(path, None)
        if bar is not None:
            self._transfer.remove_task(bar)
        self._transfer.update(self._all, description=self._description())

    def note(self, message: str) -> None:
        """A line above the bars."""
        self._transfer.console.print(f"ebulk: {message}", markup=False, highlight=False)

    def _description(self) -> str:
        return f"{self._verb} {self._files_done:,}/{self._files:,}"


def _short(path: str, length: int = 30) -> str:
    return path if len(path) <= length else f"…{path[1 - length :]}"
