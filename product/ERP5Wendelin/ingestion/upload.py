"""Uploads: files that arrive in pieces (tus) and go on where they broke off.

A piece is committed in slices, on a connection of its own; each slice's transaction also moves the upload's offset, so
that what the offset says has been received is there. The last one completes the upload: the digest is compared, and the
ingestion has the file. The running digest lives in this process's memory; if it is lost, what is stored is read again.

An upload may start from a content of its data set: where a piece ends at what is reused, the upload moves on over it,
by sharing blocks. What it has moved over is read for the digest only, and not at all where the running digest of the
content that it starts from is still known, as it is when a file grows again and again.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable
from secrets import token_hex
from typing import Any, BinaryIO
from zlib import crc32

from Acquisition import aq_base
from ZODB import DB
from ZODB.Connection import Connection

from Products.ERP5Wendelin.content.base import now
from Products.ERP5Wendelin.content.entry import REGULAR
from Products.ERP5Wendelin.content.upload import Upload
from Products.ERP5Wendelin.errors import (
    BadInput,
    ChecksumMismatch,
    DigestMismatch,
    Gone,
    NotFound,
    NotReady,
    WrongOffset,
)
from Products.ERP5Wendelin.ingestion.delta import Base, start_from
from Products.ERP5Wendelin.ingestion.session import EMPTY_DIGEST, check_file, check_started, data_set_of
from Products.ERP5Wendelin.ingestion.turns import Turns
from Products.ERP5Wendelin.protocol import MIB
from Products.ERP5Wendelin.storage.digest import CATCH_UP_LIMIT, RunningDigest, RunningDigests
from Products.ERP5Wendelin.storage.transaction import append_slices, in_transaction, release, separate_connection

LAST_CATCH_UP_LIMIT = 8 * CATCH_UP_LIMIT
"""The most stored bytes that the request with an upload's last byte reads: ten seconds' work."""

_RUNNING = RunningDigests()
"""Of the uploads that this process receives."""

_COMPLETE = RunningDigests()
"""Of the contents that this process has received, by their digest: what is appended to them goes on from there."""

_TURNS = Turns()

Checksum = tuple[str, bytes]
"""Algorithm, one of TUS_CHECKSUM_ALGORITHMS, and the digest's bytes."""


def create(
    ingestion: Any,
    path: str,
    length: int,
    digest: bytes | None,
    mtime_ns: int | None,
    mode: str | None,
    metadata: str = "",
    base: Base | None = None,
) -> Upload:
    """Begin an upload in the current transaction, which has to be committed before `receive`.

    What is None is as planned; where nothing was planned the time is now, the mode that of a regular file, and the
    digest any. DigestMismatch where the plan says otherwise. An empty file is received with that. With a `base` that
    can be used, `receive` moves on over what it has.
    """
    check_started(ingestion)
    planned = ingestion.expected.get(path)
    if planned is None:
        planned = (length, digest, int(now().timestamp()) * 10**9, REGULAR)
    digest = planned[1] if digest is None else digest
    if (length, digest) != (planned[0], planned[1] or digest):
        raise DigestMismatch(
            f"{path!r} is not what was planned: size or digest differ. If the file has changed, plan it again.",
            paths=[path],
        )
    mtime_ns = planned[2] if mtime_ns is None else mtime_ns
    mode = planned[3] if mode is None else mode
    check_file(path, length, digest, mtime_ns, mode)
    upload = Upload(aq_base(ingestion), token_hex(16), path, length, digest, mtime_ns, mode, metadata)
    ingestion.addUpload(upload)
    if base is not None:
        start_from(upload, base, data_set_of(ingestion))
    if not length:
        _complete(upload, EMPTY_DIGEST)
    ingestion.touch()
    return upload


def get(ingestion: Any, id: str) -> Upload:
    """An upload of an ingestion by its id. NotFound if it has none; Gone when it has expired."""
    check_started(ingestion)
    upload = ingestion.uploads.get(id)
    if upload is None:
        raise NotFound(f"The ingestion {ingestion.getId()} has no upload {id!r}. It was dropped: send the file again.")
    _check_alive(upload)
    return upload


def receive(
    database: DB, upload: Upload, offset: int, source: BinaryIO, length: int, checksum: Checksum | None = None
) -> int:
    """Append up to `length` bytes of a source at `offset`; return the new offset. The last byte completes the upload.

    The new offset is behind what is reused from there on, as far as it needs not be read to complete the upload.

    Pieces of one upload are received one after the other, as `turns` says; each begins a transaction of the upload's
    connection, aborting what the caller has under way. WrongOffset, with the right one in `extra`, unless `offset` is
    then where the upload ends. With `checksum` the source must be seekable: it is read once to compare
    (ChecksumMismatch: nothing is stored) and once to store.
    DigestMismatch when the content is not what its digest says: the upload is dropped. Gone when it has expired.
    NotReady when the last byte comes and so much is still to be read that it takes another request: the last slice, as
    a rule the piece, is not stored then.
    A source that ends early is no error.
    """
    _check_alive(upload)
    _check_fit(upload, offset, length)
    with _TURNS.turn(_key(upload), lambda: _is_early(upload, offset)):
        _refuse_dropped(upload)
        _check_offset(upload, offset)
        if checksum is not None:
            _verify(checksum, source, length)
        if not length and upload.reusable(offset) == offset:
            return offset
        receiver = _Receiver(database, upload, offset, length)
        try:
            return receiver.receive(source)
        except DigestMismatch:
            _drop(database, upload)
            raise


def _is_early(upload: Upload, offset: int) -> bool:
    """Whether a piece is here before what precedes it, as far as that is committed by now."""
    upload._p_jar.transaction_manager.begin()
    return offset > upload.offset and not upload.dropped


def terminate(ingestion: Any, upload: Upload) -> None:
    """Drop an upload, complete or not, in the current transaction: nothing of it stays."""
    check_started(ingestion)
    ingestion.dropUpload(upload)
    ingestion.touch()
    _RUNNING.drop(_key(upload))


class _Receiver:
    """One request's piece: keeps the running digest in step with what is stored."""

    def __init__(self, database: DB, upload: Upload, offset: int, length: int) -> None:
        self._database = database
        self._upload = upload
        self._start = offset
        self._stop = offset + length
        self._key = _key(upload)
        self._running: RunningDigest = _RUNNING.take(self._key, offset)
        self._in_step = False

    def receive(self, source: BinaryIO) -> int:
        """Store the piece and move on over what is reused; return the new offset."""
        upload = self._upload
        limit = LAST_CATCH_UP_LIMIT if self._stop == upload.length else CATCH_UP_LIMIT
        self._in_step = self._running.catch_up(upload.stream, self._start, limit)
        try:
            reached = append_slices(
                self._database,
                upload._p_oid,
                source,
                self._stop - self._start,
                offset=self._start,
                note=self._note,
                user=upload.ingestion.author,
                total=upload.length,
                on_data=self._on_data,
                on_slice=self._on_slice,
            )
        except NotReady:
            _RUNNING.put(self._key, self._running)
            raise
        reached = self._move_on(reached)
        if reached < upload.length:
            _RUNNING.put(self._key, self._running)
        else:
            _COMPLETE.put((self._key[0], self._running.digest()), self._running)
        return reached

    @property
    def _note(self) -> str:
        return f"receive {self._upload.path}"

    def _on_data(self, data: bytes) -> None:
        if self._in_step:
            self._running.update(data)

    def _on_slice(self, upload: Upload) -> None:
        """In the transaction of each slice: note it, move on at the piece's end, and complete what is complete."""
        _refuse_dropped(upload)
        _touch(upload)
        if upload.complete:
            if not self._in_step:
                raise NotReady(
                    f"The server verifies {upload.path!r}: it has read {self._running.offset} of the bytes before byte "
                    f"{self._start}, and goes on from there. Send the same piece again.",
                    verified=self._running.offset,
                )
            _complete(upload, self._running.digest())
        elif upload.offset == self._stop:
            upload.take_over()

    def _move_on(self, offset: int) -> int:
        """Move on from here over what is reused, step by step, to the file's end if that can be; return where to."""
        upload = self._upload
        if upload.reusable(offset) == offset:
            return offset
        with separate_connection(self._database) as connection:
            try:
                while (reached := self._step(connection, offset, Upload.take_over)) > offset:
                    offset = reached
                self._resume_base(offset)
                stored = connection.get(upload._p_oid)
                at_end = stored.reusable(offset) == upload.length > offset
                if at_end and self._running.catch_up(stored.stream, offset, LAST_CATCH_UP_LIMIT):
                    offset = self._step(connection, offset, self._take_over_end)
            finally:
                release(connection, upload._p_oid)
        return offset

    def _step(self, connection: Connection, offset: int, move: Callable[[Upload], object]) -> int:
        """Move the upload on in a transaction; return its offset then. WrongOffset when another process got ahead."""

        def step() -> int:
            upload = connection.get(self._upload._p_oid)
            _refuse_dropped(upload)
            _check_offset(upload, offset)
            move(upload)
            if upload.offset != offset:
                _touch(upload)
            return int(upload.offset)

        moved_to = in_transaction(connection, step, note=self._note, user=self._upload.ingestion.author)
        connection.cacheGC()
        return moved_to

    def _take_over_end(self, upload: Upload) -> None:
        upload.take_over_end()
        self._running.catch_up(upload.stream, upload.length)
        _complete(upload, self._running.digest())

    def _resume_base(self, offset: int) -> None:
        """Where the base's bytes, all of them, are what is here, have its running digest, if that is still known."""
        upload = self._upload
        if self._stop == 0 and upload.base is not None and offset == upload.base.size:
            self._running = _COMPLETE.copy_of((self._key[0], upload.base_digest)) or self._running


def _touch(upload: Upload) -> None:
    """Note a sign of life."""
    upload.modified = now()
    upload.ingestion.touch()


def _complete(upload: Upload, digest: bytes) -> None:
    """Give the ingestion the file. DigestMismatch if it is not what was announced or, by now, is planned."""
    planned = upload.ingestion.expected.get(upload.path)
    for expected in (upload.digest, planned and planned[1]):
        if expected is not None and expected != digest:
            raise DigestMismatch(
                f"What arrived of {upload.path!r} has the digest sha-256:{digest.hex()}, not sha-256:{expected.hex()}. "
                "It was damaged, or the file changed while it was sent: send it again.",
                paths=[upload.path],
            )
    upload.ingestion.stage(upload.path, upload.entry(digest))
    upload.forget_base()


def _drop(database: DB, upload: Upload) -> None:
    """Drop an upload in a transaction of its own."""
    with separate_connection(database) as connection:

        def drop() -> None:
            stored = connection.get(upload._p_oid)
            if not stored.dropped:
                stored.ingestion.dropUpload(stored)

        in_transaction(connection, drop, note=f"drop the upload of {upload.path}")


def _check_alive(upload: Upload) -> None:
    if upload.expires < now():
        raise Gone(f"The upload of {upload.path!r} has expired: nothing arrived for days. Send the file again.")


def _refuse_dropped(upload: Upload) -> None:
    if upload.dropped:
        raise NotFound(f"The upload of {upload.path!r} was dropped. Send the file again.")


def _check_fit(upload: Upload, offset: int, length: int) -> None:
    if offset + length > upload.length:
        raise BadInput(
            f"Bytes {offset} to {offset + length} do not fit into an upload of {upload.length} bytes.",
            offset=upload.offset,
        )


def _check_offset(upload: Upload, offset: int) -> None:
    if offset != upload.offset:
        raise WrongOffset(
            f"{upload.offset} bytes of {upload.path!r} are here, not {offset}. Go on from byte {upload.offset}.",
            offset=upload.offset,
        )


def _verify(checksum: Checksum, source: BinaryIO, length: int) -> None:
    """ChecksumMismatch unless the next `length` bytes of the source have a digest; they are to be read again."""
    algorithm, expected = checksum
    update, digest = _hasher(algorithm)
    start = source.tell()
    left = length
    while left and (data := source.read(min(left, MIB))):
        update(data)
        left -= len(data)
    source.seek(start)
    if not hmac.compare_digest(digest(), expected):
        raise ChecksumMismatch(
            f"The piece does not have the {algorithm} of Upload-Checksum: it was damaged. Send it again."
        )


def _hasher(algorithm: str) -> tuple[Callable[[bytes], None], Callable[[], bytes]]:
    """What takes in bytes, and what tells their digest."""
    if algorithm != "crc32":
        hasher = hashlib.new(algorithm, usedforsecurity=False)
        return hasher.update, hasher.digest
    value = 0

    def update(data: bytes) -> None:
        nonlocal value
        value = crc32(data, value)

    return update, lambda: value.to_bytes(4, "big")


def _key(upload: Upload) -> tuple[str, bytes]:
    return upload._p_jar.db().database_name, upload._p_oid
