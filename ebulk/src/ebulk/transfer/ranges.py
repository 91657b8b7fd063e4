"""Ranges of a file's bytes: pairs `(start, stop)`, half open, ascending, with gaps between them."""

from __future__ import annotations

from ebulk.model import Ranges


def size_of(ranges: Ranges) -> int:
    """How many bytes there are in ranges."""
    return sum(stop - start for start, stop in ranges)


def beyond(ranges: Ranges, offset: int) -> Ranges | None:
    """What is left of ranges from an offset that is in one of them; None for one that is in none."""
    for number, (start, stop) in enumerate(ranges):
        if start <= offset < stop:
            return ((offset, stop), *ranges[number + 1 :])
    return None


def before(ranges: Ranges, offset: int) -> Ranges:
    """What there is of ranges in front of an offset."""
    return tuple((start, min(stop, offset)) for start, stop in ranges if start < offset)


def merged(ranges: Ranges, most: int) -> Ranges:
    """Ranges that cover these, at most so many: those with the smallest gaps between them become one."""
    if len(ranges) <= most:
        return ranges
    by_gap = sorted(range(1, len(ranges)), key=lambda number: ranges[number][0] - ranges[number - 1][1])
    firsts = sorted([0, *by_gap[len(ranges) - most :]])
    lasts = [first - 1 for first in firsts[1:]] + [len(ranges) - 1]
    return tuple((ranges[first][0], ranges[last][1]) for first, last in zip(firsts, lasts, strict=True))
