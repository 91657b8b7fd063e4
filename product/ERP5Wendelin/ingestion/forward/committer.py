"""Group commit: what all connections have brought is written by one thread, in few transactions, and then acknowledged.

A commit costs some milliseconds, whatever is in it, so it waits until the last one is `interval` old, or `commit_size`
bytes are there. Nothing is acknowledged before it is committed, and acknowledgements go out in the order of arrival.

While the storage can't be reached, or has no room, what waits is kept and tried again, after 0.5 s, then twice as long
each time up to 30 s; connections are not read once memory is full, and agents keep what is not acknowledged.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple, Protocol

from Products.ERP5Wendelin.errors import WendelinError
from Products.ERP5Wendelin.ingestion.batch import BATCH_SIZE, Sent
from Products.ERP5Wendelin.ingestion.forward.notices import Notices
from Products.ERP5Wendelin.ingestion.forward.settings import Settings

BACK_OFF = (0.5, 30.0)
"""Seconds from a commit that failed to the next attempt: the first time, and at most."""

OVERHEAD = 512
"""Bytes of memory that what is sent takes beside its data."""

TRY_AGAIN = (
    "what agents send can't be stored now: %s It is kept, and tried again until it succeeds; nothing is acknowledged "
    "before it is stored, and once memory is full agents wait."
)

logger = logging.getLogger("wendelin.fluentd")


class Writer(Protocol):
    """What stores: `ingestion.batch.BatchWriter`."""

    def write(self, sent: Sequence[Sent], batch: bytes | None = None) -> list[WendelinError | None]: ...


class Sender(Protocol):
    """Who has sent something, and gets the acknowledgements: a connection."""

    @property
    def peer(self) -> str: ...

    def acknowledge(self, acknowledgements: bytes) -> None: ...


class Delivery(NamedTuple):
    """What one sender has sent at a time, and for each of it what is answered once it is stored, if anything."""

    sender: Sender
    sent: list[Sent]
    acknowledgements: list[bytes]
    size: int
    """Bytes of data, at most BATCH_SIZE."""

    @property
    def held(self) -> int:
        """Bytes of memory: of data, of tags, of chunks' ids, there and in acknowledgements, and what objects take."""
        texts = sum(len(sent.tag) for sent in self.sent) + 2 * sum(map(len, self.acknowledgements))
        return self.size + texts + OVERHEAD * len(self.sent)


class Committer:
    """Writes deliveries; `on_less` is called whenever `held` became less."""

    def __init__(self, writer: Writer, settings: Settings, notices: Notices, on_less: Callable[[], None]) -> None:
        self._writer = writer
        self._settings = settings
        self._notices = notices
        self._on_less = on_less
        self._waiting: deque[Delivery] = deque()
        self._size = 0  # of what waits
        self._arrived = asyncio.Event()
        self._urgent = asyncio.Event()
        self._stopping = asyncio.Event()
        self._ending = False
        self._thread = ThreadPoolExecutor(1, "fluentd-commit")
        self._task = asyncio.create_task(self._run())
        self.held = 0
        """Bytes of memory that deliveries take until they are committed."""

    def put(self, delivery: Delivery) -> None:
        """Have something written."""
        self._waiting.append(delivery)
        self._size += delivery.size
        self.held += delivery.held
        self._arrived.set()
        if self._size >= self._settings.commit_size:
            self._urgent.set()

    def hurry(self) -> None:
        """From now on, write at once, and once: what fails is given up."""
        self._stopping.set()
        self._urgent.set()

    async def stop(self) -> None:
        """Write what waits, once, and end."""
        self.hurry()
        self._ending = True
        self._arrived.set()
        await self._task
        self._thread.shutdown()

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        begun = loop.time() - self._settings.interval
        while True:
            await self._arrived.wait()
            if not self._waiting:
                return
            await _happens(self._urgent, begun + self._settings.interval - loop.time())
            begun = loop.time()
            await self._commit(self._take())
            if not self._waiting and not self._ending:
                self._arrived.clear()

    def _take(self) -> list[Delivery]:
        """What goes into the next transaction."""
        batch: list[Delivery] = []
        room = BATCH_SIZE
        while self._waiting and self._waiting[0].size <= room:
            delivery = self._waiting.popleft()
            room -= delivery.size
            self._size -= delivery.size
            batch.append(delivery)
        if self._size < self._settings.commit_size and not self._stopping.is_set():
            self._urgent.clear()
        return batch

    async def _commit(self, batch: list[Delivery]) -> None:
        """Write a batch, again and again until that succeeds or a stop is asked for; then acknowledge it."""
        outcomes = await self._write([sent for delivery in batch for sent in delivery.sent])
        self.held -= sum(delivery.held for delivery in batch)
        try:
            if outcomes is not None:
                self._answer(batch, outcomes)
            self._on_less()
        except Exception:  # of one connection; what all others send is to be written all the same
            logger.exception("acknowledging what is stored failed: some agents will send it again, for nothing")

    async def _write(self, sent: list[Sent]) -> list[WendelinError | None] | None:
        """What became of each; None: nobody knows, it was given up."""
        loop = asyncio.get_running_loop()
        id = os.urandom(16)
        back_off, longest = BACK_OFF
        failed = False
        while True:
            try:
                outcomes = await loop.run_in_executor(self._thread, self._writer.write, sent, id)
            except Exception as error:
                if self._stopping.is_set():
                    logger.error("stopping: what %d messages brought is not stored: %s", len(sent), error)
                    return None
                if not failed:
                    failed = True
                    trace = None if isinstance(error, WendelinError) else error
                    logger.error(TRY_AGAIN, error, exc_info=trace)
                await _happens(self._stopping, back_off)
                back_off = min(2 * back_off, longest)
            else:
                if failed:
                    logger.warning("what agents send is stored again, and acknowledged")
                return outcomes

    def _answer(self, batch: Sequence[Delivery], outcomes: Sequence[WendelinError | None]) -> None:
        """Acknowledge what is stored, and log what is refused."""
        start = 0
        for delivery in batch:
            end = start + len(delivery.sent)
            acknowledgements = delivery.acknowledgements
            if any(outcomes[start:end]):
                acknowledgements = self._not_refused(delivery, outcomes[start:end])
            delivery.sender.acknowledge(b"".join(acknowledgements))
            start = end

    def _not_refused(self, delivery: Delivery, outcomes: Sequence[WendelinError | None]) -> list[bytes]:
        """The acknowledgements of what is stored, when some is refused."""
        acknowledgements = []
        for sent, acknowledgement, error in zip(delivery.sent, delivery.acknowledgements, outcomes, strict=True):
            if error is None:
                acknowledgements.append(acknowledgement)
            else:
                self._notices.warn(
                    ("refused", sent.policy, sent.user, sent.tag),
                    f"{delivery.sender.peer}: the tag {sent.tag!r} is refused: {error} It is not acknowledged, so that "
                    "an agent that asks for acknowledgements keeps it, and sends it again.",
                )
        return acknowledgements


async def _happens(event: asyncio.Event, seconds: float) -> None:
    """Wait until an event, but no longer than so many seconds."""
    if seconds > 0:
        with contextlib.suppress(asyncio.TimeoutError):
            await asyncio.wait_for(event.wait(), seconds)
