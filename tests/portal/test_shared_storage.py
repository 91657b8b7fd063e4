"""One FileStorage, the process that serves it, and others: each sees what the other committed."""

from __future__ import annotations

import signal
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest
import transaction
from BTrees.Length import Length
from persistent.mapping import PersistentMapping
from ZODB import DB
from ZODB.Connection import TransactionMetaData
from ZODB.FileStorage import FileStorage
from ZODB.interfaces import IStorage, IStorageIteration, IStorageUndoable
from ZODB.POSException import ConflictError
from ZODB.tests import (
    BasicStorage,
    ConflictResolution,
    HistoryStorage,
    IteratorStorage,
    MTStorage,
    RevisionStorage,
    StorageTestBase,
    Synchronization,
    TransactionalUndoStorage,
)
from ZODB.utils import z64

from Products.ERP5Wendelin.errors import Conflict
from Products.ERP5Wendelin.portal import shared_storage
from Products.ERP5Wendelin.portal.shared_storage import STORAGE_NAME, Guest, Role, SharedFileStorage, open_shared
from support.shared_storage import Place, begin, commit, opened

TIMEOUT = 60
"""Seconds after which something that takes milliseconds is held to hang."""


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


@pytest.fixture
def server(place: Place) -> Iterator[DB]:
    db = place.serve()
    yield db
    db.close()


@pytest.fixture
def guest(place: Place, server: DB) -> Iterator[DB]:
    db = DB(place.open())
    assert isinstance(db.storage, Guest)
    yield db
    db.close()


@contextmanager
def other_process(place: Place, script: str) -> Iterator[subprocess.Popen[str]]:
    """Run a script with `place`; what it prints is for the test to wait for."""
    prologue = f"from support.shared_storage import *\nplace = Place(Path({str(place.socket.parent)!r}))\n"
    with subprocess.Popen(
        [sys.executable, "-c", prologue + script],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parents[1],
    ) as process:
        late = threading.Timer(TIMEOUT, process.kill)
        late.start()
        try:
            yield process
        finally:
            late.cancel()
            process.kill()


@pytest.mark.parametrize("pair", [("server", "guest"), ("guest", "server")])
def test_what_one_side_commits_is_seen_by_the_next_transaction_of_the_other(
    pair: tuple[str, str], request: pytest.FixtureRequest
) -> None:
    writer, reader = (request.getfixturevalue(name) for name in ("server", "guest"))
    if pair[0] == "guest":
        writer, reader = reader, writer
    with opened(writer) as written, opened(reader) as read:
        assert "answer" not in read  # and so it is cached
        for value in range(20):
            written["answer"] = value
            commit(written)
            begin(read)
            assert read["answer"] == value


def test_a_transaction_goes_on_seeing_what_was_there_at_its_begin(server: DB, guest: DB) -> None:
    with opened(server) as written, opened(guest) as read:
        written["a"], written["b"] = PersistentMapping(value=0), PersistentMapping(value=0)
        commit(written)
        begin(read)
        assert read["a"]["value"] == 0
        written["b"]["value"] = 1
        commit(written)
        assert read["b"]["value"] == 0


@pytest.mark.parametrize("first", ["server", "guest"])
def test_writes_of_one_object_from_both_sides_conflict(first: str, server: DB, guest: DB) -> None:
    winner, loser = (server, guest) if first == "server" else (guest, server)
    with opened(winner) as won, opened(loser) as lost:
        begin(lost)
        lost["answer"] = 1
        won["answer"] = 2
        commit(won)
        with pytest.raises(ConflictError):
            commit(lost)
        begin(lost)
        assert lost["answer"] == 2


def test_conflicts_that_the_class_can_resolve_are_resolved_for_both_sides(server: DB, guest: DB) -> None:
    with opened(server) as here, opened(guest) as there:
        here["count"] = Length()
        commit(here)
        begin(there)
        here["count"].change(3)
        there["count"].change(4)
        commit(here)
        commit(there)
        begin(here)
        begin(there)
        assert (here["count"].value, there["count"].value) == (7, 7)


def test_an_undo_on_one_side_is_seen_by_the_other(server: DB, guest: DB) -> None:
    with opened(server) as here, opened(guest) as there:
        here["answer"] = 1
        commit(here)
        begin(there)
        there["answer"] = 2
        commit(there)
        begin(here)
        assert here["answer"] == 2
        manager = transaction.TransactionManager()
        guest.undo(guest.undoLog(0, 1)[0]["id"], manager.begin())
        manager.commit()
        begin(here)
        assert here["answer"] == 1


def test_another_process_writes_and_reads_while_this_one_serves(place: Place, server: DB) -> None:
    with opened(server) as root:
        root["question"] = "6 * 7"
        commit(root)
        script = """
with opened(DB(place.open())) as root:
    root["answer"] = eval(root["question"])
    commit(root)
print("done")
"""
        with other_process(place, script) as process:
            assert process.stdout.readline() == "done\n"
        begin(root)
        assert root["answer"] == 42


VOTE = """
from ZODB.Connection import TransactionMetaData
from ZODB.utils import z64
storage = place.open()
txn = TransactionMetaData()
storage.tpc_begin(txn)
storage.store(storage.new_oid(), z64, b"x" * 1000, "", txn)
storage.tpc_vote(txn)
print("voted", flush=True)
input()
"""
"""What another process does to hold the commit lock."""


def test_what_a_guest_stores_is_collected_on_both_sides_as_the_bytes_that_it_is(server: DB, guest: DB) -> None:
    data = bytes(range(256)) * 4096
    meta = TransactionMetaData()
    guest.storage.tpc_begin(meta)
    guest.storage.store(guest.storage.new_oid(), z64, data, "", meta)
    assert 0 <= meta.data(guest.storage).file.tell() - len(data) < 100
    guest.storage.sync()  # the answer comes behind what was sent before
    host, _ = server.storage._offer
    [connection] = host.zeo_storages_by_storage_id[STORAGE_NAME]
    assert 0 <= connection.txnlog.size() - len(data) < 100
    guest.storage.tpc_abort(meta)


def test_a_process_killed_while_it_holds_the_commit_lock_holds_up_nobody(place: Place, server: DB) -> None:
    with opened(server) as root, other_process(place, VOTE) as process:
        assert process.stdout.readline() == "voted\n"
        root["answer"] = 42
        committing = threading.Thread(target=commit, args=(root,), daemon=True)
        committing.start()
        committing.join(0.2)
        assert committing.is_alive(), "the other process did not hold the lock: this test shows nothing"
        process.kill()
        committing.join(TIMEOUT)
        assert not committing.is_alive()
        begin(root)
        assert root["answer"] == 42
        root["answer"] = 43
        commit(root)


def test_a_process_that_stalls_while_it_holds_the_commit_lock_is_cut_off(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shared_storage, "TRANSACTION_TIMEOUT", 1)
    server = place.serve()
    with opened(server) as root, other_process(place, VOTE) as process:
        assert process.stdout.readline() == "voted\n"
        process.send_signal(signal.SIGSTOP)
        root["answer"] = 42
        committing = threading.Thread(target=commit, args=(root,), daemon=True)
        committing.start()
        committing.join(TIMEOUT)
        assert not committing.is_alive()
    server.close()


@pytest.mark.parametrize(("commits", "size"), [(60, 1 << 10), (6, 8 << 20)])
def test_commits_from_both_sides_at_once_never_dead_lock_fail_or_get_lost(
    commits: int, size: int, place: Place, server: DB
) -> None:
    guests = [DB(place.open()), DB(place.open())]
    writers = {"server-1": server, "server-2": server, "guest-1": guests[0], "guest-2": guests[1]}
    with opened(server) as root:
        root.update({name: PersistentMapping() for name in writers}, count=Length())
        commit(root)

    def write(name: str) -> None:
        with opened(writers[name]) as root:
            for number in range(commits):
                root[name][number] = PersistentMapping(data=bytes(size))
                root["count"].change(1)
                commit(root)

    pool = ThreadPoolExecutor(len(writers))
    for writing in [pool.submit(write, name) for name in writers]:
        writing.result(TIMEOUT)
    for db in (server, *guests):
        with opened(db) as root:
            assert root["count"].value == len(writers) * commits
            assert [len(root[name]) for name in writers] == [commits] * len(writers)
    for db in guests:
        db.close()


def test_the_socket_is_for_this_user_only_and_goes_with_the_server(place: Place) -> None:
    db = place.serve()
    assert stat.S_IMODE(place.socket.stat().st_mode) == 0o600
    db.close()
    assert not place.socket.exists()


def test_a_socket_that_a_killed_server_left_behind_is_replaced(place: Place) -> None:
    script = "db = place.serve(); print('serving', flush=True); input()"
    with other_process(place, script) as process:
        assert process.stdout.readline() == "serving\n"
        process.kill()
        process.wait()
    assert place.socket.exists()
    db = place.serve()
    with opened(DB(place.open())) as root:
        assert dict(root) == {}
    db.close()


def test_a_path_too_long_for_a_socket_is_reached_all_the_same(tmp_path: Path) -> None:
    directory = tmp_path / ("x" * 200)
    directory.mkdir()
    place = Place(directory)
    db = place.serve()
    guest = DB(place.open())
    with opened(guest) as root:
        root["answer"] = 42
        commit(root)
    with opened(db) as root:
        assert root["answer"] == 42
    guest.close()
    db.close()


def test_a_storage_in_use_that_is_not_shared_is_an_error_that_says_so(place: Place) -> None:
    alone = place.open()
    with pytest.raises(Conflict) as caught:
        place.open(wait=0)
    assert str(caught.value) == (
        "The database is open in another process, which does not share it: wait until that is done, or stop it."
    )
    alone.close()


def test_a_storage_in_use_is_opened_as_soon_as_it_is_free(place: Place) -> None:
    alone = place.open()
    opening = threading.Thread(target=lambda: place.open(wait=TIMEOUT).close(), daemon=True)
    opening.start()
    opening.join(0.3)
    assert opening.is_alive()
    alone.close()
    opening.join(TIMEOUT)
    assert not opening.is_alive()


def test_a_storage_that_shares_itself_is_returned_as_it_is(place: Place) -> None:
    storage = object()
    assert open_shared(lambda: storage, place.socket) is storage


def test_a_host_for_want_of_a_better_one_releases_the_storage_to_one_that_serves(place: Place) -> None:
    stopgap = DB(place.open())
    with opened(stopgap) as root:
        root["answer"] = 42
        commit(root)
    releasing = threading.Thread(target=stopgap.close)
    stopgap.storage.offer(place.socket, lambda: releasing.start() or True)
    server = DB(place.open(role=Role.HOST))
    releasing.join(TIMEOUT)
    assert isinstance(server.storage, SharedFileStorage)
    with opened(server) as root:
        assert root["answer"] == 42
    server.close()


def test_a_guest_is_cut_off_with_its_transaction_when_the_host_closes_the_storage(place: Place, server: DB) -> None:
    with other_process(place, VOTE) as process:
        assert process.stdout.readline() == "voted\n"
        guest = DB(place.open())
        server.close()
        successor = place.serve()
        with opened(successor) as root, opened(guest) as seen:
            root["answer"] = 42
            commit(root)
            deadline = time.monotonic() + TIMEOUT
            while "answer" not in seen:  # until it has connected to the next host
                assert time.monotonic() < deadline
                time.sleep(0.05)
                begin(seen)
        guest.close()
        successor.close()


def test_a_host_that_serves_stays_it(place: Place, server: DB) -> None:
    second = DB(place.open(role=Role.HOST))
    assert isinstance(second.storage, Guest)
    second.close()
    with opened(server) as root:
        root["answer"] = 42
        commit(root)


def test_a_host_that_does_not_release_what_it_promised_is_named_after_a_while(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shared_storage, "RELEASE_WAIT", 0)
    stopgap = DB(place.open())
    stopgap.storage.offer(place.socket, lambda: True)
    with pytest.raises(Conflict) as caught:
        place.open(wait=0, role=Role.HOST)
    assert str(caught.value) == (
        "The process that has the database open was asked to release it, and is still at work: "
        "see DIR/log/fluentd.log, or stop `wendelin fluentd`."
    )
    stopgap.close()


def test_who_is_to_be_a_guest_leaves_the_file_to_a_host_that_is_to_come(place: Place) -> None:
    with pytest.raises(Conflict) as caught:
        place.open(wait=0, role=Role.GUEST)
    assert str(caught.value) == (
        "The process that shared the database has gone: it may come back, or another one open the database."
    )
    server = place.serve()
    guest = DB(place.open(role=Role.GUEST))
    assert isinstance(guest.storage, Guest)
    guest.close()
    server.close()


def test_each_side_provides_what_the_storage_provides(server: DB, guest: DB) -> None:
    for interface in (IStorage, IStorageIteration, IStorageUndoable):
        assert interface.providedBy(server.storage)
        assert interface.providedBy(guest.storage)


class Listener:
    """A database that makes no transaction of its own: the suites begin with an empty storage."""

    def invalidate(self, tid: bytes, oids: list[bytes]) -> None:
        """Take note of a commit."""


def offer_empty_storage() -> SharedFileStorage:
    storage = SharedFileStorage(FileStorage("Data.fs"))
    storage.registerDB(Listener())
    storage.offer(Place(Path.cwd()).socket)
    return storage


class TestServingSide(
    StorageTestBase.StorageTestBase,
    BasicStorage.BasicStorage,
    TransactionalUndoStorage.TransactionalUndoStorage,
    RevisionStorage.RevisionStorage,
    Synchronization.SynchronizedStorage,
    ConflictResolution.ConflictResolvingStorage,
    ConflictResolution.ConflictResolvingTransUndoStorage,
    HistoryStorage.HistoryStorage,
    IteratorStorage.IteratorStorage,
    MTStorage.MTStorage,
):
    """ZODB's own suites, over the storage as the serving process has it while it is shared."""

    use_extension_bytes = True
    # Half a minute of clients that come and go; it passes, and the next one shows the same in a second.
    test_race_external_invalidate_vs_disconnect = None

    def setUp(self) -> None:
        super().setUp()
        self._storage = offer_empty_storage()

    def _new_storage_client(self) -> Guest:
        """Whom the suite of races lets run against this side."""
        return Place(Path.cwd()).open()


class TestGuest(
    StorageTestBase.StorageTestBase,
    BasicStorage.BasicStorage,
    RevisionStorage.RevisionStorage,
    Synchronization.SynchronizedStorage,
    ConflictResolution.ConflictResolvingStorage,
    MTStorage.MTStorage,
):
    """The same, as other processes have it."""

    test_race_external_invalidate_vs_disconnect = None  # as above

    def setUp(self) -> None:
        super().setUp()
        self.server = offer_empty_storage()
        self._storage = self._new_storage_client()

    def _new_storage_client(self) -> Guest:
        return Place(Path.cwd()).open()

    def _close(self) -> None:
        super()._close()
        self.server.close()
