"""Basic indices of arrays as text: `0:100,::2`, as NumPy has it within brackets.

What Data Array Lines keep as their `index_expression`, and URLs and commands take as a slice. It is parsed, never
evaluated. A part is an integer, a slice `start:stop:step` of integers that may be missing, or `...`; no text at all is
everything. Nothing is known of an array here: whether an index fits one is told where it is read.
"""

from __future__ import annotations

import re
from types import EllipsisType

from .. import errors

Part = int | slice | EllipsisType
Index = tuple[Part, ...]

MOST_PARTS = 32
"""NumPy's arrays have at most as many axes."""

_NUMBER = re.compile(r"[+-]?[0-9]{1,18}")
"""Of no more digits than 64 bits hold for certain."""


def parse(text: str) -> Index:
    """The index that a text stands for. BadInput says which part is none."""
    if not text.strip():
        return ()
    parts = [part.strip() for part in text.split(",")]
    if len(parts) > MOST_PARTS:
        raise errors.BadInput(f"The slice has {len(parts)} parts: no array has more than {MOST_PARTS} axes.")
    index = tuple(_part(part) for part in parts)
    if index.count(...) > 1:
        raise errors.BadInput(
            f"The slice {text.strip()[:100]!r} has '...' more than once: it stands for all other axes."
        )
    return index


def text_of(index: Index) -> str:
    """The text that `parse` makes an index of, without spaces."""
    return ",".join(_text_of_part(part) for part in index)


def _part(text: str) -> Part:
    if text == "...":
        return ...
    # told apart without a pattern for all of it: one that allows spaces between takes time by their number's square
    numbers = [number.strip() for number in text.split(":")]
    if not text or len(numbers) > 3 or not all(number == "" or _NUMBER.fullmatch(number) for number in numbers):
        raise errors.BadInput(
            f"{text[:100]!r} is no part of a slice: write an integer, start:stop, start:stop:step or '...', with "
            "commas between the axes, as in 0:100,::2."
        )
    values = [int(number) if number else None for number in numbers]
    if len(values) == 1:
        return int(text)
    if values[2:] == [0]:
        raise errors.BadInput(f"The part {text[:100]!r} of a slice has a step of 0: take 1 or more, or less than 0.")
    return slice(*values)


def _text_of_part(part: Part) -> str:
    if part is ...:
        return "..."
    if not isinstance(part, slice):
        return str(part)
    numbers = [part.start, part.stop] if part.step is None else [part.start, part.stop, part.step]
    return ":".join("" if number is None else str(number) for number in numbers)
