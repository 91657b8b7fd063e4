"""Receiving the pieces of a file, in any order, into one byte stream.

A piece is here in whole and known by its digest before any of it is stored. The next one in order is appended to the
arrival's stream, in slices, each a transaction; one that is early gets a stream of its own, and is appended as soon as
the ones before it are. A piece that is sent again is compared by its digest: the same changes nothing, another takes
its place. What a killed server left behind of a piece is left: the next piece goes to a stream that shares all blocks
before it.

Sha-256 and md5 of the whole are computed while bytes are appended. The running digests are in this process's memory; if
they are lost, what is stored is read again.
"""

from __future__ import annotations

from collections.abc import Callable
from secrets import token_hex
from typing import Any

from ZODB import DB
from ZODB.Connection import Connection

from Products.ERP5Wendelin.content.arrival import LAST, Arrival, Piece
from Products.ERP5Wendelin.errors import Conflict, NotReady, WrongOffset
from Products.ERP5Wendelin.ingestion.chunk import Decoded
from Products.ERP5Wendelin.ingestion.turns import Turns
from Products.ERP5Wendelin.ingestion.upload import LAST_CATCH_UP_LIMIT
from Products.ERP5Wendelin.storage.digest import CATCH_UP_LIMIT, RunningDigests, RunningDigestWithMd5
from Products.ERP5Wendelin.storage.stream import ByteStream
from Products.ERP5Wendelin.storage.transaction import (
    Source,
    append_slices,
    in_transaction,
    release,
    separate_connection,
)

_RUNNING = RunningDigests()
"""Of the streams that this process appends to, by database and object id."""

_TURNS = Turns(grace=0.0)
"""A piece that is early waits for those that are being stored, and for no others."""


def receive(arrival: Arrival, number: int, content: Decoded, author: str) -> None:
    """Store a piece (`number` LAST: EOF), and append what can be; the arrival is complete then, or waits for more.

    Each step is a transaction of a connection of its own; the caller's is aborted. Conflict when the arrival is dropped
    meanwhile, for the file was sent from its beginning again. WrongOffset, or a conflict of transactions, when another
    process gets ahead: to be called again, what is stored by then is not stored twice.
    """
    database = arrival._p_jar.db()

    def is_early() -> bool:
        arrival._p_jar.transaction_manager.begin()
        return not arrival.is_next(number, content.size)

    content.file.seek(0)
    with _TURNS.turn(_key(arrival), is_early), separate_connection(database) as connection:
        receiver = _Receiver(database, connection, arrival._p_oid, author)
        try:
            receiver.receive(number, content)
        finally:
            receiver.release()


def digests(arrival: Arrival) -> tuple[bytes, bytes]:
    """Sha-256 and md5 of an arrival that is complete.

    NotReady where the running digest was lost and more is stored than can be read in one request.
    """
    running = _running(arrival)
    if not running.catch_up(arrival.stream, arrival.end, LAST_CATCH_UP_LIMIT):
        _RUNNING.put(_key(arrival.stream), running)
        raise NotReady(
            f"The server verifies {arrival.path!r}: it has read {running.offset} of {arrival.end} bytes, and goes on "
            "from there. Send the last piece again.",
            verified=running.offset,
        )
    return running.digest(), running.md5()


class _Receiver:
    """One request's work on an arrival."""

    def __init__(self, database: DB, connection: Connection, oid: bytes, author: str) -> None:
        self._database = database
        self._connection = connection
        self._oid = oid
        self._author = author

    @property
    def _arrival(self) -> Arrival:
        """The arrival, in this receiver's connection."""
        return self._connection.get(self._oid)

    def receive(self, number: int, content: Decoded) -> None:
        """Store a piece, and append what can be."""
        arrival = self._begin()
        here = arrival.find(number)
        if here is None and arrival.is_next(number, content.size):
            self._append(number, content.file, content.size, content.sha256)
        elif here is None or here.sha256 != content.sha256:
            self._store_apart(number, content)
        while (place := self._begin().outdated) is not None:
            self._leave_stream(place)
        while (waiting := self._begin().next_waiting) is not None:
            self._append_waiting(waiting)

    def release(self) -> None:
        """Let the connection forget what it has loaded to write."""
        release(self._connection, self._oid)

    def _begin(self) -> Arrival:
        """The arrival as it is now."""
        self._connection.transaction_manager.begin()
        arrival = self._arrival
        refuse_dropped(arrival)
        return arrival

    def _step(self, function: Callable[[Arrival], Any]) -> Any:
        """Change the arrival in a transaction."""

        def step() -> Any:
            arrival = self._arrival
            refuse_dropped(arrival)
            return function(arrival)

        return in_transaction(self._connection, step, note=f"receive {self._arrival.path}", user=self._author)

    def _append(self, number: int, source: Source, size: int, sha256: bytes) -> None:
        """Append the next piece to the stream."""
        arrival = self._begin()
        if arrival.offset != arrival.end:
            self._leave_stream(arrival.next)
            arrival = self._begin()
        running = _running(arrival)
        in_step = running.catch_up(arrival.stream, arrival.end, CATCH_UP_LIMIT)
        stop = arrival.end + size

        def on_data(data: bytes) -> None:
            if in_step:
                running.update(data)

        def on_slice(stored: Arrival) -> None:
            refuse_dropped(stored)
            if stored.offset == stop:
                stored.take(number, stop, sha256)

        if size:
            append_slices(
                self._database,
                self._oid,
                source,
                size,
                offset=arrival.end,
                note=f"receive {arrival.path}",
                user=self._author,
                total=stop if number == LAST else None,
                on_data=on_data,
                on_slice=on_slice,
            )
        else:
            self._step(lambda stored: stored.take(number, stop, sha256))
        _RUNNING.put(_key(arrival.stream), running)

    def _append_waiting(self, number: int) -> None:
        """Append a piece that has waited."""
        with separate_connection(self._database) as reading:
            waiting = reading.get(self._oid).waiting.get(number)
            if waiting is None:
                return  # another process was quicker
            piece = waiting.range
            self._append(number, _StreamSource(piece.stream, piece.start, piece.stop), piece.size, piece.sha256)

    def _store_apart(self, number: int, content: Decoded) -> None:
        """Store a piece in a stream of its own."""
        token = token_hex(8)

        def make(arrival: Arrival) -> bytes:
            piece = arrival.incoming[token] = Piece(ByteStream())
            self._connection.add(piece)
            return bytes(piece._p_oid)

        oid = self._step(make)
        append_slices(
            self._database,
            oid,
            content.file,
            content.size,
            offset=0,
            note=f"receive {self._arrival.path}",
            user=self._author,
            total=content.size,
        )

        def complete(arrival: Arrival) -> None:
            piece = arrival.incoming.pop(token)
            piece.stop, piece.sha256 = content.size, content.sha256
            arrival.waiting[number] = piece
            arrival.touch()

        self._step(complete)
        release(self._connection, oid)

    def _leave_stream(self, place: int) -> None:
        """Let the arrival have a new stream with the pieces before a place, and whatever is behind wait."""

        def begin(arrival: Arrival) -> bytes:
            arrival.fresh = ByteStream()
            self._connection.add(arrival.fresh)
            arrival.touch()
            return bytes(arrival.fresh._p_oid)

        def copy(arrival: Arrival) -> bool:
            if arrival.fresh is None or arrival.fresh._p_oid != fresh:
                raise WrongOffset(f"Another process puts {arrival.path!r} together. Send the piece again.")
            taken = arrival.taken.get(place)
            stop = arrival.end if taken is None else taken[0]
            if arrival.fresh.take_over(arrival.stream, stop) < stop:
                return False
            arrival.leave_stream(place, arrival.fresh)
            return True

        self.release()
        fresh = self._step(begin)
        while not self._step(copy):
            self._connection.cacheGC()


class _StreamSource:
    """Stored bytes to be read once."""

    def __init__(self, stream: ByteStream, start: int, stop: int) -> None:
        self._chunks = stream.chunks(start, stop)
        self._rest = memoryview(b"")

    def read(self, size: int) -> bytes:
        """Up to `size` bytes; none at the end."""
        if not self._rest:
            self._rest = memoryview(next(self._chunks, b""))
        data, self._rest = self._rest[:size], self._rest[size:]
        return bytes(data)


def _running(arrival: Arrival) -> RunningDigestWithMd5:
    """A copy of the running digest of the arrival's stream; a new one if it is lost."""
    running = _RUNNING.copy_of(_key(arrival.stream))
    if isinstance(running, RunningDigestWithMd5) and running.offset <= arrival.end:
        return running
    return RunningDigestWithMd5()


def refuse_dropped(arrival: Arrival) -> None:
    """Conflict if the file was begun again, or given up, since the arrival was found."""
    if arrival.dropped:
        raise Conflict(
            f"{arrival.path!r} was begun again meanwhile, by another request: this piece belongs to what was before."
        )


def _key(thing: Any) -> tuple[str, bytes]:
    return thing._p_jar.db().database_name, thing._p_oid
