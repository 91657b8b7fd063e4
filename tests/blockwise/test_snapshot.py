"""Snapshots, over all kinds of storages."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from transaction import TransactionManager
from ZODB import DB
from ZODB.MappingStorage import MappingStorage
from ZODB.utils import maxtid

from Products.ERP5Wendelin import errors
from Products.ERP5Wendelin.blockwise.snapshot import DATABASES, Snapshot
from Products.ERP5Wendelin.storage.database import note_uri, open_database, path_of, uri_of
from Products.ERP5Wendelin.storage.file_beside import FileBeside
from Products.ERP5Wendelin.storage.transaction import separate_connection
from support.databases import Unavailable, create_postgresql_database, neo_cluster, postgresql_server, zeo_server
from support.shared_storage import Place
from support.snapshot_suite import SnapshotSuite, new_array, read, write


class TestFileStorage(SnapshotSuite):
    """In this process; the other reads the file beside it."""

    @pytest.fixture(scope="class")
    @classmethod
    def uri(cls, tmp_path_factory: pytest.TempPathFactory) -> str:
        return f"file://{tmp_path_factory.mktemp('filestorage')}/Data.fs"


class TestZEO(SnapshotSuite):
    """Through a server in a process of its own."""

    @pytest.fixture(scope="class")
    @classmethod
    def uri(cls, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
        with zeo_server(tmp_path_factory.mktemp("zeo")) as uri:
            yield uri


class TestSQLite(SnapshotSuite):
    """RelStorage in the files of a folder."""

    @pytest.fixture(scope="class")
    @classmethod
    def uri(cls, tmp_path_factory: pytest.TempPathFactory) -> str:
        pytest.importorskip("relstorage", reason="RelStorage is not installed: install erp5-wendelin[relstorage]")
        return f"sqlite://{tmp_path_factory.mktemp('sqlite')}"


class TestPostgreSQL(SnapshotSuite):
    """RelStorage in a real server."""

    @pytest.fixture(scope="class")
    @classmethod
    def uri(cls) -> Iterator[str]:
        pytest.importorskip("relstorage", reason="RelStorage is not installed: install erp5-wendelin[relstorage]")
        try:
            with postgresql_server() as folder:
                yield create_postgresql_database(folder, "snapshots")
        except Unavailable as reason:
            pytest.skip(str(reason))


class TestNoHistory(SnapshotSuite):
    """RelStorage that keeps the present state alone."""

    keeps_history = False

    @pytest.fixture(scope="class")
    @classmethod
    def uri(cls, tmp_path_factory: pytest.TempPathFactory) -> str:
        pytest.importorskip("relstorage", reason="RelStorage is not installed: install erp5-wendelin[relstorage]")
        return f"sqlite://{tmp_path_factory.mktemp('sqlite')}?keep_history=false"


# NEO's client ends its thread by SystemExit, which pytest reports.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
class TestNEO(SnapshotSuite):
    """A master and a storage node, in processes of their own."""

    @pytest.fixture(scope="class")
    @classmethod
    def uri(cls, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
        try:
            with neo_cluster(tmp_path_factory.mktemp("neo")) as uri:
                yield uri
        except Unavailable as reason:
            pytest.skip(str(reason))


class TestServedFile:
    """A FileStorage that another process has open and offers: here two databases of one process stand for both."""

    @pytest.fixture
    def place(self, tmp_path: Path) -> Place:
        return Place(tmp_path)

    @pytest.fixture
    def host(self, place: Place) -> Iterator[DB]:
        database = place.serve()
        yield database
        database.close()

    @pytest.fixture
    def guest(self, place: Place, host: DB) -> Iterator[DB]:
        storage = place.open()
        note_uri(storage, place.uri)
        database = DB(storage)
        yield database
        database.close()

    def test_a_guest_reads_the_file_beside_its_host(self, place: Place, host: DB, guest: DB) -> None:
        assert uri_of(host) == uri_of(guest) == place.uri
        oid = new_array(host, 1)
        snapshot = snapshot_of(guest)
        with snapshot.opened() as connection:
            assert isinstance(connection.db().storage, FileBeside)
        write(host, oid, 2)
        write(guest, oid, 3)
        assert (read(snapshot, oid), read(snapshot_of(guest), oid)) == (1, 3)

    def test_a_host_reads_in_its_own_database(self, host: DB) -> None:
        oid = new_array(host, 1)
        snapshot = snapshot_of(host)
        write(host, oid, 2)
        with snapshot.opened() as connection:
            assert connection.db() is host
        assert read(snapshot, oid) == 1

    def test_what_was_opened_before_a_pack_is_read_to_its_end(self, host: DB, guest: DB) -> None:
        oid = new_array(host, 1)
        snapshot = snapshot_of(guest)
        write(host, oid, 2)
        with snapshot.opened() as connection:
            host.pack()
            assert (connection.get(oid)[:] == 1).all()
        with pytest.raises(errors.Gone, match="it was packed since"):
            read(snapshot, oid)
        assert read(snapshot_of(guest), oid) == 2

    def test_a_transaction_that_has_not_ended_is_read_once_it_has(self, place: Place, host: DB, guest: DB) -> None:
        oid = new_array(host, 1)
        before = snapshot_of(guest)
        assert read(before, oid) == 1
        manager = TransactionManager()
        connection = host.open(manager)
        connection.get(oid)[:] = 2
        beside = FileBeside(path_of(place.uri) or "")
        finish = host.storage.tpc_finish

        def look_then_finish(*args: Any) -> bytes:
            # All of the transaction is in the file by now, but for a mark that it has ended.
            known = beside.lastTransaction()
            assert not beside.catch_up(maxtid)
            assert beside.lastTransaction() == known == before.tid
            return finish(*args)

        connection._storage._storage = Finishing(host.storage, look_then_finish)
        manager.commit()
        connection.close()
        assert beside.catch_up(snapshot_of(host).tid)
        assert not beside.is_replaced()
        beside.close()
        assert read(snapshot_of(guest), oid) == 2


class Finishing:
    """A storage with another `tpc_finish`."""

    def __init__(self, storage: Any, finish: Callable[..., bytes]) -> None:
        self._storage = storage
        self.tpc_finish = finish

    def __getattr__(self, name: str) -> Any:
        return getattr(self._storage, name)


def snapshot_of(database: DB) -> Snapshot:
    with separate_connection(database) as connection:
        return Snapshot.of(connection)


def test_text_that_names_no_snapshot_is_refused(tmp_path: Path) -> None:
    database = open_database(f"file://{tmp_path}/Data.fs")
    with separate_connection(database) as connection:
        for text in ("", "123", "03F6a5c1d2e3b4a5", "03f6a5c1d2e3b4a5 "):
            with pytest.raises(errors.BadInput, match=rf"^'{text}' names no snapshot: one has 16 hexadecimal digits"):
                Snapshot.parse(text, connection)
    database.close()


def test_a_snapshot_of_the_future_is_refused(tmp_path: Path) -> None:
    database = open_database(f"file://{tmp_path}/Data.fs")
    with separate_connection(database) as connection:
        snapshot = Snapshot.parse("7f00000000000000", connection)
    with pytest.raises(errors.Gone, match="has no snapshot 7f00000000000000 .*: its last transaction was earlier"):
        read(snapshot, b"")
    database.close()


def test_a_database_in_memory_is_read_in_its_process_alone() -> None:
    database = DB(MappingStorage())
    oid = new_array(database, 1)
    snapshot = snapshot_of(database)
    write(database, oid, 2)
    assert read(snapshot, oid) == 1
    database.close()
    with pytest.raises(errors.BadInput, match="^A snapshot of a database in memory cannot be read in another process"):
        read(snapshot, oid)


def test_a_file_that_is_not_here_is_named(tmp_path: Path) -> None:
    snapshot = Snapshot(f"file://{tmp_path}/Data.fs", b"\3" * 8)
    with pytest.raises(errors.BadInput, match=rf"^file://{tmp_path}/Data.fs cannot be read here: No such file"):
        read(snapshot, b"")


def test_a_password_is_not_shown() -> None:
    snapshot = Snapshot("postgresql://lake:secret@host/lake", b"\3" * 8)
    assert repr(snapshot) == "Snapshot('postgresql://lake:***@host/lake', '0303030303030303')"


def test_databases_that_were_not_used_for_long_are_closed(tmp_path: Path) -> None:
    snapshots = []
    for number in range(DATABASES + 2):
        database = open_database(f"file://{tmp_path}/{number}.fs")
        oid = new_array(database, number)
        snapshots.append((snapshot_of(database), oid))
        database.close()
    first, oid = snapshots[0]
    with first.opened() as connection:
        for number, (snapshot, each) in enumerate(snapshots):
            assert read(snapshot, each) == number
        assert (connection.get(oid)[:] == 0).all()
        opened = connection.db()
    assert "storage" not in vars(opened)
