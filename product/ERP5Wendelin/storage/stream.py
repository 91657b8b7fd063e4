"""ByteStream: an append-only byte string of any size over wendelin.core's ZBigArray of uint8.

A record of its own (`size`, `array`, `blktab`, and `start` if it is not 0) and below it what wendelin.core stores: the
array with its shape, the file, and the tree of blocks. `size` and `blktab` are repeated here for readers: they need
neither the array nor its file, which saves two round trips to the database a stream, and those two objects would stay
in the connection's cache for ever (wendelin.core keeps them live for its mappings).

A batch script may map `array` to read it. Appending goes through this class alone.

Full blocks never change, so that streams may share them: a content that differs from another in a few blocks costs no
more than these. In the database the same object is in two trees then; a pack keeps it as long as one of them is there.
For the same reason nothing may be written through a mapping.

The head of a stream may be dropped, block by block: `start` says where it begins then. `size` and all offsets stay, and
a mapping shows zeros in place of what was dropped.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import chain

import numpy
from persistent import Persistent
from wendelin.bigarray.array_zodb import ZBigArray
from zope.interface import implementer

from ..interfaces import IByteStream
from . import block
from .block import BLOCK_SIZE, Buffer

SHARED_BLOCKS = DROPPED_BLOCKS = 16_384
"""The most blocks that a call of `take_over` shares, or one of `drop` drops: 32 GiB. The transaction writes about 30
bytes for each that is shared."""


@implementer(IByteStream)
class ByteStream(Persistent):
    """The class path and the attributes are public format, as are wendelin.core's records below them."""

    start = 0
    """The first byte that was not dropped, at a block's border."""

    def __init__(self) -> None:
        """Make an empty stream."""
        self.array = ZBigArray((0,), numpy.uint8, blksize=BLOCK_SIZE)
        self.blktab = self.array.zfile.blktab
        self.size = 0

    def append(self, data: Buffer, final: bool = False, keep_chunks: bool = False) -> int:
        """Append a bytes-like object in the current transaction; return the new size.

        Bytes that are exactly a block at a block's border are stored as they are, anything else is copied once. With no
        data, `final` only rewrites the last block.
        """
        buffer = data if isinstance(data, bytes) else _flat(data)
        if len(buffer):
            block.append(self.array.zfile, self.size, buffer, compact=final, keep_chunks=keep_chunks)
            self.size += len(buffer)
            # Two writers of one stream conflict in this record and in the array's.
            self.array.resize((self.size,))
        elif final and self.size:
            block.write_compact(self.array.zfile, (self.size - 1) // BLOCK_SIZE)
        return self.size

    def take_over(self, other: ByteStream, stop: int) -> int:
        """Append what `other`, of the same connection, has from this stream's end up to `stop`; return the new size.

        In the current transaction, which is kept small: to be called again, in another, until `stop` is reached. Whole
        blocks are shared, and not read; the parts of blocks at both ends are copied. ValueError when `other` does not
        have the bytes.
        """
        other._check(self.size, stop)
        border = min(-(-self.size // BLOCK_SIZE) * BLOCK_SIZE, stop)
        self._copy(other, self.size, border)
        first, last = border // BLOCK_SIZE, stop // BLOCK_SIZE
        if first < last:
            reached = block.share(self.array.zfile, other.blktab, first, min(last, first + SHARED_BLOCKS))
            border = reached * BLOCK_SIZE
        if border == last * BLOCK_SIZE:
            self._copy(other, border, stop)
            border = stop
        self.size = border
        self.array.resize((self.size,))
        return self.size

    def unshared(self, other: ByteStream) -> Iterator[tuple[int, int]]:
        """Ranges (start, stop) of its bytes, ascending and apart, that are not in blocks it shares with `other`.

        Both are committed, and of the same connection. No block is read.
        """
        whole = min(self.size, other.size) // BLOCK_SIZE
        numbers = block.unshared(self.blktab, other.blktab, whole)
        first = self.start // BLOCK_SIZE
        blocks = ((number * BLOCK_SIZE, (number + 1) * BLOCK_SIZE) for number in numbers if number >= first)
        return _joined(chain(blocks, [(whole * BLOCK_SIZE, self.size)]))

    def chunks(self, start: int = 0, stop: int | None = None) -> Iterator[Buffer]:
        """Iterate over the bytes from `start` up to `stop` as bytes-like objects of at most a block each.

        ValueError when the range is not within the stream, or begins with what was dropped.
        """
        if stop is None:
            stop = self.size
        self._check(start, stop)
        return block.read(self.blktab, start, stop)

    def read(self, start: int, stop: int) -> bytes:
        """The bytes from `start` up to `stop`, in memory."""
        return b"".join(self.chunks(start, stop))

    def drop(self, before: int) -> int:
        """Drop all whole blocks before an offset in the current transaction; return the new `start`.

        As many as a transaction may drop: call it again until `start` is less than a block before the offset.
        ValueError when there is no such offset.
        """
        if not 0 <= before <= self.size:
            raise ValueError(f"Byte {before} is not within a stream of {self.size} bytes.")
        first = self.start // BLOCK_SIZE
        stop = min(before // BLOCK_SIZE, first + DROPPED_BLOCKS)
        if first < stop:
            block.drop(self.array.zfile, first, stop)
            self.start = stop * BLOCK_SIZE
        return self.start

    def release(self) -> None:
        """Let this connection forget the array, which an append has loaded, unless it is mapped or changed.

        To be called when a writer is done: wendelin.core's objects do not leave a connection's cache by themselves, so
        that one which lives on in the pool would grow with every stream that was written through it.
        """
        array, zfile = self.array, self.array.zfile
        if array._p_jar is None or array._p_changed or zfile._p_changed or len(zfile._v_filehset):
            return
        if self.size:
            # A live last block would ask the forgotten file to invalidate its mappings.
            zblk = self.blktab.get((self.size - 1) // BLOCK_SIZE)
            if zblk is not None:
                zblk._p_deactivate()
        zfile._p_invalidate()
        array._p_invalidate()

    def _check(self, start: int, stop: int) -> None:
        if not 0 <= start <= stop <= self.size:
            raise ValueError(f"Bytes {start} to {stop} are not within a stream of {self.size} bytes.")
        if start < self.start and start < stop:
            raise ValueError(f"Bytes {start} to {self.start} of the stream were dropped.")

    def _copy(self, other: ByteStream, start: int, stop: int) -> None:
        """Store bytes of another stream at the same place; as a ZBlk0, for what follows comes in large pieces."""
        for chunk in other.chunks(start, stop):
            block.append(self.array.zfile, start, chunk, compact=True)
            start += len(chunk)


def _flat(data: Buffer) -> Buffer:
    """One-dimensional bytes over any contiguous buffer."""
    view = memoryview(data)
    return view.cast("B") if view.nbytes else b""


def _joined(ranges: Iterable[tuple[int, int]]) -> Iterator[tuple[int, int]]:
    """Ascending ranges, with those that touch made one, and without empty ones."""
    start = stop = 0
    for first, end in ranges:
        if first != stop:
            if start < stop:
                yield start, stop
            start = first
        stop = end
    if start < stop:
        yield start, stop
