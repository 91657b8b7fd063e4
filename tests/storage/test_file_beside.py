"""A FileStorage's file, read beside the process that writes to it: closed under nobody, and known by what it holds."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import numpy
import pytest
from ZODB import DB
from ZODB.utils import maxtid

from Products.ERP5Wendelin.storage.array import Array
from Products.ERP5Wendelin.storage.block import BLOCK_SIZE
from Products.ERP5Wendelin.storage.database import open_database
from Products.ERP5Wendelin.storage.file_beside import FileBeside
from Products.ERP5Wendelin.storage.record_file import RecordFile
from Products.ERP5Wendelin.storage.transaction import separate_connection


@pytest.fixture
def database(tmp_path: Path) -> Iterator[DB]:
    database = open_database(f"file://{tmp_path}/Data.fs")
    yield database
    database.close()


@pytest.fixture
def beside(database: DB, tmp_path: Path) -> Iterator[FileBeside]:
    write(database, 7)
    beside = FileBeside(str(tmp_path / "Data.fs"))
    yield beside
    beside.close()


def write(database: DB, number: int) -> None:
    """Commit an array of one block."""
    with separate_connection(database) as connection:
        array = connection.root()["array"] = Array((BLOCK_SIZE,), "u1")
        array[:] = number
        connection.transaction_manager.commit()


def oid_of_block(database: DB) -> bytes:
    with separate_connection(database) as connection:
        oid: bytes = connection.root()["array"].zarray.zfile.blktab[0]._p_oid
        return oid


def test_it_is_closed_once_nobody_reads_and_then_says_so(database: DB, beside: FileBeside) -> None:
    oid, target = oid_of_block(database), numpy.empty(9, "u1")
    records = RecordFile(beside)
    assert records.read_into(oid, maxtid, 0, target)
    assert target.tolist() == [7] * 9
    closing = threading.Thread(target=beside.close)
    with beside._files.get() as opened:
        closing.start()
        closing.join(0.2)
        assert closing.is_alive()
        assert opened.read(2) == b"FS"
    closing.join(60)
    assert not closing.is_alive()
    assert not records.read_into(oid, maxtid, 0, target)
    records.will_need(oid)


def test_a_file_that_grows_is_the_same_and_one_that_was_put_back_is_another(
    database: DB, beside: FileBeside, tmp_path: Path
) -> None:
    path = tmp_path / "Data.fs"
    backup = path.read_bytes()
    write(database, 8)
    assert not beside.is_replaced()
    assert beside.catch_up(database.lastTransaction())
    assert not beside.is_replaced()
    database.close()
    path.write_bytes(backup)  # into the same file, as cp does
    assert beside.is_replaced()
    with closing(open_database(f"file://{path}")) as restored:
        write(restored, 9)
    assert beside.is_replaced()
