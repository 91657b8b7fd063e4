"""How many bytes pass, and how fast: `limit_rate` holds for all connections and both directions together.

The pace is a token bucket, kept as the moment at which all that has passed is paid for (ITU-T I.371's virtual
scheduling). Threads pay in the order in which they come, so that all of them get on.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

BURST = 0.1
"""Seconds of silence that are made up for."""
TURNS = 8
"""How many pieces a second one connection passes, so that a low rate is no row of stops."""
SMALLEST_PIECE = 256


class Traffic:
    """Counts the bytes of bodies as they travel: in zstd, and those that are sent again."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.sent = 0
        self.received = 0

    def count(self, *, sent: int = 0, received: int = 0) -> None:
        """Note that bytes have passed."""
        with self._lock:
            self.sent += sent
            self.received += received


class Pace:
    """At most `rate` bytes a second; None is as fast as it goes."""

    def __init__(self, rate: int | None = None, clock: Callable[[], float] = time.monotonic) -> None:
        self._rate = rate
        self._clock = clock
        self._lock = threading.Lock()
        self._paid = 0.0

    def piece(self, most: int) -> int:
        """How many bytes to pass at a time, up to `most`."""
        return most if self._rate is None else max(SMALLEST_PIECE, min(most, self._rate // TURNS))

    def delay(self, count: int) -> float:
        """Seconds to wait for so many bytes, which pass before or after."""
        if self._rate is None:
            return 0.0
        with self._lock:
            now = self._clock()
            self._paid = max(self._paid, now - BURST) + count / self._rate
            return max(0.0, self._paid - now)
