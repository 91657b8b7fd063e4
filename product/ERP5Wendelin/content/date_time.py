"""Times as agents send them, as numpy has them: in UTC, in the precision in which they came.

fluentd's EventTime is an extension type of MessagePack, 0: seconds and nanoseconds since 1970, both 32 bits, unsigned
and big-endian (Forward Protocol Specification v1). MessagePack has a type for times of its own since 2017, which its
decoder makes a Timestamp.
"""

from __future__ import annotations

import math
import re
import struct
from collections.abc import Callable
from datetime import datetime, timezone
from numbers import Integral, Real
from typing import Any

import msgpack
import numpy

from Products.ERP5Wendelin.errors import BadInput

EVENT_TIME = 0
"""The code of fluentd's extension type."""

NANOSECONDS = 1_000_000_000

ISO_8601 = re.compile(
    r"(\d{4}-\d\d-\d\d(?:[T ]\d\d:\d\d(?::\d\d(?:\.\d{1,9})?)?)?)(?:[Zz]|([+-])(\d\d):?(\d\d))?", re.ASCII
)
"""A date, or date and time with a time zone or none: as RFC 3339 has them, to the nanosecond."""

MICROSECONDS_LENGTH = len("2026-01-01T00:00:00.000000")


def date_time(value: Any) -> numpy.datetime64:
    """A numpy.datetime64 of what an agent sent for a time. BadInput for anything else.

    Whole seconds are kept as such ('s'), an EventTime and a Timestamp to the nanosecond ('ns'), a float and a datetime
    to the microsecond ('us'), text in ISO 8601 as it is written. Where there is no time zone, it is UTC.
    """
    if isinstance(value, numpy.datetime64):
        return value
    if isinstance(value, msgpack.ExtType):
        return _event_time(value)
    if isinstance(value, msgpack.Timestamp):
        return _nanoseconds(value.seconds, value.nanoseconds)
    if isinstance(value, str):
        return _parsed(value)
    if isinstance(value, datetime):
        utc = value if value.tzinfo is None else value.astimezone(timezone.utc).replace(tzinfo=None)
        return numpy.datetime64(utc, "us")
    if not isinstance(value, bool) and isinstance(value, Real):
        if isinstance(value, Integral):
            return _in_range(value, lambda: numpy.datetime64(int(value), "s"))
        if math.isfinite(value):
            return _in_range(value, lambda: numpy.datetime64(round(float(value) * 1_000_000), "us"))
    raise _no_time(value)


def nanoseconds(time: numpy.datetime64) -> int:
    """Nanoseconds since 1970. BadInput where 64 bits do not reach, before 1678 and after 2261: numpy would not tell."""
    year = int(time.astype("datetime64[Y]").astype("int64")) + 1970
    if not 1678 <= year < 2262:
        raise _no_time(time)
    return int(time.astype("datetime64[ns]").astype("int64"))


def _event_time(value: msgpack.ExtType) -> numpy.datetime64:
    if value.code != EVENT_TIME or len(value.data) != 8:
        raise _no_time(value)
    seconds, nanoseconds = struct.unpack(">II", value.data)
    if nanoseconds >= NANOSECONDS:
        raise _no_time(value)
    return _nanoseconds(seconds, nanoseconds)


def _nanoseconds(seconds: int, nanoseconds: int) -> numpy.datetime64:
    return _in_range(seconds, lambda: numpy.datetime64(seconds * NANOSECONDS + nanoseconds, "ns"))


def _parsed(text: str) -> numpy.datetime64:
    found = ISO_8601.fullmatch(text.strip())
    if found is None:
        raise _no_time(text)
    local, sign, hours, minutes = found.groups()
    if len(local) > MICROSECONDS_LENGTH and not 1678 <= int(local[:4]) < 2262:
        raise _no_time(text)  # nanoseconds in 64 bits reach no further, and numpy would not tell
    try:
        time = numpy.datetime64(local)
    except ValueError:
        raise _no_time(text) from None
    if sign is None:
        return time
    offset = numpy.timedelta64(int(hours) * 60 + int(minutes), "m")
    return time - offset if sign == "+" else time + offset


def _in_range(value: Any, make: Callable[[], numpy.datetime64]) -> numpy.datetime64:
    try:
        return make()
    except OverflowError:
        raise _no_time(value) from None


def _no_time(value: Any) -> BadInput:
    return BadInput(
        f"{value!r} is no time: it is a number of seconds since 1970, text in ISO 8601, or fluentd's EventTime."
    )
