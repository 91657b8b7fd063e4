"""SafeFileStorage: a disk that fills up loses nothing that was committed, and the file can be opened afterwards."""

import io
import itertools
import os
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from persistent.mapping import PersistentMapping
from ZODB import DB
from ZODB.FileStorage.FileStorage import FileIterator

from Products.ERP5Wendelin import errors
from Products.ERP5Wendelin.storage import file_storage
from Products.ERP5Wendelin.storage.block import BLOCK_SIZE
from Products.ERP5Wendelin.storage.database import open_database
from Products.ERP5Wendelin.storage.file_storage import Records, SafeFileStorage
from Products.ERP5Wendelin.storage.transaction import append_slices, in_transaction, separate_connection
from support.disks import fill, small_disk
from support.pattern import Pattern, pattern
from support.storage_suite import content, new_owner, opened

B = BLOCK_SIZE
DISK = 8 * 2**20


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 8 MiB."""
    with small_disk(tmp_path / "disk", DISK) as folder:
        yield folder


def put(database: DB, key: str, data: bytes) -> None:
    """Store a record in a transaction."""
    with separate_connection(database) as connection:
        in_transaction(connection, lambda: connection.root().__setitem__(key, PersistentMapping(data=data)), note="put")


def records(database: DB) -> dict[str, bytes]:
    """What `put` stored."""
    with separate_connection(database) as connection:
        return {key: value["data"] for key, value in connection.root().items()}


def test_an_append_to_a_full_disk_is_storage_full_and_keeps_the_slices_before(disk: Path) -> None:
    uri = f"file://{disk}/Data.fs"
    with opened(uri) as database:
        oid = new_owner(database)
        with pytest.raises(errors.StorageFull, match=r"^The disk of the data lake is full: nothing of this request"):
            append_slices(database, oid, Pattern(8 * B), 8 * B, offset=0, note="", slice_size=B)
        stored = content(database, oid)
        assert 0 < len(stored) < 4 * B
        assert stored == pattern(0, len(stored))
    with opened(uri) as database:
        assert content(database, oid) == stored


@pytest.mark.parametrize("size", [5000, 9000, 70_000])
@pytest.mark.parametrize("afterwards", [None, 10, 4000], ids="then {}".format)
def test_a_vote_without_room_leaves_nothing_behind_the_last_transaction(
    disk: Path, size: int, afterwards: int | None
) -> None:
    """With ZODB's own FileStorage, what the vote could not write is written later, and the file can't be opened."""
    uri = f"file://{disk}/Data.fs"
    data = disk / "Data.fs"
    with opened(uri) as database:
        # The temporary file now has room for the next transaction, so that it is the vote that fails.
        put(database, "first", b"x" * 300_000)
        filler = fill(disk, left=0)
        with pytest.raises(errors.StorageFull):
            put(database, "lost", os.urandom(size))
        filler.unlink()
        expected = {"first": b"x" * 300_000}
        if afterwards is not None:
            expected["after"] = b"z" * afterwards
            put(database, "after", expected["after"])
        assert records(database) == expected
    assert sum(1 for _ in FileIterator(str(data))) == 1 + len(expected)
    end = data.stat().st_size
    (disk / "Data.fs.index").unlink()
    with opened(uri) as database:
        assert records(database) == expected
        assert database.storage._pos == end


def test_the_temporary_file_of_a_large_transaction_is_opened_anew_when_it_can_t_be_written(
    disk: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(file_storage, "MOST_IN_MEMORY", 3000)
    with opened(f"file://{disk}/Data.fs") as database:
        put(database, "before", b"x")
        filler = fill(disk, left=0)
        with pytest.raises(errors.StorageFull):
            put(database, "lost", b"y" * 5000)
        assert database.storage.tpc_transaction() is None
        filler.unlink()
        put(database, "after", b"z" * 5000)
        put(database, "small", b"z" * 500)
        assert records(database) == {"before": b"x", "after": b"z" * 5000, "small": b"z" * 500}


def test_records_of_large_and_small_transactions_in_turns_are_stored(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(file_storage, "MOST_IN_MEMORY", 20_000)
    expected = {str(number): os.urandom(size) for number, size in enumerate((30_000, 10, 15_000, 9000, 60_000, 10))}
    with opened(f"file://{tmp_path}/Data.fs") as database:
        for key, data in expected.items():
            put(database, key, data)
            with separate_connection(database) as connection:
                connection.root()["lost"] = PersistentMapping(data=data)
                connection.transaction_manager.get().join(Refusing())
                with pytest.raises(RuntimeError, match="refused"):
                    connection.transaction_manager.commit()
        assert records(database) == expected
    with opened(f"file://{tmp_path}/Data.fs") as database:
        assert records(database) == expected
    assert {path.name for path in tmp_path.iterdir()} <= {"Data.fs", "Data.fs.index", "Data.fs.lock"}


def test_records_are_read_as_a_file_is_and_written_at_their_end() -> None:
    collected, file = Records(), io.BytesIO()
    for piece in (b"abc", b"", b"defgh", b"i"):
        collected.write(piece)
        file.write(piece)
    for position, size in itertools.product(range(10), range(11)):
        collected.seek(position)
        file.seek(position)
        assert (collected.read(size), collected.tell()) == (file.read(size), file.tell())
    collected.seek(4)
    with pytest.raises(ValueError, match=r"^Records are written at their end, 9, not at 4\.$"):
        collected.write(b"x")


class Refusing:
    """A resource of a transaction that refuses, when the database has all records."""

    def sortKey(self) -> str:
        return "~"

    def tpc_begin(self, transaction: object) -> None:
        """Nothing to begin."""

    commit = tpc_finish = tpc_abort = abort = tpc_begin

    def tpc_vote(self, transaction: object) -> None:
        raise RuntimeError("refused")


def test_a_quota_that_is_used_up_is_storage_full(tmp_path: Path) -> None:
    with opened(f"file://{tmp_path}/Data.fs?quota=100kb") as database:
        put(database, "large", b"x" * 200_000)
        with pytest.raises(errors.StorageFull):
            put(database, "another", b"y")
        assert set(records(database)) == {"large"}


def test_its_file_is_file_storage_s(tmp_path: Path) -> None:
    database = open_database(f"file://{tmp_path}/Data.fs")
    assert isinstance(database.storage, SafeFileStorage)
    database.close()
    assert (tmp_path / "Data.fs").read_bytes().startswith(b"FS30")


def test_a_pack_that_waits_for_a_reader_finds_the_readers_file_in_the_pool(tmp_path: Path) -> None:
    class Out(list[Any]):
        """Files that readers have; while one is given back, a pack is about to begin."""

        def remove(self, file: Any) -> None:
            super().remove(file)
            packing.start()
            packing.join(0.2)

    def pack() -> None:
        with pool.write_lock():
            found.extend(pool._files)
            pool.empty()

    with opened(f"file://{tmp_path}/Data.fs") as database:
        pool = database.storage._files
        pool.empty()
        pool._out = Out()
        found: list[Any] = []
        packing = threading.Thread(target=pack)
        with pool.get() as file:
            pass
        packing.join(60)
        assert found == [file]
        assert file.closed
        pool._out = []
        put(database, "later", b"x")
        assert records(database) == {"later": b"x"}
