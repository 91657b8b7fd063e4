"""What all documents that are arrays offer to read: Data Arrays, their lines, and views.

Which array a document reads, its `getReader` says: the array of a database, one in memory, or a window on others. What
is read by these methods is read from blocks, into new ndarrays, and shows what the transaction has written.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Hashable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy
from AccessControl.SecurityInfo import ClassSecurityInfo
from AccessControl.SecurityManagement import getSecurityManager
from Acquisition import aq_base
from ExtensionClass import Base as ExtensionClass
from wendelin.bigarray.array_zodb import ZBigArray

from Products.ERP5Wendelin.blockwise import blocks, dask_array, quantile_sketch, statistics
from Products.ERP5Wendelin.blockwise.blocks import Block
from Products.ERP5Wendelin.blockwise.quantile_sketch import ACCURACY
from Products.ERP5Wendelin.content.declaration import declared
from Products.ERP5Wendelin.content.located import name_of
from Products.ERP5Wendelin.errors import BadInput, Conflict, NotAuthorised
from Products.ERP5Wendelin.permissions import PushData, View
from Products.ERP5Wendelin.storage.array import Array
from Products.ERP5Wendelin.storage.array_reader import ArrayReader
from Products.ERP5Wendelin.storage.memory_array import MemoryArray

if TYPE_CHECKING:
    import dask.array
    import xarray

DEPTH = 16
"""How many windows and views may be within one another."""


@declared
class ArrayDocument(ExtensionClass):
    """Mixed into documents that are arrays, or show some of others."""

    security = ClassSecurityInfo()

    @security.private
    def getReader(self) -> Array | MemoryArray | ArrayReader:
        """What its elements are read from. Conflict: there is nothing yet that they could be read from."""
        raise NotImplementedError

    @security.private
    def shown(self) -> Sequence[ArrayDocument]:
        """The documents that it shows, by itself and not by others; none where it has its own elements."""
        return ()

    @security.protected(View)
    def getSize(self) -> int:
        """How many bytes its elements take."""
        return self.getReader().nbytes

    @security.protected(View)
    def getArrayShape(self) -> tuple[int, ...]:
        """Its length along each axis."""
        return self.getReader().shape

    @security.protected(View)
    def getArrayDtype(self) -> numpy.dtype:
        """The type of its elements."""
        return self.getReader().dtype

    @security.protected(View)
    def getArrayDtypeNames(self) -> list[str]:
        """The names of its columns; none where elements are plain."""
        return list(self.getReader().dtype.names or ())

    @security.protected(View)
    def getArrayIndex(self, index: Any) -> Any:
        """What an index selects, as a new ndarray, or one element: integers, slices, `...`, or a tuple of them."""
        return self.getReader()[index]

    @security.protected(View)
    def getArraySlice(self, start: int, stop: int) -> numpy.ndarray:
        """The elements from `start` up to `stop` of the first axis, as a new ndarray."""
        result: numpy.ndarray = self.getReader()[start:stop]
        return result

    @security.protected(View)
    def iter_blocks(
        self,
        rows: int | None = None,
        nbytes: int | None = None,
        start: int = 0,
        stop: int | None = None,
        prefetch: bool = True,
    ) -> Iterator[Block]:
        """Iterate over its rows from `start` up to `stop` as (start, stop, data), `rows` or 16 MiB of them at a time.

        All are of the state at the beginning, whatever is committed meanwhile: see `blockwise.blocks`.
        """
        return blocks.iter_blocks(self.getReader(), rows, nbytes, start, stop, prefetch=prefetch)

    @security.protected(View)
    def map_blocks(
        self,
        function: Callable[[numpy.ndarray], Any],
        out: Any,
        rows: int | None = None,
        nbytes: int | None = None,
        commit: Callable[[], Any] | None = None,
    ) -> Any:
        """Write `function(data)` of each block to the same rows of another Data Array, or an ndarray; return that.

        In the current transaction, which may write a gigabyte; with `commit`, in several: that is called behind each
        64 MiB. NotAuthorised: the user may not push to `out`. BadInput: it has another length, or is a window.
        """
        blocks.map_blocks(self.getReader(), function, _writable(out), rows, nbytes, commit)
        return out

    @security.protected(View)
    def reduce(
        self,
        function: Callable[[numpy.ndarray], Any],
        combine: Callable[[Any, Any], Any],
        rows: int | None = None,
        nbytes: int | None = None,
        **initial: Any,
    ) -> Any:
        """Combine `function(data)` of all blocks, from the first to the last; `initial`, if given, comes before it."""
        return blocks.reduce(self.getReader(), function, combine, rows, nbytes, **initial)

    @security.protected(View)
    def statistics(
        self,
        names: Collection[str] = ("count", "min", "max", "mean", "std"),
        axis: int | None = None,
        column: str | None = None,
        skip_nan: bool = False,
    ) -> dict[str, Any]:
        """Some of count, nan_count, min, max, mean and std, by name: of all elements, or of each column (`axis=0`).

        `column`: of records. NaN among the elements makes all NaN, unless `skip_nan`: see `blockwise.statistics`.
        """
        return statistics.statistics(self.getReader(), names, axis=axis, column=column, skip_nan=skip_nan)

    @security.protected(View)
    def histogram(
        self,
        bins: Any = 10,
        range: tuple[float, float] | None = None,
        column: str | None = None,
        skip_nan: bool = False,
    ) -> tuple[numpy.ndarray, numpy.ndarray]:
        """How many elements each bin has, and the edges of the bins, as `numpy.histogram` has them."""
        return statistics.histogram(self.getReader(), bins, range, column=column, skip_nan=skip_nan)

    @security.protected(View)
    def quantiles(
        self,
        q: float | Sequence[float],
        accuracy: float = ACCURACY,
        column: str | None = None,
        skip_nan: bool = False,
    ) -> Any:
        """The elements that shares of all others are not above, to within 1 % of their value, or another `accuracy`."""
        return quantile_sketch.quantiles(self.getReader(), q, accuracy=accuracy, column=column, skip_nan=skip_nan)

    @security.private
    def to_dask(self, chunks: Any = None) -> dask.array.Array:
        """A dask array, whose tasks read the database by themselves: `blockwise.dask_array.to_dask`.

        Not for restricted scripts: what becomes of it may run any code, and it holds the database's password.
        """
        return dask_array.to_dask(self.getReader(), chunks)

    @security.private
    def to_xarray(
        self, chunks: Any = None, dims: Sequence[Hashable] | None = None, coords: Mapping[Any, Any] | None = None
    ) -> xarray.DataArray | xarray.Dataset:
        """The same as xarray has it, under the document's reference, with what it tells of itself as attributes.

        `dims` are names for the axes. Of records each column is a variable of a Dataset.
        """
        return dask_array.to_xarray(
            self.getReader(), chunks, dims=dims, coords=coords, name=self.getReference(), attrs=self._told()
        )

    def _told(self) -> dict[str, Any]:
        """What it tells of itself, in words that CF conventions and xarray know, and of what it was imported from."""
        known = {
            "reference": self.getReference(),
            "long_name": self.getTitle(),
            "description": self.getDescription(),
            **(getattr(aq_base(self), "provenance", None) or {}),
        }
        return {name: value for name, value in known.items() if value not in (None, "")}


def all_shown(document: ArrayDocument, within: tuple[ArrayDocument, ...] = ()) -> list[ArrayDocument]:
    """The documents that one shows, and those that they show, each behind what shows it.

    Conflict: one of them shows itself, or so many are within one another that it can't be told.
    """
    within = (*within, document)
    found = []
    for each in document.shown():
        if len(within) > DEPTH or any(aq_base(each) is aq_base(outer) for outer in within):
            raise Conflict(f"{name_of(each)} shows itself, or more than {DEPTH} others that are within one another.")
        found += [each, *all_shown(each, within)]
    return found


def _writable(out: Any) -> Any:
    """What is written to, of a Data Array or an array in memory. NotAuthorised, BadInput: it may not be."""
    if isinstance(out, (numpy.ndarray, Array, MemoryArray, ZBigArray)):
        return out
    if not isinstance(out, ArrayDocument):  # items of anything else a script may not be allowed to assign to
        raise BadInput(f"Blocks are written to a Data Array or an ndarray, and not to a {type(out).__name__}.")
    reader = out.getReader()
    if isinstance(reader, ArrayReader):
        raise BadInput(f"{name_of(out)} is a window on other arrays, and only read: give a Data Array.")
    if not may_write(out):
        raise NotAuthorised(f"You may not write to {name_of(out)}: ask its owner for the permission to push to it.")
    return reader


def may_write(document: Any) -> bool:
    """Whether the current user may write to a document's array."""
    return bool(getSecurityManager().checkPermission(PushData, document))


def may_map() -> bool:
    """Whether who asks for an array may get one that is mapped: trusted code may, and scripts may not.

    Where the database fails while a page is loaded the process ends, and with it a server that others use.
    """
    return not getSecurityManager().calledByExecutable()


def mapped(array: ZBigArray) -> numpy.ndarray:
    """All of an array as one view of its mapping, which takes addresses and no memory until it is touched."""
    view: numpy.ndarray = array[:]
    return view
