"""What every storage must do for byte streams, buckets and arrays, whatever database they are in.

A storage's tests subclass `StorageSuite` and give it `uri`, a fixture with the URI of a database that the class's tests
share; each test keeps to an object of its own in it.
"""

from __future__ import annotations

import io
import itertools
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy
import pytest
from persistent import Persistent
from ZODB import DB
from ZODB.POSException import ConflictError
from zope.interface.verify import verifyObject

from Products.ERP5Wendelin import errors
from Products.ERP5Wendelin.interfaces import IByteStream
from Products.ERP5Wendelin.storage.array import Array
from Products.ERP5Wendelin.storage.block import BLOCK_SIZE
from Products.ERP5Wendelin.storage.bucket import NumberedBucket
from Products.ERP5Wendelin.storage.database import open_database
from Products.ERP5Wendelin.storage.stream import ByteStream
from Products.ERP5Wendelin.storage.transaction import append_slices, in_transaction, separate_connection
from support.pattern import pattern

B = BLOCK_SIZE
TESTS = Path(__file__).parents[1]

BORDERS = {
    "nothing": [0],
    "one byte": [1],
    "a byte less than a block": [B - 1],
    "a block": [B],
    "a byte more than a block": [B + 1],
    "the last byte of a block by itself": [B - 1, 1],
    "over a block's border": [B - 1, 2],
    "chunks of a block and their borders": [1, 4095, 4096, 4097, 1],
    "three blocks at once from within a block": [3, 3 * B],
    "a block, then nothing, then a byte": [B, 0, 1],
}


class Owner(Persistent):
    """What `append_slices` writes for: a stream, and how far it goes; and a bucket."""

    bucket: NumberedBucket

    def __init__(self) -> None:
        self.stream = ByteStream()
        self.offset = 0


class StorageSuite:
    """The tests."""

    large = 96 * 2**20
    memory = 92 * 2**20
    """Bytes of a large stream, and by how many a process may grow that writes and reads it, the storage's caches
    included."""

    @pytest.fixture(scope="class")
    @classmethod
    def uri(cls) -> Iterator[str]:
        """The URI of a database."""
        raise NotImplementedError

    @pytest.fixture
    def database(self, uri: str) -> Iterator[DB]:
        with opened(uri) as database:
            yield database

    def test_a_stream_provides_its_interface(self, database: DB) -> None:
        oid = new_owner(database)
        with separate_connection(database) as connection:
            verifyObject(IByteStream, connection.get(oid).stream)

    @pytest.mark.parametrize("sizes", BORDERS.values(), ids=BORDERS)
    def test_bytes_appended_around_borders_are_read_at_any_offset(self, database: DB, sizes: list[int]) -> None:
        oid = new_owner(database)
        for size in sizes:
            append(database, oid, size)
        total = sum(sizes)
        expected = pattern(0, total)
        edges = sorted({edge for border in (0, 4096, B, 2 * B, total) for edge in (border - 1, border, border + 1)})
        edges = [edge for edge in edges if 0 <= edge <= total]
        ranges = [*itertools.pairwise(edges), *((0, edge) for edge in edges), *((edge, total) for edge in edges)]
        with separate_connection(database) as connection:
            stream = connection.get(oid).stream
            assert stream.size == total
            for start, stop in ranges:
                chunks = list(stream.chunks(start, stop))
                assert b"".join(chunks) == stream.read(start, stop) == expected[start:stop]
                assert all(0 < len(chunk) <= B for chunk in chunks)

    def test_what_is_appended_after_reopening_follows_what_was_there(self, uri: str) -> None:
        with opened(uri) as database:
            oid = new_owner(database)
            append(database, oid, B + 5000)
        with opened(uri) as database:
            append(database, oid, B)
        with opened(uri) as database:
            assert content(database, oid) == pattern(0, 2 * B + 5000)

    @pytest.mark.parametrize("zeros", [1, 4095, 4096, 5000, B, B + 1])
    def test_zeros_at_the_end_are_kept_and_bytes_behind_them_stay_in_place(self, database: DB, zeros: int) -> None:
        oid = new_owner(database)
        expected = b""
        for data in (b"a" * 10, bytes(zeros), b"b"):
            expected += data
            append_bytes(database, oid, data)
            assert content(database, oid) == expected

    def test_a_stream_of_zeros_reads_as_zeros(self, database: DB) -> None:
        oid = new_owner(database)
        append_bytes(database, oid, bytes(B + 100))
        assert content(database, oid) == bytes(B + 100)

    def test_a_reader_keeps_its_view_while_another_connection_appends(self, database: DB) -> None:
        oid = new_owner(database)
        append(database, oid, B + 10)
        with separate_connection(database) as connection:
            stream = connection.get(oid).stream
            reading = stream.chunks()
            assert next(reading) == pattern(0, B)
            append(database, oid, 2 * B)
            assert b"".join(reading) == pattern(B, B + 10)
            assert stream.size == B + 10
            connection.transaction_manager.begin()
            assert stream.read(0, stream.size) == pattern(0, 3 * B + 10)

    def test_a_writer_sees_what_another_connection_appended_to_the_block_it_wrote(self, database: DB) -> None:
        oid = new_owner(database)
        with separate_connection(database) as connection:
            for turn in range(3):
                connection.transaction_manager.begin()
                stream = connection.get(oid).stream
                stream.append(pattern(stream.size, stream.size + 1000))
                connection.transaction_manager.commit()
                append(database, oid, 1000)
                connection.transaction_manager.begin()
                assert stream.read(0, stream.size) == pattern(0, (turn + 1) * 2000)

    @pytest.mark.parametrize(
        ("size", "stop"),
        [(0, 5), (0, 3 * B + 5000), (1, B), (B - 1, B + 1), (5, 2 * B + 7), (B, 3 * B), (100, 200), (B, B)],
    )
    def test_a_stream_takes_over_what_another_has_from_where_it_ends(self, database: DB, size: int, stop: int) -> None:
        base, oid = new_owner(database), new_owner(database)
        append(database, base, 3 * B + 5000)
        append_bytes(database, oid, b"x" * size)
        assert take_over(database, oid, base, stop) == stop
        append_bytes(database, oid, b"more")
        assert content(database, oid) == b"x" * size + pattern(size, stop) + b"more"
        assert content(database, base) == pattern(0, 3 * B + 5000)
        with separate_connection(database) as connection:
            theirs, ours = (dict(connection.get(each).stream.blktab.items()) for each in (base, oid))
            whole = range(-(-size // B), stop // B)
            assert {number for number in theirs if ours.get(number) is theirs[number]} == set(whole)

    def test_what_is_shared_survives_a_pack_without_its_first_owner(self, database: DB) -> None:
        base, oid = new_owner(database), new_owner(database)
        append(database, base, 2 * B + 10)
        take_over(database, oid, base, 2 * B + 10)
        with separate_connection(database) as connection:
            in_transaction(connection, lambda: connection.root().pop(base.hex()), note="let go")
        database.pack()
        database.cacheMinimize()
        assert content(database, oid) == pattern(0, 2 * B + 10)

    def test_who_takes_over_while_another_appends_conflicts_and_leaves_nothing(self, database: DB) -> None:
        base, oid = new_owner(database), new_owner(database)
        append(database, base, 3 * B)
        with separate_connection(database) as first, separate_connection(database) as second:
            second.get(oid).stream.take_over(second.get(base).stream, 3 * B)
            first.get(oid).stream.append(b"x" * B)
            first.transaction_manager.commit()
            with pytest.raises(ConflictError):
                second.transaction_manager.commit()
            second.transaction_manager.abort()
        assert content(database, oid) == b"x" * B

    @pytest.mark.parametrize(
        ("size", "before", "start"),
        [
            (3 * B + 5, 0, 0),
            (3 * B + 5, B - 1, 0),
            (3 * B + 5, B, B),
            (3 * B + 5, 3 * B - 1, 2 * B),
            (3 * B + 5, 3 * B + 5, 3 * B),
            (2 * B, 2 * B, 2 * B),
        ],
    )
    def test_a_dropped_head_is_gone_and_what_follows_keeps_its_offsets(
        self, database: DB, size: int, before: int, start: int
    ) -> None:
        oid = new_owner(database)
        append(database, oid, size)
        assert drop(database, oid, before) == start
        append(database, oid, B)
        with separate_connection(database) as connection:
            stream = connection.get(oid).stream
            assert (stream.start, stream.size, stream.array.shape) == (start, size + B, (size + B,))
            assert stream.read(start, stream.size) == pattern(start, size + B)
            assert list(stream.blktab)[:1] == [start // B]
            if start:
                for each in (0, start - 1):
                    with pytest.raises(ValueError, match=f"^Bytes {each} to {start} of the stream were dropped.$"):
                        stream.chunks(each)

    def test_a_reader_keeps_its_view_while_another_connection_drops_what_it_reads(self, database: DB) -> None:
        oid = new_owner(database)
        append(database, oid, 3 * B)
        with separate_connection(database) as connection:
            reading = connection.get(oid).stream.chunks()
            assert next(reading) == pattern(0, B)
            assert drop(database, oid, 3 * B) == 3 * B
            assert b"".join(reading) == pattern(B, 3 * B)
            connection.transaction_manager.begin()
            assert list(connection.get(oid).stream.chunks(3 * B)) == []

    def test_who_drops_while_another_appends_conflicts_and_both_are_done_in_the_end(self, database: DB) -> None:
        oid = new_owner(database)
        append(database, oid, 2 * B)
        attempts: list[str] = []
        with separate_connection(database) as connection:

            def drop_head() -> None:
                connection.get(oid).stream.drop(B)
                attempts.append("drop")
                if len(attempts) == 1:
                    append(database, oid, B)

            in_transaction(connection, drop_head, note="drop")
            assert attempts == ["drop", "drop"]
            stream = connection.get(oid).stream
            assert (stream.start, stream.read(B, stream.size)) == (B, pattern(B, 3 * B))

    def test_what_another_stream_shares_survives_a_drop_and_a_pack(self, database: DB) -> None:
        base, oid = new_owner(database), new_owner(database)
        append(database, base, 2 * B + 10)
        take_over(database, oid, base, 2 * B + 10)
        assert drop(database, base, 2 * B) == 2 * B
        database.pack()
        database.cacheMinimize()
        assert content(database, oid) == pattern(0, 2 * B + 10)
        with separate_connection(database) as connection:
            assert connection.get(base).stream.read(2 * B, 2 * B + 10) == pattern(2 * B, 2 * B + 10)

    def test_an_aborted_append_leaves_nothing(self, database: DB) -> None:
        oid = new_owner(database)
        append(database, oid, 5000)
        with separate_connection(database) as connection:
            stream = connection.get(oid).stream
            stream.append(b"x" * (B + 5))
            assert stream.size == B + 5005
            connection.transaction_manager.abort()
            assert stream.read(0, stream.size) == pattern(0, 5000)
            stream.append(pattern(5000, 6000))
            connection.transaction_manager.commit()
        assert content(database, oid) == pattern(0, 6000)

    def test_the_second_of_two_writers_of_a_stream_conflicts_and_leaves_nothing(self, database: DB) -> None:
        oid = new_owner(database)
        append(database, oid, 100)
        with separate_connection(database) as first, separate_connection(database) as second:
            # The second writes whole blocks, the first into the one that both begin with.
            first.get(oid).stream.append(pattern(100, 200))
            second.get(oid).stream.append(b"x" * (2 * B))
            first.transaction_manager.commit()
            with pytest.raises(ConflictError):
                second.transaction_manager.commit()
            second.transaction_manager.abort()
        assert content(database, oid) == pattern(0, 200)

    def test_of_two_writers_in_slices_the_second_is_told_the_right_offset(self, database: DB) -> None:
        oid = new_owner(database)

        class Slow(io.BytesIO):
            def read(self, size: int | None = -1, /) -> bytes:
                if not self.tell():
                    append_slices(database, oid, io.BytesIO(pattern(0, 300)), 300, offset=0, note="overtaking")
                return super().read(size)

        with pytest.raises(errors.WrongOffset, match=r"300 bytes are here, and 0 were believed to be") as caught:
            append_slices(database, oid, Slow(b"x" * 500), 500, offset=0, note="overtaken")
        assert caught.value.extra == {"offset": 300}
        assert content(database, oid) == pattern(0, 300)

    def test_a_writer_killed_between_slices_leaves_those_that_were_committed(self, uri: str) -> None:
        size = 2 * B
        oid = committed_owner(uri)
        assert run_child("kill_between", uri, oid, 3 * size, size, size + 1000).returncode == -9
        self.check_goes_on_from(uri, oid, size)

    @pytest.mark.parametrize("step", ["commit", "tpc_vote", "tpc_finish"])
    def test_a_writer_killed_in_a_commit_leaves_all_of_the_slice_or_nothing(self, uri: str, step: str) -> None:
        size = B + 70_000
        oid = committed_owner(uri)
        assert run_child("kill_in_commit", uri, oid, 3 * B, size, step).returncode == -9
        # Slices end at borders of blocks.
        self.check_goes_on_from(uri, oid, 2 * B if step == "tpc_finish" else B)

    def check_goes_on_from(self, uri: str, oid: bytes, offset: int) -> None:
        """The stream ends at `offset`, and another process can append to it."""
        with opened(uri) as database:
            with separate_connection(database) as connection:
                assert connection.get(oid).offset == offset
            assert content(database, oid) == pattern(0, offset)
            append_slices(database, oid, io.BytesIO(pattern(offset, offset + 5000)), 5000, offset=offset, note="on")
            assert content(database, oid) == pattern(0, offset + 5000)

    def test_what_two_add_to_a_bucket_at_the_same_time_is_numbered_in_the_order_of_their_commits(
        self, database: DB
    ) -> None:
        oid = new_owner(database)
        with separate_connection(database) as mine, separate_connection(database) as theirs:

            def make() -> None:
                mine.get(oid).bucket = NumberedBucket()

            def add_theirs() -> None:
                theirs.get(oid).bucket.set("theirs", b"1")

            def add_mine() -> None:
                mine.get(oid).bucket.set("mine", b"2")
                if not attempts:
                    in_transaction(theirs, add_theirs, note="theirs")
                attempts.append("mine")

            attempts: list[str] = []
            in_transaction(mine, make, note="make")
            in_transaction(mine, add_mine, note="mine")
            assert attempts == ["mine", "mine"]
            bucket = mine.get(oid).bucket
            assert list(bucket.by_number(lambda number, key: (number, key), None, None)) == [(0, "theirs"), (1, "mine")]
            assert list(bucket.items()) == [("mine", b"2"), ("theirs", b"1")]

    @pytest.mark.parametrize(
        ("first", "second"),
        [("renumber", "add"), ("add", "renumber"), ("delete", "renumber"), ("clear", "add"), ("add", "clear")],
    )
    def test_what_changes_in_a_bucket_while_it_is_renumbered_or_cleared_stays_in_order(
        self, database: DB, first: str, second: str
    ) -> None:
        oid = new_owner(database)
        with separate_connection(database) as mine, separate_connection(database) as theirs:

            def make() -> None:
                bucket = mine.get(oid).bucket = NumberedBucket()
                for number in range(200):  # in several records, so that changes of different keys could be merged
                    bucket.set(number, b"")

            changes = {
                "renumber": lambda connection: connection.get(oid).bucket.renumber(),
                "add": lambda connection: connection.get(oid).bucket.set(1000, b"new"),
                "delete": lambda connection: connection.get(oid).bucket.delete(100),
                "clear": lambda connection: connection.get(oid).bucket.clear(),
            }

            def change_mine() -> None:
                changes[second](mine)
                if not attempts:
                    in_transaction(theirs, lambda: changes[first](theirs), note="theirs")
                attempts.append("mine")

            attempts: list[str] = []
            in_transaction(mine, make, note="make")
            in_transaction(mine, change_mine, note="mine")
            assert attempts == ["mine", "mine"]
            bucket = mine.get(oid).bucket
            keys = list(bucket.keys())
            assert (1000 in keys) == ("add" in (first, second) and second != "clear")
            assert list(bucket.by_key(lambda key, number: number, None, None)) == list(range(len(keys)))
            assert list(bucket.by_number(lambda number, key: key, None, None)) == keys
            assert len(bucket) == len(keys)

    def test_what_is_written_to_an_array_in_both_ways_is_read_in_both_by_others(self, database: DB) -> None:
        oid = new_array(database, (3 * B // 8, 2), "i4")
        with separate_connection(database) as mine, separate_connection(database) as theirs:
            expected = numpy.zeros((3 * B // 8, 2), "i4")
            array, there = mine.get(oid), theirs.get(oid)
            assert not there[:].any()
            array[5:-5, 1] = expected[5:-5, 1] = 7
            array.zarray[::9] = expected[::9] = 8
            array[-3:] = expected[-3:] = 9
            array.append(expected[:4])
            for target in (array, array.zarray):
                assert target[:].tobytes() == expected.tobytes() + expected[:4].tobytes()
            assert not there[:].any()
            mine.transaction_manager.commit()
            theirs.transaction_manager.begin()
            for target in (there, there.zarray):
                assert target[:].tobytes() == expected.tobytes() + expected[:4].tobytes()
                assert numpy.array_equal(target[100:5:-7, 1], expected[100:5:-7, 1])

    def test_of_two_who_append_to_an_array_the_second_is_tried_again_behind_the_first(self, database: DB) -> None:
        oid = new_array(database, (0,), "u1")
        rows = [numpy.full(B // 2 + number, number + 1, "u1") for number in range(3)]
        with separate_connection(database) as mine, separate_connection(database) as theirs:

            def append_mine() -> None:
                mine.get(oid).append(rows[1])
                if not attempts:
                    in_transaction(theirs, lambda: theirs.get(oid).append(rows[0]), note="theirs")
                attempts.append("mine")

            attempts: list[str] = []
            in_transaction(mine, append_mine, note="mine")
            in_transaction(theirs, lambda: theirs.get(oid).append(rows[2]), note="theirs")
            assert attempts == ["mine", "mine"]
            mine.transaction_manager.begin()
            assert mine.get(oid)[:].tobytes() == numpy.concatenate(rows).tobytes()

    def test_an_array_that_was_not_committed_leaves_what_was_there(self, database: DB) -> None:
        oid = new_array(database, (B + 10,), "u1")
        with separate_connection(database) as connection:
            array = connection.get(oid)
            in_transaction(connection, lambda: array.__setitem__(slice(None), 1), note="ones")
            array[7:B] = 2
            array.zarray[B:] = 3
            array.append([4])
            assert array[B:].tolist() == [3] * 10 + [4]
            connection.transaction_manager.abort()
            assert array.shape == (B + 10,)
            assert (array[:] == 1).all()
            assert (array.zarray[:] == 1).all()

    def test_a_stream_larger_than_the_memory_allowed_is_written_and_read(self, uri: str) -> None:
        oid = committed_owner(uri)
        child = run_child("measure", uri, oid, self.large, 2 * B)
        assert child.returncode == 0, child.stderr
        read, growth = map(int, child.stdout.split())
        assert read == self.large
        assert growth < self.memory


@contextmanager
def opened(uri: str) -> Iterator[DB]:
    """A database, closed at the end: a child may have it open before and after."""
    database = open_database(uri)
    try:
        yield database
    finally:
        database.close()


def new_owner(database: DB) -> bytes:
    """The object id of a new owner of an empty stream."""
    with separate_connection(database) as connection:

        def add() -> bytes:
            owner = Owner()
            connection.add(owner)
            # Two tests never share a key, and packing would remove what the root does not reach.
            connection.root()[owner._p_oid.hex()] = owner
            return owner._p_oid

        return in_transaction(connection, add, note="new owner")


def new_array(database: DB, shape: tuple[int, ...], dtype: str) -> bytes:
    """The object id of a new array of zeros."""
    with separate_connection(database) as connection:

        def add() -> bytes:
            array = Array(shape, dtype)
            connection.add(array)
            connection.root()[array._p_oid.hex()] = array
            return array._p_oid

        return in_transaction(connection, add, note="new array")


def committed_owner(uri: str) -> bytes:
    """The object id of a new owner in a database that is closed again."""
    with opened(uri) as database:
        return new_owner(database)


def append(database: DB, oid: bytes, size: int) -> None:
    """Append the next bytes of the pattern in a transaction."""
    with separate_connection(database) as connection:
        start = connection.get(oid).stream.size
    append_bytes(database, oid, pattern(start, start + size))


def append_bytes(database: DB, oid: bytes, data: bytes) -> None:
    """Append in a transaction."""
    with separate_connection(database) as connection:
        in_transaction(connection, lambda: connection.get(oid).stream.append(data), note="append")


def take_over(database: DB, oid: bytes, base: bytes, stop: int) -> int:
    """Take over from the stream of another owner, in a transaction."""
    with separate_connection(database) as connection:

        def take() -> int:
            return connection.get(oid).stream.take_over(connection.get(base).stream, stop)

        return in_transaction(connection, take, note="take over")


def drop(database: DB, oid: bytes, before: int) -> int:
    """Drop the head of an owner's stream, in a transaction."""
    with separate_connection(database) as connection:
        return in_transaction(connection, lambda: connection.get(oid).stream.drop(before), note="drop")


def content(database: DB, oid: bytes) -> bytes:
    """All bytes of a stream."""
    with separate_connection(database) as connection:
        stream = connection.get(oid).stream
        return stream.read(0, stream.size)


def run_child(verb: str, uri: str, oid: bytes, *arguments: Any) -> subprocess.CompletedProcess[str]:
    """Run a verb of `storage_child` to its end."""
    command = [sys.executable, "-W", "ignore", "-m", "support.storage_child", verb, uri, oid.hex()]
    path = os.pathsep.join([str(TESTS), *filter(None, [os.environ.get("NEO_PATH"), os.environ.get("PYTHONPATH")])])
    return subprocess.run(
        [*command, *map(str, arguments)],
        check=False,
        capture_output=True,
        text=True,
        cwd=TESTS.parent,
        env={**os.environ, "PYTHONPATH": path},
        timeout=300,
    )
