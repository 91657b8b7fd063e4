"""The database of an instance, in a process that stays for as long as it is asked to, whoever serves meanwhile.

A FileStorage is open in one process (see `shared_storage`). `wendelin fluentd` and `wendelin worker` live for months
beside a `wendelin serve` that is started, stopped and killed meanwhile, so for them the database changes hands:

========================================  ==============================================================================
what happens                              what this process does
========================================  ==============================================================================
a server serves                           goes through its socket, as a guest
nobody serves                             opens the file itself, as the host, and offers it to other commands
a server starts, and asks for the file    closes it once what it is doing is done, and is the server's guest
the host stops, or is killed              waits for one for HOST_DELAY, then opens the file itself
========================================  ==============================================================================

All this happens within a call of `run`, and is not seen outside.
"""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from collections.abc import Callable
from typing import TypeVar

import Zope2
from ZODB import DB

from Products.ERP5Wendelin.errors import Conflict
from Products.ERP5Wendelin.portal.instance import Instance, reopen_database
from Products.ERP5Wendelin.portal.shared_storage import Guest, Role, SharedFileStorage, opening

HOST_DELAY = 5.0
"""Seconds a host has to come, or to come back, before a guest opens the file in its place: a restart takes four."""

Result = TypeVar("Result")

logger = logging.getLogger("wendelin.storage")


class SharedDatabase:
    """The database of an instance, which is opened anew whenever that is needed."""

    def __init__(self, instance: Instance) -> None:
        """Use the database that Zope's start has opened."""
        self._instance = instance
        self._lock = threading.Lock()
        self._host_may_come_until = 0.0
        self._hurried = False
        self._asked = False
        self._database: DB | None = self._use(Zope2.DB)

    def run(self, function: Callable[[DB], Result]) -> Result:
        """Call `function(database)`, again if its host was lost meanwhile; one call at a time.

        Conflict: another process has the file open, and does not share it.
        """
        with self._lock:
            self._close_if_asked()
            while True:
                database = self._database or self._reopen()
                try:
                    return function(database)
                except Exception:
                    since = lost_host(database)
                    if since is None:
                        raise
                    logger.info("the process that has the database open is gone")
                    self._close(since)

    @property
    def is_file(self) -> bool:
        """Whether it is a file that one process alone has open: other processes of this machine are its guests."""
        return self.run(lambda database: isinstance(database.storage, (Guest, SharedFileStorage)))

    def hurry(self) -> None:
        """Wait for no host any more: this process is about to end."""
        self._hurried = True

    def close(self) -> None:
        """Close the database; the next `run` opens it again."""
        with self._lock:
            self._close(time.monotonic())

    def _reopen(self) -> DB:
        self._database = self._use(self._as_guest() or reopen_database())
        return self._database

    def _as_guest(self) -> DB | None:
        """The database of a host that has come, or comes while it is expected."""
        wait = self._host_may_come_until - time.monotonic()
        if wait > 0 and not self._hurried:
            with opening(Role.GUEST, wait), contextlib.suppress(Conflict):
                return reopen_database()
        return None

    def _use(self, database: DB) -> DB:
        if isinstance(database.storage, SharedFileStorage):
            try:
                database.storage.offer(self._instance.storage_socket, self._release)
            except BaseException:
                database.close()  # or nobody could open the file any more, this process included
                raise
            logger.info("this process has the database open, and shares it")
        elif isinstance(database.storage, Guest):
            logger.info("another process has the database open, and shares it with this one")
        return database

    def _release(self) -> bool:
        """Close the file for a server that asks for it, once what is being done is done."""
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
        if self._database is not None:
            database, self._database = self._database, None
            self._host_may_come_until = since + HOST_DELAY
            database.close()


def lost_host(database: DB) -> float | None:
    """Since when the process is gone that a database is the guest of; None: there it is, or none is needed."""
    storage = database.storage
    return storage.lost if isinstance(storage, Guest) and not storage.is_connected() else None
