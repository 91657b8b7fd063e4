"""Readers of ranges of stored bytes as files, for responses that outlive their requests.

They are seekable, so that waitress takes them as they are (`wsgi.file_wrapper`) and sends them from its own loop: no
worker thread is held by a slow reader, and nothing is copied into buffers or temporary files. Measured with 2 GiB on
loopback: 1,020 MB/s with 27 MB of memory that way; through an iterator 540 MB/s with 105 MB, or 1,260 MB/s with 44 MB
once waitress's buffers are set for it, and then a thread for each reader. The price is that the loop waits for each
block: about a millisecond from a local file.
"""

from __future__ import annotations

import io
from abc import abstractmethod

from ZODB import DB

from Products.ERP5Wendelin.download.blocks import Blocks
from Products.ERP5Wendelin.download.body import READ_SIZE, SeekableBody


class BlockReader(SeekableBody):
    """`size` bytes, of which a subclass gives pieces, from a block that it keeps."""

    def __init__(self, size: int) -> None:
        super().__init__(size)
        self._position = 0

    @abstractmethod
    def _piece(self, start: int, stop: int) -> bytes | memoryview:
        """The bytes from `start` up to `stop`, or fewer, though not none."""

    def read(self, size: int | None = -1) -> bytes:
        """Up to `size` bytes, seldom as many; none at the end. A negative size reads all that is left."""
        if self.closed:
            raise ValueError("The reader is closed.")
        if size is None or size < 0:
            return self.readall()
        stop = min(self._position + min(size, READ_SIZE), self._size)
        if stop <= self._position:
            return b""
        data = bytes(self._piece(self._position, stop))
        self._position += len(data)
        return data

    def tell(self) -> int:
        return self._position

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        base = (0, self._position, self._size)[whence]
        self._position = max(base + offset, 0)
        return self._position


class StreamReader(BlockReader):
    """The bytes from `start` up to `stop` of the stream with an object id."""

    def __init__(self, database: DB, oid: bytes, start: int, stop: int) -> None:
        super().__init__(stop - start)
        self._blocks = Blocks(database)
        self._oid = oid
        self._start = start

    def _piece(self, start: int, stop: int) -> memoryview:
        return self._blocks.piece(self._oid, self._start + start, self._start + stop)

    def close(self) -> None:
        """Let go of the block in memory."""
        self._blocks.clear()
        super().close()
