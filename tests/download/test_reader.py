"""StreamReader: any range of a stream as a file, without a connection held."""

from __future__ import annotations

import hashlib
import io
from typing import Any

import pytest
import transaction
from waitress.buffers import ReadOnlyFileBasedBuffer
from zope.interface.verify import verifyObject
from ZPublisher.Iterators import IStreamIterator

from Products.ERP5Wendelin.download.reader import READ_SIZE, StreamReader
from Products.ERP5Wendelin.errors import Gone
from Products.ERP5Wendelin.storage.block import BLOCK_SIZE
from Products.ERP5Wendelin.storage.stream import ByteStream
from support.site import Lake

CONTENT = hashlib.shake_128(b"seed").digest(2 * BLOCK_SIZE + 1000) + bytes(5000)


@pytest.fixture
def stored(lake: Lake) -> tuple[Lake, bytes]:
    """A stream of three blocks that ends in zeros, and its object id."""
    with lake.open("system") as site:
        site.stream = ByteStream()
        site.stream.append(CONTENT, final=True)
        transaction.commit()
        return lake, site.stream._p_oid


@pytest.mark.parametrize(
    ("start", "stop"),
    [
        (0, len(CONTENT)),
        (0, 1),
        (len(CONTENT) - 1, len(CONTENT)),
        (BLOCK_SIZE - 1, BLOCK_SIZE + 1),
        (BLOCK_SIZE, 2 * BLOCK_SIZE),
        (7, 2 * BLOCK_SIZE + 7),
        (2 * BLOCK_SIZE + 999, len(CONTENT) - 10),
        (5, 5),
    ],
)
def test_a_range_is_read_by_reads_by_iteration_and_by_waitress(stored, start, stop):
    lake, oid = stored
    expected = CONTENT[start:stop]
    assert StreamReader(lake.db, oid, start, stop).read() == expected
    assert b"".join(StreamReader(lake.db, oid, start, stop)) == expected
    assert len(StreamReader(lake.db, oid, start, stop)) == len(expected)
    assert _by_waitress(StreamReader(lake.db, oid, start, stop), len(expected)) == expected


def _by_waitress(reader: StreamReader, length: int) -> bytes:
    """Read as waitress's channel does: look at what the socket may take, send a part of it, go on behind that."""
    buffer = ReadOnlyFileBasedBuffer(reader)
    assert buffer.prepare(length) == length
    sent = []
    while len(buffer):
        chunk = buffer.get(300_000)[:90_001]
        sent.append(chunk)
        buffer.skip(len(chunk), True)
    buffer.close()
    assert reader.closed
    return b"".join(sent)


def test_it_is_a_seekable_file_that_zope_takes_for_a_response(stored):
    lake, oid = stored
    reader = StreamReader(lake.db, oid, 100, 200)
    assert verifyObject(IStreamIterator, reader)
    assert reader.seekable()
    assert reader.readable()
    assert (reader.seek(-10, io.SEEK_END), reader.read(100)) == (90, CONTENT[190:200])
    assert (reader.seek(5), reader.read(5), reader.seek(-5, io.SEEK_CUR), reader.tell()) == (5, CONTENT[105:110], 5, 5)
    assert (reader.seek(1000), reader.read(1)) == (1000, b"")
    buffer = bytearray(4)
    assert (reader.seek(0), reader.readinto(buffer), bytes(buffer)) == (0, 4, CONTENT[100:104])


def test_one_read_gives_no_more_than_a_part_of_a_block(stored):
    lake, oid = stored
    assert len(StreamReader(lake.db, oid, 0, len(CONTENT)).read(10 * BLOCK_SIZE)) == READ_SIZE


def test_a_stream_is_read_while_more_is_appended(stored):
    lake, oid = stored
    reader = StreamReader(lake.db, oid, 0, len(CONTENT))
    first = reader.read(10)
    with lake.open("system") as site:
        site.stream.append(b"more")
        transaction.commit()
    assert first + reader.read() == CONTENT


def test_a_reader_whose_place_is_dropped_is_told_and_one_who_has_passed_it_is_not(stored):
    lake, oid = stored
    before, behind = (StreamReader(lake.db, oid, start, len(CONTENT)) for start in (0, BLOCK_SIZE))
    first = before.read(READ_SIZE)
    with lake.open("system") as site:
        site.stream.drop(BLOCK_SIZE)
        transaction.commit()
        before.seek(BLOCK_SIZE)
        assert first + b"".join(before) == CONTENT[:READ_SIZE] + CONTENT[BLOCK_SIZE:]
        before.seek(0)
        text = "of the stream was dropped while it was being read: read on from there.$"
        with pytest.raises(Gone, match=f"^What was before byte {BLOCK_SIZE} {text}") as caught:
            before.read()
        assert caught.value.extra == {"start": BLOCK_SIZE}
        assert behind.read() == CONTENT[BLOCK_SIZE:]


def test_no_connection_is_held_between_reads(stored):
    lake, oid = stored
    before = _open_connections(lake)
    reader = StreamReader(lake.db, oid, 0, len(CONTENT))
    reader.read(10)
    assert _open_connections(lake) == before


def _open_connections(lake: Any) -> int:
    return sum(1 for each in lake.db.connectionDebugInfo() if each["opened"])


@pytest.mark.parametrize("start", [len(CONTENT), 10 * BLOCK_SIZE])
def test_bytes_that_are_not_there_are_an_error_and_no_endless_response(stored, start):
    lake, oid = stored
    with pytest.raises(EOFError, match=f"^The stream {oid.hex()} has no byte {start}: the database is damaged"):
        StreamReader(lake.db, oid, start, start + 10).read(10)


def test_a_closed_reader_gives_nothing(stored):
    lake, oid = stored
    reader = StreamReader(lake.db, oid, 0, 10)
    reader.close()
    with pytest.raises(ValueError, match="closed"):
        reader.read(1)
