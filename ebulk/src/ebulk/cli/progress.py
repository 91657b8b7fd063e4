"""Shows a transfer: bars on a terminal, lines elsewhere.

Transfers tell from their threads, thousands of times a second; what is drawn is drawn at a rate the eye can follow.
"""

from __future__ import annotations

import sys
import threading
import time
from importlib import import_module
from types import TracebackType
from typing import Protocol, cast

from ebulk.cli.output import Output, count_text, size_text
from ebulk.verbs.observer import Observer, Silent

COUNTED_EVERY = 0.5
"""Seconds between two counts on a terminal."""

CLEAR = "\r\x1b[K"
"""Back to the line's beginning, and erase it."""

LINES_EVERY = 30.0
"""Seconds between two lines where there is no terminal."""


class Display(Observer, Protocol):
    """An observer that is shown while a command runs."""

    def __enter__(self) -> Display: ...
    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None: ...


def make_display(output: Output, verb: str) -> Display:
    """What suits the terminal and the options; `verb` is such as "Sending"."""
    if output.quiet or output.json:
        return Hidden()
    if not sys.stderr.isatty():
        return Lines(verb)
    return cast("Display", import_module("ebulk.cli.bars").Bars(verb))  # rich takes long to load


def make_counter(output: Output) -> Display:
    """What suits a command that only looks: one is not to wait for bars to load."""
    shows = not output.quiet and not output.json and sys.stderr.isatty()
    return Counter() if shows else Hidden()


class Hidden(Silent):
    """Shows nothing but warnings to a program's user: none."""

    def __enter__(self) -> Hidden:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Nothing to end."""


class Counter(Hidden):
    """One line on a terminal with the files that were found so far; none where that takes no time."""

    def __init__(self) -> None:
        self._step = ""
        self._next = time.monotonic() + COUNTED_EVERY
        self._shown = False

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._shown:
            print(CLEAR, end="", file=sys.stderr, flush=True)

    def stage(self, text: str) -> None:
        """What is counted."""
        self._step = text

    def found(self, files: int) -> None:
        """The line anew, when the last is old enough."""
        now = time.monotonic()
        if now >= self._next:
            self._next, self._shown = now + COUNTED_EVERY, True
            print(f"{CLEAR}{self._step}:  {count_text(files)}", end="", file=sys.stderr, flush=True)


class Lines:
    """A line on stderr now and then, for logs."""

    def __init__(self, verb: str) -> None:
        self._verb = verb
        self._lock = threading.Lock()
        self._files = self._size = self._files_done = self._size_done = 0
        self._next = time.monotonic() + LINES_EVERY

    def __enter__(self) -> Lines:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Nothing to end."""

    def stage(self, text: str) -> None:
        """Steps are short: no line."""

    def found(self, files: int) -> None:
        """No line either."""

    def expect(self, files: int, size: int) -> None:
        """Remember what there is to do."""
        with self._lock:
            self._files, self._size = files, size
            self._files_done = self._size_done = 0

    def skip(self, path: str, size: int) -> None:
        """One less to do."""
        with self._lock:
            self._files_done += 1
            self._size_done += size

    def begin(self, path: str, size: int) -> None:
        """No line for each file: there may be millions."""

    def advance(self, path: str, count: int) -> None:
        """A line when the last is old enough."""
        with self._lock:
            self._size_done += count
            now = time.monotonic()
            if now < self._next:
                return
            self._next = now + LINES_EVERY
            text = (
                f"{self._verb}: {self._files_done:,} of {count_text(self._files)}, "
                f"{size_text(self._size_done)}{f' of {size_text(self._size)}' if self._size else ''}"
            )
        print(text, file=sys.stderr, flush=True)

    def reuse(self, path: str, count: int) -> None:
        """So much less to transfer."""
        self.advance(path, count)

    def done(self, path: str) -> None:
        """Count it."""
        with self._lock:
            self._files_done += 1

    def note(self, message: str) -> None:
        """A line."""
        print(f"ebulk: {message}", file=sys.stderr, flush=True)
