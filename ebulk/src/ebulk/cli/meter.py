"""How far a transfer is, how fast it goes, and how long the rest takes.

What was there from before, of an interrupted transfer or of another version, counts as done but is no speed: the rate
is that of the bytes that were transferred within the last seconds.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable

WINDOW = 15.0
"""Seconds that the rate is the mean of: long enough for chunks that arrive at once, short enough to follow."""

STEP = 0.2
"""Seconds that one sample stands for."""

SETTLED = 1.0
"""Seconds before there is a rate."""


class Meter:
    """Told of bytes from any thread; `clock` tells seconds."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._samples: deque[tuple[float, int]] = deque()
        self._transferred = 0
        self.size = self.size_done = 0
        self.files = self.files_done = 0

    def expect(self, files: int, size: int) -> None:
        """Begin anew, with so much to do."""
        with self._lock:
            self.files, self.size = files, size
            self.files_done = self.size_done = self._transferred = 0
            self._samples.clear()
            self._samples.append((self._clock(), 0))

    def transferred(self, count: int) -> None:
        """So many bytes have gone over the network; a negative number is to be sent again."""
        with self._lock:
            self.size_done += count
            self._transferred += max(count, 0)
            now = self._clock()
            if not self._samples or now - self._samples[-1][0] >= STEP:
                self._samples.append((now, self._transferred))
            while len(self._samples) > 1 and now - self._samples[1][0] >= WINDOW:
                self._samples.popleft()

    def reused(self, count: int) -> None:
        """So many bytes need no transfer."""
        with self._lock:
            self.size_done += count

    def finished(self) -> None:
        """One file more is done."""
        with self._lock:
            self.files_done += 1

    @property
    def fraction(self) -> float:
        """The part that is done, 0 to 1."""
        return min(1.0, max(0.0, self.size_done / self.size)) if self.size else 1.0

    def rate(self) -> float | None:
        """Bytes a second; None as long as there is none yet."""
        with self._lock:
            if not self._samples:
                return None
            start, before = self._samples[0]
            elapsed = self._clock() - start
            return (self._transferred - before) / elapsed if elapsed >= SETTLED else None

    def time_left(self) -> float | None:
        """Seconds; None when nobody can tell."""
        rate = self.rate()
        return max(0, self.size - self.size_done) / rate if rate and self.size else None
