"""Writes what agents send, in whatever process has the database open at the moment.

A FileStorage is open in one process (see `shared_storage`). `wendelin fluentd` lives for months beside a `wendelin
serve` that is started, stopped and killed meanwhile, so for it the database changes hands:

========================================  ==============================================================================
what happens                              what the writer does
========================================  ==============================================================================
a server serves                           writes through its socket, as a guest
nobody serves                             opens the file itself, as the host, and offers it to other commands
a server starts, and asks for the file    closes it once what it is writing is committed, and is the server's guest
the host stops, or is killed              fails with each `write`; after HOST_DELAY it opens the file itself
========================================  ==============================================================================

Whether a `write` that fails has stored something is in doubt where a host is killed in the middle of a commit. To try
it again stores nothing twice, since the ids of chunks and batches are in the database.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Sequence
from typing import NamedTuple

import Zope2
from ZODB import DB

from Products.ERP5Wendelin.errors import WendelinError
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

    def has_lost_host(self) -> bool:
        """Whether it is the guest of a process that is not there any more."""
        storage = self.database.storage
        return isinstance(storage, Guest) and not storage.is_connected()


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
        """As BatchWriter's; what it raises may be over the next time, since the database is opened anew by then."""
        with self._lock:
            self._close_if_asked()
            while True:
                opened = self._opened or self._reopen()
                try:
                    return opened.writer.write(sent, batch)
                except Exception:
                    if not opened.has_lost_host():
                        raise
                    self._close()
                    if not self._hurried:
                        raise

    def hurry(self) -> None:
        """Wait for no host any more, and try at once what failed: this process is about to end."""
        self._hurried = True

    def close(self) -> None:
        """Close the database; the next `write` opens it again."""
        with self._lock:
            self._close()

    def _reopen(self) -> _Opened:
        expected = not self._hurried and time.monotonic() < self._host_may_come_until
        with opening(Role.GUEST if expected else Role.EITHER, wait=0):
            self._opened = self._use(reopen_database())
        return self._opened

    def _use(self, database: DB) -> _Opened:
        if isinstance(database.storage, SharedFileStorage):
            database.storage.offer(self._instance.storage_socket, self._release)
            logger.info("this process has the database open, and shares it")
        elif isinstance(database.storage, Guest):
            logger.info("another process has the database open, and shares it with this one")
        return _Opened(database, BatchWriter(database))

    def _release(self) -> bool:
        """Close the file for a server that asks for it, once what is being written is committed."""
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
            self._close()

    def _close(self) -> None:
        if self._opened is not None:
            self._opened.database.close()
            self._opened = None
            self._host_may_come_until = time.monotonic() + HOST_DELAY
