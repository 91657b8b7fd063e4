"""Writes what agents send, in whatever process has the database open at the moment.

A FileStorage is open in one process (see `shared_storage`). `wendelin fluentd` lives for months beside a `wendelin
serve` that is started, stopped and killed meanwhile, so for it the database changes hands:

========================================  ==============================================================================
what happens                              what the writer does
========================================  ==============================================================================
a server serves                           writes through its socket, as a guest
nobody serves                             opens the file itself, as the host, and offers it to other commands
a server starts, and asks for the file    closes it once what it is writing is committed, and is the server's guest
the host stops, or is killed              waits for one for HOST_DELAY, then opens the file itself
========================================  ==============================================================================

All this happens within a `write`, and is not seen outside. What was written while the host was killed may be stored,
and is written again: that stores nothing twice, since the ids of chunks and batches are in the database.
"""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from collections.abc import Sequence
from typing import NamedTuple

import Zope2
from ZODB import DB

from Products.ERP5Wendelin.errors import Conflict, WendelinError
from Products.ERP5Wendelin.ingestion.batch import BatchWriter, Sent
from Products.ERP5Wendelin.portal.instance import Instance, reopen_database
from Products.ERP5Wendelin.portal.shared_storage import Guest, Role, SharedFileStorage, opening

HOST_DELAY = 5.0
"""Seconds a host has to come, or to come back, before a guest opens the file in its place: a restart takes four."""

logger = logging.getLogger("wendelin.fluentd")


class _Opened(NamedTuple):
    """The database, and what writes to it."""

    database: DB
    writer: BatchWriter

    def lost_host(self) -> float | None:
        """Since when the process is gone that it is the guest of; None: there it is, or none is needed."""
        storage = self.database.storage
        return storage.lost if isinstance(storage, Guest) and not storage.is_connected() else None


class FluentdWriter:
    """Writes into the database of an instance, and opens it anew whenever that is needed."""

    def __init__(self, instance: Instance) -> None:
        """Use the database that Zope's start has opened."""
        self._instance = instance
        self._lock = threading.Lock()
        self._host_may_come_until = 0.0
        self._hurried = False
        self._asked = False
        self._opened: _Opened | None = self._use(Zope2.DB)

    def write(self, sent: Sequence[Sent], batch: bytes | None = None) -> list[WendelinError | None]:
        """As BatchWriter's. Conflict: another process has the file open, and does not share it."""
        with self._lock:
            self._close_if_asked()
            while True:
                opened = self._opened or self._reopen()
                try:
                    return opened.writer.write(sent, batch)
                except Exception:
                    since = opened.lost_host()
                    if since is None:
                        raise
                    logger.info("the process that has the database open is gone")
                    self._close(since)

    def hurry(self) -> None:
        """Wait for no host any more: this process is about to end."""
        self._hurried = True

    def close(self) -> None:
        """Close the database; the next `write` opens it again."""
        with self._lock:
            self._close(time.monotonic())

    def _reopen(self) -> _Opened:
        self._opened = self._use(self._as_guest() or reopen_database())
        return self._opened

    def _as_guest(self) -> DB | None:
        """The database of a host that has come, or comes while it is expected."""
        wait = self._host_may_come_until - time.monotonic()
        if wait > 0 and not self._hurried:
            with opening(Role.GUEST, wait), contextlib.suppress(Conflict):
                return reopen_database()
        return None

    def _use(self, database: DB) -> _Opened:
        if isinstance(database.storage, SharedFileStorage):
            try:
                database.storage.offer(self._instance.storage_socket, self._release)
            except BaseException:
                database.close()  # or nobody could open the file any more, this process included
                raise
            logger.info("this process has the database open, and shares it")
        elif isinstance(database.storage, Guest):
            logger.info("another process has the database open, and shares it with this one")
        return _Opened(database, BatchWriter(database))

    def _release(self) -> bool:
        """Close the file for a server that asks for it, once what is being written is committed."""
        if not self._asked:  # it asks again and again
            logger.info("a server has asked for the database")
            self._asked = True
            # not here, for this is the thread in which guests commit
            threading.Thread(target=self._close_soon, name="release", daemon=True).start()
        return True

    def _close_soon(self) -> None:
        with self._lock:
            self._close_if_asked()

    def _close_if_asked(self) -> None:
        if self._asked:
            self._asked = False
            self._close(time.monotonic())

    def _close(self, since: float) -> None:
        if self._opened is not None:
            database, self._opened = self._opened.database, None
            self._host_may_come_until = since + HOST_DELAY
            database.close()
