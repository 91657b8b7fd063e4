"""Pieces of one upload that come on several connections, each in its turn.

A client that sends the next piece while the lake commits the one before keeps network and disk busy at the same time.
Its second piece may be here before the first is committed: it waits, in its thread, and then goes on. Only so many
threads may wait; for one more, as for a piece whose predecessor never comes, the offset is wrong, as it would be
without any of this.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager
from threading import BoundedSemaphore, Condition

PATIENCE = 30.0
"""Seconds to wait while pieces are being stored: for a commit behind many others, on a slow disk."""

GRACE = 0.5
"""Seconds to wait while none is: a small piece may overtake the one before it on the way here."""

WAITING = 8
"""How many may wait in a process at the same time: half of a server's threads (`portal.instance.THREADS`)."""


class Turns:
    """Which uploads are being written to in this process, and who waits for that."""

    def __init__(self, waiting: int = WAITING, patience: float = PATIENCE, grace: float = GRACE) -> None:
        self._seats = BoundedSemaphore(waiting)
        self._patience = patience
        self._grace = grace
        self._running: Counter[Hashable] = Counter()
        self._events = 0
        self._changed = Condition()

    @contextmanager
    def turn(self, key: Hashable, is_early: Callable[[], bool]) -> Iterator[None]:
        """Write to the upload of this key, once nobody else does and `is_early()`, asked after each write, is false.

        Neither is certain: when nothing came for too long, or too many wait already, the turn is now.
        """
        if not self._begin(key, is_early):
            if self._seats.acquire(blocking=False):
                try:
                    self._wait(key, is_early)
                finally:
                    self._seats.release()
            else:
                self._count(key, 1)
        try:
            yield
        finally:
            self._count(key, -1)

    def _begin(self, key: Hashable, is_early: Callable[[], bool]) -> bool:
        """Begin if it is time to."""
        if is_early():
            return False
        with self._changed:
            if key in self._running:
                return False
            self._count(key, 1)
            return True

    def _count(self, key: Hashable, step: int) -> None:
        with self._changed:
            self._running[key] += step
            if not self._running[key]:
                del self._running[key]
            self._events += 1
            self._changed.notify_all()

    def _wait(self, key: Hashable, is_early: Callable[[], bool]) -> None:
        """Begin when it is time to, or when waiting is no use any more."""
        start = quiet = time.monotonic()
        while True:
            with self._changed:
                seen = self._events
                if key in self._running:
                    quiet = time.monotonic()
                    limit = start + self._patience
                else:
                    limit = min(start + self._patience, quiet + self._grace)
            if self._begin(key, is_early):
                return
            with self._changed:
                # An event since `seen` is not waited for: what was asked above may be from before it.
                while self._events == seen and self._changed.wait(limit - time.monotonic()):
                    pass
                waited = self._events == seen
            if waited:
                # Another process may have written: asked once more, `is_early` tells its caller.
                if not self._begin(key, is_early):
                    self._count(key, 1)
                return
