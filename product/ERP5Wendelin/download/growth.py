"""Waiting for a stream to grow: who waits holds a thread of the server, so only some may, and not for long."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from threading import BoundedSemaphore, Event

from Products.ERP5Wendelin.download.stored_stream import Extent, StoredStream

LONGEST = 20
"""Seconds that an answer may wait; whoever wants more asks again."""

POLL = 0.1
"""Seconds between two looks. Another process may be the one that appends, so nothing in this one tells of it."""

WAITING = BoundedSemaphore(6)
"""Answers of a process that may wait at the same time, of its threads (`portal.instance.THREADS`)."""


STOPPING = Event()
"""Set when the process is to end: nothing is waited for any more."""


def grown(stream: StoredStream, size: int, deadline: float) -> Extent:
    """The extent of a stream once its size is another, or at the deadline, which is one of `time.monotonic`."""
    while True:
        extent = stream.extent()
        if extent.size != size or is_over(deadline):
            return extent
        STOPPING.wait(min(POLL, max(deadline - time.monotonic(), 0)))


def is_over(deadline: float) -> bool:
    """Whether it is time to end an answer."""
    return STOPPING.is_set() or time.monotonic() >= deadline


@contextmanager
def turn() -> Iterator[bool]:
    """Whether one more may wait; it counts until the end."""
    taken = WAITING.acquire(blocking=False)
    try:
        yield taken
    finally:
        if taken:
            WAITING.release()
