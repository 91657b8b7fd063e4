"""Windows on arrays: what reads another array in another form, block by block, and never writes.

Each gives what Array gives to read: `shape`, `dtype`, `ndim`, `size`, `nbytes`, `len`, and new ndarrays for basic
indices. They stand on one another, in the end on arrays, and look at these only when they are asked: an array that has
grown shows in a window at once. They are plain objects that hold nothing but what they stand on, so that another
process can have them, over its own connection to the database (`on`).

Reading takes the memory of what is asked for, and some MiB: where more has to be read than that, it is read in parts. A
column of 8 bytes, of records of 8 KiB, takes a thousand times its size.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Protocol

import numpy
from ZODB.Connection import Connection

from .. import errors
from .array import Array, ranges_of, slice_of
from .array_shape import Shape, Shaped, checked_dtype, unnamed
from .array_slice import ArraySlice


class Source(Protocol):
    """What a window can stand on: an Array, an array in memory, or another window."""

    @property
    def shape(self) -> Shape:
        """Its length along each axis."""

    @property
    def dtype(self) -> numpy.dtype:
        """The type of its elements."""

    @property
    def arrays(self) -> tuple[Array, ...]:
        """The arrays of a database that it reads."""

    def on(self, connection: Connection) -> Any:
        """The same over another connection to the database, as of a snapshot."""

    def __getitem__(self, index: Any) -> Any:
        """A basic slice as a new ndarray, or one element."""


class ArrayReader(Shaped, ABC):
    """What all windows have in common."""

    @property
    @abstractmethod
    def shape(self) -> Shape:
        """Its length along each axis."""

    @property
    @abstractmethod
    def dtype(self) -> numpy.dtype:
        """The type of its elements."""

    @property
    @abstractmethod
    def arrays(self) -> tuple[Array, ...]:
        """The arrays of the database that it reads."""

    @abstractmethod
    def on(self, connection: Connection) -> ArrayReader:
        """The same over another connection to the database, as of a snapshot."""

    @abstractmethod
    def _read(self, ranges: list[range]) -> numpy.ndarray:
        """The elements at a product of ranges, one for each axis, as an ndarray."""

    def __len__(self) -> int:
        if not self.shape:
            raise TypeError("A window of no axes, which is one element, has no length.")
        return self.shape[0]

    def __array__(self, dtype: Any = None) -> numpy.ndarray:
        """All of it in memory, for functions that take arrays."""
        return numpy.asarray(self[...], dtype)

    def __getitem__(self, index: Any) -> Any:
        """A basic slice (integers, slices and `...`) as a new ndarray, or one element. BadInput for another index."""
        ranges, scalars = ranges_of(index, self.shape)
        return self._read(ranges)[tuple(0 if scalar else slice(None) for scalar in scalars)]


class Window(ArrayReader):
    """What a basic index selects of another array."""

    def __init__(self, source: Source, index: Any = ()) -> None:
        self._source = source
        self._index = index

    @property
    def shape(self) -> Shape:
        """Its length along each axis. IndexError: an integer of the index is out of bounds, or no longer in them."""
        ranges, scalars = ranges_of(self._index, self._source.shape)
        return tuple(len(each) for each, scalar in zip(ranges, scalars, strict=True) if not scalar)

    @property
    def dtype(self) -> numpy.dtype:
        """The type of its elements."""
        return self._source.dtype

    @property
    def arrays(self) -> tuple[Array, ...]:
        """The arrays of the database that it reads."""
        return self._source.arrays

    def on(self, connection: Connection) -> Window:
        """The same over another connection."""
        return Window(self._source.on(connection), self._index)

    def _read(self, ranges: list[range]) -> numpy.ndarray:
        selected, scalars = ranges_of(self._index, self._source.shape)
        inner = iter(ranges)
        index: list[int | slice] = []
        for each, scalar in zip(selected, scalars, strict=True):
            index.append(each[0] if scalar else slice_of(each[slice_of(next(inner))]))
        return numpy.asarray(self._source[tuple(index)])


class Column(ArrayReader):
    """One column of an array of records; its own axes, if it has any, come last."""

    def __init__(self, source: Source, name: str) -> None:
        self._source = source
        self._name = name

    @property
    def _field(self) -> numpy.dtype:
        return _fields(self._source.dtype, [self._name])[0]

    @property
    def shape(self) -> Shape:
        """Its length along each axis."""
        return (*self._source.shape, *self._field.shape)

    @property
    def dtype(self) -> numpy.dtype:
        """The type of its elements."""
        return self._field.base

    @property
    def arrays(self) -> tuple[Array, ...]:
        """The arrays of the database that it reads."""
        return self._source.arrays

    def on(self, connection: Connection) -> Column:
        """The same over another connection."""
        return Column(self._source.on(connection), self._name)

    def _read(self, ranges: list[range]) -> numpy.ndarray:
        shape = self._source.shape
        within = (slice(None), *(slice_of(each) for each in ranges[len(shape) :]))
        result = numpy.zeros([len(each) for each in ranges], self.dtype)  # a record within a record may have gaps
        rows = result.reshape(math.prod(result.shape[: len(shape)]), *result.shape[len(shape) :])
        for place, records in _parts(shape, self._source.dtype, ranges[: len(shape)], self._source.__getitem__):
            rows[place] = records[self._name][within]
        return result


class Columns(ArrayReader):
    """Some columns of an array of records, in their own order."""

    def __init__(self, source: Source, names: Sequence[str]) -> None:
        self._source = source
        self._names = tuple(names)

    @property
    def shape(self) -> Shape:
        """Its length along each axis."""
        return self._source.shape

    @property
    def dtype(self) -> numpy.dtype:
        """Records of these columns, with nothing between them."""
        return numpy.dtype(list(zip(self._names, _fields(self._source.dtype, self._names), strict=True)))

    @property
    def arrays(self) -> tuple[Array, ...]:
        """The arrays of the database that it reads."""
        return self._source.arrays

    def on(self, connection: Connection) -> Columns:
        """The same over another connection."""
        return Columns(self._source.on(connection), self._names)

    def _read(self, ranges: list[range]) -> numpy.ndarray:
        result = numpy.zeros([len(each) for each in ranges], self.dtype)  # records within a record may have gaps
        for place, records in _parts(self._source.shape, self._source.dtype, ranges, self._source.__getitem__):
            for name in self._names:
                result.reshape(-1)[name][place] = records[name]
        return result


class Typed(ArrayReader):
    """The bytes of another array as elements of another dtype, as `ndarray.view` has them: along the last axis.

    Where an element is larger, several of the other array are one; where it is smaller, one is several.
    """

    def __init__(self, source: Source, dtype: numpy.dtype) -> None:
        self._source = source
        self._dtype = checked_dtype(dtype)

    @property
    def shape(self) -> Shape:
        """Its length along each axis. BadInput where the last axis is not a whole number of elements."""
        shape, old, new = self._source.shape, self._source.dtype.itemsize, self._dtype.itemsize
        if old == new:
            return shape
        if not shape or (shape[-1] * old) % new or (old % new and new % old):
            raise errors.BadInput(
                f"An array of shape {shape} and dtype {self._source.dtype} cannot be seen as {self._dtype}: its last "
                f"axis is no whole number of elements of {new} bytes."
            )
        return (*shape[:-1], shape[-1] * old // new)

    @property
    def dtype(self) -> numpy.dtype:
        """The type of its elements."""
        return self._dtype

    @property
    def arrays(self) -> tuple[Array, ...]:
        """The arrays of the database that it reads."""
        return self._source.arrays

    def on(self, connection: Connection) -> Typed:
        """The same over another connection."""
        return Typed(self._source.on(connection), self._dtype)

    def _read(self, ranges: list[range]) -> numpy.ndarray:
        if self._source.dtype.itemsize == self._dtype.itemsize:
            return self._viewed(tuple(slice_of(each) for each in ranges))
        result = numpy.zeros([len(each) for each in ranges], self._dtype)
        for place, elements in _parts(self.shape, self._dtype, ranges, self._between):
            result.reshape(-1)[place] = elements
        return result

    def _between(self, slices: tuple[slice, ...]) -> numpy.ndarray:
        """What slices select, of all elements between the first and the last one."""
        old, new = self._source.dtype.itemsize, self._dtype.itemsize
        last = range(self.shape[-1])[slices[-1]]
        first, stop = min(last[0], last[-1]), max(last[0], last[-1]) + 1
        begin = first * new // old
        data = self._viewed((*slices[:-1], slice(begin, -(-stop * new // old))))
        shift = begin * old // new
        return data[..., slice_of(range(last.start - shift, last.stop - shift, last.step))]

    def _viewed(self, slices: tuple[slice, ...]) -> numpy.ndarray:
        data = unnamed(numpy.asarray(self._source[slices]))
        return numpy.array(data, order="C", ndmin=len(slices)).view(self._dtype)


class Merged(ArrayReader):
    """The columns of several arrays side by side, as long as the shortest: Wendelin's merged array.

    Of an array of records each column is one; any other array is one column, and its further axes are the column's.
    BadInput where there are two of one name.
    """

    def __init__(self, columns: Sequence[tuple[str, Source]]) -> None:
        """`columns`: arrays, each with the name that it has if its elements are no records."""
        self._columns = tuple(columns)
        names = [name for _, source in self._columns for name in source.dtype.names or ()]
        names += [name for name, source in self._columns if not source.dtype.names]
        twice = [name for name, count in Counter(names).items() if count > 1]
        if twice:
            raise errors.BadInput(
                f"Two columns are called {twice[0]!r}: give one of them another name, by a name_list."
            )

    @property
    def shape(self) -> Shape:
        """As long as the shortest of the arrays."""
        return (min(source.shape[0] for _, source in self._columns),)

    @property
    def dtype(self) -> numpy.dtype:
        """Records of all columns. BadInput: one would be larger than an element may be."""
        fields: list[Any] = []
        for name, source in self._columns:
            further = source.shape[1:]
            if source.dtype.names:
                records = zip(source.dtype.names, _fields(source.dtype, source.dtype.names), strict=True)
                fields += [(each, field.base, further + field.shape) for each, field in records]
            else:
                fields.append((name, source.dtype, further))
        return checked_dtype(fields)

    @property
    def arrays(self) -> tuple[Array, ...]:
        """The arrays of the database that it reads."""
        return tuple(dict.fromkeys(array for _, source in self._columns for array in source.arrays))

    def on(self, connection: Connection) -> Merged:
        """The same over another connection."""
        return Merged([(name, source.on(connection)) for name, source in self._columns])

    def _read(self, ranges: list[range]) -> numpy.ndarray:
        result = numpy.zeros(len(ranges[0]), self.dtype)  # records within a record may have gaps
        for name, source in self._columns:
            values = source[slice_of(ranges[0])]
            for each in source.dtype.names or ():
                result[each] = values[each]
            if not source.dtype.names:
                result[name] = values
        return result


def _parts(
    shape: Shape, dtype: numpy.dtype, ranges: Sequence[range], read: Callable[[tuple[slice, ...]], Any]
) -> Iterator[tuple[slice, numpy.ndarray]]:
    """The elements at a product of ranges in one axis, in C order, some at a time: which of them, and they.

    `read` gives those that slices select, of an array of a shape and dtype.
    """
    if not shape:
        yield slice(0, 1), numpy.asarray(read(())).reshape(1)
        return
    chosen = ArraySlice(shape, dtype.itemsize, tuple(ranges), (False,) * len(shape))
    if chosen.nbytes:
        for box in chosen.boxes(0, chosen.nbytes):
            yield slice(box.start // dtype.itemsize, box.stop // dtype.itemsize), read(box.slices).reshape(-1)


def _fields(dtype: numpy.dtype, names: Sequence[str]) -> list[numpy.dtype]:
    """The dtypes of columns. BadInput: there is none of a name."""
    fields: Mapping[str, Any] = dtype.fields or {}
    missing = next((name for name in names if name not in fields), None)
    if missing is not None:
        raise errors.BadInput(f"There is no column {missing!r}. Columns: {', '.join(fields) or 'none'}.")
    return [fields[name][0] for name in names]
