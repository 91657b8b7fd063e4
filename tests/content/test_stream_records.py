"""The records of a Data Stream by their times."""

from __future__ import annotations

from datetime import datetime, timezone

import numpy
import pytest
import transaction
from DateTime import DateTime

from Products.ERP5Wendelin.content.entry import Entry
from Products.ERP5Wendelin.download.stored_stream import StoredStream
from Products.ERP5Wendelin.errors import BadInput, RangeNotSatisfiable
from Products.ERP5Wendelin.storage import block
from Products.ERP5Wendelin.storage.block import BLOCK_SIZE
from Products.ERP5Wendelin.storage.record_file import RecordFile
from Products.ERP5Wendelin.storage.stream import ByteStream
from support.manifests import DATE, files
from support.scripts import run_text
from support.streams import NOON, SECOND, event, events

HOUR = 3_600 * SECOND
ONE = len(events(1))
DATA = events(10)


@pytest.fixture
def log(site):
    log = site.data_stream_module.newContent(reference="log")
    log.appendData(DATA)
    return log


def numbers(found):
    return [value["n"] for _, value, _ in found]


@pytest.fixture
def loaded(monkeypatch):
    """The blocks that are loaded, each time."""
    found = []
    load = block.load

    def counted(zblk, *arguments):
        found.append(zblk._p_oid)
        return load(zblk, *arguments)

    read_into = RecordFile.read_into

    def counted_in_file(self, oid, *arguments):
        found.append(oid)
        return read_into(self, oid, *arguments)

    monkeypatch.setattr(block, "load", counted)
    monkeypatch.setattr(RecordFile, "read_into", counted_in_file)
    return found


def test_records_come_with_their_time_and_the_offset_where_they_end(log):
    assert list(log.iterateRecords())[:2] == [(NOON, {"n": 0}, ONE), (NOON + SECOND, {"n": 1}, 2 * ONE)]


@pytest.mark.parametrize(
    "since",
    [
        NOON + 4 * SECOND,
        "2026-11-22T12:00:04Z",
        "2026-11-22 13:00:04+01:00",
        datetime(2026, 11, 22, 12, 0, 4, tzinfo=timezone.utc),
        numpy.datetime64("2026-11-22T12:00:04"),
        DateTime("2026/11/22 12:00:04 UTC"),
    ],
    ids=lambda since: type(since).__name__,
)
def test_bounds_are_given_as_any_time(log, since):
    assert numbers(log.iterateRecords(since=since, until=NOON + 6 * SECOND)) == [4, 5]


@pytest.mark.parametrize("since", ["noon", True, "1600-01-01"])
def test_what_is_no_time_is_bad_input(log, since):
    with pytest.raises(BadInput, match="is no time: it is a number of seconds since 1970, text in ISO 8601, or"):
        log.iterateRecords(since=since)


def test_float_is_refused_for_it_is_not_said_what_it_counts(log):
    with pytest.raises(BadInput) as caught:
        log.iterateRecords(since=1.5)
    assert str(caught.value) == ("1.5 is no time here: give nanoseconds since 1970 as an int, text, or a DateTime.")


def test_offsets_bound_what_is_looked_at(log):
    assert numbers(log.iterateRecords(start_offset=2 * ONE, end_offset=4 * ONE + 1)) == [2, 3]
    assert numbers(log.iterateRecords(since=NOON + 3 * SECOND, end_offset=4 * ONE)) == [3]
    assert numbers(log.iterateRecords(start_offset=10 * ONE)) == []


def test_offset_of_a_time_is_that_of_the_first_record_from_then_on(log):
    assert log.getOffsetAt(NOON - HOUR) == log.getOffsetAt(NOON) == 0
    assert log.getOffsetAt(NOON + 1) == ONE
    assert log.getOffsetAt("2026-11-22T12:00:09Z") == 9 * ONE
    assert log.getOffsetAt(NOON + HOUR) == log.getSize() == 10 * ONE


def test_late_and_early_events_are_found_where_they_arrived(log):
    log.appendData(event(NOON + HOUR, {"n": "early"}) + event(NOON + 2 * SECOND, {"n": "late"}) + events(2, first=10))
    assert numbers(log.iterateRecords(NOON + 2 * SECOND, NOON + 3 * SECOND)) == [2, "late"]
    assert numbers(log.iterateRecords(NOON + HOUR)) == ["early"]
    assert log.getOffsetAt(NOON + HOUR) == 10 * ONE


def test_what_is_no_record_is_an_error_unless_it_is_to_be_skipped(log):
    log.appendData(b"\xc1" * 5_000)
    log.appendData(events(2, first=10))
    read = log.iterateRecords()
    assert numbers(next(read) for _ in range(10)) == list(range(10))
    reason = (
        f"What begins at byte {10 * ONE} of Data Stream 'log' is no record: none begins with 0xc1. "
        "What is before it can be read by itself."
    )
    with pytest.raises(BadInput) as caught:
        next(read)
    assert str(caught.value) == reason
    gaps = []
    assert numbers(log.iterateRecords(skip=gaps.append)) == list(range(12))
    assert gaps == [(10 * ONE, 10 * ONE + 5_000, reason)]
    assert log.getOffsetAt(NOON + 9 * SECOND) == 9 * ONE


def test_record_that_is_too_long_is_a_gap_of_its_own(log):
    long = event(NOON + HOUR, {"n": "x" * 5_000_000})
    log.appendData(long + events(1, NOON + HOUR, first=10))
    gaps = []
    assert numbers(log.iterateRecords(since=NOON + 9 * SECOND, skip=gaps.append)) == [9, 10]
    assert gaps == [
        (
            10 * ONE,
            10 * ONE + len(long),
            f"The record that begins at byte {10 * ONE} of Data Stream 'log' is longer than 4 MiB: read it as bytes.",
        )
    ]


def test_what_is_no_record_at_the_end_is_a_gap_up_to_there(log):
    log.appendData(b"\xc1" * 10)
    gaps = []
    assert numbers(log.iterateRecords(skip=gaps.append)) == list(range(10))
    assert [(start, stop) for start, stop, _ in gaps] == [(10 * ONE, 10 * ONE + 10)]


def test_what_is_cut_off_is_read_once_it_is_whole(log):
    log.appendData(event(NOON, {"n": 10})[:5])
    assert numbers(log.iterateRecords()) == list(range(10))
    log.appendData(event(NOON, {"n": 10})[5:])
    assert numbers(log.iterateRecords(start_offset=10 * ONE)) == [10]


def test_stream_that_was_appended_to_without_an_index_is_read_as_a_whole(log):
    log.time_index = None
    assert numbers(log.iterateRecords(since=NOON + 8 * SECOND)) == [8, 9]
    assert log.getArrivalTime() is None
    log.appendData(events(1, NOON + 10 * SECOND, first=10))
    assert numbers(log.iterateRecords(since=NOON + 9 * SECOND)) == [9, 10]
    assert log.getOffsetAt(NOON + 10 * SECOND) == 10 * ONE


def test_records_of_a_data_sets_file_are_read_as_well(site):
    content = ByteStream()
    content.append(b"before" + DATA)
    data_set = site.data_set_module.newDataSet("brain_mri")
    data_set.commit(files({"log": Entry(content, 6, len(DATA), b"d" * 32, 0)}), [], "ada", "", DATE)
    assert numbers(data_set.getDataStream("log").iterateRecords(since=NOON + 8 * SECOND)) == [8, 9]


def test_last_hour_of_a_large_stream_is_found_without_reading_what_is_before_it(site, loaded):
    log = site.data_stream_module.newContent(reference="log")
    every = HOUR // 250  # about 1 MiB an hour
    piece = 1_000
    for number in range(16):
        start = NOON + number * piece * every
        log.appendData(events(piece, start, every, first=number * piece, size=4_096))
        transaction.commit()
    blocks = -(-log.getSize() // BLOCK_SIZE)
    assert blocks == 32
    end = NOON + 16 * piece * every
    loaded.clear()
    assert numbers(log.iterateRecords(since=end - HOUR)) == list(range(16 * piece - 250, 16 * piece))
    assert len(loaded) <= 2
    loaded.clear()
    last_hour = events(250, end - HOUR, every, first=16 * piece - 250, size=4_096)
    assert log.getOffsetAt(end - HOUR) == log.getSize() - len(last_hour)
    assert len(loaded) <= 2
    loaded.clear()
    middle = NOON + 8 * piece * every
    stream = StoredStream(site._p_jar.db(), log)
    assert stream.run(0, log.getSize(), middle, middle + HOUR)[0] > log.getSize() * 7 // 16
    assert loaded == []
    assert numbers(log.iterateRecords(middle, middle + HOUR)) == list(range(8 * piece, 8 * piece + 250))
    assert len(loaded) <= 3
    loaded.clear()
    assert len(list(log.iterateRecords())) == 16 * piece
    assert len(loaded) >= blocks


def test_dropped_head_is_left_out_and_an_error_for_who_asks_for_it(site):
    log = site.data_stream_module.newContent(reference="log")
    log.appendData(events(1_000, size=4_096))
    log.dropData(BLOCK_SIZE)
    kept = numbers(log.iterateRecords())
    assert kept == list(range(kept[0], 1_000))
    assert 500 < kept[0] < 1_000
    assert log.getOffsetAt(NOON) == log.getTimeIndex().beginning(BLOCK_SIZE)
    with pytest.raises(RangeNotSatisfiable, match=f"bytes begin at {BLOCK_SIZE} now: what was before is dropped."):
        log.iterateRecords(start_offset=0)


def test_scripts_read_records_and_are_told_of_gaps(site, log):
    log.appendData(b"\xc1" * 5_000)
    log.appendData(events(1, first=10))
    text = """
log = context.data_stream_module.getDataStream("log")
gaps = []
found = [record["n"] for time, record, end in log.iterateRecords("2026-11-22T12:00:08Z", skip=gaps.append)]
return found, [(start, stop, reason[:17]) for start, stop, reason in gaps], log.getOffsetAt(0)
"""
    found, gaps, offset = run_text(site, text)
    assert (found, offset) == ([8, 9], 0)
    assert gaps == [(10 * ONE, 10 * ONE + 5_000, "What begins at by")]
