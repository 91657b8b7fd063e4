"""What the peers of `python -m bench arrays` do, and how it is timed: the same work, whoever keeps the array.

Imported by two Pythons, the server's and that of the peers (`bench.array_peers`), so it needs NumPy alone.
"""

from __future__ import annotations

import json
import math
import os
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy

MIB = 1 << 20

BLOCK = 16 * MIB
"""Bytes of an append, and of what is read at a time."""

SLICE = 64 << 10
"""Bytes of a random read."""

READS = 1000

DTYPE = numpy.dtype("<f8")


def blocks(size: int) -> Iterator[numpy.ndarray]:
    """`size` bytes of float64, a normal distribution whose mean drifts; the last block may be shorter."""
    for start in range(0, size, BLOCK):
        generator = numpy.random.default_rng(start)
        count = min(BLOCK, size - start) // DTYPE.itemsize
        yield generator.random(count) + start / size


def appended(size: int) -> Iterator[numpy.ndarray]:
    """As many blocks, of four that take turns: making new ones would be part of what is timed."""
    some = list(blocks(4 * BLOCK))
    for number in range(size // BLOCK):
        yield some[number % len(some)]


def mean_and_std(pieces: Iterable[numpy.ndarray]) -> tuple[float, float]:
    """Of all elements, in one pass: the mean of each piece and its sum of squares around it, combined as Chan, Golub
    and LeVeque do (1979). The sum of squares itself would be quicker to add up, and wrong where the mean is large.
    """
    count, mean, squares = 0, 0.0, 0.0
    for piece in pieces:
        here = float(piece.mean())
        apart = piece - here
        delta, total = here - mean, count + piece.size
        squares += float(numpy.dot(apart, apart)) + delta * delta * count * piece.size / total
        mean += delta * piece.size / total
        count = total
    return mean, math.sqrt(squares / count)


def read_at_random(read: Callable[[int, int], numpy.ndarray], length: int) -> float:
    """Read READS slices by `read(start, stop)`; return a sum of what was read, to compare it."""
    elements = SLICE // DTYPE.itemsize
    starts = numpy.random.default_rng(6).integers(0, length - elements, READS)
    return float(sum(float(read(start, start + elements)[::512].sum()) for start in starts.tolist()))


def timed(function: Callable[[], Any]) -> None:
    """Call it and print {"seconds": wall time, "result": what it returned} as the last line of standard output."""
    begin = time.perf_counter()
    result = function()
    seconds = time.perf_counter() - begin
    print(json.dumps({"seconds": seconds, "result": result}), file=sys.stdout, flush=True)


def sync(path: Path) -> None:
    """Wait until a file, or the names in a folder, are on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
