"""One FileStorage for several processes of this machine, at no cost to the one that serves.

A FileStorage is the fastest storage by far, and only one process can have it open for writing. `wendelin serve` is that
process, and offers its open storage to the other `wendelin` commands by a ZEO server in a thread of its own, on a Unix
socket that only this user can connect to::

    serve:     DB ── Side ─┐
                           ├── FileStorage        other process:   DB ── ClientStorage
               ZEO ─ Side ─┘                                                │
                │                                                           │
                └───────────────── DIR/var/storage.socket ──────────────────┘

The two users of the storage must learn of each other's commits. A storage tells nobody of a commit but whoever made it,
so each gets the storage through a `Side`, which notes what the transaction under way stores, and when it is finished
hands that to the database registered on the other side: before the commit is visible, as MVCC requires.

What it costs: nothing measurable in serve (one list append an object stored). The other process reads and writes
through the socket, about ten times slower than the file: enough for administration.

Nothing can dead-lock. The commit lock is the FileStorage's own. Who holds it in the serving process never waits for the
ZEO thread: its invalidations are only queued there. The ZEO thread may wait for the lock, for as long as one commit
takes. A client that stalls in the middle of a commit is cut off after TRANSACTION_TIMEOUT seconds, one that dies at
once, and its transaction is aborted.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from ZEO.asyncio.server import Result
from ZEO.ClientStorage import ClientStorage
from ZEO.Exceptions import ClientDisconnected
from ZEO.StorageServer import StorageServer, ZEOStorage
from ZODB.FileStorage import FileStorage
from zope.interface import directlyProvides, providedBy

from Products.ERP5Wendelin.errors import Conflict

STORAGE_NAME = "1"
"""The name ZEO clients ask for unless told otherwise."""

TRANSACTION_TIMEOUT = 60
"""Seconds a client may hold the commit lock, between its vote and its finish."""

WAIT = 20
"""Seconds to wait for another command to be done with the storage: most take a second or two."""

CONNECT_TIMEOUT = 3
"""Seconds to wait for an answer on the socket, which a killed server may have left behind."""

MAX_SOCKET_PATH = 100
"""Bytes a Unix socket's path may have: 108 on Linux, 104 on others, less a margin."""

logger = logging.getLogger("wendelin.storage")


class Side:
    """A FileStorage as one of its two users sees it."""

    def __init__(self, storage: FileStorage) -> None:
        self._storage = storage
        self._stored: list[bytes] = []
        self._tell_others: Callable[[bytes, list[bytes]], None] = lambda tid, oids: None
        self.database: Any = None
        directlyProvides(self, providedBy(storage))

    def __getattr__(self, name: str) -> Any:
        """Everything that changes no object is the storage's own; kept, so that it is looked up only once."""
        value = getattr(self._storage, name)
        if callable(value):
            setattr(self, name, value)
        return value

    def __len__(self) -> int:
        return len(self._storage)

    def tell(self, tell_others: Callable[[bytes, list[bytes]], None]) -> None:
        """Call `tell_others(tid, oids)` in each commit from this side."""
        self._tell_others = tell_others

    def registerDB(self, database: Any) -> None:
        """Remember whom to tell of commits from the other side."""
        self.database = database

    # These run while the storage's commit lock is held, so there is one transaction at a time.

    def tpc_begin(self, transaction: Any, *args: Any) -> None:
        self._storage.tpc_begin(transaction, *args)
        self._stored = []

    def store(self, oid: bytes, serial: bytes, data: bytes, version: str, transaction: Any) -> None:
        self._storage.store(oid, serial, data, version, transaction)
        self._stored.append(oid)

    def restore(self, oid: bytes, *args: Any) -> None:
        self._storage.restore(oid, *args)
        self._stored.append(oid)

    def deleteObject(self, oid: bytes, *args: Any) -> None:
        self._storage.deleteObject(oid, *args)
        self._stored.append(oid)

    def undo(self, transaction_id: bytes, transaction: Any) -> Any:
        result = self._storage.undo(transaction_id, transaction)
        self._stored.extend(result[1])
        return result

    def tpc_finish(self, transaction: Any, callback: Callable[[bytes], Any] | None = None) -> bytes:
        stored = self._stored

        def invalidate(tid: bytes) -> None:
            self._tell_others(tid, stored)
            if callback is not None:
                callback(tid)

        return self._storage.tpc_finish(transaction, invalidate)


class GuestConnection(ZEOStorage):
    """ZEO's end of the connection to a guest."""

    def tpc_finish(self, id: int) -> Result | None:
        """Commit what was voted, and tell the guest its transaction id.

        ZEO takes the storage's last one for it. Here that may be a later one: our own side needs the storage's lock
        for the next commit, which is free again, and not ZEO's.
        """
        if not self._check_tid(id):
            return None
        self.stats.commits += 1
        tid = self.storage.tpc_finish(self.transaction, self._invalidate)
        self.async_("info", self.get_size_info())
        return Result(tid, self._clear_transaction)


class GuestServer(StorageServer):
    """ZEO's server, which tells guests of a commit before it tells anyone of a later one.

    `invalidate` is called in the server's thread only: of commits by guests from there, and of our own by a callback
    that was queued while the commit lock was held. ZEO would queue each message once more, and a guest that commits
    next would learn of its own commit first; it would then miss what the commit before it changed.
    """

    def create_client_handler(self) -> GuestConnection:
        return GuestConnection(self)

    def invalidate(self, zeo_storage: ZEOStorage | None, storage_id: str, tid: bytes, invalidated: list[bytes]) -> None:
        """Tell all guests, but the one that committed, which objects a commit changed."""
        recent = self.invq[storage_id]
        recent.insert(0, (tid, invalidated))
        del recent[self.invq_bound :]
        for guest in self.zeo_storages_by_storage_id[storage_id]:
            if guest is not zeo_storage:
                guest.async_("invalidateTransaction", tid, invalidated)


class Patience:
    """Ends the transaction of a guest that holds the commit lock for too long; a lock manager's `timeout`.

    ZEO's own closes the connection, but the transaction then goes on holding the lock (ZEO 6.2). All this runs in the
    server's thread.
    """

    def __init__(self, event_loop: asyncio.AbstractEventLoop) -> None:
        self._event_loop = event_loop
        self._timer: asyncio.TimerHandle | None = None

    def begin(self, guest: ZEOStorage) -> None:
        """A guest is about to take the lock."""
        self._timer = self._event_loop.call_later(TRANSACTION_TIMEOUT, self._cut_off, guest)

    def end(self, guest: ZEOStorage) -> None:
        """It has released the lock."""
        if self._timer is not None:
            self._timer.cancel()

    def is_alive(self) -> bool:
        """What ZEO's status report asks."""
        return True

    def _cut_off(self, guest: ZEOStorage) -> None:
        logger.warning("a command held up all others for %d seconds: its transaction is aborted", TRANSACTION_TIMEOUT)
        connection = guest.connection
        guest.notify_disconnected()  # which aborts
        connection.close()


class SharedFileStorage(Side):
    """The serving process's side; `offer` lets other processes in."""

    _offer: tuple[GuestServer, Path] | None = None

    def offer(self, address: Path) -> None:
        """Serve other processes on a Unix socket at `address`, mode 0600, until the storage is closed."""
        other = Side(self._storage)
        with bindable(address) as path:
            server = GuestServer(path, {STORAGE_NAME: other})
        event_loop = server.acceptor.event_loop
        server.lock_managers[STORAGE_NAME].timeout = Patience(event_loop)
        # Until here the socket was as private as its directory, and nobody answered on it.
        address.chmod(0o600)

        def tell_guests(tid: bytes, oids: list[bytes]) -> None:
            # The server's thread may have ended while this commit began. It can't fail any more, and nobody is left.
            with contextlib.suppress(RuntimeError):
                event_loop.call_soon_threadsafe(other.database.invalidate, tid, oids)

        other.tell(self.database.invalidate)
        self.tell(tell_guests)
        server.start_thread()
        self._offer = server, address

    def close(self) -> None:
        """Cut other processes off, then close the file."""
        if self._offer is None:
            self._storage.close()
            return
        server, address = self._offer
        self._offer = None
        self.tell(lambda tid, oids: None)
        address.unlink(missing_ok=True)
        server.close()  # closes its storage as well, which is this one


@contextlib.contextmanager
def bindable(address: Path) -> Iterator[str]:
    """A path to bind or connect to, short enough for a Unix socket: by its directory's descriptor if need be."""
    if len(os.fsencode(address)) <= MAX_SOCKET_PATH:
        yield str(address)
        return
    if not os.path.isdir("/proc/self/fd"):
        raise Conflict(f"{address} is too long for a socket: move the instance to a shorter path.")
    directory = os.open(address.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        yield f"/proc/self/fd/{directory}/{address.name}"
    finally:
        os.close(directory)


def open_shared(open_storage: Callable[[], Any], address: Path, wait: float = WAIT) -> Any:
    """Open a storage: directly, or through the process that has it open and offers it at `address`.

    A storage that several processes can open by themselves (ZEO, NEO, RelStorage) is returned as it is.
    """
    deadline = time.monotonic() + wait
    while True:
        try:
            storage = open_storage()
        except Conflict as error:
            client = connect(address)
            if client is not None:
                return client
            if time.monotonic() > deadline:
                raise Conflict(
                    "The database is open in another process, which does not share it:"
                    " wait until that is done, or stop it."
                ) from error
            time.sleep(0.1)  # there is no event to wait for: the lock may be released or the socket appear
        else:
            return SharedFileStorage(storage) if isinstance(storage, FileStorage) else storage


class Guest(ClientStorage):
    """A storage that another process has open, and offers."""


def connect(address: Path) -> Guest | None:
    """The storage offered at `address`, or None if nobody answers there."""
    if not address.is_socket():
        return None
    with contextlib.ExitStack() as stack:
        path = stack.enter_context(bindable(address))
        try:
            # server_sync: a transaction sees all that was committed before it began, also what is still on its way
            guest = Guest(path, storage=STORAGE_NAME, wait_timeout=CONNECT_TIMEOUT, server_sync=True)
        except ClientDisconnected:
            return None
        stack.pop_all()  # the guest may reconnect by this path: what it needs stays open
        return guest


class SharedStorageSection:
    """`<sharedstorage>` in zope.conf: a storage section to share, and the socket to share it on."""

    def __init__(self, config: Any) -> None:
        self.config = config
        self.name = config.getSectionName()

    def open(self) -> Any:
        """Open it, as ZODB.config asks of a storage section."""
        return open_shared(self.config.storage.open, Path(self.config.socket))
