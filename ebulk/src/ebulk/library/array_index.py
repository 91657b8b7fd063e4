"""What selects elements of an array: integers, slices and `...`, as NumPy's basic indexing has them."""

from __future__ import annotations

import operator
from collections.abc import Iterator
from dataclasses import dataclass
from math import prod
from types import EllipsisType
from typing import Any, TypeAlias

Index: TypeAlias = int | slice | EllipsisType | tuple[int | slice | EllipsisType, ...]


@dataclass(frozen=True, slots=True)
class Selected:
    """The elements at a product of positions: an integer, or a range with a step forward, for each axis."""

    parts: tuple[int | range, ...]
    lengths: tuple[int, ...]
    """Of the array's axes."""

    @property
    def text(self) -> str:
        """As a lake is asked for them; "" is everything."""
        texts = [_text(part, length) for part, length in zip(self.parts, self.lengths, strict=True)]
        while texts and texts[-1] == ":":
            texts.pop()
        return ",".join(texts)

    @property
    def shape(self) -> tuple[int, ...]:
        """Of what a lake then sends: integers leave no axis."""
        return tuple(len(part) for part in self.parts if isinstance(part, range))

    def cut(self, most: int) -> Iterator[tuple[Selected, tuple[slice, ...]]]:
        """Parts of them, of at most `most` elements, or of one; each with where it is in all that is selected."""
        shape = self.shape
        axis = next((each for each in range(len(shape)) if prod(shape[each + 1 :]) <= most), len(shape) - 1)
        if axis < 0:
            yield self, ()
            return
        count = max(1, most // max(1, prod(shape[axis + 1 :])))
        for position in _positions(shape[:axis]):
            for start in range(0, shape[axis], count):
                where = (*(slice(each, each + 1) for each in position), slice(start, start + count))
                where += (slice(None),) * (len(shape) - len(where))
                left = iter(where)
                parts = tuple(part[next(left)] if isinstance(part, range) else part for part in self.parts)
                yield Selected(parts, self.lengths), where


def select(index: Any, shape: tuple[int, ...]) -> tuple[Selected, tuple[slice, ...]]:
    """What an index selects; and what then puts axes with a step back into their order.

    IndexError, as NumPy's, for an index that is out of bounds, or has other parts.
    """
    parts: list[int | range] = []
    turned: list[slice] = []
    for axis, (part, length) in enumerate(zip(_parts(index, len(shape)), shape, strict=True)):
        if isinstance(part, slice):
            positions = range(length)[part]
            parts.append(positions[::-1] if positions.step < 0 else positions)
            turned.append(slice(None, None, -1 if positions.step < 0 else None))
        else:
            parts.append(_position(part, length, axis))
    return Selected(tuple(parts), shape), tuple(turned)


def _positions(shape: tuple[int, ...]) -> Iterator[tuple[int, ...]]:
    """All positions of some axes, in C order; unlike itertools.product, without a list of each axis's."""
    if not shape:
        yield ()
        return
    for first in range(shape[0]):
        for rest in _positions(shape[1:]):
            yield (first, *rest)


def _parts(index: Any, ndim: int) -> tuple[Any, ...]:
    """One part for each axis."""
    parts = index if isinstance(index, tuple) else (index,)
    at = [number for number, part in enumerate(parts) if part is Ellipsis]
    if len(at) > 1:
        raise IndexError("An index has at most one ellipsis ('...').")
    missing = ndim - len(parts) + len(at)
    if missing < 0:
        raise IndexError(f"Too many indices: the array has {ndim} axes, and {len(parts) - len(at)} were indexed.")
    front, back = (parts[: at[0]], parts[at[0] + 1 :]) if at else (parts, ())
    return (*front, *[slice(None)] * missing, *back)


def _position(part: Any, length: int, axis: int) -> int:
    try:
        if isinstance(part, bool):  # which NumPy takes for a mask
            raise TypeError
        position = operator.index(part)
    except TypeError:
        raise IndexError(
            f"An array of a lake is indexed by integers, slices and '...', not by {type(part).__name__}: "
            "read a slice, and select from that."
        ) from None
    if not -length <= position < length:
        raise IndexError(f"Index {position} is out of bounds for axis {axis} with size {length}.")
    return position % length


def _text(part: int | range, length: int) -> str:
    if isinstance(part, int):
        return str(part)
    if len(part) == length:
        return ":"
    if not part:
        return "0:0"
    step = f":{part.step}" if part.step > 1 and len(part) > 1 else ""
    return f"{part[0]}:{part[-1] + 1}{step}"
