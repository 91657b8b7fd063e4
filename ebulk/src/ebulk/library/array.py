"""An array of a lake: its slices are ndarrays, read over the network when they are asked for.

    array = ebulk.Lake().array("brain")
    array[10:20, ::2].mean()

An `Array` shows one state of the lake's array, that of the moment in which it was first asked for anything: what it
says of its shape, and all that is read of it, go together, whatever others do meanwhile. `refresh` goes on to the
newest; so do `append` and assignments. It does not keep what it has read.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from contextlib import closing
from importlib import import_module
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from ebulk.errors import EbulkError
from ebulk.library.array_index import Index, Selected, select
from ebulk.library.elements import Elements, bytes_of
from ebulk.library.numpy import numpy_for
from ebulk.library.progress import Told, observer_for
from ebulk.local.names import shown
from ebulk.local.sending import KEY_SIZE, Sending
from ebulk.model import ArrayInfo
from ebulk.protocol import MIB
from ebulk.remote.arrays import RAW, ArrayPart
from ebulk.remote.lake import Lake
from ebulk.transfer.array_bytes import ArrayBytes
from ebulk.transfer.array_upload import write
from ebulk.transfer.crew import JOBS
from ebulk.verbs.observer import Observer
from ebulk.verbs.pull_array import ArrayReport, default_file, pull_array
from ebulk.verbs.push_array import push

if TYPE_CHECKING:
    import numpy
    from numpy.typing import ArrayLike, DTypeLike

    NDArray = numpy.ndarray[Any, Any]

BLOCK_SIZE = 16 * MIB
"""About how many bytes a block has, unless its rows are said; and how many are assigned by one request."""


class Block(NamedTuple):
    """Rows of an array: those from `start` up to `stop` of its first axis."""

    start: int
    stop: int
    data: NDArray


class Array:
    """An array of a lake, made by `Lake.array`; that there is one is seen when it is asked, and else NotFoundError."""

    def __init__(self, lake: Lake, reference: str, info: ArrayInfo | None = None) -> None:
        self._lake = lake
        self._known = info
        self.reference = reference

    def __repr__(self) -> str:
        return f"<ebulk.Array {shown(self.reference)} of {self._lake.url}>"

    @property
    def info(self) -> ArrayInfo:
        """What the lake says of it: title, description, state, names of columns, snapshot."""
        if self._known is None:
            self._known = self._lake.array(self.reference)
        return self._known

    def refresh(self) -> Array:
        """Go on to its newest state; returns itself."""
        self._known = None
        return self

    @property
    def shape(self) -> tuple[int, ...]:
        """Its length along each axis. EbulkError: nobody has given it a shape yet."""
        if self.info.shape is None:
            raise EbulkError(
                f"The array {shown(self.reference)} has no elements yet, nor a shape.",
                "Lake.save_array gives it both.",
            )
        return self.info.shape

    @property
    def dtype(self) -> numpy.dtype[Any]:
        """The type of its elements."""
        return _dtype(self.info.dtype)

    @property
    def ndim(self) -> int:
        """How many axes it has."""
        return len(self.shape)

    @property
    def size(self) -> int:
        """How many elements it has."""
        return prod(self.shape)

    @property
    def nbytes(self) -> int:
        """How many bytes its elements take."""
        return self.info.size

    def __len__(self) -> int:
        return self.shape[0]

    def __iter__(self) -> Iterator[Any]:
        """Its rows."""
        for block in self.iter_blocks():
            yield from block.data

    def __getitem__(self, index: Index) -> Any:
        """A basic slice (integers, slices and `...`) as a new ndarray, or one element."""
        selected, turned = select(index, self.shape)
        result = numpy_for("An array").empty(selected.shape, self.dtype)
        self._fill(result, selected)
        if not selected.shape:
            return result[()]
        return result[turned] if any(part.step for part in turned) else result

    def __array__(self, dtype: DTypeLike = None, copy: bool | None = None) -> NDArray:
        """All of it, for NumPy's functions."""
        if copy is False:
            raise ValueError("An array of a lake cannot be had without a copy: its elements are not in this memory.")
        result: NDArray = self[...]
        return result if dtype is None else result.astype(dtype, copy=False)

    def iter_blocks(self, rows: int | None = None, start: int = 0, stop: int | None = None) -> Iterator[Block]:
        """Blocks of so many rows, those from `start` up to `stop`, in order; those that follow are fetched meanwhile.

        A block has 16 MiB, unless `rows` says otherwise; at most 32 MiB more are in memory.
        """
        first, end, _ = slice(start, stop).indices(len(self))
        row = self.dtype.itemsize * prod(self.shape[1:])
        count = max(1, BLOCK_SIZE // max(1, row)) if rows is None else rows
        if count < 1:
            raise ValueError(f"A block has one row or more, not {rows}.")
        part = ArrayPart(self.reference, "", RAW, self.info.snapshot)
        source = ArrayBytes(self._lake, part, first * row, end * row, total=len(self) * row)
        with closing(source.pieces()) as pieces:
            rest = memoryview(b"")
            for begin in range(first, end, count):
                data = numpy_for("An array").empty((min(count, end - begin), *self.shape[1:]), self.dtype)
                rest = _fill_from(pieces, rest, bytes_of(data))
                yield Block(begin, begin + len(data), data)

    def __setitem__(self, index: Index, values: ArrayLike) -> None:
        """Write values, or one value for all, to a basic slice: at once up to 16 MiB, else in parts of that size.

        They are broadcast as NumPy does, and converted by the lake where nothing is lost by it; ConflictError
        otherwise. What is no ndarray is converted here, as by NumPy.
        """
        selected, turned = select(index, self.shape)
        data = self._converted(values)
        while data.ndim > len(selected.shape) and data.shape[0] == 1:
            data = data[0]
        numpy_for("An array").broadcast_to(data, selected.shape)  # ValueError, as NumPy's
        data = data[_where(turned, data.shape)]
        if prod(selected.shape):
            with self._lake.session(1) as session:
                for part, where in selected.cut(BLOCK_SIZE // self.dtype.itemsize):
                    source = Elements(data[_where(where, data.shape)], self.reference)
                    write(session, self.reference, part.text, source, observer_for(None))
        self.refresh()

    def append(self, values: ArrayLike, *, progress: Observer | Told | None = None) -> None:
        """Append along the first axis, in parts of about 8 MiB, each of which is seen at once, and appended once.

        Converted as by assignments. ConflictError: other axes differ, or the dtype does.
        """
        source = Elements(self._converted(values), self.reference)
        sending = Sending({}, secrets.token_hex(KEY_SIZE))
        push(self._lake, self.reference, source, sending, append=True, observer=observer_for(progress))
        self.refresh()

    def save(
        self,
        path: str | os.PathLike[str] | None = None,
        *,
        slice: str = "",
        jobs: int = JOBS,
        progress: Observer | Told | None = None,
    ) -> ArrayReport:
        """Bring its newest state, or a slice of it such as "0:100,::2", into a .npy file, named like it by default.

        One that was broken off goes on, with the state that it began with. NumPy is not needed.
        """
        file = default_file(self.reference) if path is None else Path(path)
        return pull_array(self._lake, self.reference, file, slice, jobs=jobs, observer=observer_for(progress))

    def _fill(self, result: NDArray, selected: Selected) -> None:
        """Read what is selected into an ndarray of its shape."""
        part = ArrayPart(self.reference, selected.text, RAW, self.info.snapshot)
        source = ArrayBytes(self._lake, part, total=result.nbytes)
        if result.nbytes:
            with closing(source.pieces()) as pieces:
                _fill_from(pieces, memoryview(b""), bytes_of(result))

    def _converted(self, values: ArrayLike) -> NDArray:
        """An ndarray as it is, anything else in the array's dtype."""
        numpy = numpy_for("An array")
        result: NDArray = values if isinstance(values, numpy.ndarray) else numpy.asarray(values, self.dtype)
        return result


def _fill_from(pieces: Iterator[bytearray], rest: memoryview, target: memoryview) -> memoryview:
    """Fill memory with `rest` and with what comes behind it; what is left of the last piece."""
    while target:
        rest = rest or memoryview(next(pieces))
        count = min(len(rest), len(target))
        target[:count] = rest[:count]
        rest, target = rest[count:], target[count:]
    return rest


def _where(parts: tuple[slice, ...], shape: tuple[int, ...]) -> tuple[slice, ...]:
    """Slices of a whole, for values of a shape that is broadcast to it: an axis of one element stays as it is."""
    lasting = parts[len(parts) - len(shape) :]
    return tuple(slice(None) if length == 1 else part for part, length in zip(lasting, shape, strict=True))


def _dtype(value: Any) -> numpy.dtype[Any]:
    """What a lake says of elements, as NumPy has it. EbulkError for what must not be filled with bytes."""
    numpy_for("An array")
    dtype: numpy.dtype[Any] | None
    try:
        dtype = import_module("numpy.lib.format").descr_to_dtype(_descr(value))
    except (TypeError, ValueError, IndexError, RecursionError):
        dtype = None
    if dtype is None or dtype.hasobject or not dtype.itemsize:
        raise EbulkError(
            f"The lake's answer cannot be understood: {value!r:.100} is no dtype.",
            "Lake and ebulk may be of different versions; `pip install --upgrade ebulk` gets the newest.",
        )
    return dtype


def _descr(value: Any) -> Any:
    """NumPy's `descr` out of JSON, which has lists for its tuples."""
    if isinstance(value, str):
        return value
    return [(_name(name), _descr(kind), *map(tuple, shape)) for name, kind, *shape in value]


def _name(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value
