"""Arrays as dask arrays, and as what xarray makes of these: computed in many processes, on many hosts.

A graph holds no elements and no connection, but a `Stored`: which database, in which state, which array. A task opens
the database by its URI in the process that it runs in, and reads the part that it needs; so `dask.distributed` workers
read beside each other, and nothing goes through the one that built the graph. They need this package, and a way to the
database: for a FileStorage the same file system, for the others the network.

All tasks see the state of the moment in which the graph was built, whatever is committed meanwhile, for as long as the
database keeps it: until a pack.

A URI has the database's password in it, if there is one, and so has the graph: who gets it may read everything.
"""

from __future__ import annotations

import io
import math
import pickle
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Any

import numpy
from ZODB.Connection import Connection

from .. import errors
from ..storage.array import Array
from ..storage.array_reader import ArrayReader
from ..storage.block import BLOCK_SIZE
from ..storage.memory_array import MemoryArray
from ..storage.uncommitted import is_changed
from .snapshot import Snapshot

if TYPE_CHECKING:
    import dask.array
    import xarray

Shape = tuple[int, ...]
Reader = Array | ArrayReader | MemoryArray


@dataclass(frozen=True)
class Stored:
    """What is read of a database as a snapshot shows it; what dask asks of an array's source. It can be pickled.

    `reader` is an Array, or a window on some: pickled, with the object id of each Array in its place.
    """

    snapshot: Snapshot
    reader: bytes
    shape: Shape
    dtype: numpy.dtype

    @property
    def ndim(self) -> int:
        """How many axes it has."""
        return len(self.shape)

    def __getitem__(self, index: Any) -> numpy.ndarray:
        """What an index selects, as a new ndarray read from the database. Gone: that has its state no longer.

        Besides basic indices, dask asks for the elements at one list of positions along an axis.
        """
        basic, axis, positions = _basic(index)
        with self.snapshot.opened() as connection:
            data = _Reading(self.reader, connection).load()[basic]
        return data if positions is None else data.take(positions, axis)

    def __dask_tokenize__(self) -> Hashable:
        """Equal for equal elements, in all processes: dask keeps and shares results by it."""
        return type(self).__qualname__, self.snapshot.uri, self.snapshot.tid, self.reader


class _Writing(pickle.Pickler):
    """Pickles a reader."""

    def persistent_id(self, value: Any) -> bytes | None:
        return value._p_oid if isinstance(value, Array) else None


class _Reading(pickle.Unpickler):
    """Takes the Arrays from a connection."""

    def __init__(self, reader: bytes, connection: Connection) -> None:
        super().__init__(io.BytesIO(reader))
        self._connection = connection

    def persistent_load(self, oid: bytes) -> Array:
        return self._connection.get(oid)


def _basic(index: Any) -> tuple[tuple[Any, ...], int, numpy.ndarray | None]:
    """A basic index that selects what an index does, and all between; of that, the axis and positions to take."""
    parts = list(index) if isinstance(index, tuple) else [index]
    lists = [place for place, part in enumerate(parts) if isinstance(part, list | numpy.ndarray)]
    if not lists:
        return tuple(parts), 0, None
    (place,) = lists
    positions = numpy.asarray(parts[place])
    if positions.dtype == bool:
        (positions,) = positions.nonzero()
    first, stop = (int(positions.min()), int(positions.max()) + 1) if positions.size else (0, 0)
    parts[place] = slice(first, stop)
    axis = sum(isinstance(part, slice) for part in parts[:place])
    return tuple(parts), axis, (positions - first).astype(int)


def to_dask(reader: Reader, chunks: Any = None) -> dask.array.Array:
    """A dask array of an array, or of a window on some, as it is committed and as its connection sees it.

    `chunks`: as `dask.array.from_array` has them; unless given, parts that are contiguous in the database, of about
    dask's `array.chunk-size` (128 MiB), cut at the borders of blocks where rows allow that. What is in memory goes into
    the graph as it is.

    Conflict: there are changes that are not committed.
    """
    dask_array = _needed("dask.array", "dask")
    if chunks is None:
        chunks = default_chunks(reader.shape, reader.dtype.itemsize, _chunk_size())
    if not reader.arrays:
        return dask_array.from_array(reader[...], chunks=chunks)
    if any(map(is_changed, reader.arrays)):
        raise errors.Conflict(
            "The array has changes that are not committed, which the tasks of dask in other processes would not see. "
            "Commit first."
        )
    pickled = io.BytesIO()
    _Writing(pickled).dump(reader)
    source = Stored(_snapshot_of(reader), pickled.getvalue(), reader.shape, reader.dtype)
    return dask_array.from_array(
        source,
        chunks=chunks,
        name=f"wendelin-{_needed('dask.base', 'dask').tokenize(source, chunks)}",
        meta=numpy.empty((0,) * source.ndim, source.dtype),
        inline_array=True,
    )


def to_xarray(
    reader: Reader,
    chunks: Any = None,
    *,
    dims: Sequence[Hashable] | None = None,
    coords: Mapping[Any, Any] | None = None,
    name: str | None = None,
    attrs: Mapping[str, Any] | None = None,
) -> xarray.DataArray | xarray.Dataset:
    """An xarray.DataArray over the dask array; of records a Dataset with a variable for each column.

    `dims` are names of the axes, `dim_0` and so on unless given; `coords` as xarray takes them. The attribute
    `snapshot` says which state of the database it is.
    """
    module = _needed("xarray", "xarray")
    data = to_dask(reader, chunks)
    dims = [f"dim_{axis}" for axis in range(data.ndim)] if dims is None else list(dims)
    if len(dims) != data.ndim:
        raise errors.BadInput(f"{len(dims)} names were given for the {data.ndim} axes of the array: {dims}.")
    noted = {**(attrs or {}), **({"snapshot": _snapshot_of(reader).text} if reader.arrays else {})}
    if data.dtype.names is None:
        return module.DataArray(data, dims=dims, coords=coords, name=name, attrs=noted)
    variables = {column: (_dims_of(data[column], dims, column), data[column]) for column in data.dtype.names}
    return module.Dataset(variables, coords=coords, attrs=noted)


def default_chunks(shape: Shape, itemsize: int, most: int) -> Shape:
    """Shape of a part of about `most` bytes, and not more than one row of the last axis forces, in C order.

    It has all of the last axes, some of one, and one of those before; of the first axis as many rows as end with a
    block, if it has room for so many.
    """
    if not shape:
        return ()
    axis = next((a for a in range(len(shape)) if math.prod(shape[a + 1 :]) * itemsize <= most), len(shape) - 1)
    row = max(math.prod(shape[axis + 1 :]) * itemsize, 1)
    count = max(most // row, 1)
    aligned = BLOCK_SIZE // math.gcd(row, BLOCK_SIZE)
    if axis == 0 and count >= aligned:
        count -= count % aligned
    return (*[1] * axis, min(count, max(shape[axis], 1)), *(max(length, 1) for length in shape[axis + 1 :]))


def _snapshot_of(reader: Reader) -> Snapshot:
    """What the connection of a reader's arrays sees."""
    return Snapshot.of(reader.arrays[0]._p_jar)


def _dims_of(column: Any, dims: Sequence[Hashable], name: str) -> list[Hashable]:
    """The dims of a column: those of its array, and own ones where its elements are arrays."""
    return [*dims, *(f"{name}_{axis}" for axis in range(column.ndim - len(dims)))]


def _chunk_size() -> int:
    """What dask is configured to take for a chunk, in bytes."""
    size = _needed("dask.config", "dask").get("array.chunk-size")
    return int(_needed("dask.utils", "dask").parse_bytes(size))


def _needed(module: str, extra: str) -> Any:
    """A module of an optional package. BadInput where it is not installed."""
    try:
        return import_module(module)
    except ImportError as error:
        raise errors.BadInput(
            f"{module.partition('.')[0]} is not installed here, and arrays become its own by it. "
            f"Install erp5-wendelin[{extra}]."
        ) from error
