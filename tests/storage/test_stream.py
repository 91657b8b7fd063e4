"""ByteStream: its blocks on disk, reading beside wendelin.core's mappings, and any sequence of operations."""

import gc
import pickle
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from persistent import GHOST
from wendelin.bigarray.array_zodb import ZBigArray
from wendelin.bigfile.file_zodb import ZBlk0, ZBlk1, ZData
from ZODB import DB
from ZODB.Connection import Connection
from ZODB.MappingStorage import MappingStorage
from ZODB.utils import z64

from Products.ERP5Wendelin.storage import block
from Products.ERP5Wendelin.storage import stream as stream_module
from Products.ERP5Wendelin.storage.block import BLOCK_SIZE, CHUNK_SIZE
from Products.ERP5Wendelin.storage.database import open_database
from Products.ERP5Wendelin.storage.stream import ByteStream
from Products.ERP5Wendelin.storage.transaction import separate_connection
from support.pattern import pattern

B = BLOCK_SIZE


@pytest.fixture
def connection(database: DB) -> Iterator[Connection]:
    with separate_connection(database) as connection:
        connection.root()["stream"] = ByteStream()
        connection.transaction_manager.commit()
        yield connection


@pytest.fixture
def stream(connection: Connection) -> ByteStream:
    return connection.root()["stream"]


@pytest.fixture
def commit(connection: Connection) -> Callable[[], None]:
    return connection.transaction_manager.commit


def block_types(stream: ByteStream) -> list[type]:
    return [type(zblk) for zblk in stream.blktab.values()]


def test_a_block_that_is_not_full_is_a_zblk1(stream: ByteStream) -> None:
    stream.append(pattern(0, B + 1))
    assert block_types(stream) == [ZBlk0, ZBlk1]


def test_a_block_that_becomes_full_is_rewritten_as_a_zblk0(stream: ByteStream, commit: Callable[[], None]) -> None:
    stream.append(pattern(0, B - 1))
    commit()
    stream.append(pattern(B - 1, B))
    commit()
    assert block_types(stream) == [ZBlk0]
    assert stream.read(0, B) == pattern(0, B)


def test_a_block_that_few_pieces_fill_stays_a_zblk1_where_chunks_are_kept(
    stream: ByteStream, commit: Callable[[], None]
) -> None:
    for begin in range(0, 2 * B, B // 8):
        stream.append(pattern(begin, begin + B // 8), keep_chunks=True)
        commit()
    stream.append(pattern(2 * B, 5 * B), keep_chunks=True)
    commit()
    assert block_types(stream) == [ZBlk1, ZBlk1, ZBlk0, ZBlk0, ZBlk0]
    assert stream.read(0, 5 * B) == pattern(0, 5 * B)
    assert stream.array[B - 5 : B + 5].tobytes() == pattern(B - 5, B + 5)  # as a batch script maps it


def test_chunks_that_are_committed_take_no_memory(stream: ByteStream, commit: Callable[[], None]) -> None:
    for begin in range(0, 2 * B, B // 8):
        stream.append(pattern(begin, begin + B // 8), keep_chunks=True)
        commit()
    chunks = [chunk for zblk in stream.blktab.values() for chunk in zblk.chunktab.values()]
    assert len(chunks) == 16
    assert max(len(held) for held in gc.get_referents(*chunks) if isinstance(held, bytes)) == len(z64)
    assert stream.read(0, 2 * B) == pattern(0, 2 * B)


def test_a_block_that_many_pieces_fill_is_rewritten_as_a_zblk0_though_chunks_are_kept(
    stream: ByteStream, commit: Callable[[], None]
) -> None:
    for begin in range(0, B, B // 64):
        stream.append(pattern(begin, begin + B // 64), keep_chunks=True)
    commit()
    assert block_types(stream) == [ZBlk0]
    assert stream.read(0, B) == pattern(0, B)


def test_the_last_block_of_a_final_append_is_a_zblk0(stream: ByteStream) -> None:
    stream.append(pattern(0, 1000))
    stream.append(pattern(1000, B + 10), final=True)
    assert block_types(stream) == [ZBlk0, ZBlk0]
    assert stream.read(0, stream.size) == pattern(0, B + 10)


def test_a_final_append_of_nothing_rewrites_the_last_block_as_a_zblk0(
    stream: ByteStream, commit: Callable[[], None]
) -> None:
    stream.append(pattern(0, 5000))
    commit()
    assert stream.append(b"", final=True) == 5000
    commit()
    assert block_types(stream) == [ZBlk0]
    assert stream.read(0, 5000) == pattern(0, 5000)


def test_an_append_behind_a_final_one_turns_the_last_block_into_a_zblk1(
    stream: ByteStream, commit: Callable[[], None]
) -> None:
    stream.append(pattern(0, 5000), final=True)
    commit()
    stream.append(pattern(5000, 9000))
    commit()
    assert block_types(stream) == [ZBlk1]
    assert stream.read(0, 9000) == pattern(0, 9000)


def chunk_sizes(stream: ByteStream, number: int = 0) -> dict[int, int]:
    """Offset and bytes of each chunk of a block."""
    return {offset: len(chunk.data) for offset, chunk in stream.blktab[number].chunktab.items()}


def test_what_is_appended_at_once_is_one_chunk(stream: ByteStream, commit: Callable[[], None]) -> None:
    for size in (CHUNK_SIZE, 100_000, B // 2):
        stream.append(pattern(stream.size, stream.size + size))
        commit()
    assert chunk_sizes(stream) == {0: CHUNK_SIZE, CHUNK_SIZE: 100_000, CHUNK_SIZE + 100_000: B // 2}
    assert stream.read(0, stream.size) == pattern(0, stream.size)


def test_what_is_appended_to_a_short_chunk_becomes_a_part_of_it(stream: ByteStream, commit: Callable[[], None]) -> None:
    for size in (1, CHUNK_SIZE - 2, 10_000, 7):
        stream.append(b"x" * size)
        commit()
    assert chunk_sizes(stream) == {0: CHUNK_SIZE + 9999, CHUNK_SIZE + 9999: 7}


def test_a_block_has_512_chunks_at_the_most(stream: ByteStream, commit: Callable[[], None]) -> None:
    while stream.size < B - 3000:
        for size in (1, CHUNK_SIZE - 2, 1, CHUNK_SIZE, 100):
            stream.append(b"x" * min(size, B - 1 - stream.size))
        commit()
    *sizes, _ = chunk_sizes(stream).values()
    assert CHUNK_SIZE <= min(sizes) <= max(sizes) < 2 * CHUNK_SIZE
    assert len(sizes) < 512


def test_a_commit_writes_as_many_records_for_a_large_piece_as_for_a_small_one(
    stream: ByteStream, connection: Connection
) -> None:
    stream.append(b"x")
    stored = []
    for size in (1, 100, CHUNK_SIZE, 100, 300_000):
        connection.transaction_manager.commit()
        connection.getTransferCounts(clear=True)
        stream.append(b"x" * size)
        connection.transaction_manager.commit()
        stored.append(connection.getTransferCounts()[1])
    # the stream, the array, the block and a chunk; the block's tree where there is a new chunk
    assert stored == [4, 4, 4, 5, 4]


@pytest.mark.parametrize("size", [100, CHUNK_SIZE, 50_000, 700_000])
def test_the_end_of_an_unfinished_block_is_read_by_the_chunks_that_it_is_in(
    stream: ByteStream, connection: Connection, size: int
) -> None:
    while stream.size + size < B:
        stream.append(pattern(stream.size, stream.size + size))
    connection.transaction_manager.commit()
    connection.cacheMinimize()
    end = stream.size
    sizes = list(chunk_sizes(stream).items())
    for start, stop in [(end - 10, end), (end - 5000, end - 10), (5, 6), (0, 100_000), (end // 2, end // 2 + 1)]:
        connection.cacheMinimize()
        len(stream.blktab[0].chunktab)  # loads the tree
        connection.getTransferCounts(clear=True)
        assert stream.read(start, stop) == pattern(start, stop)
        expected = [offset for offset, length in sizes if offset < stop and start < offset + length]
        assert connection.getTransferCounts()[0] == len(expected)


def test_an_unfinished_block_of_an_earlier_release_is_appended_to(
    stream: ByteStream, commit: Callable[[], None]
) -> None:
    zblk = stream.array.zfile.blktab[0] = ZBlk1()
    zblk.setblkdata(pattern(0, 10_000) + bytes(8000))  # chunks of 4 KiB, and none for zeros
    stream.size = 18_000
    stream.array.resize((18_000,))
    commit()
    expected = pattern(0, 10_000) + bytes(8000)
    for piece in (b"x" * 100, bytes(9000), b"y" * 50_000):
        stream.append(piece)
        expected += piece
        commit()
        assert stream.read(0, stream.size) == stream.array[:].tobytes() == expected
    assert chunk_sizes(stream) == {0: 4096, 4096: 4096, 8192: 1808, 18_000: 100, 27_100: 50_000}


def test_what_wendelin_core_loads_is_what_was_appended(stream: ByteStream, commit: Callable[[], None]) -> None:
    for piece in (b"a" * 10, bytes(5000), b"b" * 70_000, bytes(3), b"c", bytes(100_000)):
        stream.append(piece)
        commit()
    loaded = stream.blktab[0].loadblkdata()
    assert bytes(loaded) + bytes(100_000) == stream.read(0, stream.size)


def test_what_was_appended_in_chunks_can_be_changed_through_a_mapping_in_wendelin_core_s(
    stream: ByteStream, commit: Callable[[], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("wendelin.bigfile.file_zodb.ZBlk_fmt_write", "ZBlk1")
    stream.append(pattern(0, 50_000))
    commit()
    stream.array[10:20] = 0
    commit()
    assert stream.read(0, 50_000) == pattern(0, 10) + bytes(10) + pattern(20, 50_000)
    assert max(chunk_sizes(stream).values()) == CHUNK_SIZE


def test_a_whole_block_of_bytes_is_stored_without_a_copy(stream: ByteStream) -> None:
    data = pattern(0, B)[:-1] + b"x"
    stream.append(data)
    assert stream.blktab[0]._v_blkdata is data


def test_a_small_append_to_a_large_block_writes_little(tmp_path: Path) -> None:
    database = open_database(f"file://{tmp_path}/Data.fs")
    with separate_connection(database) as connection:
        stream = connection.root()["stream"] = ByteStream()
        stream.append(pattern(0, B - 100_000))
        connection.transaction_manager.commit()
        before = database.getSize()
        stream.append(pattern(B - 100_000, B - 99_000))
        connection.transaction_manager.commit()
        assert 1000 < database.getSize() - before < 10_000
    database.close()


@pytest.mark.parametrize("view", [bytearray, memoryview, lambda data: numpy.frombuffer(data, "u2")])
def test_any_contiguous_buffer_is_appended_as_its_bytes(stream: ByteStream, view: Callable[[bytes], object]) -> None:
    assert stream.append(view(pattern(0, 6000))) == 6000
    assert stream.read(0, 6000) == pattern(0, 6000)


def test_appending_nothing_changes_nothing(stream: ByteStream) -> None:
    for nothing in (b"", bytearray(), memoryview(b""), numpy.empty((0, 3))):
        assert stream.append(nothing) == 0
    assert stream.append(b"", final=True) == 0
    assert not stream._p_changed


@pytest.mark.parametrize(("start", "stop"), [(-1, 2), (0, 11), (3, 2), (11, 11)])
def test_a_range_that_is_not_within_the_stream_is_a_value_error_at_once(
    stream: ByteStream, start: int, stop: int
) -> None:
    stream.append(b"0123456789")
    with pytest.raises(ValueError, match=f"^Bytes {start} to {stop} are not within a stream of 10 bytes.$"):
        stream.chunks(start, stop)


def test_the_mapped_array_has_the_same_bytes(stream: ByteStream, commit: Callable[[], None]) -> None:
    for size in (B - 1, 10, 2 * B, 5000, 1):
        stream.append(pattern(stream.size, stream.size + size))
        commit()
        assert isinstance(stream.array, ZBigArray)
        assert stream.array.dtype == numpy.uint8
        assert stream.array.shape == (stream.size,)
        assert stream.array[:].tobytes() == pattern(0, stream.size)


def test_what_is_written_through_a_mapping_is_read_unmapped(stream: ByteStream, commit: Callable[[], None]) -> None:
    stream.append(bytes(B + 10))
    commit()
    stream.array[B - 5 : B + 5] = numpy.arange(1, 11, dtype=numpy.uint8)
    commit()
    assert stream.read(B - 6, B + 6) == bytes([0, *range(1, 11), 0])


def test_a_mapping_shows_what_another_connection_appended(database: DB, connection: Connection) -> None:
    stream = connection.root()["stream"]
    stream.append(pattern(0, 5000))
    connection.transaction_manager.commit()
    assert stream.array[:].tobytes() == pattern(0, 5000)
    for end in (6000, B, B + 100):
        with separate_connection(database) as other:
            theirs = other.root()["stream"]
            theirs.append(pattern(theirs.size, end))
            other.transaction_manager.commit()
        connection.transaction_manager.begin()
        assert stream.array[:].tobytes() == pattern(0, end)
        assert stream.read(0, end) == pattern(0, end)


def test_blocks_are_deactivated_as_soon_as_they_are_read(database: DB, connection: Connection) -> None:
    connection.root()["stream"].append(pattern(0, 2 * B + 5000))
    connection.transaction_manager.commit()
    with separate_connection(database) as reader:
        stream = reader.root()["stream"]
        for _ in stream.chunks():
            assert {zblk._p_state for zblk in stream.blktab.values()} == {GHOST}


def test_reading_loads_neither_the_array_nor_its_file(database: DB, connection: Connection) -> None:
    connection.root()["stream"].append(pattern(0, 5000))
    connection.transaction_manager.commit()
    with separate_connection(database) as reader:
        stream = reader.root()["stream"]
        assert stream.read(0, stream.size) == pattern(0, 5000)
        assert stream.array._p_state == GHOST


def test_a_block_read_here_and_changed_elsewhere_is_read_anew(database: DB, connection: Connection) -> None:
    stream = connection.root()["stream"]
    with separate_connection(database) as other:
        for turn in range(3):
            theirs = other.root()["stream"]
            theirs.append(pattern(theirs.size, theirs.size + 3000))
            other.transaction_manager.commit()
            connection.transaction_manager.begin()
            assert stream.read(0, stream.size) == pattern(0, 3000 * (turn + 1))


def test_reading_an_uncommitted_block_leaves_it_to_be_committed(database: DB, connection: Connection) -> None:
    stream = connection.root()["stream"]
    stream.append(pattern(0, B + 10))
    for _ in range(2):
        assert stream.read(0, B + 10) == pattern(0, B + 10)
    connection.transaction_manager.commit()
    with separate_connection(database) as other:
        assert other.root()["stream"].read(0, B + 10) == pattern(0, B + 10)


def test_an_append_survives_a_savepoint_and_one_behind_it_is_rolled_back(connection: Connection) -> None:
    stream = connection.root()["stream"]
    manager = connection.transaction_manager
    stream.append(pattern(0, B + 10))
    savepoint = manager.savepoint()
    stream.append(b"x" * B)
    savepoint.rollback()
    assert stream.read(0, stream.size) == pattern(0, B + 10)
    stream.append(pattern(B + 10, 2 * B + 10))
    manager.commit()
    assert stream.read(0, stream.size) == pattern(0, 2 * B + 10)


def test_a_released_stream_leaves_the_connection_without_its_array_and_can_be_appended_to(
    stream: ByteStream, commit: Callable[[], None]
) -> None:
    stream.append(pattern(0, B + 10))
    commit()
    stream.release()
    assert stream.array._p_state == GHOST
    stream.append(pattern(B + 10, B + 20))
    commit()
    assert stream.read(0, B + 20) == pattern(0, B + 20)


def test_a_released_stream_can_be_appended_to_by_another_connection(database: DB, connection: Connection) -> None:
    stream = connection.root()["stream"]
    stream.append(pattern(0, 5000))
    connection.transaction_manager.commit()
    stream.release()
    with separate_connection(database) as other:
        other.root()["stream"].append(pattern(5000, 6000))
        other.transaction_manager.commit()
    connection.transaction_manager.begin()
    assert stream.read(0, 6000) == pattern(0, 6000)


def test_release_keeps_an_array_that_is_changed_or_mapped(stream: ByteStream, commit: Callable[[], None]) -> None:
    stream.append(pattern(0, 5000))
    stream.release()
    commit()
    assert stream.read(0, 5000) == pattern(0, 5000)
    view = stream.array[:]
    stream.release()
    assert stream.array._p_state != GHOST
    assert view.tobytes() == pattern(0, 5000)


BASE = pattern(7, 3 * B + 5007)


@pytest.fixture
def base(connection: Connection) -> ByteStream:
    """A committed stream of BASE."""
    base = connection.root()["base"] = ByteStream()
    base.append(BASE)
    connection.transaction_manager.commit()
    return base


def test_blocks_that_are_shared_are_not_read_and_not_written(
    base: ByteStream, stream: ByteStream, connection: Connection, database: DB
) -> None:
    connection.cacheMinimize()
    loaded = connection.getTransferCounts(clear=True)
    stream.take_over(base, 3 * B)
    connection.transaction_manager.commit()
    loaded, stored = connection.getTransferCounts()
    assert {zblk._p_state for zblk in base.blktab.values()} == {GHOST}
    assert 0 < loaded < 10
    assert 0 < stored < 10
    assert sum(len(connection.db().storage.load(oid, "")[0]) for oid in written(connection, stream)) < 2000


def written(connection: Connection, stream: ByteStream) -> list[bytes]:
    """The object ids of a stream's records, but for its blocks."""
    return [each._p_oid for each in (stream, stream.array, stream.array.zfile, stream.blktab)]


def test_a_full_block_that_is_a_zblk1_is_copied_as_a_zblk0(
    base: ByteStream, stream: ByteStream, commit: Callable[[], None]
) -> None:
    old = ZBlk1()
    for start, stop in ((0, 3), (3, 100_000), (100_000, B)):  # chunks of any length
        old.chunktab[start] = ZData(BASE[B + start : B + stop])
    base.array.zfile.blktab[1] = old
    commit()
    assert stream.take_over(base, 3 * B) == 3 * B
    commit()
    assert block_types(stream) == [ZBlk0, ZBlk0, ZBlk0]
    assert [stream.blktab[number] is base.blktab[number] for number in range(3)] == [True, False, True]
    assert stream.read(0, 3 * B) == BASE[: 3 * B]


def test_what_is_copied_at_the_ends_is_a_zblk0(base: ByteStream, stream: ByteStream) -> None:
    stream.append(b"x" * 10)
    stream.take_over(base, len(BASE))
    assert block_types(stream) == [ZBlk0] * 4
    assert stream.read(0, stream.size) == b"x" * 10 + BASE[10:]


def test_holes_stay_holes(stream: ByteStream, connection: Connection) -> None:
    sparse = connection.root()["sparse"] = ByteStream()
    sparse.append(b"x" * B)
    sparse.append(bytes(3 * B))
    for number in (1, 2):
        del sparse.array.zfile.blktab[number]
    connection.transaction_manager.commit()
    stream.take_over(sparse, 4 * B)
    connection.transaction_manager.commit()
    assert list(stream.blktab) == [0, 3]
    assert stream.read(0, 4 * B) == b"x" * B + bytes(3 * B)
    assert list(stream.unshared(sparse)) == []


@pytest.mark.parametrize("limit", ["SHARED_BLOCKS", "COPIED_BLOCKS"])
def test_a_transaction_shares_and_copies_a_bounded_number_of_blocks(
    base: ByteStream, stream: ByteStream, monkeypatch: pytest.MonkeyPatch, limit: str
) -> None:
    if limit == "COPIED_BLOCKS":
        for number in range(3):
            zblk1 = base.array.zfile.blktab[number] = ZBlk1()
            zblk1.setblkdata(BASE[number * B : (number + 1) * B])
    monkeypatch.setattr({"SHARED_BLOCKS": stream_module, "COPIED_BLOCKS": block}[limit], limit, 2)
    assert stream.take_over(base, len(BASE)) == 2 * B
    assert stream.take_over(base, len(BASE)) == len(BASE)
    assert stream.read(0, len(BASE)) == BASE


@pytest.mark.parametrize("stop", [4, len(BASE) + 1])
def test_what_the_other_stream_does_not_have_is_a_value_error(base: ByteStream, stream: ByteStream, stop: int) -> None:
    stream.append(b"12345")
    with pytest.raises(ValueError, match=f"^Bytes 5 to {stop} are not within a stream of {len(BASE)} bytes.$"):
        stream.take_over(base, stop)


def test_streams_that_share_blocks_can_be_mapped_at_the_same_time(
    base: ByteStream, stream: ByteStream, database: DB, commit: Callable[[], None]
) -> None:
    before = base.array[:]
    assert before[:10].tobytes() == BASE[:10]
    stream.take_over(base, 2 * B + 10)
    commit()
    with separate_connection(database) as other:
        theirs = other.root()["stream"]
        theirs.append(b"more")
        other.transaction_manager.commit()
    commit()
    for _ in range(2):
        assert stream.array[:].tobytes() == BASE[: 2 * B + 10] + b"more"
        assert base.array[:].tobytes() == before.tobytes() == BASE
        assert stream.read(0, stream.size) == BASE[: 2 * B + 10] + b"more"
        assert base.read(0, base.size) == BASE


@pytest.mark.parametrize(
    ("head", "shared", "tail", "expected"),
    [
        (0, len(BASE), 0, [(3 * B, len(BASE))]),
        (0, 3 * B, 0, []),
        (0, 2 * B, 3 * B, [(2 * B, 5 * B)]),
        (10, 3 * B, 7, [(0, B), (3 * B, 3 * B + 7)]),
        (2 * B, 3 * B, 1, [(0, 2 * B), (3 * B, 3 * B + 1)]),
        (5, 5, 0, [(0, 5)]),
        (0, 0, 0, []),
    ],
)
def test_ranges_that_are_not_shared_are_told(
    base: ByteStream,
    stream: ByteStream,
    commit: Callable[[], None],
    monkeypatch: pytest.MonkeyPatch,
    head: int,
    shared: int,
    tail: int,
    expected: list[tuple[int, int]],
) -> None:
    monkeypatch.setattr(block, "COMPARED_BLOCKS", 2)
    stream.append(BASE[:head])
    stream.take_over(base, shared)
    stream.append(b"x" * tail)
    commit()
    assert list(stream.unshared(base)) == expected


def test_its_class_and_attributes_are_those_of_the_first_release() -> None:
    state = ByteStream().__getstate__()
    assert pickle.dumps(ByteStream, 0).startswith(b"cProducts.ERP5Wendelin.storage.stream\nByteStream\n")
    assert sorted(state) == ["array", "blktab", "size"]
    assert state["blktab"] is state["array"].zfile.blktab


def test_a_stream_of_the_first_release_begins_at_0_and_can_be_dropped_from(stream: ByteStream) -> None:
    stream.append(pattern(0, B + 1))
    assert "start" not in stream.__getstate__()
    assert stream.start == 0
    assert stream.drop(B) == B
    assert stream.__getstate__()["start"] == B


@pytest.mark.parametrize("before", [-1, 11])
def test_dropping_up_to_where_there_is_no_byte_is_a_value_error(stream: ByteStream, before: int) -> None:
    stream.append(b"0123456789")
    with pytest.raises(ValueError, match=f"^Byte {before} is not within a stream of 10 bytes.$"):
        stream.drop(before)


def test_dropping_what_is_dropped_changes_nothing(stream: ByteStream, commit: Callable[[], None]) -> None:
    stream.append(pattern(0, 2 * B))
    assert stream.drop(B) == B
    commit()
    assert [stream.drop(before) for before in (0, B, 2 * B - 1)] == [B, B, B]
    assert not stream._p_changed


def test_a_transaction_drops_a_bounded_number_of_blocks(stream: ByteStream, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream_module, "DROPPED_BLOCKS", 2)
    stream.append(pattern(0, 3 * B + 1))
    assert [stream.drop(3 * B + 1) for _ in range(3)] == [2 * B, 3 * B, 3 * B]
    assert list(stream.blktab) == [3]


def test_dropping_reads_and_writes_no_block(stream: ByteStream, connection: Connection) -> None:
    stream.append(pattern(0, 4 * B))
    connection.transaction_manager.commit()
    connection.cacheMinimize()
    stream.drop(2 * B)
    assert {zblk._p_state for zblk in stream.blktab.values()} == {GHOST}
    connection.getTransferCounts(clear=True)
    connection.transaction_manager.commit()
    _, stored = connection.getTransferCounts()
    assert stored == 2  # the stream and its tree


def test_a_mapping_shows_zeros_where_another_connection_dropped_the_head(database: DB, connection: Connection) -> None:
    stream = connection.root()["stream"]
    stream.append(pattern(0, 2 * B + 10))
    connection.transaction_manager.commit()
    assert stream.array[:].tobytes() == pattern(0, 2 * B + 10)
    stream.drop(B)
    connection.transaction_manager.commit()
    assert stream.array[:].tobytes() == bytes(B) + pattern(B, 2 * B + 10)


def test_what_was_dropped_is_not_taken_over(base: ByteStream, stream: ByteStream) -> None:
    base.drop(B)
    with pytest.raises(ValueError, match=f"^Bytes 0 to {B} of the stream were dropped.$"):
        stream.take_over(base, len(BASE))
    stream.append(b"x" * B)
    assert stream.take_over(base, len(BASE)) == len(BASE)
    assert stream.read(B, len(BASE)) == BASE[B:]


def test_ranges_that_are_not_shared_begin_where_the_stream_does(
    base: ByteStream, stream: ByteStream, commit: Callable[[], None]
) -> None:
    stream.take_over(base, 3 * B)
    stream.append(b"x")
    commit()
    base.drop(2 * B)
    commit()
    assert list(stream.unshared(base)) == [(0, 2 * B), (3 * B, 3 * B + 1)]
    assert list(base.unshared(stream)) == [(3 * B, len(BASE))]


SIZES = st.one_of(
    st.integers(0, 10_000),
    st.sampled_from([4095, 4096, 4097, 100_000, B - 4097, B - 1, B, B + 1]),
)
OPERATIONS = st.lists(
    st.one_of(
        st.tuples(st.just("append"), SIZES, st.booleans(), st.booleans()),
        st.tuples(st.just("take over"), SIZES),
        st.tuples(st.just("drop"), SIZES),
        st.sampled_from([("commit",), ("abort",), ("savepoint",), ("minimise",), ("release",), ("map",)]),
    ),
    max_size=14,
)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(operations=OPERATIONS)
def test_any_sequence_of_operations_leaves_what_a_byte_string_would_have(operations: list[tuple]) -> None:
    database = DB(MappingStorage())
    with separate_connection(database) as connection:
        manager = connection.transaction_manager
        stream = connection.root()["stream"] = ByteStream()
        base = connection.root()["base"] = ByteStream()
        base.append(BASE)
        manager.commit()
        committed = model = b""
        committed_start = start = 0
        for name, *arguments in operations:
            if name == "append":
                size, zeros, final = arguments
                data = bytes(size) if zeros else pattern(len(model), len(model) + size)
                model += data
                assert stream.append(data, final=final) == len(model)
            elif name == "drop":
                before = min(start + arguments[0], len(model))
                start = max(start, before // B * B)
                assert stream.drop(before) == start
            elif name == "take over":
                stop = max(min(len(model) + arguments[0], len(BASE)), len(model))
                if stop <= len(BASE):
                    model += BASE[len(model) : stop]
                    assert stream.take_over(base, stop) == len(model)
            elif name == "commit":
                manager.commit()
                committed, committed_start = model, start
            elif name == "abort":
                manager.abort()
                model, start = committed, committed_start
            elif name == "savepoint":
                manager.savepoint()
            elif name == "minimise":
                connection.cacheMinimize()
            elif name == "release":
                stream.release()
            elif name == "map":
                manager.commit()
                committed, committed_start = model, start
                assert stream.array[:].tobytes() == bytes(start) + model[start:]
                assert base.array[:].tobytes() == BASE
            assert stream.read(start, stream.size) == model[start:]
        manager.commit()
    with separate_connection(database) as connection:
        stream = connection.root()["stream"]
        assert stream.read(start, stream.size) == model[start:]
        assert stream.array[:].tobytes() == bytes(start) + model[start:]
        base = connection.root()["base"]
        assert base.read(0, base.size) == BASE
    database.close()
