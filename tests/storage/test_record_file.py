"""Blocks read straight out of a FileStorage's file, beside what ZODB reads of it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy
import pytest
from transaction import TransactionManager
from wendelin.bigfile.file_zodb import ZBlk0, ZBlk1
from ZODB import DB
from ZODB.Connection import Connection
from ZODB.MappingStorage import MappingStorage

from Products.ERP5Wendelin.storage import block
from Products.ERP5Wendelin.storage.array import Array
from Products.ERP5Wendelin.storage.block import BLOCK_SIZE
from Products.ERP5Wendelin.storage.database import open_database
from Products.ERP5Wendelin.storage.record_file import before_of, record_file_of
from Products.ERP5Wendelin.storage.transaction import separate_connection
from support.pattern import pattern

B = BLOCK_SIZE


@pytest.fixture
def database(tmp_path: Path) -> Iterator[DB]:
    database = open_database(f"file://{tmp_path}/Data.fs")
    yield database
    database.close()


@pytest.fixture
def connection(database: DB) -> Iterator[Connection]:
    with separate_connection(database) as connection:
        yield connection


@pytest.fixture
def array(connection: Connection) -> Array:
    """A committed array of bytes: two full blocks and a part of one."""
    array = connection.root()["array"] = Array((2 * B + 1000,), "u1")
    array[:] = numpy.frombuffer(pattern(0, len(array)), "u1")
    connection.transaction_manager.commit()
    connection.cacheMinimize()
    return array


def read(array: Array, start: int, stop: int) -> bytes:
    target = numpy.full(stop - start, 255, "u1")
    block.read_into(array.zarray.zfile.blktab, start, target)
    return target.tobytes()


def out_of_the_file(array: Array, number: int, start: int = 0, size: int = B) -> bytes | None:
    """What the file gives of a block; None where it leaves that to ZODB."""
    connection = array._p_jar
    records = record_file_of(connection)
    assert records is not None
    target = numpy.full(size, 255, "u1")
    oid = array.zarray.zfile.blktab[number]._p_oid
    return target.tobytes() if records.read_into(oid, before_of(connection), start, target) else None


@pytest.mark.parametrize(
    ("start", "stop"), [(0, 2 * B + 1000), (0, 1), (B - 1, B + 1), (5, 100), (2 * B + 1, 2 * B + 999), (B, B)]
)
def test_any_range_is_read(array: Array, start: int, stop: int) -> None:
    assert read(array, start, stop) == pattern(start, stop)


def test_a_full_block_comes_out_of_the_file_and_is_not_loaded(array: Array) -> None:
    assert out_of_the_file(array, 0) == pattern(0, B)
    assert out_of_the_file(array, 1, 100, 50) == pattern(B + 100, B + 150)
    zblk = array.zarray.zfile.blktab[0]
    read(array, 0, B)
    assert isinstance(zblk, ZBlk0)
    assert zblk._p_changed is None


def test_zeros_at_a_blocks_end_which_are_not_stored_are_there(connection: Connection, array: Array) -> None:
    array[1000:B] = 0
    connection.transaction_manager.commit()
    assert out_of_the_file(array, 0) == pattern(0, 1000) + bytes(B - 1000)
    assert out_of_the_file(array, 0, 995, 10) == pattern(995, 1000) + bytes(5)
    assert out_of_the_file(array, 0, 2000, 10) == bytes(10)
    array[10:B] = 0
    connection.transaction_manager.commit()
    assert out_of_the_file(array, 0) is None  # the pickle of a few bytes has another form
    assert read(array, 0, B) == pattern(0, 10) + bytes(B - 10)


def test_blocks_in_chunks_and_what_was_undone_are_left_to_zodb(connection: Connection, array: Array) -> None:
    assert isinstance(array.zarray.zfile.blktab[2], ZBlk1)
    assert out_of_the_file(array, 2) is None
    array[:B] = 1
    connection.transaction_manager.commit()
    database = connection.db()
    manager = TransactionManager()
    database.undo(database.undoLog(0, 1)[0]["id"], manager.begin())
    manager.commit()
    connection.transaction_manager.begin()
    connection.cacheMinimize()
    assert out_of_the_file(array, 0) is None
    assert read(array, 0, 2 * B + 1000) == pattern(0, 2 * B + 1000)


def test_each_connection_reads_what_it_sees(database: DB, array: Array) -> None:
    with separate_connection(database) as other:
        other.get(array._p_oid)[:B] = 7
        other.transaction_manager.commit()
        assert read(other.get(array._p_oid), 0, B) == bytes([7]) * B
    assert out_of_the_file(array, 0) == pattern(0, B)
    array._p_jar.transaction_manager.begin()
    assert out_of_the_file(array, 0) == bytes([7]) * B


def test_what_a_transaction_has_written_is_read_before_and_behind_a_savepoint_and_the_commit(array: Array) -> None:
    manager = array._p_jar.transaction_manager
    array[5:B] = 9
    expected = pattern(0, 5) + bytes([9]) * (B - 5)
    assert read(array, 0, B) == expected
    manager.savepoint()
    assert record_file_of(array._p_jar) is None
    assert read(array, 0, B) == expected
    manager.commit()
    assert read(array, 0, B) == out_of_the_file(array, 0) == expected
    array[:] = 1
    manager.abort()
    assert read(array, 0, B) == expected


def test_a_pack_puts_another_file_in_the_place_of_the_one_that_is_read(database: DB, array: Array) -> None:
    for value in (1, 2):
        array[:B] = value
        array._p_jar.transaction_manager.commit()
        assert out_of_the_file(array, 0) == bytes([value]) * B
    database.pack()
    assert out_of_the_file(array, 0) == bytes([2]) * B
    assert out_of_the_file(array, 1) == pattern(B, 2 * B)


def test_a_file_that_lacks_its_end_is_left_to_zodb(database: DB, array: Array) -> None:
    path = Path(database.storage._file_name)
    whole = path.read_bytes()
    path.write_bytes(whole[: database.storage._lookup_pos(array.zarray.zfile.blktab[1]._p_oid) + 1000])
    assert out_of_the_file(array, 1) is None
    path.write_bytes(whole)
    assert out_of_the_file(array, 1) == pattern(B, 2 * B)


def test_other_storages_have_no_file() -> None:
    database = DB(MappingStorage())
    with separate_connection(database) as connection:
        array = connection.root()["array"] = Array((3,), "u1")
        array[:] = 1
        connection.transaction_manager.commit()
        assert record_file_of(connection) is None
        assert read(array, 0, 3) == b"\1\1\1"
        block.will_need(array.zarray.zfile.blktab, 0, 3)
    database.close()
