"""The records of a range of time, found by an index and read from whatever gives the stream's bytes.

What can't be read is an error, or, for who asks for it, a gap: reading goes on where the next segment begins.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple, Protocol

from DateTime import DateTime

from Products.ERP5Wendelin.content.date_time import date_time, nanoseconds
from Products.ERP5Wendelin.content.records import TIME_MAX, TIME_MIN, records
from Products.ERP5Wendelin.content.time_index import Segment
from Products.ERP5Wendelin.errors import BadInput, TooLarge


class Index(Protocol):
    """What is asked of a `TimeIndex`."""

    def run(self, start: int, stop: int, since: int, until: int) -> tuple[int, int] | None: ...
    def segment_at(self, offset: int) -> Segment: ...
    def border(self, offset: int) -> int | None: ...


class Wanted(NamedTuple):
    """The records that end within bytes `start` to `stop`, of times from `since` on, before `until`."""

    start: int
    stop: int
    since: int = TIME_MIN
    until: int = TIME_MAX


class Found(NamedTuple):
    """A record: its time in nanoseconds, what it says, and its place; separators before it belong to it."""

    time: int
    value: Any
    start: int
    end: int


class Gap(NamedTuple):
    """Bytes that are no records, and why."""

    start: int
    stop: int
    reason: str


def moment(value: Any, default: int) -> int:
    """A bound of time, in nanoseconds: such a number, or what `date_time` takes but for numbers. BadInput: no time."""
    if value is None:
        return default
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    if isinstance(value, DateTime):
        value = value.utcdatetime()
    if isinstance(value, float):
        raise BadInput(f"{value!r} is no time here: seconds are given as text, a DateTime, or int nanoseconds.")
    return nanoseconds(date_time(value))


def timed_records(
    read: Callable[[int, int], Iterable[bytes]],
    index: Index,
    wanted: Wanted,
    name: str,
    skip: Callable[[Gap], None] | None = None,
) -> Iterator[Found]:
    """Find records; `read(start, stop)` gives bytes of the stream with a name, lazily.

    `skip` is told of each gap; without it what can't be read is an error, as `content.records` raises them.
    """
    position, stop, since, until = wanted
    while (found := index.run(position, stop, since, until)) is not None:
        position, end = found
        segment = index.segment_at(position)
        try:
            for time, value, behind in records(read(position, stop), position, name):
                if time is None and behind > segment.stop:
                    segment = index.segment_at(behind - 1)
                when = segment.begun if time is None else time
                if since <= when < until:
                    yield Found(when, value, position, behind)
                position = behind
                if position >= end:
                    break
            else:
                return  # what is left is cut off, or separators
        except (BadInput, TooLarge) as error:
            offset = error.extra["offset"]
            if offset >= end:
                position = end
                continue
            if skip is None:
                raise
            border = index.border(offset + 1)
            position = stop if border is None else min(border, stop)
            skip(Gap(offset, position, str(error)))
