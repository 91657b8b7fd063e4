"""Times as people write them on the command line."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ebulk.errors import UsageError
from ebulk.protocol import from_timestamp, timestamp
from ebulk.verbs.times import UNDERSTOOD, nanoseconds_of

NOW = 1_795_376_400.25  # 2026-11-22T19:40:00.25Z
SECOND = 10**9


@pytest.fixture
def berlin(monkeypatch):
    """This machine is in Berlin: an hour before UTC, in summer two."""
    monkeypatch.setenv("TZ", "Europe/Berlin")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


@pytest.mark.parametrize(
    ("text", "ago"),
    [("30s", 30), ("15m", 900), ("1h", 3600), ("2d", 172_800), ("1h30m", 5400), ("1.5h", 5400), ("0s", 0)],
)
def test_how_long_ago_counts_from_now(text, ago):
    assert nanoseconds_of(text, NOW) == 1_795_376_400_250_000_000 - ago * SECOND


@pytest.mark.parametrize(
    ("text", "exact"),
    [
        ("2026-11-22T19:40:00Z", "2026-11-22T19:40:00.000000000Z"),
        ("2026-11-22t19:40:00.123456789z", "2026-11-22T19:40:00.123456789Z"),
        ("2026-11-22 19:40:00.5+05:30", "2026-11-22T14:10:00.500000000Z"),
        ("1969-12-31T23:59:59.9-00:00", "1969-12-31T23:59:59.900000000Z"),
    ],
)
def test_a_time_with_a_zone_is_exact_anywhere(text, exact, berlin):
    assert timestamp(nanoseconds_of(text, NOW)) == exact


@pytest.mark.parametrize(
    ("text", "exact"),
    [
        ("2026-11-22", "2026-11-21T23:00:00.000000000Z"),
        ("2026-07-01", "2026-06-30T22:00:00.000000000Z"),
        ("2026-11-22T19:40", "2026-11-22T18:40:00.000000000Z"),
        ("2026-11-22 19:40:01.000000002", "2026-11-22T18:40:01.000000002Z"),
    ],
)
def test_a_day_and_a_time_without_a_zone_are_local(text, exact, berlin):
    assert timestamp(nanoseconds_of(text, NOW)) == exact


@pytest.mark.parametrize(
    "text",
    ["", "yesterday", "1", "1w", "h", "1h ago", "2026-13-01", "2026-11-22T25:00:00Z", "0001-01-01T00:00:00+01:00"],
)
def test_what_is_no_time_is_refused_with_what_is_understood(text):
    with pytest.raises(UsageError) as caught:
        nanoseconds_of(text, NOW)
    assert str(caught.value) == f"{text!r} is not understood as a time."
    assert caught.value.hint == UNDERSTOOD
    assert UNDERSTOOD == (
        "A time is 2026-11-22T19:40:00Z (RFC 3339; local time without a zone), 2026-11-22 (local midnight), "
        "or 30s, 15m, 1h or 2d ago."
    )


@given(st.integers(-(10**18), 10**19))
def test_every_time_of_a_record_comes_back(value):
    assert from_timestamp(timestamp(value)) == value


def test_digits_of_a_time_beyond_the_ninth_are_cut_off():
    assert from_timestamp("1970-01-01T00:00:01.0000000019Z") == SECOND + 1
