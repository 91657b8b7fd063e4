"""The wire's constants and its notation of times: HTTP API version 1, as `docs/protocol.rst` has them.

The server has its own copy: client and server share nothing but the wire.
"""

from __future__ import annotations

import re
from datetime import datetime, timedelta, timezone
from decimal import Decimal, InvalidOperation

API_PATH = "/api/v1"

KIB = 1024
MIB = 1024 * KIB

SMALL_FILE_SIZE = 256 * KIB
"""Files below this size, in bytes, travel in bundles."""

BUNDLE_SIZE = 8 * MIB
"""About how many content bytes the client puts into one bundle (the server takes up to 64 MiB)."""

BUNDLE_LENGTH = 2_000
"""The most files the client puts into one bundle."""

DELTA_FILE_SIZE = 8 * MIB
"""Of a file of this size that the other side has an older content of, only what differs is transferred."""

CHANGED_RANGES = 256
"""The most ranges that an upload may name as changed."""

PLAN_LENGTH = 5_000
"""How many files one plan request names (the server takes up to 10,000)."""

PLAN_SIZE = 64 * MIB
"""About how many bytes of large files the client names in one plan: what it hashes in less than a tenth of a second."""

MANIFEST_LIMIT = 10_000
"""Manifest entries asked for in one request."""

TUS_VERSION = "1.0.0"

UPLOAD_CHUNK_SIZE = 16 * MIB
"""Bytes of one PATCH, of which two are under way: what a broken connection can cost at the most."""

RAW = "raw"
STREAM_FORMATS = (RAW, "msgpack", "jsonl", "npy")
"""Of a stream: its bytes as they came; entries `[time, record]`; a line of JSON a record; a structured array of NumPy.
"""

NANOSECONDS = 1_000_000_000
TIME_DIGITS = 15
"""Digits before the point beyond which a time is taken for nonsense: 31 million years."""


def seconds(nanoseconds: int) -> str:
    """A time in nanoseconds as the wire writes it: decimal seconds, exact (`1700000000.123456789`)."""
    whole, fraction = divmod(abs(nanoseconds), NANOSECONDS)
    text = f"{whole}.{fraction:09d}".rstrip("0").rstrip(".") if fraction else str(whole)
    return f"-{text}" if nanoseconds < 0 else text


def nanoseconds(text: str) -> int:
    """The reverse of `seconds`; digits beyond the ninth are cut off. ValueError when `text` is no time.

    A lake may send any number: `1e999999999` must not become an integer of a gigabyte.
    """
    try:
        value = Decimal(text)
    except InvalidOperation:
        raise ValueError(f"not a time: {text}") from None
    if not value.is_finite() or value.adjusted() >= TIME_DIGITS:
        raise ValueError(f"not a time: {text}")
    return int(value.scaleb(9))


EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
_RFC_3339 = re.compile(r"(\d{4}-\d\d-\d\d)[Tt ](\d\d:\d\d:\d\d)(?:\.(\d+))?([Zz]|[+-]\d\d:\d\d)", re.ASCII)


def timestamp(nanoseconds: int) -> str:
    """A time in nanoseconds since the epoch as streams have it: `2026-11-22T19:40:00.123456789Z` (RFC 3339, UTC)."""
    whole, fraction = divmod(nanoseconds, NANOSECONDS)
    return f"{(EPOCH + timedelta(seconds=whole)).isoformat()[:19]}.{fraction:09d}Z"


def from_timestamp(text: str) -> int:
    """The reverse of `timestamp`, for all times of RFC 3339, cut off after the ninth digit. ValueError for others."""
    found = _RFC_3339.fullmatch(text)
    if found is None:
        raise ValueError(f"not a time of RFC 3339: {text}")
    date, time, fraction, zone = found.groups()
    try:
        moment = datetime.fromisoformat(f"{date}T{time}{'+00:00' if zone in 'Zz' else zone}").astimezone(timezone.utc)
    except OverflowError:  # before the year 1, or after 9999, once it is in UTC
        raise ValueError(f"not a time of RFC 3339: {text}") from None
    return (moment - EPOCH) // timedelta(seconds=1) * NANOSECONDS + int((fraction or "")[:9].ljust(9, "0"))
