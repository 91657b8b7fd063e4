"""When something that happens periodically is due: ERP5's periodicity, as a pure function over dates.

A periodicity has a start, and conditions on minute, hour, day, week and month. A minute is one of its dates when it
meets all the conditions that are set. All dates are aware and in UTC, so that no hour comes twice or not at all.

=============================  =======================================================================================
condition                      a date meets it when
=============================  =======================================================================================
``minute``, ``hour``           its minute or hour is among them
``minute_frequency``           its minute is a multiple of it; of these three, with neither of those about minutes set,
                               the minute is that of the start
``hour_frequency``             its hour is a multiple of it
``week_day``                   the name of its day, such as ``Monday``, is among them
``month_day``, ``month``       its day of the month, or its month, is among them
``week``                       the number of its week (ISO 8601) is among them
``day_frequency``,             so many days, weeks (from Monday) or months, or a multiple, lie between it and the start
``week_frequency``,
``month_frequency``
=============================  =======================================================================================

(ERP5 counts the last three from the beginning of each year, so that every third day has a gap of its own at New Year.)
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, datetime, timedelta, timezone
from typing import NamedTuple

WEEK_DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")

HORIZON = timedelta(days=366 * 28)
"""How far a date is looked for: in 28 years a day of the month has met all days of the week, 29 February too."""

_DAY = timedelta(days=1)


class Periodicity(NamedTuple):
    """A schedule; see the module. What is empty, None or 0 is no condition."""

    start: datetime | None
    """No date is before it. None: there are no dates at all."""
    stop: datetime | None = None
    """No date is after it."""
    minute: tuple[int, ...] = ()
    minute_frequency: int | None = None
    hour: tuple[int, ...] = ()
    hour_frequency: int | None = None
    day_frequency: int | None = None
    week_day: tuple[str, ...] = ()
    week: tuple[int, ...] = ()
    week_frequency: int | None = None
    month_day: tuple[int, ...] = ()
    month: tuple[int, ...] = ()
    month_frequency: int | None = None


def next_date(periodicity: Periodicity, after: datetime) -> datetime | None:
    """The first date of a periodicity that is later than `after`, to the minute; None if there is none."""
    start, stop = periodicity.start, periodicity.stop
    if start is None:
        return None
    times = _times(periodicity, start)
    first = max(_next_minute(after), _whole_minute(start))
    for day in _days(periodicity, start.date(), first.date()):
        for hour, minute in times:
            found = datetime(day.year, day.month, day.day, hour, minute, tzinfo=timezone.utc)
            if stop is not None and found > stop:
                return None
            if found >= first:
                return found
    return None


def _next_minute(time: datetime) -> datetime:
    """The first whole minute later than a time."""
    return time.astimezone(timezone.utc).replace(second=0, microsecond=0) + timedelta(minutes=1)


def _whole_minute(time: datetime) -> datetime:
    """The first whole minute that is not before a time."""
    return _next_minute(time - timedelta(microseconds=1))


def _times(periodicity: Periodicity, start: datetime) -> list[tuple[int, int]]:
    """The times of the day, ascending, as (hour, minute)."""
    minutes = periodicity.minute
    if not minutes and not periodicity.minute_frequency:
        minutes = (_whole_minute(start).minute,)
    return [
        (hour, minute)
        for hour in range(24)
        if _among(hour, periodicity.hour) and _multiple(hour, periodicity.hour_frequency)
        for minute in range(60)
        if _among(minute, minutes) and _multiple(minute, periodicity.minute_frequency)
    ]


def _days(periodicity: Periodicity, start: date, first: date) -> Iterator[date]:
    """The days that meet the conditions on days, weeks and months, from `first` on."""
    for number in range(HORIZON // _DAY):
        day = first + number * _DAY
        if (
            _among(day.month, periodicity.month)
            and _among(day.day, periodicity.month_day)
            and _among(WEEK_DAYS[day.weekday()], periodicity.week_day)
            and _among(day.isocalendar().week, periodicity.week)
            and _multiple((day - start).days, periodicity.day_frequency)
            and _multiple((_monday(day) - _monday(start)).days // 7, periodicity.week_frequency)
            and _multiple(12 * (day.year - start.year) + day.month - start.month, periodicity.month_frequency)
        ):
            yield day


def _monday(day: date) -> date:
    """The Monday of a day's week."""
    return day - day.weekday() * _DAY


def _among(value: int | str, values: tuple[int | str, ...]) -> bool:
    return not values or value in values


def _multiple(value: int, frequency: int | None) -> bool:
    return not frequency or value % frequency == 0
