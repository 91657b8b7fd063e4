"""Decompression and checking of large chunks in a thread, one after the other.

A few bytes may stand for 64 MiB and take half a second, and 64 MiB of values of one byte take seconds to be looked at.

It waits while memory is full, unless nothing waits to be committed: then only what is decompressed makes room.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from Products.ERP5Wendelin.errors import TooLarge, WendelinError
from Products.ERP5Wendelin.ingestion.forward.message import Events, expand

Result = Callable[[Events | WendelinError], None]


class Decompressor:
    """Decompresses events, while `may_begin()`."""

    def __init__(self, may_begin: Callable[[], bool]) -> None:
        self._may_begin = may_begin
        self._queue: deque[tuple[Events, Result]] = deque()
        self._idle = asyncio.Event()
        self._idle.set()
        self._running = False
        self._thread = ThreadPoolExecutor(1, "fluentd-decompress")
        self.held = 0
        """Bytes that wait, or are being decompressed."""

    def put(self, events: Events, result: Result) -> None:
        """Give `result` the events decompressed, or what is wrong with them."""
        self.held += len(events.data)
        self._queue.append((events, result))
        self._idle.clear()
        self.go_on()

    def go_on(self) -> None:
        """Begin with the next, if it is time to."""
        if self._queue and not self._running and self._may_begin():
            self._running = True
            events, result = self._queue.popleft()
            future = asyncio.get_running_loop().run_in_executor(self._thread, _expanded, events)
            future.add_done_callback(lambda done: self._finished(len(events.data), result, done.result()))

    async def stop(self) -> None:
        """Decompress what waits, and end."""
        await self._idle.wait()
        self._thread.shutdown()

    def _finished(self, size: int, result: Result, outcome: Events | WendelinError) -> None:
        self._running = False
        self.held -= size
        try:
            result(outcome)  # which may put more
        finally:
            self.go_on()
            if not self._queue and not self._running:
                self._idle.set()


def _expanded(events: Events) -> Events | WendelinError:
    try:
        return expand(events)
    except WendelinError as error:
        return error
    except MemoryError:
        return TooLarge(f"there is no memory left to look at a chunk of the tag {events.tag!r}")
