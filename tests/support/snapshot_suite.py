"""What every storage must do for snapshots: a subclass gives it `uri`, as `support.storage_suite` has it."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy
import pytest
from ZODB import DB
from ZODB.POSException import ReadOnlyHistoryError

from Products.ERP5Wendelin import errors
from Products.ERP5Wendelin.blockwise.snapshot import Snapshot
from Products.ERP5Wendelin.storage.array import Array
from Products.ERP5Wendelin.storage.block import BLOCK_SIZE
from Products.ERP5Wendelin.storage.database import open_database
from Products.ERP5Wendelin.storage.transaction import in_transaction, separate_connection

ROWS = 2 * BLOCK_SIZE // 8
"""Rows of the array: two blocks."""


class SnapshotSuite:
    """The tests."""

    keeps_history = True

    @pytest.fixture(scope="class")
    @classmethod
    def uri(cls) -> Iterator[str]:
        """The URI of a database."""
        raise NotImplementedError

    @pytest.fixture
    def database(self, uri: str) -> Iterator[DB]:
        database = open_database(uri)
        yield database
        database.close()

    def test_a_snapshot_shows_what_was_while_others_commit(self, database: DB) -> None:
        oid = new_array(database, 1)
        with separate_connection(database) as connection:
            snapshot = Snapshot.of(connection)
        write(database, oid, 2)
        with separate_connection(database) as connection:
            later = Snapshot.of(connection)
        assert later.tid > snapshot.tid
        if self.keeps_history:
            assert (read(snapshot, oid), read(later, oid), read(snapshot, oid)) == (1, 2, 1)
        else:
            assert read(later, oid) == 2
            with pytest.raises(errors.Gone):
                read(snapshot, oid)

    def test_a_connection_with_changes_has_the_snapshot_without_them(self, database: DB) -> None:
        oid = new_array(database, 1)
        with separate_connection(database) as connection:
            connection.get(oid)[:] = 5
            assert read(Snapshot.of(connection), oid) == 1

    def test_a_snapshot_of_a_snapshot_is_the_same(self, database: DB) -> None:
        oid = new_array(database, 1)
        with separate_connection(database) as connection:
            snapshot = Snapshot.of(connection)
        with snapshot.opened() as connection:
            assert Snapshot.of(connection) == snapshot
            assert Snapshot.parse(snapshot.text, connection) == snapshot
            assert connection.get(oid).shape == (ROWS,)

    def test_nothing_can_be_written_to_a_snapshot(self, database: DB) -> None:
        oid = new_array(database, 1)
        with separate_connection(database) as connection:
            snapshot = Snapshot.of(connection)
        with snapshot.opened() as connection:
            connection.transaction_manager.begin()
            connection.get(oid)[:] = 3
            with pytest.raises(ReadOnlyHistoryError):
                connection.transaction_manager.commit()
            connection.transaction_manager.abort()
        assert read(snapshot, oid) == 1

    def test_what_was_packed_is_gone_and_a_message_says_so(self, uri: str) -> None:
        database = open_database(uri)
        oid = new_array(database, 1)
        with separate_connection(database) as connection:
            snapshot = Snapshot.of(connection)
        write(database, oid, 2)
        write(database, oid, 3)
        with separate_connection(database) as connection:
            last = Snapshot.of(connection)
        database.pack()
        database.close()  # clients of servers may still have in memory what was packed
        with pytest.raises(
            errors.Gone, match=rf"no longer has all of snapshot {snapshot.text} \(.* UTC\): it was packed"
        ):
            read(snapshot, oid)
        assert read(last, oid) == 3

    def test_another_process_reads_a_pickled_snapshot_whatever_is_committed_meanwhile(self, database: DB) -> None:
        oid = new_array(database, 1)
        with Reader() as reader:
            for value in (1, 2, 3):
                write(database, oid, value)
                with separate_connection(database) as connection:
                    snapshot = Snapshot.of(connection)
                if self.keeps_history:
                    write(database, oid, -value)
                assert reader.read(snapshot, oid) == value

    def test_threads_read_one_snapshot_at_once(self, database: DB) -> None:
        oid = new_array(database, 7)
        with separate_connection(database) as connection:
            snapshot = Snapshot.of(connection)
        found: list[float] = []
        threads = [threading.Thread(target=lambda: found.append(read(snapshot, oid))) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
        assert found == [7] * 4


class Reader:
    """Another process, which reads the arrays it is told of: `python -m support.snapshot_suite`."""

    def __enter__(self) -> Reader:
        self._process = subprocess.Popen(
            [sys.executable, "-W", "ignore", "-m", "support.snapshot_suite"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            cwd=Path(__file__).parents[1],
            env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        )
        return self

    def __exit__(self, *_: object) -> None:
        self._process.communicate(timeout=60)

    def read(self, snapshot: Snapshot, oid: bytes) -> float:
        """The value of an array there."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(pickle.dumps((snapshot, oid)))
        self._process.stdin.flush()
        answer: float | Exception = pickle.load(self._process.stdout)
        if isinstance(answer, Exception):
            raise answer
        return answer


def new_array(database: DB, value: float) -> bytes:
    """The object id of a new array that is full of a value."""
    with separate_connection(database) as connection:

        def add() -> bytes:
            array = Array((ROWS,), numpy.float64)
            connection.add(array)
            connection.root()[array._p_oid.hex()] = array
            return array._p_oid

        oid = in_transaction(connection, add, note="new array")
    write(database, oid, value)
    return oid


def write(database: DB, oid: bytes, value: float) -> None:
    """Fill an array with a value, in a transaction."""
    with separate_connection(database) as connection:

        def fill() -> None:
            connection.get(oid)[:] = value

        in_transaction(connection, fill, note="fill")


def read(snapshot: Snapshot, oid: bytes) -> float:
    """The value that an array is full of in a snapshot."""
    with snapshot.opened() as connection:
        values = connection.get(oid)[:]
    assert (values == values[0]).all()
    return float(values[0])


def main() -> None:
    """Answer what `Reader` asks until it has no more."""
    while True:
        try:
            snapshot, oid = pickle.load(sys.stdin.buffer)
        except EOFError:
            return
        answer: float | Exception
        try:
            answer = read(snapshot, oid)
        except Exception as error:
            answer = error
        pickle.dump(answer, sys.stdout.buffer)
        sys.stdout.buffer.flush()


if __name__ == "__main__":
    main()
