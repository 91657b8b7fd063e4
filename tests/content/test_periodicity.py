from __future__ import annotations

from datetime import datetime, timedelta, timezone

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from Products.ERP5Wendelin.content.periodicity import WEEK_DAYS, Periodicity, next_date


def utc(*parts: int) -> datetime:
    return datetime(*parts, tzinfo=timezone.utc)


START = utc(2026, 1, 1, 3, 10)  # a Thursday


@pytest.mark.parametrize(
    ("conditions", "after", "expected"),
    [
        ({}, utc(2026, 5, 5, 12, 0), utc(2026, 5, 5, 12, 10)),
        ({}, utc(2025, 5, 5), START),
        ({"minute_frequency": 15}, utc(2026, 5, 5, 12, 0), utc(2026, 5, 5, 12, 15)),
        ({"minute_frequency": 15}, utc(2026, 5, 5, 12, 14, 59), utc(2026, 5, 5, 12, 15)),
        ({"minute_frequency": 15}, utc(2026, 12, 31, 23, 50), utc(2027, 1, 1, 0, 0)),
        ({"minute_frequency": 1}, utc(2026, 5, 5, 12, 0), utc(2026, 5, 5, 12, 1)),
        ({"minute": (5, 40), "hour": (8, 20)}, utc(2026, 5, 5, 8, 5), utc(2026, 5, 5, 8, 40)),
        ({"minute": (5, 40), "hour": (8, 20)}, utc(2026, 5, 5, 8, 40), utc(2026, 5, 5, 20, 5)),
        ({"minute": (5, 40), "hour": (8, 20)}, utc(2026, 5, 5, 20, 40), utc(2026, 5, 6, 8, 5)),
        ({"hour_frequency": 6}, utc(2026, 5, 5, 6, 10), utc(2026, 5, 5, 12, 10)),
        ({"minute": (0,), "minute_frequency": 7, "hour": (2,)}, utc(2026, 5, 5, 2, 0), utc(2026, 5, 6, 2, 0)),
        ({"hour": (3,), "day_frequency": 3}, utc(2026, 1, 1, 3, 10), utc(2026, 1, 4, 3, 10)),
        # counted from the start, not from New Year: 2 January 2027 is the 366th day after it
        ({"hour": (3,), "day_frequency": 3}, utc(2026, 12, 30, 3, 10), utc(2027, 1, 2, 3, 10)),
        ({"hour": (3,), "week_day": ("Monday", "Sunday")}, utc(2026, 1, 1, 4), utc(2026, 1, 4, 3, 10)),
        ({"hour": (3,), "week_day": ("Tuesday",), "week_frequency": 2}, utc(2026, 1, 1, 4), utc(2026, 1, 13, 3, 10)),
        ({"hour": (3,), "week": (53,)}, utc(2026, 1, 1, 4), utc(2026, 12, 28, 3, 10)),
        ({"hour": (3,), "month_day": (31,)}, utc(2026, 4, 1), utc(2026, 5, 31, 3, 10)),
        ({"hour": (3,), "month": (2,), "month_day": (29,)}, utc(2026, 1, 1, 4), utc(2028, 2, 29, 3, 10)),
        ({"hour": (3,), "month_day": (1,), "month_frequency": 5}, utc(2026, 9, 1), utc(2026, 11, 1, 3, 10)),
        ({"hour": (3,), "month_day": (1,), "month_frequency": 3}, utc(2026, 11, 1), utc(2027, 1, 1, 3, 10)),
        # both at once, which comes about once in 28 years
        (
            {"hour": (3,), "month": (2,), "month_day": (29,), "week_day": ("Sunday",)},
            utc(2026, 1, 1, 4),
            utc(2032, 2, 29, 3, 10),
        ),
        ({"month": (2,), "month_day": (30,)}, utc(2026, 1, 1, 4), None),
        ({"minute": (1,), "minute_frequency": 2}, utc(2026, 1, 1, 4), None),
        ({"stop": utc(2026, 5, 5, 12, 10)}, utc(2026, 5, 5, 12, 0), utc(2026, 5, 5, 12, 10)),
        ({"stop": utc(2026, 5, 5, 12, 9)}, utc(2026, 5, 5, 12, 0), None),
        ({"stop": utc(2026, 1, 1, 3, 9)}, utc(2025, 1, 1), None),
    ],
)
def test_next_date_is_the_first_that_meets_all_conditions(conditions, after, expected):
    assert next_date(Periodicity(START, **conditions), after) == expected


def test_without_a_start_there_is_no_date():
    assert next_date(Periodicity(None, minute_frequency=1), START) is None


def test_seconds_of_the_start_put_the_first_date_into_the_next_minute():
    assert next_date(Periodicity(START + timedelta(seconds=1)), START - timedelta(days=1)) == utc(2026, 1, 1, 3, 11)


def test_other_time_zones_are_the_same_points_in_time():
    zone = timezone(timedelta(hours=5, minutes=30))
    assert next_date(Periodicity(START.astimezone(zone)), START.astimezone(zone)) == utc(2026, 1, 1, 4, 10)


def some(low: int, high: int) -> st.SearchStrategy[tuple[int, ...]]:
    return st.lists(st.integers(low, high), max_size=3).map(tuple)


moments = st.datetimes(datetime(2026, 1, 1), datetime(2026, 1, 4), timezones=st.just(timezone.utc))


@settings(deadline=None)
@given(
    start=moments,
    after=moments,
    minute=some(0, 59),
    minute_frequency=st.none() | st.integers(1, 59),
    hour=some(0, 23),
    hour_frequency=st.none() | st.integers(1, 23),
    week_day=st.lists(st.sampled_from(WEEK_DAYS), max_size=4).map(tuple),
    month_day=some(1, 6),
    day_frequency=st.none() | st.integers(1, 3),
)
def test_next_date_is_that_which_a_look_at_every_minute_finds(start, after, **conditions):
    """A plain reading of the conditions, for one minute after the other, of three days."""
    periodicity = Periodicity(start, **conditions)

    def meets(time: datetime) -> bool:
        first_minute = (start + timedelta(minutes=1, microseconds=-1)).minute
        default = () if conditions["minute_frequency"] else (first_minute,)
        return (
            start <= time
            and after < time
            and time.minute in (conditions["minute"] or default or range(60))
            and time.minute % (conditions["minute_frequency"] or 1) == 0
            and time.hour in (conditions["hour"] or range(24))
            and time.hour % (conditions["hour_frequency"] or 1) == 0
            and WEEK_DAYS[time.weekday()] in (conditions["week_day"] or WEEK_DAYS)
            and time.day in (conditions["month_day"] or range(1, 32))
            and (time.date() - start.date()).days % (conditions["day_frequency"] or 1) == 0
        )

    first, found = utc(2026, 1, 1), next_date(periodicity, after)
    minutes = (first + timedelta(minutes=number) for number in range(3 * 24 * 60))
    expected = next((minute for minute in minutes if meets(minute)), None)
    assert found == expected or (expected is None and found >= utc(2026, 1, 4))
