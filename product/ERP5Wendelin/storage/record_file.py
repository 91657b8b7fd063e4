"""Blocks read straight out of a FileStorage's file, into memory that the caller has.

ZODB hands a record of 2 MiB on through a bytes object, an unpickler and another bytes object. Here a block is taken out
of its record where it is in the file: behind the record's header and the pickle of wendelin.core's ZBlk0, which is its
class and one byte string::

    oid 8 · tid 8 · previous revision 8 · transaction 8 · 0 2 · length 8      FileStorage's header
    80 03 c wendelin.bigfile.file_zodb \n ZBlk0 \n q 00 .                     the class
    80 03 B <length 4> <the block's bytes> q 01 .                             the state

It is copied once, by the kernel, while other threads run; and of a part of a block no more is read than that part.
Everything of another form, such as the record of an undo, is ZODB's to read: `read_into` says so.

Reading past the page cache (O_DIRECT) was tried, for arrays that no cache holds: it takes a quarter of the CPU time,
but was half as fast on the disks that we have, and a second reading of what the cache would hold is ten times slower.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from typing import Any, BinaryIO, NamedTuple, cast

import numpy
from ZODB.Connection import Connection
from ZODB.POSException import POSKeyError

from ..protocol import KIB, MIB

HEADER = struct.Struct(">8s8sQQHQ")
"""Of a data record: oid, tid, positions of the previous revision and of the transaction, 0, length of the pickles."""

CLASS = b"\x80\x03cwendelin.bigfile.file_zodb\nZBlk0\nq\x00."
STATE = b"\x80\x03B"
END = b"q\x01."
"""The pickles of a ZBlk0: its class, its state up to the length of the byte string, and what follows that."""

FRONT = HEADER.size + len(CLASS) + len(STATE) + 4
"""Bytes of a record before those of the block."""

RECORD = FRONT + 2 * MIB
"""Bytes of a record up to the end of a full block's."""

ADVICE = 512 * KIB
"""How much the operating system is asked at a time to read ahead. Linux reads no more of it than the disk takes in one
request, or than its own reading ahead has: often 1.25 MiB. It forgets the rest (`force_page_cache_ra`)."""

PLACES = 100_000
"""How many records' places a file remembers: 20 MB, for 200 GiB of blocks."""

_NEEDED = ("_file", "_files", "_lookup_pos")
"""What a FileStorage has that others have not."""

_ATTRIBUTE = "_wendelin_record_file"
"""Of a storage: what reads from its file, for as long as there is the storage."""


class _Place(NamedTuple):
    """A block's record: of which object, since which transaction, where the revision before is; the block's bytes."""

    oid: bytes
    tid: bytes
    previous: int
    start: int
    length: int


class RecordFile:
    """What a storage reads from: a FileStorage, a FileBeside, or one that is shared (`portal.shared_storage`)."""

    def __init__(self, storage: Any) -> None:
        self._storage = storage
        self._files = storage._files
        self._position_of = storage._lookup_pos
        self._places: _Places | None = None

    def read_into(self, oid: bytes, before: bytes, start: int, target: numpy.ndarray) -> bool:
        """Fill `target` with a block's bytes from `start` on, as they were before a transaction.

        False: the record has another form, or there is none, or the file was closed.
        """
        with suppress(POSKeyError), self._opened() as opened:  # meanwhile no pack puts another file in its place
            if opened is None:
                return False
            descriptor = opened.fileno()
            places = self._known_places()
            position = self._position_of(oid)
            while position:
                place = places.find(descriptor, position)
                if place is None or place.oid != oid:
                    return False
                if place.tid < before:
                    return _fill(descriptor, target, place, start)
                position = place.previous
        return False

    def will_need(self, oid: bytes) -> None:
        """Let the operating system begin to read the newest record of an object, if it can be asked to."""
        if not hasattr(os, "posix_fadvise"):
            return
        with suppress(POSKeyError, OSError), self._opened() as opened:
            if opened is None:
                return
            start = self._position_of(oid)
            stop = start + RECORD
            for offset in range(start, stop, ADVICE):
                os.posix_fadvise(opened.fileno(), offset, min(ADVICE, stop - offset), os.POSIX_FADV_WILLNEED)

    @contextmanager
    def _opened(self) -> Iterator[BinaryIO | None]:
        """The file, not closed before the end; None: it is closed already, as that beside a host is for another."""
        with ExitStack() as stack:
            try:
                opened = stack.enter_context(self._files.get())
            except ValueError:
                opened = None
            yield opened

    def _known_places(self) -> _Places:
        """What is known of the file that the storage has open by now: a pack puts another one in its place."""
        file = self._storage._file
        if self._places is None or self._places.file is not file:
            self._places = _Places(file)
        return self._places


class _Places:
    """The places of records in a file. Known by the object, for a later file may have the same number (st_ino)."""

    def __init__(self, file: Any) -> None:
        self.file = file
        self._places: dict[int, _Place] = {}

    def find(self, descriptor: int, position: int) -> _Place | None:
        """The place of a record; None: its form is another."""
        place = self._places.get(position)
        if place is None:
            place = _place(position, os.pread(descriptor, FRONT, position))
            if place is not None:
                if len(self._places) >= PLACES:
                    self._places.clear()
                self._places[position] = place
        return place


def _fill(descriptor: int, target: numpy.ndarray, place: _Place, start: int) -> bool:
    """Fill `target` with a block's bytes, and with zeros behind their end; whether all of them were there."""
    count = min(max(place.length - start, 0), len(target))
    if count and os.preadv(descriptor, [target[:count].data], place.start + start) < count:
        return False
    target[count:] = 0
    return True


def _place(position: int, front: bytes) -> _Place | None:
    """What the first bytes of a record say."""
    if len(front) < FRONT:
        return None
    oid, tid, previous, _, version, size = HEADER.unpack_from(front)
    length = int.from_bytes(front[-4:], "little")
    is_plain = front[HEADER.size : -4] == CLASS + STATE and size == FRONT - HEADER.size + length + len(END)
    return _Place(oid, tid, previous, position + FRONT, length) if is_plain and not version else None


def record_file_of(connection: Connection) -> RecordFile | None:
    """The file that a connection's storage reads from; None: it reads from no file of this machine.

    A storage that is a guest of another process has a `record_file`, which reads the file beside its host.
    """
    if connection._savepoint_storage is not None:
        return None  # what was changed before the savepoint is kept aside
    storage = connection.db().storage
    if hasattr(storage, "record_file"):
        return cast("RecordFile | None", storage.record_file(before_of(connection)))
    attributes = vars(storage)
    if _ATTRIBUTE not in attributes:
        attributes[_ATTRIBUTE] = RecordFile(storage) if all(hasattr(storage, name) for name in _NEEDED) else None
    file: RecordFile | None = attributes[_ATTRIBUTE]
    return file


def before_of(connection: Connection) -> bytes:
    """The transaction before which a connection to such a storage sees the database."""
    before: bytes = connection.before or connection._storage._start
    return before
