"""Transactions beside the one of the request: retried on conflict, and bounded in size.

A long write is cut into slices. Each is a transaction on a connection of its own, which stores the bytes and, with
them, how far they go; so whatever ends a process, what the last committed slice says is true.
"""

from __future__ import annotations

import errno
import random
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import BoundedSemaphore
from typing import Any, Protocol, TypeVar

from transaction import TransactionManager
from ZEO.Exceptions import ClientDisconnected, ServerException
from ZODB import DB
from ZODB.Connection import Connection
from ZODB.FileStorage.FileStorage import FileStorageQuotaError
from ZODB.POSException import StorageError

from .. import errors
from ..protocol import MIB, SLICE_SIZE
from .block import BLOCK_SIZE

ATTEMPTS = 12
"""How often a transaction is tried: with the delays below, conflicts have about ten seconds to go away."""

DELAY = 0.01
DELAY_MAX = 2.0
"""Seconds. The delay after the n-th failure is random, up to DELAY * 2**n and DELAY_MAX."""

UPLOAD_SLICE_SIZE = min(16 * MIB, SLICE_SIZE)
"""Bytes of a slice. A slice is held in memory; FileStorage is as fast with 16 MiB a transaction as with 64 MiB."""

SLICES = BoundedSemaphore(4)
"""Slices that a process holds in memory at once: while one is committed, others are read and hashed. With eight clients
of four jobs each the server takes 320 MiB; with a slice for each of its 16 threads it took 360 MiB.
"""

_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})

_POSTGRESQL_DISK_FULL = "53100"

_LOST = (ClientDisconnected, StorageError, ConnectionError)
_LOST_NAMES = frozenset({"OperationalError", "InterfaceError"})
"""Of the drivers of relational databases (PEP 249), each of which has classes of its own."""

Result = TypeVar("Result")


class Source(Protocol):
    """What bytes are read from: the body of a request, a file, a pipe."""

    def read(self, size: int, /) -> bytes:
        """Up to `size` bytes; none at the end."""


@contextmanager
def separate_connection(database: DB) -> Iterator[Connection]:
    """A connection with a transaction manager of its own, not the thread's; aborted and closed at the end."""
    manager = TransactionManager()
    connection = database.open(transaction_manager=manager)
    try:
        yield connection
    finally:
        manager.abort()
        connection.close()


def in_transaction(
    connection: Connection,
    function: Callable[[], Result],
    *,
    note: str,
    user: str = "",
    attempts: int = ATTEMPTS,
) -> Result:
    """Run `function` in a transaction of the connection's manager and commit; on a conflict, abort and run it again.

    `function` must find everything it changes anew, for it sees another state of the database each time. StorageFull
    when the disk has no room; any error aborts, and nothing of what was written stays.
    """
    manager = connection.transaction_manager
    attempt = 1
    while True:
        transaction = manager.begin()
        transaction.user = user
        transaction.note(note)
        try:
            result = function()
            manager.commit()
            return result
        except Exception as error:
            retryable = transaction.isRetryableError(error)
            manager.abort()
            if is_full(error):
                raise errors.StorageFull(
                    "The disk of the data lake is full: nothing of this request's last part was stored. "
                    "Make room, or ask the administrator to; then run the same command again."
                ) from error
            if not retryable or attempt >= attempts:
                raise
        except BaseException:
            manager.abort()
            raise
        pause(attempt)
        attempt += 1


def pause(attempt: int) -> None:
    """Sleep after the failure of an attempt: many that collide at one moment must not come back at one moment."""
    time.sleep(random.uniform(0, min(DELAY_MAX, DELAY * 2**attempt)))  # noqa: S311


def is_full(error: BaseException) -> bool:
    """Whether an error of a storage, or what caused it, says that there is no room on the disk or in a quota."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, OSError) and cause.errno in _FULL:
            return True
        if isinstance(cause, FileStorageQuotaError) or getattr(cause, "pgcode", None) == _POSTGRESQL_DISK_FULL:
            return True
        if isinstance(cause, ServerException) and _is_full_there(*cause.args):
            return True
        if type(cause).__module__ == "sqlite3" and "disk is full" in str(cause):
            return True
        cause = cause.__cause__ or cause.__context__
    return False


def _is_full_there(name: str, arguments: Any) -> bool:
    """Whether an error says so that a ZEO server has had, by its class and arguments."""
    is_full_disk = name == "builtins.OSError" and bool(set(arguments) & _FULL)
    return is_full_disk or name == f"{FileStorageQuotaError.__module__}.{FileStorageQuotaError.__qualname__}"


def is_lost(error: BaseException) -> bool:
    """Whether an error, or what caused it, says that a storage can't be reached, or can't be used now."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, _LOST) or type(cause).__name__ in _LOST_NAMES:
            return True
        cause = cause.__cause__ or cause.__context__
    return False


def append_slices(
    database: DB,
    oid: bytes,
    source: Source,
    length: int,
    *,
    offset: int,
    note: str,
    user: str = "",
    total: int | None = None,
    on_data: Callable[[bytes], None] | None = None,
    on_slice: Callable[[Any], None] | None = None,
    slice_size: int = UPLOAD_SLICE_SIZE,
) -> int:
    """Append up to `length` bytes of a source to a persistent object's stream, slice by slice; return the offset then.

    The object of `oid` has `stream`, an IByteStream, and `offset`, the number of bytes received. `offset` is what the
    sender believes that to be; WrongOffset, with the right one as `extra["offset"]`, when it is not or when another
    writer gets ahead. `total` is where the stream will be complete, if known: its last block is then written to be read
    fast.

    `on_data` sees each piece once, in order, before the transaction that stores it. `on_slice` is called with the
    object in each slice's transaction, after `offset` was raised, and may be called again after a conflict; what it
    raises aborts the slice. In that of the last slice it may append more, and raise `offset` again.

    A source that ends early is no error: the offset tells. When reading it fails, what it gave is committed before
    the error goes on. Slices end at borders of blocks, so that blocks are written whole.
    """
    reached = offset
    end = offset + length
    with separate_connection(database) as connection:
        try:
            while reached < end:
                before = reached
                with SLICES:
                    pieces, failure = _read_slice(source, reached, min(end, _slice_end(reached, slice_size)))
                    if on_data is not None:
                        for piece in pieces:
                            on_data(piece)
                    if pieces:
                        reached = _append_slice(connection, oid, pieces, reached, total, on_slice, note, user)
                    del pieces  # before another takes the place
                if failure is not None:
                    raise failure
                if reached == before:
                    break
        finally:
            release(connection, oid)
    return reached


def _slice_end(offset: int, slice_size: int) -> int:
    """Where the slice that begins at `offset` ends: at a block's border, unless slices are smaller than blocks."""
    return max(
        offset + 1, offset + slice_size if slice_size < BLOCK_SIZE else (offset + slice_size) // BLOCK_SIZE * BLOCK_SIZE
    )


def _read_slice(source: Source, offset: int, end: int) -> tuple[list[bytes], Exception | None]:
    """What a source gives up to `end`, in pieces cut at the borders of blocks, and the error that stopped it."""
    pieces: list[bytes] = []
    parts: list[bytes] = []
    failure = None
    try:
        while offset < end:
            missing = min(end - offset, BLOCK_SIZE - offset % BLOCK_SIZE)
            data = source.read(missing)
            if not data:
                break
            parts.append(data)
            offset += len(data)
            if len(data) == missing:
                pieces.append(b"".join(parts))
                parts.clear()
    except Exception as error:
        failure = error
    if parts:
        pieces.append(b"".join(parts))
    return pieces, failure


def _append_slice(
    connection: Connection,
    oid: bytes,
    pieces: list[bytes],
    offset: int,
    total: int | None,
    on_slice: Callable[[Any], None] | None,
    note: str,
    user: str,
) -> int:
    """Store pieces in a transaction; return the object's offset then."""
    reached = offset + sum(map(len, pieces))

    def store() -> int:
        owner = connection.get(oid)
        if owner.offset != offset:
            raise errors.WrongOffset(
                f"{owner.offset} bytes are here, and {offset} were believed to be. Go on from byte {owner.offset}.",
                offset=owner.offset,
            )
        for piece in pieces[:-1]:
            owner.stream.append(piece)
        owner.stream.append(pieces[-1], final=reached == total)
        owner.offset = reached
        if on_slice is not None:
            on_slice(owner)
        return int(owner.offset)

    return in_transaction(connection, store, note=note, user=user)


def release(connection: Connection, oid: bytes) -> None:
    """Let the connection, which goes back to the pool, forget the array of a persistent object's stream it wrote."""
    owner = connection._cache.get(oid)
    if owner is not None:
        owner.stream.release()
