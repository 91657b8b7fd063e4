"""Snapshot: what a database was after a transaction, for readers in any thread, process or host.

A snapshot is a URI and a transaction id: it can be pickled, and what is read by it stays the same, whatever is
committed meanwhile. ZODB keeps what was, up to the next pack, and `DB.open(before=…)` shows it.

Which database a process opens a snapshot in:

* its own, if it has that database open;
* for a FileStorage that another process has open, the file itself, read-only (`storage.file_beside`): also where this
  process has it open as a guest, for through the socket blocks are read thirty times slower;
* else one that it opens by the URI. A process keeps the DATABASES that were used last.

A database that keeps no history (RelStorage with `keep_history=false`) has a snapshot for as long as nothing that is
read of it has changed.
"""

from __future__ import annotations

import os
import threading
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from weakref import WeakKeyDictionary, WeakValueDictionary

from transaction import TransactionManager
from ZEO.ClientStorage import ClientStorage
from ZODB import DB
from ZODB.Connection import Connection
from ZODB.interfaces import IMVCCStorage
from ZODB.POSException import POSKeyError
from ZODB.TimeStamp import TimeStamp
from ZODB.utils import p64, u64

from .. import errors
from ..protocol import MIB
from ..storage.database import open_database, path_of, shown, uri_of
from ..storage.file_beside import FileBeside

DATABASES = 4
"""How many databases a process keeps open for snapshots, besides its own and those that are being read."""

CONNECTION_TIMEOUT = 2
"""Seconds for which a connection to a state is kept after its use: each has a cache, and of RelStorage a connection to
the server."""

CONNECTIONS = 64
"""How many connections to a state may be open before ZODB logs a warning."""

CACHE_SIZE_BYTES = 16 * MIB
"""The most that a connection keeps in memory; blocks are never kept."""

_NAMELESS = "process:"
"""How the URI of a database begins that only its process knows."""

_HEX_DIGITS = frozenset("0123456789abcdef")


@dataclass(frozen=True)
class Snapshot:
    """`uri` of a database, and the id of a transaction (8 bytes), which it includes."""

    uri: str
    tid: bytes

    @classmethod
    def of(cls, connection: Connection) -> Snapshot:
        """What a connection sees, but for what it has not committed."""
        return cls(_known_as(connection.db()), _seen_by(connection))

    @classmethod
    def parse(cls, text: str, connection: Connection) -> Snapshot:
        """The snapshot of a connection's database that has such a `text`. BadInput: it is none."""
        if len(text) != 16 or not _HEX_DIGITS.issuperset(text):
            raise errors.BadInput(
                f"{text!r} names no snapshot: one has 16 hexadecimal digits, such as 03f6a5c1d2e3b4a5."
            )
        return cls(_known_as(connection.db()), bytes.fromhex(text))

    @property
    def text(self) -> str:
        """The transaction id in 16 hexadecimal digits."""
        return self.tid.hex()

    def __str__(self) -> str:
        return f"{self.text} ({TimeStamp(self.tid)} UTC)"

    def __repr__(self) -> str:
        return f"Snapshot({shown(self.uri)!r}, {self.text!r})"

    @contextmanager
    def opened(self) -> Iterator[Connection]:
        """A read-only connection to the database as it was, with a transaction manager of its own.

        Gone: the database has that state no longer, or does not have it yet.
        """
        with _databases.using(self.uri) as database:
            manager = TransactionManager()
            try:
                connection = _connect(database, self.tid, manager)
            except ValueError as error:
                raise errors.Gone(
                    f"{shown(self.uri)} has no snapshot {self}: its last transaction was earlier. It was put back to "
                    "an older state, or is another one's copy. Begin anew, with what it has now."
                ) from error
            try:
                yield connection
            except POSKeyError as error:
                raise errors.Gone(
                    f"{shown(self.uri)} no longer has all of snapshot {self}: it was packed since, or keeps no history."
                    " Begin anew, with what it has now."
                ) from error
            finally:
                manager.abort()
                connection.close()


def _seen_by(connection: Connection) -> bytes:
    """The last transaction whose changes a connection sees."""
    storage = connection._normal_storage  # and not that of a savepoint
    # ZODB's adapter says which transaction comes next; RelStorage, which needs none, what it has seen.
    before = connection.before or getattr(storage, "_start", None)
    return p64(u64(before) - 1) if before else storage.lastTransaction()


_own: WeakValueDictionary[str, DB] = WeakValueDictionary()
"""Databases of this process that somebody else opened and will close."""


def _known_as(database: DB) -> str:
    """The URI of a database that this process has open, which from now on is found by it."""
    uri = uri_of(database) or f"{_NAMELESS}{os.getpid()}/{id(database):x}"
    if not _is_guest(database, uri) and _own.get(uri) is not database and not isinstance(database.storage, FileBeside):
        _prepare(database)
        _own[uri] = database
    return uri


def _is_guest(database: DB, uri: str) -> bool:
    """Whether it is of a FileStorage that another process has open."""
    return path_of(uri) is not None and isinstance(database.storage, ClientStorage)


def _prepare(database: DB) -> None:
    database.setHistoricalTimeout(CONNECTION_TIMEOUT)
    database.setHistoricalPoolSize(CONNECTIONS)
    database.setHistoricalCacheSizeBytes(CACHE_SIZE_BYTES)


@dataclass(eq=False)
class _Opened:
    """A database that was opened for snapshots, how many read in it, and whether the last of them closes it."""

    database: DB
    readers: int = 0
    is_old: bool = False


class _Databases:
    """The databases that this process has opened for snapshots, by their URIs; those used last come last."""

    def __init__(self) -> None:
        self._opened: OrderedDict[str, _Opened] = OrderedDict()
        self._lock = threading.Lock()

    @contextmanager
    def using(self, uri: str) -> Iterator[DB]:
        """The database of a URI, not closed before the end."""
        own = _own.get(uri)
        if own is not None and "storage" in vars(own):  # else it was closed
            yield own
            return
        opened = self._enter(uri)
        try:
            yield opened.database
        finally:
            self._leave(opened)

    def _enter(self, uri: str) -> _Opened:
        with self._lock:
            opened = self._opened.pop(uri, None)
            if opened is not None and _is_replaced(opened.database):
                self._retire(opened)
                opened = None
            if opened is None:
                opened = _Opened(_open(uri))
            self._opened[uri] = opened
            opened.readers += 1
            while len(self._opened) > DATABASES:
                self._retire(self._opened.popitem(last=False)[1])
            return opened

    def _leave(self, opened: _Opened) -> None:
        with self._lock:
            opened.readers -= 1
            if opened.is_old and not opened.readers:
                opened.database.close()

    def _retire(self, opened: _Opened) -> None:
        """Close a database, or let the last who reads in it do so."""
        opened.is_old = True
        if not opened.readers:
            opened.database.close()


def _open(uri: str) -> DB:
    path = path_of(uri)
    if uri.startswith(_NAMELESS):
        raise errors.BadInput(
            "A snapshot of a database in memory cannot be read in another process. Use a database that has a URI."
        )
    if path is None:
        database = open_database(uri)
    else:
        try:
            database = DB(FileBeside(path))
        except OSError as error:
            raise errors.BadInput(f"{shown(uri)} cannot be read here: {error.strerror or error}.") from error
    _prepare(database)
    return database


def _is_replaced(database: DB) -> bool:
    return isinstance(database.storage, FileBeside) and database.storage.is_replaced()


def _connect(database: DB, tid: bytes, manager: TransactionManager) -> Connection:
    """A connection to what was after a transaction. ValueError: also the server, or the file, knows of none so late."""
    storage, before = database.storage, p64(u64(tid) + 1)
    if isinstance(storage, FileBeside):
        storage.catch_up(tid)
    elif isinstance(storage, ClientStorage):
        storage.ping()  # what the server has told of comes before its answer
    elif IMVCCStorage.providedBy(storage):
        # RelStorage answers on one connection to its server, which threads may not share, nor leave in a transaction.
        with _turns.setdefault(database, threading.Lock()):
            storage.sync()
            storage.poll_invalidations()
            try:
                return database.open(manager, before=before)
            finally:
                storage.sync()
    elif hasattr(storage, "sync"):
        storage.sync()
    return database.open(manager, before=before)


_turns: WeakKeyDictionary[DB, threading.Lock] = WeakKeyDictionary()

_databases = _Databases()
