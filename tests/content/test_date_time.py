from __future__ import annotations

import struct
from datetime import datetime, timedelta, timezone

import msgpack
import numpy
import pytest

from Products.ERP5Wendelin.content.date_time import date_time
from Products.ERP5Wendelin.errors import BadInput


def event_time(seconds: int, nanoseconds: int, code: int = 0) -> msgpack.ExtType:
    return msgpack.ExtType(code, struct.pack(">II", seconds, nanoseconds))


@pytest.mark.parametrize(
    ("value", "expected", "unit"),
    [
        (1_700_000_000, "2023-11-14T22:13:20", "s"),
        (numpy.int32(-1), "1969-12-31T23:59:59", "s"),
        (1_700_000_000.25, "2023-11-14T22:13:20.250000", "us"),
        (event_time(1_700_000_000, 123_456_789), "2023-11-14T22:13:20.123456789", "ns"),
        (event_time(2**32 - 1, 0), "2106-02-07T06:28:15.000000000", "ns"),
        (msgpack.Timestamp(1_700_000_000, 5), "2023-11-14T22:13:20.000000005", "ns"),
        (datetime(2026, 5, 1, 12), "2026-05-01T12:00:00.000000", "us"),
        (datetime(2026, 5, 1, 12, tzinfo=timezone(timedelta(hours=2))), "2026-05-01T10:00:00.000000", "us"),
        (numpy.datetime64("2026-05-01", "D"), "2026-05-01", "D"),
        ("2026-05-01", "2026-05-01", "D"),
        ("2026-05-01T12:00Z", "2026-05-01T12:00", "m"),
        (" 2026-05-01 12:00:01.5+02:00\n", "2026-05-01T10:00:01.500", "ms"),
        ("2026-05-01T12:00:01.123456789-0130", "2026-05-01T13:30:01.123456789", "ns"),
    ],
)
def test_times_of_agents_are_datetime64_in_utc_in_their_own_precision(value, expected, unit):
    found = date_time(value)
    assert (str(found), numpy.datetime_data(found.dtype)[0]) == (expected, unit)


@pytest.mark.parametrize(
    "value",
    [
        *(None, True, b"2026-05-01", [], "", "now", "NaT", "2026-05", "2026-13-01", "2026-05-01T25:00"),
        *("2026-05-01T12:00+2", "9999-01-01T00:00:00.123456789", float("nan"), float("inf"), 1e300, 10**400),
        *(event_time(1, 0, code=1), event_time(1, 10**9), msgpack.ExtType(0, b"short"), msgpack.Timestamp(2**60, 0)),
    ],
    ids=repr,
)
def test_what_is_no_time_is_bad_input(value):
    with pytest.raises(BadInput) as caught:
        date_time(value)
    shown = value.seconds if isinstance(value, msgpack.Timestamp) else value
    assert str(caught.value) == (
        f"{shown!r} is no time: it is a number of seconds since 1970, text in ISO 8601, or fluentd's EventTime."
    )
