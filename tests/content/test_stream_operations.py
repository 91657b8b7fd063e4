"""A Data Stream against a model, through any operations on two connections: bytes, time index and ids of chunks agree.

Whatever is given up, meets another's commit, is dropped or packed.
"""

from __future__ import annotations

import pytest
import transaction
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule
from ZODB.DB import DB
from ZODB.POSException import ConflictError

from Products.ERP5Wendelin.content import recent_chunks, time_index
from Products.ERP5Wendelin.content.data_stream import DataStream
from Products.ERP5Wendelin.protocol import KIB
from Products.ERP5Wendelin.storage.block import BLOCK_SIZE
from support.streams import NOON, SECOND, event

SMALL = {
    time_index: {"SEGMENT_SIZE": 200, "SEGMENT_MIN": 60, "SEGMENT_MAX": 900},
    recent_chunks: {"NEWEST": 2, "WAITING": 6, "PAGES": 4, "GENERATION": 12},
}
"""What makes segments and pages full after a few operations."""

places = st.floats(0, 1)
"""Where in a stream something is, of all of it."""

pieces = st.lists(st.tuples(st.integers(-90, 90), st.sampled_from([0, 30, 700 * KIB])), min_size=1, max_size=4)
"""Events of a chunk: by how many seconds they are early, and their size."""


class Operations(RuleBasedStateMachine):
    """A stream, and what is to be in it."""

    def __init__(self) -> None:
        super().__init__()
        self.patch = pytest.MonkeyPatch()
        for module, sizes in SMALL.items():
            for name, value in sizes.items():
                self.patch.setattr(module, name, value)
        self.db = DB(None)
        self.connections = [self.db.open(transaction.TransactionManager()) for _ in range(2)]
        with self.connections[0].transaction_manager:
            self.connections[0].root()["log"] = DataStream("log", reference="log")
        self.data = b""
        self.events: list[tuple[int, int, int]] = []  # the times, and where they begin and end
        self.ids: list[bytes] = []
        self.start = 0
        self.count = 0

    def teardown(self) -> None:
        for connection in self.connections:
            connection.transaction_manager.abort()
            connection.close()
        self.db.close()
        self.patch.undo()

    def begin(self, number: int) -> DataStream:
        self.connections[number].transaction_manager.begin()
        return self.connections[number].root()["log"]

    def commit(self, number: int) -> None:
        self.connections[number].transaction_manager.commit()

    def abort(self, number: int) -> None:
        self.connections[number].transaction_manager.abort()

    def made(self, piece: list[tuple[int, int]]) -> tuple[bytes, list[tuple[int, int, int]], bytes]:
        """A chunk's bytes, its events, and its id."""
        data, found = b"", []
        for early, size in piece:
            self.count += 1
            time = NOON + (60 * self.count + early) * SECOND
            start = len(self.data) + len(data)
            data += event(time, {"n": self.count, "pad": "x" * size})
            found.append((time, start, len(self.data) + len(data)))
        return data, found, b"%d" % self.count

    def note(self, data: bytes, events: list[tuple[int, int, int]], id: bytes) -> None:
        self.data += data
        self.events += events
        self.ids.append(id)

    @rule(number=st.integers(0, 1), piece=pieces)
    def append(self, number: int, piece: list[tuple[int, int]]) -> None:
        chunk = self.made(piece)
        stream = self.begin(number)
        stream.appendData(chunk[0])
        stream.noteChunk(chunk[2])
        self.commit(number)
        self.note(*chunk)

    @rule(number=st.integers(0, 1), piece=pieces, place=places)
    def give_up(self, number: int, piece: list[tuple[int, int]], place: float) -> None:
        data, _, id = self.made(piece)
        stream = self.begin(number)
        stream.appendData(data)
        stream.noteChunk(id)
        stream.dropData(int(place * len(self.data)))
        self.abort(number)
        assert not stream.hasChunk(id)

    @rule(number=st.integers(0, 1), first=pieces, second=pieces)
    def append_at_the_same_time(self, number: int, first: list[tuple[int, int]], second: list[tuple[int, int]]) -> None:
        winner, loser = self.begin(number), self.begin(1 - number)
        taken, other = self.made(first), self.made(second)
        for stream, (data, _, id) in ((loser, other), (winner, taken)):
            stream.appendData(data)
            stream.noteChunk(id)
        self.commit(number)
        with pytest.raises(ConflictError):
            self.commit(1 - number)
        self.abort(1 - number)
        self.note(*taken)

    @rule(number=st.integers(0, 1), piece=pieces, place=places)
    def drop_and_append_at_the_same_time(self, number: int, piece: list[tuple[int, int]], place: float) -> None:
        dropping, appending = self.begin(number), self.begin(1 - number)
        chunk = self.made(piece)
        appending.appendData(chunk[0])
        appending.noteChunk(chunk[2])
        start = dropping.dropData(int(place * len(self.data)))
        self.commit(1 - number)
        if start == self.start:
            self.commit(number)  # nothing was there to be dropped
        else:
            with pytest.raises(ConflictError):
                self.commit(number)
            self.abort(number)
        self.note(*chunk)

    @rule(number=st.integers(0, 1), place=places)
    def drop(self, number: int, place: float) -> None:
        before = int(place * len(self.data))
        self.start = max(self.start, before // BLOCK_SIZE * BLOCK_SIZE)
        assert self.begin(number).dropData(before) == self.start
        self.commit(number)

    @rule()
    def pack(self) -> None:
        self.abort(0)
        self.abort(1)
        self.db.pack()

    @rule(number=st.integers(0, 1))
    def forget(self, number: int) -> None:
        self.begin(number)
        self.connections[number].cacheMinimize()

    @invariant()
    def bytes_are_those_that_were_committed(self) -> None:
        for number in range(2):
            stream = self.begin(number)
            assert (stream.getStartOffset(), stream.getSize()) == (self.start, len(self.data))
            assert stream.getData() == self.data[self.start :]

    @invariant()
    def records_are_found_by_their_times(self) -> None:
        stream = self.begin(0)
        first = stream.getTimeIndex().beginning(self.start)
        kept = [(time, end) for time, start, end in self.events if start >= first]
        assert first - self.start < 800 * KIB  # no more is passed over than what the drop has cut
        assert [(time, end) for time, _, end in stream.iterateRecords()] == kept
        since, until = NOON + 60 * self.count // 3 * SECOND, NOON + 60 * self.count // 2 * SECOND
        assert [(time, end) for time, _, end in stream.iterateRecords(since, until)] == [
            (time, end) for time, end in kept if since <= time < until
        ]

    @invariant()
    def segments_lie_one_behind_the_other_up_to_the_end(self) -> None:
        segments = list(self.begin(1).getTimeIndex().segments())
        stops = [segment.stop for segment in segments]
        assert [segment.start for segment in segments[1:]] == stops[:-1]
        assert not self.data or stops[-1] == len(self.data)

    @invariant()
    def the_last_chunks_are_known_again(self) -> None:
        stream = self.begin(1)
        assert all(stream.hasChunk(id) for id in self.ids[-12:])
        assert not stream.hasChunk(b"another")


TestOperations = Operations.TestCase
TestOperations.settings = settings(TestOperations.settings, max_examples=20, stateful_step_count=25, derandomize=True)
