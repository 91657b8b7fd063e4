from __future__ import annotations

import itertools
import struct

import msgpack
import numpy
import pytest
import transaction

from Products.ERP5Wendelin.content.entry import Entry
from Products.ERP5Wendelin.content.python_script import PythonScript
from Products.ERP5Wendelin.errors import BadInput, Conflict, RangeNotSatisfiable
from Products.ERP5Wendelin.storage.block import BLOCK_SIZE
from Products.ERP5Wendelin.storage.stream import ByteStream
from support.manifests import DATE, files
from support.site import as_user

EVENT = msgpack.ExtType(0, struct.pack(">II", 1_700_000_000, 5))
RECORDS = [["sensor", EVENT, {"value": index}] for index in range(5)]
PACKED = [msgpack.packb(record) for record in RECORDS]


@pytest.fixture
def stream(site):
    return site.data_stream_module.newContent("Data Stream", reference="sensor")


@pytest.fixture
def file_stream(site):
    data_set = site.data_set_module.newDataSet("brain_mri")
    content = ByteStream()
    content.append(b"hello world")
    data_set.commit(files({"a": Entry(content, 0, 5, b"d" * 32, 0)}), [], "ada", "", DATE)
    return data_set.getDataStream("a")


def test_what_is_appended_is_read_in_pieces_up_to_the_end(stream):
    assert (stream.getSize(), stream.getData(), stream.readChunkList()) == (0, b"", [])
    assert stream.appendData(b"hello ") == 6
    assert stream.appendData(bytearray(b"world")) == 11
    assert stream.getData() == b"hello world"
    assert stream.getData(start_offset=2, end_offset=5) == b"llo"
    assert stream.readChunkList(2, 5) == [b"llo"]
    assert list(stream.iterate(start_offset=6, end_offset=8)) == [b"wo"]


def test_pieces_are_bytes_of_at_most_a_block(stream):
    stream.appendData(bytes(range(256)) * (2 * BLOCK_SIZE // 256 + 1))
    pieces = stream.readChunkList(BLOCK_SIZE - 10)
    assert [(type(piece), len(piece)) for piece in pieces] == [(bytes, 10), (bytes, BLOCK_SIZE), (bytes, 256)]


@pytest.mark.parametrize(("start", "end", "expected"), [(3, 1000, [b"lo"]), (5, 6, []), (99, None, []), (4, 2, [])])
def test_what_is_beyond_the_end_is_not_there_yet_and_no_error(stream, start, end, expected):
    stream.appendData(b"hello")
    assert list(stream.iterate(start, end)) == stream.readChunkList(start, end) == expected


def test_a_negative_offset_is_refused(stream):
    stream.appendData(b"hello")
    for call in (stream.iterate, stream.readChunkList, stream.readMsgpackChunkList):
        with pytest.raises(RangeNotSatisfiable, match=r"^There is no byte -1 in 'sensor': bytes begin at 0\.$"):
            call(-1, 2)


@pytest.fixture
def dropped(stream):
    """A stream of two blocks and five bytes; the first block was dropped."""
    stream.appendData(b"a" * BLOCK_SIZE + b"b" * BLOCK_SIZE + b"hello")
    assert stream.dropData(BLOCK_SIZE + 1) == BLOCK_SIZE
    return stream


def test_what_was_dropped_is_refused_by_each_way_to_read(dropped):
    text = (
        f"^There is no byte {BLOCK_SIZE - 1} in 'sensor': bytes begin at {BLOCK_SIZE} now: what was before is dropped.$"
    )
    for call in (dropped.getData, dropped.iterate, dropped.readChunkList, dropped.readMsgpackChunkList):
        with pytest.raises(RangeNotSatisfiable, match=text) as caught:
            call(BLOCK_SIZE - 1, 2 * BLOCK_SIZE)
        assert caught.value.extra == {"start": BLOCK_SIZE}


def test_offsets_stay_when_the_head_is_dropped_and_all_that_is_left_is_read(dropped):
    assert (dropped.getStartOffset(), dropped.getSize()) == (BLOCK_SIZE, 2 * BLOCK_SIZE + 5)
    assert dropped.getData(2 * BLOCK_SIZE) == b"hello"
    assert dropped.getData() == b"".join(dropped.iterate()) == b"b" * BLOCK_SIZE + b"hello"
    assert dropped.appendData(b"!") == 2 * BLOCK_SIZE + 6
    assert dropped.getData(2 * BLOCK_SIZE) == b"hello!"


def test_records_that_are_left_are_read_from_the_start(stream):
    stream.appendData(b"\xc0" * (BLOCK_SIZE + 3))
    stream.dropData(BLOCK_SIZE)
    assert stream.readMsgpackChunkList() == ([None] * 3, BLOCK_SIZE + 3)
    assert [end for _, end in stream.iterateMsgpack()] == [BLOCK_SIZE + 1, BLOCK_SIZE + 2, BLOCK_SIZE + 3]


@pytest.mark.parametrize("before", [-1, 6])
def test_dropping_up_to_where_there_is_no_byte_is_refused(stream, before):
    stream.appendData(b"hello")
    with pytest.raises(RangeNotSatisfiable, match=rf"^'sensor' has no byte {before}: it has the bytes 0 to 5\.$"):
        stream.dropData(before)


def test_an_empty_stream_begins_at_0_and_nothing_of_it_is_dropped(stream):
    assert (stream.getStartOffset(), stream.dropData(0)) == (0, 0)


def test_nothing_of_a_data_set_s_file_is_dropped(file_stream):
    assert file_stream.getStartOffset() == 0
    with pytest.raises(Conflict, match=r"^'a' is a file of a data set: only a push changes it\.$"):
        file_stream.dropData(0)
    assert file_stream.getData() == b"hello"


def test_chunks_that_were_noted_are_known(stream):
    transaction.commit()
    assert not stream.hasChunk(b"id")
    assert stream.recent_chunks is None
    stream.noteChunk(b"id")
    stream.noteChunk(b"other")
    assert [stream.hasChunk(id) for id in (b"id", b"other", b"third")] == [True, True, False]
    transaction.abort()
    assert not stream.hasChunk(b"id")


def test_data_that_are_not_there_are_refused(stream):
    stream.appendData(b"hello")
    with pytest.raises(RangeNotSatisfiable, match=r"^Bytes 1 to 6 are not within the 5 bytes of 'sensor'\.$"):
        stream.getData(1, 6)


def test_records_of_msgpack_are_read_from_where_the_last_call_ended(stream):
    whole = b"".join(PACKED)
    stream.appendData(whole[:-3])
    first, position = stream.readMsgpackChunkList(0, stream.getSize())
    assert (first, position) == (RECORDS[:-1], len(whole) - len(PACKED[-1]))
    assert stream.readMsgpackChunkList(position, stream.getSize()) == ([], position)
    stream.appendData(whole[-3:] + PACKED[0])
    assert stream.readMsgpackChunkList(position, len(whole)) == ([RECORDS[-1]], len(whole))
    assert stream.readMsgpackChunkList(position, 10**9) == ([RECORDS[-1], RECORDS[0]], len(whole) + len(PACKED[0]))


def test_records_are_iterated_with_the_offsets_where_they_end(stream):
    stream.appendData(b"".join(PACKED))
    found = list(stream.iterateMsgpack(start_offset=len(PACKED[0]), end_offset=len(PACKED[0]) * 3))
    assert found == [(RECORDS[1], 2 * len(PACKED[0])), (RECORDS[2], 3 * len(PACKED[0]))]


def test_malformed_msgpack_names_the_stream_and_the_offset(stream):
    stream.appendData(PACKED[0] + b"\xc1")
    with pytest.raises(BadInput) as caught:
        stream.readMsgpackChunkList(0, stream.getSize())
    offset = len(PACKED[0])
    assert str(caught.value) == (
        f"What begins at byte {offset} of Data Stream 'sensor' is not MessagePack: no value begins like that. "
        "What is before it can be read by itself."
    )
    assert stream.readMsgpackChunkList(0, caught.value.extra["offset"]) == ([RECORDS[0]], offset)


def test_the_time_of_a_record_is_extracted(stream):
    stream.appendData(PACKED[0])
    [record], _ = stream.readMsgpackChunkList(0, 1000)
    assert stream.extractDateTime(record[1]) == numpy.datetime64("2023-11-14T22:13:20.000000005")
    assert stream.extractDateTime(0) == numpy.datetime64(0, "s")


def chain(site, *references):
    streams = [site.data_stream_module.newContent("Data Stream", reference=reference) for reference in references]
    for one, next_one in itertools.pairwise(streams):
        one.setSuccessorValue(next_one)
        next_one.setPredecessorValue(one)
    return streams


def references(streams):
    return [stream.getReference() for stream in streams]


def test_streams_are_linked_in_both_directions(site):
    streams = chain(site, "1", "2", "3", "4")
    assert references(streams[1].getRecursiveSuccessorValueList()) == ["3", "4"]
    assert references(streams[3].getRecursivePredecessorValueList()) == ["3", "2", "1"]
    assert streams[0].getRecursivePredecessorValueList() == streams[3].getRecursiveSuccessorValueList() == []
    assert streams[2].getSuccessorValue() == streams[3]


def test_a_stream_that_is_gone_ends_the_links(site):
    streams = chain(site, "1", "2", "3")
    site.data_stream_module._delObject(streams[1].getId())
    assert streams[0].getRecursiveSuccessorValueList() == []


def test_a_cycle_of_links_ends_where_it_would_begin_again(site):
    streams = chain(site, "1", "2", "3")
    streams[2].setSuccessorValue(streams[1])
    assert references(streams[0].getRecursiveSuccessorValueList()) == ["2", "3"]
    assert references(streams[1].getRecursiveSuccessorValueList()) == ["3"]
    streams[0].setPredecessorValue(streams[0])
    assert streams[0].getRecursivePredecessorValueList() == []


def test_a_stream_has_a_version(stream):
    assert (stream.getVersion(), stream.hasVersion()) == ("", False)
    stream.setVersion("001")
    transaction.commit()
    assert (stream.getVersion(), stream.hasVersion()) == ("001", True)


def test_a_stream_remembers_how_far_its_reader_is(site, stream):
    stream.setIntOffsetIndex(7)
    assert (stream.getIntOffsetIndex(), stream.getStringOffsetIndex()) == (7, "")
    buckets = site.data_stream_module.newContent("Data Bucket Stream", string_offset_index="flight 7")
    assert (buckets.getIntOffsetIndex(), buckets.getStringOffsetIndex()) == (None, "flight 7")


def test_a_file_of_a_data_set_is_not_edited(file_stream):
    for change in (
        lambda: file_stream.setVersion("1"),
        lambda: file_stream.edit(title="t"),
        lambda: file_stream.appendData(b"x"),
    ):
        with pytest.raises(Conflict, match=r"^'a' is a file of a data set: only a push changes it\.$"):
            change()
    assert file_stream.readChunkList() == [b"hello"]
    assert file_stream.getRecursiveSuccessorValueList() == []


def test_a_script_reads_a_stream(site, stream):
    stream.appendData(b"".join(PACKED))
    script = PythonScript("read")
    script.ZPythonScript_edit(
        "stream",
        "import numpy\n"
        "records, end = stream.readMsgpackChunkList(0, stream.getSize())\n"
        "times = numpy.array([stream.extractDateTime(record[1]) for record in records])\n"
        "chunks = [len(chunk) for chunk in stream.iterate(0, 10)] + [len(c) for c in stream.iterate(end, end)]\n"
        "values = [record[2]['value'] for record, position in stream.iterateMsgpack(0, end)]\n"
        "return end, str(times.min()), chunks, values, b''.join(stream.readChunkList(0, 2))\n",
    )
    expected = (sum(map(len, PACKED)), "2023-11-14T22:13:20.000000005", [10], [0, 1, 2, 3, 4], PACKED[0][:2])
    with as_user(site, "ada"):
        assert script.__of__(site)(stream) == expected
