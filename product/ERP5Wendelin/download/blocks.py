"""Blocks of stored byte streams, read outside the request's transaction.

A response goes on being sent when its request has ended, for hours if the network is slow. No connection to the
database is held meanwhile: each block is read on one from the pool, which goes back at once. Otherwise every slow
reader would keep a connection with its cache, and in a relational database a snapshot that nothing can be cleaned up
behind. That is safe, for what a reader may see of a stream never changes.
"""

from __future__ import annotations

from ZODB import DB

from ..storage.block import BLOCK_SIZE
from ..storage.transaction import separate_connection


class Blocks:
    """Reads streams by their object id; keeps the last block, since small files lie many in one."""

    def __init__(self, database: DB) -> None:
        self._database = database
        self._key: tuple[bytes, int] | None = None
        self._block = memoryview(b"")

    def piece(self, oid: bytes, start: int, stop: int) -> memoryview:
        """The bytes of a stream from `start` up to `stop` or the end of the block, whichever is nearer."""
        number, offset = divmod(start, BLOCK_SIZE)
        if self._key != (oid, number):
            self._load(oid, number)
        return self._block[offset : offset + stop - start]

    def clear(self) -> None:
        """Let go of the block."""
        self._key = None
        self._block = memoryview(b"")

    def _load(self, oid: bytes, number: int) -> None:
        self.clear()
        with separate_connection(self._database) as connection:
            stream = connection.get(oid)
            start = number * BLOCK_SIZE
            pieces = list(stream.chunks(start, min(start + BLOCK_SIZE, stream.size)))
        self._block = memoryview(pieces[0] if len(pieces) == 1 else b"".join(pieces)).toreadonly()
        self._key = oid, number
