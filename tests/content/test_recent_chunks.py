"""RecentChunks: what is remembered, what is forgotten, and how little is read and written for it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from ZODB import DB
from ZODB.Connection import Connection
from ZODB.MappingStorage import MappingStorage
from ZODB.POSException import ConflictError

from Products.ERP5Wendelin.content import recent_chunks
from Products.ERP5Wendelin.content.recent_chunks import DIGEST_SIZE, NEWEST, PAGES, WAITING, RecentChunks
from Products.ERP5Wendelin.storage.transaction import separate_connection


@pytest.fixture
def database() -> Iterator[DB]:
    database = DB(MappingStorage())
    yield database
    database.close()


@pytest.fixture
def connection(database: DB) -> Iterator[Connection]:
    with separate_connection(database) as connection:
        connection.root()["chunks"] = RecentChunks()
        connection.transaction_manager.commit()
        yield connection


def ids(start: int, stop: int) -> list[bytes]:
    return [b"chunk %d" % number for number in range(start, stop)]


def added(chunks: RecentChunks, names: list[bytes]) -> RecentChunks:
    for name in names:
        chunks.add(name)
    return chunks


@pytest.mark.parametrize("id", [b"", b"\0", b"16 bytes it has.", b"x" * 33, bytes(10_000)])
def test_an_id_of_any_length_is_known_once_it_was_added(id: bytes) -> None:
    chunks = RecentChunks()
    assert id not in chunks
    chunks.add(id)
    assert id in chunks
    assert id + b"\0" not in chunks


@pytest.mark.parametrize("count", [1, NEWEST - 1, NEWEST, NEWEST + 1, WAITING, 3 * WAITING + NEWEST + 7])
def test_all_of_some_ids_are_known_and_no_others(count: int) -> None:
    chunks = added(RecentChunks(), ids(0, count))
    assert all(name in chunks for name in ids(0, count))
    assert not any(name in chunks for name in ids(count, count + 1000))


def test_what_only_lies_across_two_digests_is_not_known() -> None:
    row = bytes(range(2 * DIGEST_SIZE)) + bytes(DIGEST_SIZE)
    found = [row[start : start + DIGEST_SIZE] for start in range(2 * DIGEST_SIZE + 1)]
    assert [start for start, digest in enumerate(found) if recent_chunks._has(row, digest)] == [0, 16, 32]


def test_the_newest_are_kept_and_the_oldest_go_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recent_chunks, "WAITING", 4 * NEWEST)
    monkeypatch.setattr(recent_chunks, "GENERATION", 8 * NEWEST)
    chunks = RecentChunks()
    for stop in range(NEWEST, 60 * NEWEST, NEWEST):
        added(chunks, ids(stop - NEWEST, stop))
        known = [name in chunks for name in ids(0, stop)]
        kept = sum(known)
        assert known == [False] * (stop - kept) + [True] * kept
        assert min(stop, 8 * NEWEST) <= kept <= 20 * NEWEST


def test_what_was_added_is_read_by_another_connection(database: DB, connection: Connection) -> None:
    added(connection.root()["chunks"], ids(0, 2 * WAITING + NEWEST + 3))
    connection.transaction_manager.commit()
    with separate_connection(database) as other:
        chunks = other.root()["chunks"]
        assert [name in chunks for name in ids(0, 2 * WAITING + NEWEST + 4)] == [True] * (2 * WAITING + NEWEST + 3) + [
            False
        ]


def test_an_aborted_transaction_leaves_nothing(connection: Connection) -> None:
    chunks = connection.root()["chunks"]
    added(chunks, ids(0, WAITING))
    connection.transaction_manager.commit()
    added(chunks, ids(WAITING, 2 * WAITING))
    connection.transaction_manager.abort()
    assert [name in chunks for name in ids(0, 2 * WAITING)] == [True] * WAITING + [False] * WAITING


def test_one_id_a_commit_writes_one_record_and_each_32nd_a_page_and_each_1024th_pages(
    connection: Connection,
) -> None:
    chunks = connection.root()["chunks"]
    connection.getTransferCounts(clear=True)
    stored = []
    for name in ids(0, WAITING + 2):
        chunks.add(name)
        connection.transaction_manager.commit()
        stored.append(connection.getTransferCounts(clear=True)[1])
    turn = [1] * (NEWEST - 1) + [2]
    # the record, the page, the generation and its pages, all of them new
    assert stored == [*turn * (WAITING // NEWEST - 1), *turn[:-1], 3 + PAGES, 1, 1]


def test_a_look_up_reads_one_page_of_a_generation(connection: Connection) -> None:
    chunks = added(connection.root()["chunks"], ids(0, WAITING))
    connection.transaction_manager.commit()
    connection.cacheMinimize()
    connection.getTransferCounts(clear=True)
    assert b"unknown" not in chunks
    loaded, _ = connection.getTransferCounts()
    assert loaded == 4  # the record, the page of those that wait, the generation and its page


def test_two_who_add_at_the_same_time_conflict(database: DB, connection: Connection) -> None:
    with separate_connection(database) as other:
        connection.root()["chunks"].add(b"same")
        other.root()["chunks"].add(b"same")
        connection.transaction_manager.commit()
        with pytest.raises(ConflictError):
            other.transaction_manager.commit()
