"""A record and its time as bytes: an entry of the Forward protocol, or a line of JSON.

::

    MessagePack   [EventTime, record]; a Timestamp where an EventTime, 32 bits of seconds from 1970 on, does not reach
    JSON          {"time": "2026-11-22T19:40:00.123456789Z", "record": {…}} and a line feed

What a record has and the format has not is replaced. In JSON, NaN and the infinities are null, bytes are text, times
are as above, and keys are text; in MessagePack, integers of more than 64 bits are floats, infinite ones of more than
1024, and halves of characters are question marks. What is nested deeper than DEPTH is left out, for both encoders would
fail on it.
"""

from __future__ import annotations

import json
import math
import struct
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import msgpack
import numpy

from Products.ERP5Wendelin.content.date_time import EVENT_TIME, NANOSECONDS
from Products.ERP5Wendelin.content.records import Batch, Buffer, time_of
from Products.ERP5Wendelin.protocol import KIB

DEPTH = 200

PIECE_SIZE = 256 * KIB

_encode = json.JSONEncoder(ensure_ascii=False, check_circular=False, allow_nan=False, separators=(",", ":")).encode


def entries(batches: Iterable[Batch]) -> Iterator[bytes]:
    """Entries of records, in pieces; those that were not decoded are as they came."""
    return _together(part for batch in batches for part in _entries(batch))


def lines(batches: Iterable[Batch]) -> Iterator[bytes]:
    """Lines of records, in pieces."""
    return _together(_lines(batch) for batch in batches)


def entry(time: int, record: Any) -> bytes:
    """An entry of the Forward protocol."""
    return b"\x92" + _packed_time(time) + packed(record)


def packed(record: Any) -> bytes:
    """A record in MessagePack."""
    try:
        return _pack(record)
    except (OverflowError, ValueError, TypeError):
        return _pack(_replaced(record, _packable, _packable, DEPTH))


def line(time: int, record: Any) -> bytes:
    """A line of JSON."""
    return _encoded(_line(rfc_3339(time), record))


def rfc_3339(time: int) -> str:
    """A time to the nanosecond, in UTC."""
    return f"{numpy.datetime64(time, 'ns')}Z"


def _entries(batch: Batch) -> Iterable[Buffer]:
    return batch.parts() if batch.values is None else map(entry, batch.times.tolist(), batch.values)


def _lines(batch: Batch) -> bytes:
    times = numpy.datetime_as_string(batch.times.astype("M8[ns]"), timezone="UTC").tolist()
    return _encoded("".join(map(_line, times, batch.values or ())))


def _line(time: str, record: Any) -> str:
    try:
        text = _encode(record)
    except (TypeError, ValueError, RecursionError):
        text = _encode(_replaced(record, _jsonable, _json_key, DEPTH))
    return f'{{"time":"{time}","record":{text}}}\n'


def _encoded(text: str) -> bytes:
    """What was not UTF-8 is surrogates, which are written as JSON's own escapes."""
    return text.encode("utf-8", "backslashreplace")


def _together(parts: Iterable[Buffer]) -> Iterator[bytes]:
    """Parts in pieces of about PIECE_SIZE."""
    pending = bytearray()
    for part in parts:
        pending += part
        if len(pending) >= PIECE_SIZE:
            yield bytes(pending)
            pending.clear()
    if pending:
        yield bytes(pending)


def _pack(value: Any) -> bytes:
    data: bytes = msgpack.packb(value, unicode_errors="surrogateescape")
    return data


def _packed_time(time: int) -> bytes:
    seconds, nanoseconds = divmod(time, NANOSECONDS)
    if 0 <= seconds < 2**32:
        return b"\xd7" + struct.pack(">BII", EVENT_TIME, seconds, nanoseconds)
    return _pack(msgpack.Timestamp(seconds, nanoseconds))


def _replaced(value: Any, leaf: Callable[[Any], Any], key: Callable[[Any], Any], depth: int) -> Any:
    """A value with what `leaf` makes of all in it that has no parts, and `key` of keys."""
    if not isinstance(value, dict | list):
        return leaf(value)
    if not depth:
        return None
    if isinstance(value, dict):
        return {key(name): _replaced(item, leaf, key, depth - 1) for name, item in value.items()}
    return [_replaced(item, leaf, key, depth - 1) for item in value]


def _json_key(value: Any) -> str:
    text = _jsonable(value)
    return text if isinstance(text, str) else json.dumps(text)


def _packable(value: Any) -> Any:
    if isinstance(value, str):
        return value if _is_packable(value) else value.encode("utf-8", "replace").decode()
    if not isinstance(value, int) or -(2**63) <= value < 2**64:
        return value
    try:
        return float(value)
    except OverflowError:
        return math.inf if value > 0 else -math.inf


def _is_packable(text: str) -> bool:
    """Whether text is UTF-8, or what else was there in its place; JSON's escapes may be halves of characters."""
    try:
        text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        return False
    return True


def _jsonable(value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, bytes):
        return value.decode("utf-8", "surrogateescape")
    if isinstance(value, msgpack.ExtType | msgpack.Timestamp):
        time = time_of(value)
        return value.data.hex() if time is None else rfc_3339(time)
    return value
