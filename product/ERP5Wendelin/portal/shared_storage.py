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

What it costs: nothing measurable in serve (one list append an object stored). The other process writes and reads
objects through the socket, about ten times slower than the file: enough for administration. Blocks of arrays it writes
at a third of the file's speed (100 MiB/s), and reads from the file itself, so that several processes can compute on
what is served. What agents send costs about three times the CPU time, in both processes together.

While nobody serves, another process that stays (`wendelin fluentd`) may have the storage open and offer it in the same
way. `wendelin serve` is the better host, so it asks whoever is the host to release the storage (`Role.HOST`): the one
closes it and becomes a guest, the other opens it. A host that serves refuses.

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
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from enum import Enum
from pathlib import Path
from pickle import Pickler
from typing import Any

from ZEO.asyncio.server import Result
from ZEO.ClientStorage import ClientStorage
from ZEO.Exceptions import ClientDisconnected
from ZEO.StorageServer import CommitLog, StorageServer, ZEOStorage, registered_methods
from ZEO.TransactionBuffer import TransactionBuffer
from ZODB.FileStorage import FileStorage
from ZODB.utils import p64, u64
from zope.interface import directlyProvides, providedBy

from Products.ERP5Wendelin.errors import Conflict
from Products.ERP5Wendelin.storage.database import note_uri, path_of, uri_of
from Products.ERP5Wendelin.storage.file_beside import FileBeside
from Products.ERP5Wendelin.storage.record_file import RecordFile

STORAGE_NAME = "1"
"""The name ZEO clients ask for unless told otherwise."""

TRANSACTION_TIMEOUT = 60
"""Seconds a client may hold the commit lock, between its vote and its finish."""

WAIT = 20
"""Seconds to wait for another command to be done with the storage: most take a second or two."""

RELEASE_WAIT = 90
"""Seconds to wait for a host that is releasing the storage: it first commits what it has begun."""

CONNECT_TIMEOUT = 3
"""Seconds to wait for an answer on the socket."""

CLOSE_TIMEOUT = 5
"""Seconds to wait until guests are cut off: their thread may be in the middle of a commit."""

MAX_SOCKET_PATH = 100
"""Bytes a Unix socket's path may have: 108 on Linux, 104 on others, less a margin."""

NOT_SHARED = "The database is open in another process, which does not share it: wait until that is done, or stop it."
NOT_RELEASED = (
    "The process that has the database open was asked to release it, and is still at work: "
    "see DIR/log/fluentd.log, or stop `wendelin fluentd`."
)
NO_HOST = "The process that shared the database has gone: it may come back, or another one open the database."

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

    def setup_delegation(self) -> None:
        """As ZEO does, and let the guest call `release`."""
        super().setup_delegation()
        self.connection.methods = registered_methods | {"release"}

    def release(self) -> bool:
        """Let this process give the storage up, if it has it for want of a better host; whether it will."""
        return bool(self.server.release())

    def tpc_begin(self, *arguments: Any, **keywords: Any) -> None:
        """As ZEO does; what is stored is collected as it is."""
        super().tpc_begin(*arguments, **keywords)
        keep_bytes(self.txnlog)

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

    release: Callable[[], bool]
    """What `SharedFileStorage.offer` was told to do when a better host asks for the storage."""

    def create_client_handler(self) -> GuestConnection:
        return GuestConnection(self)

    def close(self, join_timeout: float = CLOSE_TIMEOUT) -> None:
        """Cut all guests off, with their transactions, and close the storage.

        ZEO closes the storage while guests go on, and its thread may have ended before their connections are closed: as
        long as this process lives they would wait for answers.
        """
        cut_off = threading.Event()

        def cut_guests_off() -> None:
            for guest in list(self.zeo_storages_by_storage_id[STORAGE_NAME]):
                cut(guest)
            cut_off.set()

        self.acceptor.event_loop.call_soon_threadsafe(cut_guests_off)
        cut_off.wait(CLOSE_TIMEOUT)
        super().close(join_timeout)

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
        cut(guest)


def cut(guest: ZEOStorage) -> None:
    """Close the connection to a guest, and abort its transaction, which ZEO would not."""
    connection = guest.connection
    guest.notify_disconnected()
    connection.close()


class SharedFileStorage(Side):
    """The serving process's side; `offer` lets other processes in."""

    _offer: tuple[GuestServer, Path] | None = None

    def offer(self, address: Path, release: Callable[[], bool] = lambda: False) -> None:
        """Serve other processes on a Unix socket at `address`, mode 0600, until the storage is closed.

        `release` is called, in the server's thread, when `wendelin serve` asks for the storage. It says whether this
        process will close it, which is for another thread to do, and soon.
        """
        other = Side(self._storage)
        with bindable(address) as path:
            server = GuestServer(path, {STORAGE_NAME: other})
        server.release = release
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


class Role(Enum):
    """What a process is to be that opens a storage."""

    EITHER = "either"
    """Its host, if nobody else is; otherwise a guest."""

    HOST = "host"
    """Its host: who else is it only for want of a better one releases the storage."""

    GUEST = "guest"
    """A guest: a host is about to come."""


def open_shared(
    open_storage: Callable[[], Any], address: Path, wait: float = WAIT, role: Role = Role.EITHER
) -> SharedFileStorage | Guest | Any:
    """Open a storage: directly, or through the process that has it open and offers it at `address`.

    A storage that several processes can open by themselves (ZEO, NEO, RelStorage) is returned as it is. A HOST may get
    a guest's storage all the same, where another process serves. Conflict: for `wait` seconds another process had the
    storage open and did not share it, or, for a GUEST, nobody shared it.
    """
    deadline = time.monotonic() + wait
    problem = NO_HOST if role is Role.GUEST else NOT_SHARED
    while True:
        if role is not Role.GUEST:
            with contextlib.suppress(Conflict):
                storage = open_storage()
                return SharedFileStorage(storage) if isinstance(storage, FileStorage) else storage
        guest = connect(address)
        if guest is not None:
            if role is not Role.HOST or not guest.ask_for_release():
                return guest
            guest.close()
            if problem != NOT_RELEASED:
                problem, deadline = NOT_RELEASED, time.monotonic() + RELEASE_WAIT
        if time.monotonic() > deadline:
            raise Conflict(problem)
        time.sleep(0.1)  # there is no event to wait for: the lock may be released or the socket appear


_opening: ContextVar[tuple[float, Role]] = ContextVar("opening", default=(WAIT, Role.EITHER))
"""How the storages of zope.conf are opened, as `open_shared` takes it."""


@contextlib.contextmanager
def opening(role: Role, wait: float = WAIT) -> Iterator[None]:
    """Have the storages of zope.conf opened like this in a `with` statement: Zope's start hands nothing on to them."""
    token = _opening.set((wait, role))
    try:
        yield
    finally:
        _opening.reset(token)


PICKLE_PROTOCOL = 3
"""The first that has byte strings."""


def keep_bytes(log: CommitLog | TransactionBuffer) -> None:
    """Let what a transaction stores go to ZEO's temporary file as the bytes that it is.

    ZEO (6.2) pickles it there by protocol 1, which makes a text of them and a byte string of that again: of 16 MiB that
    takes 0.1 s each way, in both processes, and made a guest three times slower.
    """
    log.pickler = Pickler(log.file, PICKLE_PROTOCOL)
    log.pickler.fast = True  # as ZEO's: no memo of what was written


class Guest(ClientStorage):
    """A storage that another process has open, and offers. Blocks are read from its file, which no commit changes."""

    release_address: Callable[[], None]
    """Gives back what its address takes: see `bindable`."""

    lost = 0.0
    """When its host was lost the last time, by the monotonic clock."""

    _beside: FileBeside | None = None
    _records: RecordFile | None = None
    _is_out_of_reach = False
    """Whether the host's file can't be read here."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        self._reading = threading.Lock()
        super().__init__(*arguments, **options)

    def tpc_begin(self, transaction: Any, *arguments: Any, **keywords: Any) -> None:
        """As ZEO does; what is stored is collected as it is."""
        super().tpc_begin(transaction, *arguments, **keywords)
        keep_bytes(transaction.data(self))

    def notify_disconnected(self) -> None:
        """What ZEO calls, in its own thread, when the connection has broken."""
        self.lost = time.monotonic()
        # a host that was killed had reserved these in its memory only: the next one gives the same to others
        self._oids.clear()
        super().notify_disconnected()

    def ask_for_release(self) -> bool:
        """Ask the host to close the storage, so that this process can open it; whether it will, or has gone anyway."""
        try:
            return bool(self._call("release"))
        except ClientDisconnected:
            return True

    def record_file(self, before: bytes) -> RecordFile | None:
        """What reads blocks from the host's file, as they were before a transaction; None: they come from the host.

        A block of 2 MiB is read some thirty times faster there, and takes nothing of the host's time, which two guests
        would share.
        """
        with self._reading:
            if self._beside is not None and self._beside.is_replaced():
                self._close_beside()
            if self._beside is None and not self._is_out_of_reach:
                self._open_beside()
            if self._beside is None or not self._beside.catch_up(p64(u64(before) - 1)):
                return None
            return self._records

    def close(self) -> None:
        """Leave the host."""
        super().close()
        with self._reading:
            self._close_beside()
            self._is_out_of_reach = True
        self.release_address()

    def _open_beside(self) -> None:
        path = path_of(uri_of(self) or "")
        try:
            self._beside = None if path is None else FileBeside(path)
        except OSError as error:
            logger.info("blocks are read through the host, since %s cannot be read here: %s", path, error)
        self._is_out_of_reach = self._beside is None
        self._records = None if self._beside is None else RecordFile(self._beside)

    def _close_beside(self) -> None:
        if self._beside is not None:
            self._beside.close()
            self._beside = self._records = None


def connect(address: Path) -> Guest | None:
    """The storage offered at `address`, or None if nobody answers there."""
    with contextlib.ExitStack() as stack:
        path = stack.enter_context(bindable(address))
        if not is_answered(path):
            return None
        try:
            # server_sync: a transaction sees all that was committed before it began, also what is still on its way
            guest = Guest(path, storage=STORAGE_NAME, wait_timeout=CONNECT_TIMEOUT, server_sync=True)
        except ClientDisconnected:
            return None
        guest.release_address = stack.pop_all().close  # it may reconnect by this path
        return guest


def is_answered(path: str) -> bool:
    """Whether a host greets who connects to a socket: a killed one leaves it behind, and ZEO would go on trying."""
    with socket.socket(socket.AF_UNIX) as probe, contextlib.suppress(OSError):
        probe.settimeout(CONNECT_TIMEOUT)
        probe.connect(path)
        return bool(probe.recv(64))  # all of the greeting: to the host it was nobody
    return False


class SharedStorageSection:
    """`<sharedstorage>` in zope.conf: a storage section to share, and the socket to share it on."""

    def __init__(self, config: Any) -> None:
        self.config = config
        self.name = config.getSectionName()

    def open(self) -> Any:
        """Open it, as ZODB.config asks of a storage section, and note its URI: a guest can read the file beside."""
        storage = open_shared(self.config.storage.open, Path(self.config.socket), *_opening.get())
        uri = _uri_of(self.config.storage.config)
        if uri is not None:
            note_uri(storage, uri)
        return storage


def _uri_of(section: Any) -> str | None:
    """The URI in a storage section: that of `<uristorage>`, or the path of `<filestorage>`; other sections say none."""
    if hasattr(section, "uri"):
        return str(section.uri)
    return f"file://{section.path}" if hasattr(section, "path") else None
