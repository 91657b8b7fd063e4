"""How much one run of an alarm may do: so many seconds and bytes, and nothing more once it was asked to stop.

Whether to stop is known to whoever runs the alarm, a script and a few calls above: it is noted for the thread.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

_STOPPING: ContextVar[Callable[[], bool]] = ContextVar("stopping", default=lambda: False)


@contextmanager
def interruptible(stopping: Callable[[], bool]) -> Iterator[None]:
    """Let all budgets of this thread end as soon as `stopping()` is true."""
    token = _STOPPING.set(stopping)
    try:
        yield
    finally:
        _STOPPING.reset(token)


class Budget:
    """So many seconds from now on, and so many bytes."""

    def __init__(self, seconds: float, size: int) -> None:
        self._deadline = time.monotonic() + seconds
        self.size = size
        """Bytes that are left."""

    @property
    def interrupted(self) -> bool:
        """Whether the run was asked to stop."""
        return _STOPPING.get()()

    @property
    def is_left(self) -> bool:
        """Whether there is time, and a byte, for more."""
        return self.size > 0 and time.monotonic() < self._deadline and not self.interrupted

    def spend(self, size: int) -> None:
        """Take bytes from it."""
        self.size -= size
