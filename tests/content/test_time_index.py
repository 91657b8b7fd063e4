from __future__ import annotations

import pytest
import transaction
from hypothesis import given, settings
from hypothesis import strategies as st

from Products.ERP5Wendelin.content import time_index as module
from Products.ERP5Wendelin.content.records import TIME_MAX, TIME_MIN, records
from Products.ERP5Wendelin.content.time_index import SEGMENT_TIME, TimeIndex
from support.streams import NOON, SECOND, event, events

CREATED = NOON - 86_400 * SECOND


@pytest.fixture
def small(monkeypatch):
    """Segments of a hundred bytes."""
    monkeypatch.setattr(module, "SEGMENT_SIZE", 100)
    monkeypatch.setattr(module, "SEGMENT_MIN", 30)
    monkeypatch.setattr(module, "SEGMENT_MAX", 400)


def index_of(*pieces, every=SECOND):
    """The index of pieces that arrive from noon on, and all their bytes."""
    index = TimeIndex(CREATED)
    for number, piece in enumerate(pieces):
        index.note(index.stop, piece, NOON + number * every)
    return index, b"".join(pieces)


def found(index, data, since, until):
    """The times that are found, as a reader would: by runs."""
    times, position = [], 0
    while (run := index.run(position, len(data), since, until)) is not None:
        start, position = run
        times += [
            record.time for record in records([data[start:position]], start, "it") if since <= record.time < until
        ]
    return times


def borders(index):
    return [(segment.start, segment.stop) for segment in index.segments()]


@pytest.mark.usefixtures("small")
def test_segments_are_closed_by_size_and_lie_one_behind_the_other():
    index, data = index_of(*(events(1, NOON + number * SECOND, size=20) for number in range(10)))
    piece = len(data) // 10
    assert borders(index) == [(start * piece, min(start + 3, 10) * piece) for start in range(0, 10, 3)]
    first = next(index.segments())
    assert (first.earliest, first.latest) == (NOON, NOON + 2 * SECOND)
    assert (first.begun, first.arrived) == (NOON, NOON + 2 * SECOND)


def test_segments_of_a_slow_stream_are_closed_by_time():
    index, data = index_of(*[events(1)] * 4, every=SEGMENT_TIME // 2)
    assert borders(index) == [(0, len(data) // 2), (len(data) // 2, len(data))]


def test_large_piece_is_cut_where_records_end():
    index, data = index_of(events(60_000, size=60))
    segments = list(index.segments())
    assert len(segments) == len(data) // (module.SEGMENT_SIZE * 5 // 4) + 1
    assert [next(records([data[segment.start :]], 0, "it")).time for segment in segments] == [
        segment.earliest for segment in segments
    ]


@pytest.mark.usefixtures("small")
def test_first_segment_of_a_time_is_found():
    index, data = index_of(*(events(1, NOON + number * SECOND, size=20) for number in range(30)))
    piece = len(data) // 30
    assert index.find(TIME_MIN) == index.find(NOON) == 0
    assert index.find(NOON + 10 * SECOND) == 9 * piece  # three to a segment
    assert index.find(NOON + 29 * SECOND) == 27 * piece
    assert index.find(NOON + 30 * SECOND) == len(data)


moments = st.integers(0, 40)
pieces = st.lists(st.lists(moments, min_size=1, max_size=4), max_size=40)


@given(pieces, moments, moments)
@settings(max_examples=200, deadline=None)
def test_events_are_found_however_late_or_early_they_are(history, since, until):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "SEGMENT_SIZE", 60)
        index, data = index_of(
            *(b"".join(event(NOON + moment, {}) for moment in moments) for moments in history), every=1
        )
    expected = [NOON + moment for moments in history for moment in moments if since <= moment < until]
    assert found(index, data, NOON + since, NOON + until) == expected


@given(pieces, moments, st.integers(0, 3_000))
@settings(max_examples=200, deadline=None)
def test_what_is_left_of_a_stream_is_found_when_its_head_is_dropped(history, since, before):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "SEGMENT_SIZE", 60)
        index, data = index_of(
            *(b"".join(event(NOON + moment, {}) for moment in moments) for moments in history), every=1
        )
    before = min(before, index.start)
    index.drop(before)
    kept = index.beginning(before)
    assert kept >= before
    assert all(start >= before for start, _ in borders(index))
    expected = [record.time for record in records([data[kept:]], kept, "it") if record.time >= NOON + since]
    times, position = [], kept
    while (run := index.run(position, len(data), NOON + since, TIME_MAX)) is not None:
        start, position = run
        times += [record.time for record in records([data[start:position]], start, "it") if record.time >= NOON + since]
    assert times == expected


def test_records_without_a_time_are_of_when_their_segment_began_to_arrive():
    index, data = index_of(b'{"a": 1}\n', b'{"a": 2}\n')
    assert [(segment.earliest, segment.latest) for segment in index.segments()] == [(NOON, NOON)]
    assert index.segment_at(len(data) - 1).begun == NOON


@pytest.mark.usefixtures("small")
def test_bytes_that_are_no_records_may_hold_whatever_is_not_later_than_their_arrival():
    index, _ = index_of(events(1, NOON + 50 * SECOND), b"\x00" * 20)
    [segment] = index.segments()
    assert (segment.earliest, segment.latest) == (TIME_MIN, NOON + 50 * SECOND)
    index, _ = index_of(b"\x00" * 20)
    [segment] = index.segments()
    assert (segment.earliest, segment.latest) == (TIME_MIN, NOON)


@pytest.mark.usefixtures("small")
def test_segment_begins_with_what_can_be_read_behind_what_cannot():
    index, data = index_of(events(1), b"\x00" * 20, events(1), b"\x00" * 5, events(1), b"\x00" * 500, b"\x00" * 5)
    one = len(events(1))
    middle = one + 20
    last = middle + one + 5 + one
    assert borders(index) == [(0, middle), (middle, last + 500), (last + 500, len(data))]
    assert index.border(1) == middle
    assert index.border(middle) == middle
    assert index.border(last + 501) is None


def test_bytes_that_were_appended_before_there_was_an_index_may_be_anything():
    index = TimeIndex(CREATED)
    index.note(1_000, events(1), NOON + SECOND)
    first = index.segment_at(0)
    assert (first.start, first.stop, first.earliest, first.begun) == (0, 1_000 + len(events(1)), TIME_MIN, CREATED)
    assert index.run(0, 2_000, NOON, TIME_MAX) == (0, 2_000)


def test_stream_without_an_index_is_looked_at_as_a_whole():
    index = TimeIndex(CREATED)
    assert index.run(10, 50, NOON, NOON + 1) == (10, 50)
    assert index.run(50, 50, NOON, NOON + 1) is None
    assert index.segment_at(20).begun == CREATED
    assert (index.border(0), index.border(1), index.beginning(20)) == (0, None, 20)


def test_arrival_goes_on_when_the_clock_is_set_back():
    index = TimeIndex(CREATED)
    index.note(0, events(1), NOON)
    index.note(index.stop, events(1), NOON - SECOND)
    assert index.arrived == NOON


@pytest.mark.usefixtures("small")
def test_what_had_arrived_before_a_time_is_known_by_whole_segments():
    index, data = index_of(*(events(1, size=20) for _ in range(9)))
    third = len(data) // 3
    assert index.arrived_before(NOON) == 0
    assert index.arrived_before(NOON + 2 * SECOND) == 0
    assert index.arrived_before(NOON + 3 * SECOND) == third
    assert index.arrived_before(NOON + 100 * SECOND) == len(data)


def test_append_writes_one_small_record_unless_a_segment_is_full(site):
    log = site.data_stream_module.newContent(reference="log")
    log.appendData(events(1))
    transaction.commit()
    index, connection = log.time_index, site._p_jar
    before = index._p_serial
    log.appendData(events(1))
    assert index._p_changed
    assert not index._segments._p_changed
    assert not index._reached._p_changed
    transaction.commit()
    state, serial = connection.db().storage.load(index._p_oid)
    assert len(state) < 500
    assert serial != before
