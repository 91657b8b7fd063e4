"""Where in a stream the events of a time are: a zone map, as of PostgreSQL's BRIN, so that hardly any of it is read.

A stream is cut into segments of about SEGMENT_SIZE bytes, or of SEGMENT_TIME. Each has a zone: from the earliest to the
latest time of its events. Whoever asks for a range of time reads the segments whose zones meet it. Since events arrive
about in the order of their times, the first of these is found by how far the times had come: a tree leads from the
latest time so far to the first segment that reached it.

Events may be late, or early, by any time, and are found: the zone of their segment is wider for it, which costs who
reads it and nobody else. A record without a time is of the time when its segment began to arrive, by the server's
clock. Bytes that are no records, or begin within one, may hold any event that is not later than their arrival.

A segment begins with a record wherever that is known, so that reading may begin there, and go on there after what can't
be read. Each commit that appends changes the one record in which the open segment is; once it is full it gets a line in
two BTrees. A terabyte has a million lines, of some 80 bytes.

State (public format): `start`, `stop`, `earliest`, `latest`, `begun`, `arrived`, `clean` of the segment that is open,
`latest_so_far` of all closed ones; `_segments` (LOBTree start -> (earliest, latest, begun, arrived)) and `_reached`
(LLBTree latest time so far -> start) of closed ones. Times are ints: nanoseconds since 1970 in UTC.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import takewhile
from typing import NamedTuple

from BTrees.LLBTree import LLBTree
from BTrees.LOBTree import LOBTree
from persistent import Persistent

from Products.ERP5Wendelin.content.date_time import NANOSECONDS
from Products.ERP5Wendelin.content.records import TIME_MAX, TIME_MIN, Buffer, Zone, zones
from Products.ERP5Wendelin.protocol import KIB, MIB, SLICE_SIZE

SEGMENT_SIZE = MIB
SEGMENT_TIME = 600 * NANOSECONDS
"""A slow stream has a segment for each ten minutes in which something came: 2.5 MB a year."""

SEGMENT_MIN = 4 * KIB
"""The least a segment has, though what follows it could be read where it can't."""

SEGMENT_MAX = SLICE_SIZE
"""The most a segment has, though none of its pieces ended with a record."""


class Segment(NamedTuple):
    """Bytes from `start` up to `stop`, their times from `earliest` to `latest`, when the first and the last arrived."""

    start: int
    stop: int
    earliest: int
    latest: int
    begun: int
    arrived: int

    def meets(self, since: int, until: int) -> bool:
        """Whether it may have an event from `since` on, before `until`."""
        return since <= self.latest and self.earliest < until


class TimeIndex(Persistent):
    """The segments of one stream."""

    def __init__(self, begun: int) -> None:
        """Make it for a stream that nothing was appended to before `begun`."""
        self._segments = LOBTree()
        self._reached = LLBTree()
        self.latest_so_far = TIME_MIN
        self.stop = 0
        self.arrived = begun
        self._open()

    def note(self, start: int, data: Buffer, arrival: int) -> None:
        """Note what was appended at an offset, and when. What was appended before it without a note may be anything."""
        arrival = max(arrival, self.arrived)  # clocks are set back
        if self.stop < start:
            self._add(Zone(start - self.stop, clean=False), self.arrived, arrival)
        for zone in zones(data):
            self._add(zone, arrival, arrival)

    def drop(self, before: int) -> None:
        """Forget the segments that begin below an offset: what is left of one does not begin with a record."""
        dropped = [segment.start for segment in takewhile(lambda segment: segment.start < before, self._closed(0))]
        for start in dropped:
            del self._segments[start]
        first = self._first()
        # The last of these stays: those that came no further than it may be behind it.
        reached = [latest for latest, _ in takewhile(lambda line: line[1] < first, self._reached.items())]
        for latest in reached[:-1]:
            del self._reached[latest]

    def find(self, since: int) -> int:
        """Where the first segment begins that may have an event from `since` on; `stop` if none may."""
        if self._reached and since <= self.latest_so_far:
            return max(int(self._reached[self._reached.minKey(since)]), self._first())
        return self.start if since <= self.latest else self.stop

    def run(self, start: int, stop: int, since: int, until: int) -> tuple[int, int] | None:
        """The first bytes within a range of offsets that lie in segments, one after the other, that meet one of times.

        What is not noted, or not yet, or not any more, meets all. None: there are none.
        """
        first = self._first()
        if start < min(first, stop):
            return start, min(first, stop)
        begin = end = max(start, self.find(since))
        for segment in self.segments(begin):
            if segment.stop <= begin:
                continue
            if segment.start >= stop:
                break
            if segment.meets(since, until):
                end = segment.stop
            elif begin < end:
                break
            else:
                begin = end = segment.stop
        else:
            end = stop
        end = min(end, stop)
        return (begin, end) if begin < end else None

    def segments(self, offset: int = 0) -> Iterator[Segment]:
        """The segments from the one on that has an offset."""
        if offset < self.start:
            yield from self._closed(offset)
        if self.start < self.stop:
            yield Segment(self.start, self.stop, self.earliest, self.latest, self.begun, self.arrived)

    def segment_at(self, offset: int) -> Segment:
        """The segment that has an offset; behind the last one a segment without an end."""
        if offset >= self.stop:
            return Segment(self.stop, TIME_MAX, TIME_MIN, TIME_MAX, self.arrived, self.arrived)
        return next(self.segments(offset))

    def border(self, offset: int) -> int | None:
        """The first offset from this one on where a segment begins; None: none does yet."""
        if offset > self.start:
            return None
        following = next(iter(self._segments.keys(offset)), None)
        return self.start if following is None else int(following)

    def beginning(self, kept: int) -> int:
        """Where the first record begins of a stream that is kept from an offset on: its head was dropped by blocks."""
        border = self.border(kept) if kept else None
        return kept if border is None else border

    def arrived_before(self, time: int) -> int:
        """Up to which offset all had arrived before a time, as far as that is known of whole segments."""
        return next((segment.start for segment in self.segments() if segment.arrived >= time), self.stop)

    def _open(self) -> None:
        self.start = self.stop
        self.earliest, self.latest = TIME_MAX, TIME_MIN
        self.begun = self.arrived
        self.clean = True

    def _add(self, zone: Zone, begun: int, arrival: int) -> None:
        if self._is_full(zone, begun):
            self._close()
        if self.start == self.stop:
            self.begun = begun
        earliest, latest = zone.earliest, zone.latest
        if zone.timeless:
            earliest, latest = min(earliest, self.begun), max(latest, self.begun)
        if not zone.clean:
            earliest, latest = TIME_MIN, max(latest, arrival)
        self.earliest, self.latest = min(self.earliest, earliest), max(self.latest, latest)
        self.clean = zone.clean
        self.stop += zone.size
        self.arrived = arrival

    def _is_full(self, zone: Zone, begun: int) -> bool:
        """Whether a zone begins a new segment."""
        size = self.stop - self.start
        if not zone.clean:
            return size >= SEGMENT_MAX
        if not self.clean:
            return size >= SEGMENT_MIN  # what comes can be read where this can't
        return size >= SEGMENT_SIZE or (size > 0 and begun - self.begun >= SEGMENT_TIME)

    def _close(self) -> None:
        self._segments[self.start] = (self.earliest, self.latest, self.begun, self.arrived)
        if self.latest > self.latest_so_far:
            self.latest_so_far = self.latest
            self._reached[self.latest] = self.start
        self._open()

    def _first(self) -> int:
        return int(self._segments.minKey()) if self._segments else self.start

    def _closed(self, offset: int) -> Iterator[Segment]:
        """The closed segments from the one on that has an offset."""
        first = self._segments.maxKey(offset) if self._segments and offset >= self._first() else self._first()
        previous = None
        for start, line in self._segments.items(first):
            if previous is not None:
                yield Segment(previous[0], start, *previous[1])
            previous = start, line
        if previous is not None:
            yield Segment(previous[0], self.start, *previous[1])
