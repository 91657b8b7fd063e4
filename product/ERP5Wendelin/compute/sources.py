"""What a batch goes over: the rows of an array, the bytes or the records of a stream, the items of a list.

Each is counted in units of its own, from 0 up to a total that is fixed when the loop begins; whatever comes later is
for another run. An array is read in one snapshot, so that nobody changes it under the batch. A stream needs none: what
it has up to the total never changes.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from contextlib import ExitStack
from itertools import islice
from typing import Any, Protocol

import numpy
from Acquisition import aq_base

from Products.ERP5Wendelin.blockwise.blocks import Block, iter_blocks
from Products.ERP5Wendelin.blockwise.snapshot import Snapshot
from Products.ERP5Wendelin.content.array_document import ArrayDocument
from Products.ERP5Wendelin.content.data_stream import DataStream
from Products.ERP5Wendelin.content.located import name_of
from Products.ERP5Wendelin.errors import BadInput, Gone
from Products.ERP5Wendelin.protocol import MIB
from Products.ERP5Wendelin.storage.array import Array

CHUNK_SIZE = 16 * MIB
"""Bytes of a stream in a block, unless a script says how many."""

RECORDS = 10_000
"""Records in a block."""

ITEMS = 1
"""Items of a list in a block: each may be a file, or a document, that takes long."""


Blocks = Generator[Block, None, None]
"""Closing it ends what reads ahead."""


class Source(Protocol):
    """What a loop goes over."""

    name: str
    """As messages have it, and by which a loop that goes on knows that it goes over the same."""
    unit: str
    """What is counted."""

    def total(self) -> int:
        """How many units there are now."""

    def snapshot(self) -> Snapshot | None:
        """What is seen of it now, where that may change."""

    def blocks(self, start: int, stop: int, snapshot: Snapshot | None) -> Blocks:
        """Blocks of the units from `start` up to `stop`, one after the other."""


def source_of(source: Any, rows: int | None, nbytes: int | None, records: bool) -> Source:
    """A document, an ndarray, or a list, as something that a loop goes over. BadInput: it is none of them."""
    for name, number in (("rows", rows), ("nbytes", nbytes)):
        if number is not None and (isinstance(number, bool) or not isinstance(number, int) or number < 1):
            raise BadInput(f"{name} must be a whole number from 1, not {number!r}.")
    base = aq_base(source)
    if isinstance(base, DataStream):
        if records:
            return StreamRecords(source, rows or RECORDS, nbytes)
        if rows is not None:
            raise BadInput("Bytes have no rows: say how many with nbytes, or take records=True.")
        return StreamBytes(source, nbytes or CHUNK_SIZE)
    if records:
        raise BadInput("records=True is for a Data Stream.")
    if isinstance(base, ArrayDocument):
        return ArrayRows(source, rows, nbytes)
    if isinstance(base, (Sequence, numpy.ndarray)) and not isinstance(base, (str, bytes)):
        return Items(source, rows or ITEMS)
    if source is None:
        raise BadInput("A batch goes over None: what was looked up is not there. Check its reference.")
    raise BadInput(
        f"A batch does not go over an object of type {type(base).__name__}: give it a Data Array, one of its "
        "lines or views, a Data Stream, or a list."
    )


class ArrayRows:
    """The rows of a Data Array, or of what is read as one."""

    unit = "rows"

    def __init__(self, document: Any, rows: int | None, nbytes: int | None) -> None:
        self.name = name_of(document)
        self._document = document
        self._rows = rows
        self._nbytes = nbytes

    def total(self) -> int:
        return int(self._document.getArrayShape()[0])

    def snapshot(self) -> Snapshot | None:
        arrays = self._document.getReader().arrays
        return Snapshot.of(arrays[0]._p_jar) if arrays else None  # else it is in memory alone

    def blocks(self, start: int, stop: int, snapshot: Snapshot | None) -> Blocks:
        reader = self._document.getReader()
        with ExitStack() as stack:
            if snapshot is not None and isinstance(reader, Array):
                connection = stack.enter_context(snapshot.opened())  # another array may be in its place by now
                reader = connection.get(aq_base(self._document)._p_oid).array
            yield from iter_blocks(reader, self._rows, self._nbytes, start, stop, snapshot)


class StreamBytes:
    """The bytes of a Data Stream; a block's `data` are bytes."""

    unit = "bytes"

    def __init__(self, document: Any, nbytes: int) -> None:
        self.name = name_of(document)
        self._document = document
        self._nbytes = nbytes

    def total(self) -> int:
        return int(self._document.getSize())

    def snapshot(self) -> None:
        return None

    def blocks(self, start: int, stop: int, snapshot: Snapshot | None) -> Blocks:
        start = self._first(start)
        for offset in range(start, stop, self._nbytes):
            end = min(offset + self._nbytes, stop)
            yield Block(offset, end, self._document.getData(offset, end))

    def _first(self, start: int) -> int:
        """Where to begin, or to go on. Gone: what comes next was dropped since the run before."""
        first = int(self._document.getStartOffset())
        if 0 < start < first:
            raise Gone(f"Bytes {start:,} to {first:,} of {self.name} were dropped before the batch came to them.")
        return max(start, first)


class StreamRecords(StreamBytes):
    """The records of a Data Stream, counted in its bytes; a block's `data` is a list of (time, what it says)."""

    def __init__(self, document: Any, rows: int, nbytes: int | None) -> None:
        super().__init__(document, nbytes or CHUNK_SIZE)
        self._rows = rows

    def blocks(self, start: int, stop: int, snapshot: Snapshot | None) -> Blocks:
        start = self._first(start)
        while True:
            found: Any = []
            end = start
            for time, value, end in islice(self._document.iterateRecords(None, None, start, stop), self._rows):
                found.append((time, value))
                if end - start >= self._nbytes:
                    break
            if not found:
                return
            yield Block(start, end, found)
            start = end


class Items:
    """The items of a list, a tuple, a range, or the rows of an ndarray in memory: the same ones in each run."""

    unit = "items"

    def __init__(self, items: Any, rows: int) -> None:
        self.name = f"a {type(items).__name__} of {len(items):,}"
        self._items = items
        self._rows = rows

    def total(self) -> int:
        return len(self._items)

    def snapshot(self) -> None:
        return None

    def blocks(self, start: int, stop: int, snapshot: Snapshot | None) -> Blocks:
        for offset in range(start, stop, self._rows):
            end = min(offset + self._rows, stop)
            yield Block(offset, end, self._items[offset:end])
