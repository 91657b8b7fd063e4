from __future__ import annotations

import io
import struct
import tracemalloc

import msgpack
import numpy
import pytest
import transaction

from Products.ERP5Wendelin.content.records import TIME_MAX, TIME_MIN
from Products.ERP5Wendelin.content.timed_records import Wanted
from Products.ERP5Wendelin.download.record_export import FORMATS, RecordExport
from Products.ERP5Wendelin.download.record_format import entry, line
from Products.ERP5Wendelin.download.stored_stream import StoredStream
from support.site import data_fs, lake, site  # noqa: F401
from support.streams import NOON, SECOND, event, events

LONG_ONE = struct.pack(">BBBIIBBB", 0x92, 0xD7, 0, NOON // SECOND + 50, 0, 0x81, 0xD9, 1) + b"n\xcd\x00\x07"
"""An entry whose text and number have longer headers than they need: {"n": 7}."""


def in_seconds(count: int) -> bytes:
    """Entries with whole seconds for their times."""
    return b"".join(msgpack.packb([NOON // SECOND + number, {"n": -number}]) for number in range(count))


def export(stream, form: str, since: int = TIME_MIN, until: int = TIME_MAX) -> bytes:
    made = RecordExport(StoredStream(stream._p_jar.db(), stream), Wanted(0, stream.getSize(), since, until), form)
    try:
        return b"".join(made)
    finally:
        made.close()


@pytest.fixture
def log(site):  # noqa: F811
    log = site.data_stream_module.newContent(reference="log")
    for number in range(4):
        log.appendData(events(2_000, NOON + number * 2_000 * SECOND, first=number * 2_000, size=4_000))
        transaction.commit()
    return log


@pytest.mark.parametrize("form", FORMATS)
def test_export_of_any_length_takes_the_memory_of_some_blocks(log, form):
    export = RecordExport(StoredStream(log._p_jar.db(), log), Wanted(0, log.getSize()), form)
    tracemalloc.start()
    try:
        size = sum(map(len, export))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
        export.close()
    assert size > 30 * 2**20
    assert peak < 16 * 2**20


@pytest.fixture
def mixed(site):  # noqa: F811
    """Entries of the kinds that agents send, early and late ones, objects of JSON with and without a time, and none."""
    mixed = site.data_stream_module.newContent(reference="mixed")
    for data in (
        events(100),
        LONG_ONE,
        in_seconds(100),
        event(NOON - SECOND, {"late": [1, {"é": None}]}) + events(100, NOON + 100 * SECOND, -SECOND),
        b'[{"time": "2026-11-22T12:00:30Z", "n": 1.5},\n {"n": "untimed"}]\n',
        b"no record",
        events(2_000, NOON + SECOND // 2),
    ):
        mixed.appendData(data)
    transaction.commit()
    return mixed


@pytest.mark.parametrize(
    "bounds",
    [(TIME_MIN, TIME_MAX), (NOON + 40 * SECOND, NOON + 60 * SECOND), (NOON + 10**6 * SECOND, TIME_MAX)],
    ids=["all", "some", "none"],
)
def test_formats_have_the_records_that_are_read_one_by_one(mixed, bounds):
    found = [(time, value) for time, value, _ in mixed.iterateRecords(*bounds, skip=lambda gap: None)]
    assert export(mixed, "jsonl", *bounds) == b"".join(line(*each) for each in found)
    again = [[entry(time, value), time] for time, value in found]
    made = msgpack.Unpacker(io.BytesIO(export(mixed, "msgpack", *bounds)), strict_map_key=False)
    assert [msgpack.packb(each) for each in made] == [data for data, _ in again]
    array = numpy.load(io.BytesIO(export(mixed, "npy", *bounds)))
    assert array["time"].tolist() == [time for time, _ in found]


def test_entries_of_agents_are_exported_as_they_came(site):  # noqa: F811
    stream = site.data_stream_module.newContent(reference="long")
    stream.appendData(events(100) + LONG_ONE + events(100))
    transaction.commit()
    two = events(2, NOON + 49 * SECOND, first=49)
    assert export(stream, "msgpack", NOON + 49 * SECOND, NOON + 51 * SECOND) == two + LONG_ONE + two


def test_entry_that_can_not_be_decoded_is_exported_as_messagepack_alone(site):  # noqa: F811
    stream = site.data_stream_module.newContent(reference="keys")
    keys = event(NOON, {})[:-1] + b"\x81\x80\xc0"  # a map whose key is a map
    stream.appendData(events(100) + keys + events(100))
    transaction.commit()
    assert export(stream, "msgpack") == events(100) + keys + events(100)
    assert len(export(stream, "jsonl").splitlines()) == 100
