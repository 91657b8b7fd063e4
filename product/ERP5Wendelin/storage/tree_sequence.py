"""TreeSequence: a part of a BTree as a read-only sequence, of which nothing is loaded but what is asked for.

BTrees' own lazy items walk over the whole part for its length with each index and slice. Here a slice and a length walk
as far as they must and no further, over the tree's keys alone; elements are made when they are taken, one at a time.
What a walk has loaded is given back on the way.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from ..errors import BadInput

WALKED = 1000
"""How many items are walked over between two collections of the object cache: some dozens of records."""


class TreeSequence:
    """`element(key, value)` for each item of a tree within bounds, in the order of keys.

    It sees what the tree becomes, so who adds and removes while walking over it takes a list of it first.
    """

    # The elements are as safe as what made the sequence, which a script was allowed to call.
    __roles__ = None
    __allow_access_to_unprotected_subobjects__ = True

    def __init__(
        self,
        tree: Any,
        element: Callable[[Any, Any], Any],
        start: Any = None,
        stop: Any = None,
        *,
        exclude_start: bool = False,
        exclude_stop: bool = False,
        limit: int | None = None,
    ) -> None:
        """The items with keys from `start` up to and including `stop`, `limit` of them at the most."""
        self._tree = tree
        self._element = element
        self._start, self._exclude_start = start, exclude_start
        self._stop, self._exclude_stop = stop, exclude_stop
        self._limit = limit
        self._last: tuple[int, Any] | None = None
        """Position and key of the item that was taken last: the next one is found from there."""

    def __iter__(self) -> Iterator[Any]:
        """Make the elements one after the other."""
        for _, key, value in self._walk(0, self._start, self._exclude_start):
            yield self._element(key, value)

    def __len__(self) -> int:
        """How many there are: keys are counted, and no element is made."""
        return sum(1 for _ in self._walk(0, self._start, self._exclude_start))

    def __bool__(self) -> bool:
        """Whether there are any."""
        return next(self._walk(0, self._start, self._exclude_start), None) is not None

    def __getitem__(self, index: int | slice) -> Any:
        """An element, or a sequence of those in a slice; IndexError beyond its ends. BadInput: a slice with steps."""
        if isinstance(index, slice):
            return self._slice(index)
        position = index if index >= 0 else index + len(self)
        item = self._seek(position) if position >= 0 else None
        if item is None:
            raise IndexError(f"Index {index} is beyond the end of the sequence.")
        return self._element(*item)

    def _slice(self, index: slice) -> TreeSequence:
        if index.step not in (None, 1):
            raise BadInput(f"Slices of a sequence of buckets have no steps, such as {index.step}.")
        start, stop = index.start or 0, index.stop
        if start < 0 or (stop is not None and stop < 0):
            start, stop, _ = index.indices(len(self))
        first = None if start == 0 else self._seek(start)
        limit = self._limit if self._limit is None else max(0, self._limit - start)
        if stop is not None:
            limit = max(0, stop - start) if limit is None else min(limit, max(0, stop - start))
        if start and first is None:
            limit = 0
        part = TreeSequence(self._tree, self._element, self._start, self._stop, limit=limit)
        part._exclude_start, part._exclude_stop = self._exclude_start, self._exclude_stop
        if first is not None:
            part._start, part._exclude_start = first[0], False
        return part

    def _seek(self, position: int) -> tuple[Any, Any] | None:
        """Key and value at a position, or None beyond the end."""
        if self._last is not None and self._last[0] < position:
            items = self._walk(self._last[0] + 1, self._last[1], exclude_start=True)
        else:
            items = self._walk(0, self._start, self._exclude_start)
        for at, key, value in items:
            if at == position:
                self._last = at, key
                return key, value
        return None

    def _walk(self, position: int, start: Any, exclude_start: bool) -> Iterator[tuple[int, Any, Any]]:
        """(position, key, value) of the items from a key on."""
        if self._limit is not None and position >= self._limit:
            return
        connection = self._tree._p_jar
        for key, value in self._tree.iteritems(start, self._stop, exclude_start, self._exclude_stop):
            yield position, key, value
            position += 1
            if position == self._limit:
                return
            if connection is not None and position % WALKED == 0:
                connection.cacheGC()
