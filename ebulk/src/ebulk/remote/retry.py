"""When to try again: exponential backoff with full jitter, given up after so many seconds without progress.

Full jitter (a random time between nothing and the ceiling) keeps the clients of a lake that was away from coming back
in step.

The seconds that count are those in which something was tried. No clock is the right one for them: the monotonic clock
runs on while a laptop sleeps on some systems and stands still on others, and the time of day jumps. So an attempt
counts with its duration, but with no more than the time after which a request is given up as stalled: what took longer
either moved bytes or slept. A wait counts with what was meant to be waited.
"""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable

from ebulk.errors import NetworkError
from ebulk.remote.failure import UNREACHED_HINT, TransientError

FIRST_CEILING = 0.5
LAST_CEILING = 30.0
PATIENCE = 300.0
"""The longest Retry-After, in seconds, that is honoured in full."""
UNREACHED_LIMIT = 60.0
"""Seconds after which a lake that has never answered is given up."""
NOTICE_INTERVAL = 10.0
"""Seconds between two lines about failures, whichever threads they befall."""
MINUTE = 60


def full_jitter(failures: int) -> float:
    """Seconds to wait after so many failures in a row (1 is the first)."""
    ceiling = min(LAST_CEILING, FIRST_CEILING * 2.0 ** min(failures - 1, 10))
    return random.uniform(0, ceiling)  # noqa: S311 (not a secret)


class Notices:
    """Tells a person of failures: the first at once, then a line now and then, though many threads meet many."""

    def __init__(self, notify: Callable[[str], None], clock: Callable[[], float] = time.monotonic) -> None:
        self._notify = notify
        self._clock = clock
        self._lock = threading.Lock()
        self._next = -NOTICE_INTERVAL
        self._untold = 0

    def tell(self, message: str, delay: float) -> None:
        """Tell of a failure after which somebody waits for `delay` seconds, or count it for the next line."""
        with self._lock:
            now = self._clock()
            if now < self._next:
                self._untold += 1
                return
            self._next = now + max(NOTICE_INTERVAL, delay)
            untold, self._untold = self._untold, 0
        self._notify(f"{message} ({untold:,} more since the last such line.)" if untold else message)


class Retry:
    """Waits between the attempts at one piece of work, and gives it up after `limit` seconds without progress.

    `progress` begins anew: a slow network may break any number of times while it brings something in between.
    `longest` is what one attempt counts at the most, in seconds.
    """

    def __init__(
        self,
        limit: float,
        *,
        longest: float,
        backoff: Callable[[int], float],
        wait: Callable[[float], None],
        tell: Callable[[str, float], None],
        reached: Callable[[], bool],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._limit = limit
        self._longest = longest
        self._backoff = backoff
        self._wait = wait
        self._tell = tell
        self._reached = reached
        self._clock = clock
        self._spent = 0.0
        self._attempt_began = 0.0
        self.failures = 0
        """In a row."""

    def progress(self) -> None:
        """Something was achieved."""
        self.failures = 0
        self._spent = 0.0

    def failed(self, error: TransientError) -> None:
        """Wait until it's time to try again, or raise: for too long nothing was achieved, or the lake was never there.

        The last wait ends when the time is up, so that one more attempt is made then.
        """
        limit = self._limit
        if not self._reached():
            error.hint = UNREACHED_HINT
            limit = min(limit, UNREACHED_LIMIT)
        if self.failures:
            self._spent += min(max(0.0, self._clock() - self._attempt_began), self._longest)
        self.failures += 1
        left = limit - self._spent
        if not limit or (error.connecting and not self._reached()):
            raise error
        if left <= 0:
            raise NetworkError(f"{error} Nothing got through for {_duration(limit)}.", error.hint) from error
        delay = self._backoff(self.failures)
        if error.retry_after is not None:
            delay = max(delay, min(error.retry_after, PATIENCE))
        delay = min(delay, left)
        when = f" in {_duration(delay)}; giving up in {_duration(left)}" if round(delay) else ""
        self._tell(f"{error} Trying again{when}.", delay)
        self._wait(delay)
        self._spent += delay
        self._attempt_began = self._clock()


def _duration(seconds: float) -> str:
    minutes, seconds = divmod(round(seconds), MINUTE)
    return " ".join([f"{minutes} min"] * bool(minutes) + [f"{seconds} s"] * bool(seconds or not minutes))
