"""Bodies of responses that are slices of arrays, each of one snapshot of the database, whatever is committed meanwhile.

A contiguous slice is read as a stream is: block by block, by waitress's own loop, as fast as a file. Any other is put
together box by box, in a thread: to take one element of each block costs as much as reading all of them, and the loop
has others to serve. Neither holds a connection to the database between two steps. The first step is done at once, so
that a snapshot that is gone is told, and not half a body sent.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain, islice
from threading import BoundedSemaphore

import numpy
from zope.interface import implementer
from ZPublisher.Iterators import IUnboundStreamIterator

from Products.ERP5Wendelin.blockwise.snapshot import Snapshot
from Products.ERP5Wendelin.download.reader import BlockReader
from Products.ERP5Wendelin.errors import NotReady
from Products.ERP5Wendelin.protocol import MIB
from Products.ERP5Wendelin.storage import block
from Products.ERP5Wendelin.storage.array import Array
from Products.ERP5Wendelin.storage.array_reader import ArrayReader
from Products.ERP5Wendelin.storage.array_slice import ArraySlice, Box
from Products.ERP5Wendelin.storage.block import BLOCK_SIZE

AT_ONCE = 2 * MIB
"""Bytes of a body that may be put together before it is sent."""

FEW_BOXES = 8
"""How many boxes may be read for that."""

TOGETHER = 32
"""How many boxes are read in a step, for as long as they have fewer bytes than that: where elements are far from one
another each is a box."""

GATHERING = BoundedSemaphore(8)
"""Other slices that are put together at the same time: half of a server's threads (`portal.instance.THREADS`)."""


def body_of(
    snapshot: Snapshot, array: Array | ArrayReader, chosen: ArraySlice, prefix: bytes, start: int, stop: int
) -> RunBody | BoxesBody | bytes:
    """The bytes from `start` up to `stop` of a prefix and a slice of an array; not none.

    Gone: the database has that snapshot no longer. NotReady: too many slices are being put together.
    """
    first, last = max(start - len(prefix), 0), max(stop - len(prefix), 0)
    prefix = prefix[start:stop]
    if isinstance(array, Array) and (run := chosen.run()) is not None:
        return RunBody(snapshot, array._p_oid, prefix, run[0] + first, run[0] + last)
    boxes = _Boxes(snapshot, array, chosen, first, last)
    if last - first <= AT_ONCE and len(list(islice(chosen.boxes(first, last), FEW_BOXES + 1))) <= FEW_BOXES:
        return b"".join((prefix, *boxes))
    return BoxesBody(prefix, boxes)


class RunBody(BlockReader):
    """A prefix, and behind it the bytes from `start` up to `stop` of the array with an object id."""

    def __init__(self, snapshot: Snapshot, oid: bytes, prefix: bytes, start: int, stop: int) -> None:
        super().__init__(len(prefix) + stop - start)
        self._snapshot = snapshot
        self._oid = oid
        self._prefix = prefix
        self._start = start
        self._stop = stop
        self._block = memoryview(b"")
        self._block_start = start
        if start < stop:
            self._load(start)

    def _piece(self, start: int, stop: int) -> bytes | memoryview:
        if start < len(self._prefix):
            return self._prefix[start:stop]
        place = self._start + start - len(self._prefix)
        if not 0 <= place - self._block_start < len(self._block):
            self._load(place)
        first = place - self._block_start
        return self._block[first : first + stop - start]

    def _load(self, place: int) -> None:
        """Read the block that has a byte of the array, as far as it is asked for."""
        begin = place // BLOCK_SIZE * BLOCK_SIZE
        start, stop = max(begin, self._start), min(begin + BLOCK_SIZE, self._stop)
        self._block = memoryview(b"")
        target = numpy.empty(stop - start, numpy.uint8)
        with self._snapshot.opened() as connection:
            block.read_into(connection.get(self._oid).zarray.zfile.blktab, start, target)
        self._block = target.data.toreadonly()
        self._block_start = start

    def close(self) -> None:
        """Let go of the block in memory."""
        self._block = memoryview(b"")
        super().close()


class _Boxes:
    """The bytes from `start` up to `stop` of any slice of an array, some boxes at a time."""

    def __init__(
        self, snapshot: Snapshot, array: Array | ArrayReader, chosen: ArraySlice, start: int, stop: int
    ) -> None:
        self._snapshot = snapshot
        self._array = array
        self._chosen = chosen
        self._start = start
        self._stop = stop

    def __iter__(self) -> Iterator[bytes]:
        if self._start < self._stop:
            boxes = self._chosen.boxes(self._start, self._stop)
            yield from iter(lambda: self._step(boxes), b"")

    def _step(self, boxes: Iterator[Box]) -> bytes:
        """The bytes of the next boxes; none behind the last one."""
        pieces, size = [], 0
        with self._snapshot.opened() as connection:
            array = self._array.on(connection)
            for box in islice(boxes, TOGETHER):
                data: bytes = array[box.slices].tobytes()
                first, last = max(self._start - box.start, 0), min(self._stop, box.stop) - box.start
                pieces.append(data if last - first == len(data) else data[first:last])
                size += last - first
                if size >= AT_ONCE:
                    break
        return b"".join(pieces)


@implementer(IUnboundStreamIterator)
class BoxesBody:
    """A prefix and the pieces of boxes, as long as its turn is held; to be closed."""

    def __init__(self, prefix: bytes, boxes: _Boxes) -> None:
        self._is_held = GATHERING.acquire(blocking=False)
        if not self._is_held:
            raise NotReady(
                "Too many slices with gaps are being put together now. Ask again in a second, or for whole rows, which "
                "are sent as they are stored."
            )
        pieces = iter(boxes)
        try:
            self._pieces = chain((prefix + next(pieces, b""),), pieces)
        except BaseException:
            self.close()
            raise

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        return next(self._pieces)

    def close(self) -> None:
        """End it, at whatever place."""
        self._pieces = chain()
        held, self._is_held = self._is_held, False
        if held:
            GATHERING.release()
