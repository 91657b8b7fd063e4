"""Tells a program how far a push or pull is."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

from ebulk.verbs.observer import Observer, Silent

EVERY = 0.1
"""Seconds between two calls of a function that is told of progress."""

logger = logging.getLogger("ebulk")


@dataclass(frozen=True, slots=True)
class Snapshot:
    """How far a push or pull is."""

    step: str
    """What is done: "Scanning", …, "Transferring"."""
    files: int
    """How many files there are to transfer, at the most; while scanning, how many have been found."""
    files_done: int
    size: int
    """How many bytes there are to transfer, at the most."""
    size_done: int
    """Those that are there, also from before an interruption."""


Told: TypeAlias = Callable[[Snapshot], None]


def observer_for(progress: Observer | Told | None) -> Observer:
    """What verbs tell: an observer is told everything, a function gets snapshots, and notes go to the log."""
    if progress is None:
        return Logged()
    return Snapshots(progress) if callable(progress) else progress


class Logged(Silent):
    """Logs what a person may want to know, such as a retry."""

    def note(self, message: str) -> None:
        """A warning."""
        logger.warning(message)


class Snapshots(Logged):
    """Calls a function with a snapshot: at each step, when all is done, and some times a second in between.

    Only one call is under way at a time, from whichever thread has something to tell.
    """

    def __init__(self, told: Told) -> None:
        self._told = told
        self._lock = threading.RLock()
        self._next = 0.0
        self._now = Snapshot("", 0, 0, 0, 0)

    def stage(self, text: str) -> None:
        """A step begins."""
        self._set(Snapshot(text, 0, 0, 0, 0), at_once=True)

    def found(self, files: int) -> None:
        """Files while scanning."""
        with self._lock:
            self._set(Snapshot(self._now.step, files, 0, 0, 0))

    def expect(self, files: int, size: int) -> None:
        """The transfer begins."""
        self._set(Snapshot("Transferring", files, 0, size, 0), at_once=True)

    def skip(self, path: str, size: int) -> None:
        """One of them is done."""
        self._count(1, size)

    def advance(self, path: str, count: int) -> None:
        """Bytes."""
        self._count(0, count)

    def reuse(self, path: str, count: int) -> None:
        """Bytes, too."""
        self._count(0, count)

    def done(self, path: str) -> None:
        """A file."""
        self._count(1, 0)

    def _count(self, files: int, size: int) -> None:
        with self._lock:
            now = self._now
            changed = Snapshot(now.step, now.files, now.files_done + files, now.size, now.size_done + size)
            self._set(changed, at_once=bool(files) and changed.files_done == changed.files)

    def _set(self, snapshot: Snapshot, *, at_once: bool = False) -> None:
        with self._lock:
            self._now = snapshot
            now = time.monotonic()
            if at_once or now >= self._next:
                self._next = now + EVERY
                self._told(snapshot)
