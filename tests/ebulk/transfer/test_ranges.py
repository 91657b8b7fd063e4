"""Ranges of bytes are cut and made one without losing a byte."""

from __future__ import annotations

import random
from itertools import pairwise

import pytest

from ebulk.transfer.ranges import before, beyond, merged, size_of

RANGES = ((0, 10), (20, 30), (50, 55))


def test_size_is_that_of_all_ranges():
    assert size_of(RANGES) == 25
    assert size_of(()) == 0


@pytest.mark.parametrize(
    ("offset", "left"),
    [
        (0, RANGES),
        (5, ((5, 10), (20, 30), (50, 55))),
        (20, ((20, 30), (50, 55))),
        (54, ((54, 55),)),
        (10, None),
        (19, None),
        (55, None),
    ],
)
def test_what_is_left_begins_in_a_range(offset, left):
    assert beyond(RANGES, offset) == left


@pytest.mark.parametrize(
    ("offset", "there"), [(0, ()), (5, ((0, 5),)), (10, ((0, 10),)), (25, ((0, 10), (20, 25))), (99, RANGES)]
)
def test_what_is_in_front_ends_at_the_offset(offset, there):
    assert before(RANGES, offset) == there


@pytest.mark.parametrize(("most", "expected"), [(3, RANGES), (2, ((0, 30), (50, 55))), (1, ((0, 55),))])
def test_smallest_gaps_are_closed_first(most, expected):
    assert merged(RANGES, most) == expected


def test_many_ranges_become_few_that_cover_them():
    random.seed(5)
    edges = sorted(random.sample(range(10**6), 2000))
    ranges = tuple(zip(edges[::2], edges[1::2], strict=True))
    few = merged(ranges, 256)
    assert len(few) == 256
    assert all(stop < start for (_, stop), (start, _) in pairwise(few))
    assert all(any(first <= start and stop <= last for first, last in few) for start, stop in ranges)
