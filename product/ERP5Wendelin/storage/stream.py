"""ByteStream: an append-only byte string of any size over wendelin.core's ZBigArray of uint8.

A record of its own (`size`, `array`, `blktab`) and below it what wendelin.core stores: the array with its shape, the
file, and the tree of blocks. `size` and `blktab` are repeated here for readers: they need neither the array nor its
file, which saves two round trips to the database a stream, and those two objects would stay in the connection's cache
for ever (wendelin.core keeps them live for its mappings).

A batch script may map `array` to read it. Appending goes through this class alone.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy
from persistent import Persistent
from wendelin.bigarray.array_zodb import ZBigArray
from zope.interface import implementer

from ..interfaces import IByteStream
from . import block
from .block import BLOCK_SIZE, Buffer


@implementer(IByteStream)
class ByteStream(Persistent):
    """The class path and the three attributes are public format, as are wendelin.core's records below them."""

    def __init__(self) -> None:
        """Make an empty stream."""
        self.array = ZBigArray((0,), numpy.uint8, blksize=BLOCK_SIZE)
        self.blktab = self.array.zfile.blktab
        self.size = 0

    def append(self, data: Buffer, final: bool = False) -> int:
        """Append a bytes-like object in the current transaction; return the new size.

        Bytes that are exactly a block at a block's border are stored as they are, anything else is copied once. With no
        data, `final` only rewrites the last block.
        """
        buffer = data if isinstance(data, bytes) else _flat(data)
        if len(buffer):
            block.write(self.array.zfile, self.size, buffer, compact=final)
            self.size += len(buffer)
            # Two writers of one stream conflict in this record and in the array's.
            self.array.resize((self.size,))
        elif final and self.size:
            block.write_compact(self.array.zfile, (self.size - 1) // BLOCK_SIZE)
        return self.size

    def chunks(self, start: int = 0, stop: int | None = None) -> Iterator[Buffer]:
        """Iterate over the bytes from `start` up to `stop` as bytes-like objects of at most a block each.

        ValueError when the range is not within the stream.
        """
        if stop is None:
            stop = self.size
        if not 0 <= start <= stop <= self.size:
            raise ValueError(f"Bytes {start} to {stop} are not within a stream of {self.size} bytes.")
        return block.read(self.blktab, start, stop)

    def read(self, start: int, stop: int) -> bytes:
        """The bytes from `start` up to `stop`, in memory."""
        return b"".join(self.chunks(start, stop))

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


def _flat(data: Buffer) -> Buffer:
    """One-dimensional bytes over any contiguous buffer."""
    view = memoryview(data)
    return view.cast("B") if view.nbytes else b""
