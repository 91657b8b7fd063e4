"""The bytes of a stream, in pieces of at most a block, read ahead in a thread where there are many.

What a stream has up to its end never changes, but its head may be dropped meanwhile: so it is read in a `Snapshot`.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator

import numpy
from ZODB.utils import z64

from ..protocol import MIB
from ..storage import block
from ..storage.block import BLOCK_SIZE
from ..storage.stream import ByteStream
from .ahead import read_ahead
from .blocks import ADVISED
from .snapshot import Snapshot

MANY = 8 * MIB
"""From how many bytes on a thread is worth its start."""


def iter_chunks(stream: ByteStream, start: int, stop: int) -> Iterator[bytes]:
    """The bytes from `start` up to `stop` of a stream, in pieces of at most a block, as its transaction sees them.

    ValueError when the range is not within the stream, or begins with what was dropped.
    """
    chunks = stream.chunks(start, stop)
    if stop - start < MANY or _is_changed(stream):
        return map(bytes, chunks)  # what are bytes already is not copied
    snapshot = Snapshot.of(stream._p_jar)
    return read_ahead(lambda: _read(snapshot, stream._p_oid, start, stop))


def _read(snapshot: Snapshot, oid: bytes, start: int, stop: int) -> Generator[bytes, None, None]:
    with snapshot.opened() as connection:
        blktab = connection.get(oid).blktab
        memory = numpy.empty(BLOCK_SIZE, numpy.uint8)
        begin = advised = start
        while start < stop:
            # who has read little may have what it was looking for
            ahead = max(min(start + min(2 * (start - begin), ADVISED), stop), advised)
            block.will_need(blktab, advised, ahead)
            advised = ahead
            end = min(start - start % BLOCK_SIZE + BLOCK_SIZE, stop)
            piece = memory[: end - start]
            block.read_into(blktab, start, piece)
            yield piece.tobytes()
            start = end
            connection.cacheGC()  # of a long stream there are many blocks' ghosts


def _is_changed(stream: ByteStream) -> bool:
    """Whether its transaction may have appended to it, which nobody else sees."""
    connection = stream._p_jar
    is_new = connection is None or stream._p_serial == z64
    return is_new or stream._p_changed or connection._savepoint_storage is not None
