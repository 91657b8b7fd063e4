"""Bytes of any length that any process can make again, to be written and compared without keeping them."""

from __future__ import annotations

import random

_PERIOD = random.Random(2).randbytes(1_000_003)
"""A prime length: no block begins with the bytes that another begins with."""


class Pattern:
    """A file-like source of `size` bytes of the pattern, for whom the whole would be too large for memory."""

    def __init__(self, size: int) -> None:
        self.size = size
        self.position = 0

    def read(self, size: int, /) -> bytes:
        data = pattern(self.position, min(self.size, self.position + size))
        self.position += len(data)
        return data


def pattern(start: int, stop: int) -> bytes:
    """The pattern's bytes from `start` up to `stop`."""
    begin = start % len(_PERIOD)
    length = stop - start
    return (_PERIOD * ((begin + length) // len(_PERIOD) + 1))[begin : begin + length]
