"""Entries of the Forward protocol, and streams of them."""

from __future__ import annotations

import struct
from typing import Any

import msgpack
import numpy

from Products.ERP5Wendelin.content.records import Batch

SECOND = 1_000_000_000
NOON = 1_795_348_800 * SECOND
"""2026-11-22T12:00:00Z"""


def event(time: int, record: Any) -> bytes:
    """An entry with an EventTime."""
    return b"\x92\xd7\x00" + struct.pack(">II", *divmod(time, SECOND)) + msgpack.packb(record)


def events(count: int, start: int = NOON, every: int = SECOND, first: int = 0, size: int = 0) -> bytes:
    """Entries of numbered records, one `every` so many nanoseconds, padded by some bytes."""
    pad = {"pad": "x" * size} if size else {}
    return b"".join(event(start + number * every, {"n": first + number, **pad}) for number in range(count))


def batch_of(*values: Any) -> Batch:
    """Records that say this, of ten bytes each, one a nanosecond from noon on."""
    places = numpy.arange(len(values))
    return Batch(NOON + places, places * 10, places * 10 + 10, list(values), memoryview(b""), 0)
