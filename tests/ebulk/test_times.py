"""Times on the wire are decimal seconds, exact to the nanosecond."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ebulk.protocol import nanoseconds, seconds


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "0"),
        (1_700_000_000_123_456_789, "1700000000.123456789"),
        (1_500_000_000, "1.5"),
        (10_000_000_000, "10"),
        (-500_000_000, "-0.5"),
        (-1, "-0.000000001"),
    ],
)
def test_time_is_written_and_read(value, text):
    assert seconds(value) == text
    assert nanoseconds(text) == value


@given(st.integers(-(10**23), 10**23))
def test_every_time_comes_back(value):
    assert nanoseconds(seconds(value)) == value


def test_digits_beyond_the_ninth_are_cut_off():
    assert nanoseconds("1.9999999999") == 1_999_999_999
    assert nanoseconds("1e3") == 1_000_000_000_000


@pytest.mark.parametrize("text", ["", "now", "NaN", "-Infinity", "1e15", "1e999999999", "0x10"])
def test_text_that_is_no_time_is_refused(text):
    with pytest.raises(ValueError, match="not a time"):
        nanoseconds(text)
