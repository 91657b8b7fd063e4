"""When to try again: exponential backoff with full jitter, given up after so many failures without progress.

Full jitter (a random time between nothing and the ceiling) keeps the clients of a lake that was away from coming back
in step.
"""

from __future__ import annotations

import random
from collections.abc import Callable

from ebulk.remote.failure import UNREACHED_HINT, TransientError

FIRST_CEILING = 0.5
LAST_CEILING = 30.0
PATIENCE = 300.0
"""The longest Retry-After, in seconds, that is honoured in full."""


def full_jitter(failures: int) -> float:
    """Seconds to wait after so many failures in a row (1 is the first)."""
    return random.uniform(0, min(LAST_CEILING, FIRST_CEILING * 2.0 ** (failures - 1)))  # noqa: S311 (not a secret)


class Retry:
    """Counts the failures of one piece of work.

    `progress` forgets them: a slow network may break any number of times while it brings something in between.
    """

    def __init__(
        self,
        limit: int,
        *,
        backoff: Callable[[int], float],
        wait: Callable[[float], None],
        notify: Callable[[str], None],
        reached: Callable[[], bool],
        is_news: Callable[[Retry, str, float], bool] = lambda retry, error, delay: True,
    ) -> None:
        self._limit = limit
        self._backoff = backoff
        self._wait = wait
        self._notify = notify
        self._reached = reached
        self._is_news = is_news
        self.failures = 0

    def progress(self) -> None:
        """Something was achieved."""
        self.failures = 0

    def failed(self, error: TransientError) -> None:
        """Wait until it's time to try again, or raise `error`: too many failures, or the lake was never there."""
        self.failures += 1
        if not self._reached():
            error.hint = UNREACHED_HINT
        if self.failures > self._limit or (error.connecting and not self._reached()):
            raise error
        delay = self._backoff(self.failures)
        if error.retry_after is not None:
            delay = max(delay, min(error.retry_after, PATIENCE))
        if self._is_news(self, str(error), delay):
            self._notify(f"{error} Trying again in {delay:.0f} s ({self.failures} of {self._limit}).")
        self._wait(delay)
