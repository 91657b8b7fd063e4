"""The records of a range of time, found by an index and read from whatever gives the stream's bytes.

What can't be read is an error, or, for who asks for it, a gap: reading goes on where the next segment begins.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple, Protocol

import numpy
from DateTime import DateTime

from Products.ERP5Wendelin.content.date_time import date_time, nanoseconds
from Products.ERP5Wendelin.content.records import TIME_MAX, TIME_MIN, Batch, Buffer, batches, length_of
from Products.ERP5Wendelin.content.time_index import Segment
from Products.ERP5Wendelin.errors import BadInput, TooLarge


class Index(Protocol):
    """What is asked of a `TimeIndex`."""

    def run(self, start: int, stop: int, since: int, until: int) -> tuple[int, int] | None: ...
    def segment_at(self, offset: int) -> Segment: ...
    def border(self, offset: int) -> int | None: ...


class Wanted(NamedTuple):
    """The records within bytes `start` to `stop`, of times from `since` on, before `until`."""

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


class Finder:
    """Finds records in a stream that has a name; `read(start, stop)` gives its bytes, lazily.

    `skip` is told of each gap; without it what can't be read is an error, as `content.records` raises them.
    """

    def __init__(
        self,
        read: Callable[[int, int], Iterable[Buffer]],
        index: Index,
        name: str,
        skip: Callable[[Gap], None] | None = None,
    ) -> None:
        self.position = 0
        """Up to where all was looked at; what is wanted of the rest may be asked for later, when more is there."""
        self._read = read
        self._index = index
        self._name = name
        self._skip = skip

    def find(self, wanted: Wanted) -> Iterator[Found]:
        """The records that are wanted, in the order of their arrival."""
        for batch in self.find_batches(wanted):
            offsets = batch.starts.tolist(), batch.ends.tolist()
            for found in map(Found, batch.times.tolist(), batch.values or (), *offsets):
                self.position = found.end
                yield found

    def find_batches(self, wanted: Wanted, decode: bool = True) -> Iterator[Batch]:
        """The same, some at a time, each with a time; for `decode` see `records.Batch`."""
        self.position, stop, since, until = wanted
        while (run := self._index.run(self.position, stop, since, until)) is not None:
            self.position, end = run
            try:
                for batch in self._batches(end, stop, decode):
                    chosen = (since <= batch.times) & (batch.times < until)
                    if chosen.any():
                        yield batch.pick(chosen)
                    self.position = int(batch.ends[-1])
                if self.position < end:
                    return  # what is left is cut off, or separators
            except (BadInput, TooLarge) as error:
                self._go_on(error, end, stop)

    def _batches(self, end: int, stop: int, decode: bool) -> Iterator[Batch]:
        """All records from the position on up to the first that reaches `end`, and have ended by `stop`."""
        for batch in batches(self._read(self.position, stop), self.position, self._name, decode):
            if batch.ends[-1] >= end:
                yield self._dated(batch.pick(batch.ends <= batch.ends[numpy.searchsorted(batch.ends, end)]))
                return
            yield self._dated(batch)

    def _dated(self, batch: Batch) -> Batch:
        """The same, with the times at which their segments began to arrive for those that have none."""
        undated = numpy.flatnonzero(batch.times == TIME_MIN)
        if not len(undated):
            return batch
        times = batch.times.copy()
        while len(undated):
            segment = self._index.segment_at(int(batch.ends[undated[0]]) - 1)
            within = batch.ends[undated] <= segment.stop
            times[undated[within]] = segment.begun
            undated = undated[~within]
        return batch._replace(times=times)

    def _go_on(self, error: BadInput | TooLarge, end: int, stop: int) -> None:
        """Go on behind what can't be read, if it was wanted at all."""
        offset = error.extra["offset"]
        if offset >= end:
            self.position = end
            return
        if self._skip is None:
            raise error
        length = length_of(self._read(offset, stop)) if isinstance(error, TooLarge) else None
        border = self._index.border(offset + 1) if length is None else offset + length
        self.position = stop if border is None else min(border, stop)
        self._skip(Gap(offset, self.position, str(error)))


def moment(value: Any, default: int) -> int:
    """A bound of time, in nanoseconds: such a number, or what `date_time` takes but for numbers. BadInput: no time."""
    if value is None:
        return default
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    if isinstance(value, DateTime):
        value = value.utcdatetime()
    if isinstance(value, float):
        raise BadInput(f"{value!r} is no time here: give nanoseconds since 1970 as an int, text, or a DateTime.")
    return nanoseconds(date_time(value))
