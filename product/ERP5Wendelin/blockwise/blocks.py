"""Blocks of an array: some rows of its first axis at a time, read ahead in a thread.

While a block is computed with, the next ones are read, so that neither waits for the other as long as there are two
cores; reading lets other threads run (`storage.record_file`). It goes on in one `Snapshot`: whatever is committed
meanwhile, all blocks are of the state that the array had at the beginning. An array with changes that are not committed
is read as its transaction sees it, when each block is asked for; so is what is in memory alone.

Memory is bounded: one block is in the caller's hands, or two while a loop goes on, and AHEAD are read or being read.
The memory of a block that nobody refers to any more is used again, for the operating system takes longer to provide
16 MiB of new memory than to fill them from its cache.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Generator, Iterator
from typing import Any, NamedTuple, Protocol, TypeVar

import numpy
from ZODB.Connection import Connection

from .. import errors
from ..protocol import MIB, SLICE_SIZE
from ..storage import block
from ..storage.array import Array
from ..storage.block import BLOCK_SIZE
from ..storage.uncommitted import is_changed
from .ahead import AHEAD, read_ahead
from .snapshot import Snapshot

NBYTES = 16 * MIB
"""Bytes of a block unless told otherwise."""

ADVISED = 64 * MIB
"""How far before its reader the operating system is asked to read: a disk is fast with many requests at once."""

TRANSACTION_SIZE = 1024 * MIB
"""The most that `map_blocks` writes without committing: what a transaction writes is in memory until then."""

Result = TypeVar("Result")


class Readable(Protocol):
    """What blocks are read of: an `Array`, a window on one (`storage.array_reader`), or an array in memory."""

    @property
    def shape(self) -> tuple[int, ...]: ...

    @property
    def dtype(self) -> numpy.dtype: ...

    def __getitem__(self, index: Any) -> Any: ...


class Block(NamedTuple):
    """The rows from `start` up to `stop`, as an ndarray that is the caller's; of an ndarray, a view."""

    start: int
    stop: int
    data: numpy.ndarray


def iter_blocks(
    array: Readable,
    rows: int | None = None,
    nbytes: int | None = None,
    start: int = 0,
    stop: int | None = None,
    snapshot: Snapshot | None = None,
    prefetch: bool = True,
) -> Iterator[Block]:
    """Iterate over the blocks of an array from row `start` up to `stop`.

    Blocks have `rows` rows, or as many as fit in `nbytes` (16 MiB unless given), at least one; the last one has what is
    left. `snapshot`: the state to read; that of the array's connection unless given. Without `prefetch` each block is
    read when it is asked for. BadInput: no such rows. Gone: the database no longer has the state.
    """
    if rows is not None and nbytes is not None:
        raise errors.BadInput("Blocks have a number of rows or of bytes: give rows or nbytes, not both.")
    if min(1 if rows is None else rows, 1 if nbytes is None else nbytes) < 1:
        raise errors.BadInput("A block has at least one row, and at least one byte.")
    plan = _Plan(rows, NBYTES if nbytes is None else nbytes, start, stop)
    arrays = getattr(array, "arrays", ())
    if snapshot is None and arrays and not any(map(is_changed, arrays)):
        snapshot = Snapshot.of(arrays[0]._p_jar)
    if snapshot is None or not arrays:
        return plan.read(array)
    reader = _Reader(array, snapshot, plan)
    return read_ahead(reader.blocks) if prefetch else reader.blocks()


def map_blocks(
    array: Readable,
    function: Callable[[numpy.ndarray], Any],
    out: Any,
    rows: int | None = None,
    nbytes: int | None = None,
    commit: Callable[[], Any] | None = None,
) -> Any:
    """Write `function(data)` of each block to the same rows of `out`, which is as long as the array; return `out`.

    In the current transaction; with `commit` that is called behind each 64 MiB, and at the end, so that an array of any
    size can be written. `out` may be the array itself. TooLarge: more than a gigabyte without `commit`. BadInput: what
    the function returns, or `out`, has another length than the block, or the array.
    """
    length = array.shape[0]
    if len(out) != length:
        raise errors.BadInput(f"The array has {length} rows and `out` has {len(out)}: give it as many.")
    if commit is None and getattr(out, "nbytes", 0) > TRANSACTION_SIZE and not isinstance(out, numpy.ndarray):
        raise errors.TooLarge(
            f"{out.nbytes} bytes are too many for one transaction, which has {TRANSACTION_SIZE} at the most. Give "
            "`commit`, which is called behind each 64 MiB: transaction.commit, or commit in wendelin run."
        )
    written = 0
    for each in iter_blocks(array, rows, nbytes):
        values = numpy.asarray(function(each.data))
        if values.shape[:1] != (len(each.data),):
            raise errors.BadInput(
                f"The function has made an array of shape {values.shape} of the {len(each.data)} rows from "
                f"{each.start} on: it must return as many rows as it gets."
            )
        out[each.start : each.stop] = values
        written += values.nbytes
        if commit is not None and written >= SLICE_SIZE:
            commit()
            written = 0
    if commit is not None and written:
        commit()
    return out


_NOTHING: Any = object()


def reduce(
    array: Readable,
    function: Callable[[numpy.ndarray], Result],
    combine: Callable[[Result, Result], Result],
    rows: int | None = None,
    nbytes: int | None = None,
    initial: Result = _NOTHING,
) -> Result:
    """Combine `function(data)` of all blocks, from the first to the last.

    `initial` comes before the first, and is the result where there is no row. BadInput: neither is there.
    """
    result = initial
    for each in iter_blocks(array, rows, nbytes):
        value = function(each.data)
        result = value if result is _NOTHING else combine(result, value)
    if result is _NOTHING:
        raise errors.BadInput("The array has no rows, so there is nothing to combine: give `initial` for that.")
    return result


class _Plan(NamedTuple):
    """Which blocks are asked for."""

    rows: int | None
    nbytes: int
    start: int
    stop: int | None

    def ranges(self, array: Readable) -> Iterator[tuple[int, int]]:
        """The first row and the end of each block of an array."""
        if not array.shape:
            raise errors.BadInput("An array of no axes, which is one element, has no blocks.")
        length = array.shape[0]
        stop = length if self.stop is None else self.stop
        if not 0 <= self.start <= stop <= length:
            raise errors.BadInput(f"Rows {self.start} to {stop} are not within the {length} rows of the array.")
        row = array.dtype.itemsize
        for each in array.shape[1:]:
            row *= each
        begin = self.start
        while begin < stop:
            end = min(begin + self.rows if self.rows else _border(begin, row, self.nbytes), stop)
            yield begin, end
            begin = end

    def read(self, array: Readable) -> Iterator[Block]:
        """The blocks of an array as its transaction has it."""
        return (Block(begin, end, array[begin:end]) for begin, end in self.ranges(array))


def _border(begin: int, row: int, nbytes: int) -> int:
    """Where a block ends that begins with a row: at the border of a block of the storage, if it has whole ones."""
    count = max(nbytes // max(row, 1), 1)
    if row and nbytes >= BLOCK_SIZE and not BLOCK_SIZE % row:
        return begin + count - begin % (BLOCK_SIZE // row)
    return begin + count


class _Reader:
    """Reads blocks of an array in a snapshot."""

    def __init__(self, array: Any, snapshot: Snapshot, plan: _Plan) -> None:
        self._array = array
        self._snapshot = snapshot
        self._plan = plan

    def blocks(self) -> Generator[Block, None, None]:
        """The blocks, one after the other."""
        with self._snapshot.opened() as connection:
            array = self._array.on(connection)
            read = _RowsOf(array, connection).read if isinstance(array, Array) else array.__getitem__
            for begin, end in self._plan.ranges(array):
                yield Block(begin, end, read(slice(begin, end)))
                connection.cacheGC()  # of a long array there are many blocks' ghosts


class _RowsOf:
    """Reads rows of a stored array into memory that is used again."""

    def __init__(self, array: Array, connection: Connection) -> None:
        self._blktab = array.zarray.zfile.blktab
        self._dtype, self._shape = array.dtype, array.shape
        self._size = array.nbytes
        self._memory = _Memory()
        self._advised = 0

    def read(self, rows: slice) -> numpy.ndarray:
        """Rows of the array."""
        shape = (rows.stop - rows.start, *self._shape[1:])
        row = self._size // self._shape[0]
        offset, size = rows.start * row, shape[0] * row
        data = self._memory.take(size)
        if size:
            ahead = min(offset + size + ADVISED, self._size)
            block.will_need(self._blktab, max(self._advised, offset), ahead)
            self._advised = ahead
            block.read_into(self._blktab, offset, data)
        return data.view(self._dtype).reshape(shape)


class _Memory:
    """Memory of blocks, of which the caller may keep whatever it likes: what is referred to is not used again."""

    def __init__(self) -> None:
        self._kept: list[numpy.ndarray] = []

    def take(self, nbytes: int) -> numpy.ndarray:
        """So many bytes."""
        for position in range(len(self._kept)):
            # Referred to by the list and by getrefcount's argument; views refer to what they are views of.
            if sys.getrefcount(self._kept[position]) == 2 and len(self._kept[position]) >= nbytes:
                return self._kept[position][:nbytes]
        # One is in the caller's hands, and one may be until it has the next.
        self._kept = [*self._kept[-AHEAD - 1 :], numpy.empty(nbytes, numpy.uint8)]
        return self._kept[-1][:]
