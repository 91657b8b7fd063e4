"""Blocks of stored byte streams, read outside the request's transaction.

A response goes on being sent when its request has ended, for hours if the network is slow. No connection to the
database is held meanwhile: each block is read on one from the pool, which goes back at once. Otherwise every slow
reader would keep a connection with its cache, and in a relational database a snapshot that nothing can be cleaned up
behind. That is safe, for what a reader may see of a stream never changes. It may be dropped from a stream's head, which
a reader who has come that far does not notice, and any other is told.
"""

from __future__ import annotations

from collections import OrderedDict

from ZODB import DB

from Products.ERP5Wendelin.errors import Gone
from Products.ERP5Wendelin.storage.block import BLOCK_SIZE
from Products.ERP5Wendelin.storage.transaction import separate_connection


class Blocks:
    """Reads streams by their object id; keeps the `capacity` blocks used last, since many small files lie in one."""

    def __init__(self, database: DB, capacity: int = 1) -> None:
        self._database = database
        self._capacity = capacity
        self._blocks: OrderedDict[tuple[bytes, int], memoryview] = OrderedDict()

    def piece(self, oid: bytes, start: int, stop: int) -> memoryview:
        """The bytes of a stream from `start` up to `stop` or the end of the block, whichever is nearer; never none.

        EOFError when the stream ends before `stop`, which only a damaged database makes it do. Gone when the block was
        dropped.
        """
        number, offset = divmod(start, BLOCK_SIZE)
        key = oid, number
        block = self._blocks.get(key)
        if block is None:
            while len(self._blocks) >= self._capacity:
                self._blocks.popitem(last=False)
            block = self._blocks[key] = self._load(oid, number)
        elif self._capacity > 1:
            self._blocks.move_to_end(key)
        if offset >= len(block):
            raise EOFError(f"The stream {oid.hex()} has no byte {start}: the database is damaged.")
        return block[offset : offset + stop - start]

    def clear(self) -> None:
        """Let go of all blocks."""
        self._blocks.clear()

    def _load(self, oid: bytes, number: int) -> memoryview:
        with separate_connection(self._database) as connection:
            stream = connection.get(oid)
            start = number * BLOCK_SIZE
            if start < stream.start:
                raise Gone(
                    f"What was before byte {stream.start} of the stream was dropped while it was being read: read on "
                    "from there.",
                    start=stream.start,
                )
            pieces = list(stream.chunks(min(start, stream.size), min(start + BLOCK_SIZE, stream.size)))
        return memoryview(pieces[0] if len(pieces) == 1 else b"".join(pieces)).toreadonly()
