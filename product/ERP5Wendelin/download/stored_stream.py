"""A Data Stream that is read outside the request's transaction, block by block, with its index from times to offsets.

An answer goes on for as long as its reader takes, and each of its steps sees the stream as it is then.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple, TypeVar

from ZODB import DB

from Products.ERP5Wendelin.content.time_index import Segment
from Products.ERP5Wendelin.download.blocks import Blocks
from Products.ERP5Wendelin.download.reader import StreamReader
from Products.ERP5Wendelin.storage.transaction import separate_connection

Result = TypeVar("Result")


class Extent(NamedTuple):
    """The offsets of a stream's first byte that is kept, and of its end."""

    start: int
    size: int


def extent_of(document: Any) -> Extent:
    """The extent of a Data Stream."""
    return Extent(document.getStartOffset(), document.getSize())


class StoredStream:
    """A stored document's bytes, extent and index: what `content.timed_records` reads."""

    def __init__(self, database: DB, document: Any) -> None:
        self.name = f"Data Stream {document.getReference() or document.getId()!r}"
        self._database = database
        self._oid = document._p_oid
        self._blocks = Blocks(database)

    def extent(self) -> Extent:
        """Its extent by now; what is read from here on may go up to its end."""
        self._blocks.clear()  # the last one may have grown
        return self._ask(extent_of)

    def read(self, start: int, stop: int) -> Iterator[memoryview]:
        """The bytes from `start` up to `stop`, which it has, in pieces of at most a block; not none."""
        oid, offset = self._place()
        while start < stop:
            piece = self._blocks.piece(oid, offset + start, offset + stop)
            start += len(piece)
            yield piece

    def open(self, start: int, stop: int) -> StreamReader:
        """The same bytes as the body of a response."""
        oid, offset = self._place()
        return StreamReader(self._database, oid, offset + start, offset + stop)

    def beginning(self, kept: int) -> int:
        """See `TimeIndex.beginning`."""
        return self._ask(lambda document: document.getTimeIndex().beginning(kept))

    def run(self, start: int, stop: int, since: int, until: int) -> tuple[int, int] | None:
        """See `TimeIndex.run`."""
        return self._ask(lambda document: document.getTimeIndex().run(start, stop, since, until))

    def segment_at(self, offset: int) -> Segment:
        """See `TimeIndex.segment_at`."""
        return self._ask(lambda document: document.getTimeIndex().segment_at(offset))

    def border(self, offset: int) -> int | None:
        """See `TimeIndex.border`."""
        return self._ask(lambda document: document.getTimeIndex().border(offset))

    def close(self) -> None:
        """Let go of the block in memory."""
        self._blocks.clear()

    def _place(self) -> tuple[bytes, int]:
        """The object id of the byte stream, and where in it the document begins."""
        return self._ask(lambda document: (document.stream._p_oid, document.offset))

    def _ask(self, question: Callable[[Any], Result]) -> Result:
        with separate_connection(self._database) as connection:
            return question(connection.get(self._oid))
