"""A guest of a shared FileStorage reads blocks from the file itself, as its transaction sees them."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path

import numpy
import pytest
from persistent.mapping import PersistentMapping
from ZODB import DB

from Products.ERP5Wendelin.portal.shared_storage import Guest
from Products.ERP5Wendelin.storage.array import Array
from Products.ERP5Wendelin.storage.block import BLOCK_SIZE
from Products.ERP5Wendelin.storage.database import note_uri
from Products.ERP5Wendelin.storage.stream import ByteStream
from support.shared_storage import Place, begin, commit, opened

ROWS = 2 * BLOCK_SIZE


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


@pytest.fixture
def server(place: Place) -> Iterator[DB]:
    """A database with an array of two blocks, all 1."""
    db = place.serve()
    with opened(db) as root:
        root["array"] = Array((ROWS,), "uint8")
        root["array"][:] = 1
        commit(root)
    yield db
    db.close()


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The sizes of what guests get from their host."""
    sizes: list[int] = []
    load = Guest.loadBefore

    def noted(self: Guest, oid: bytes, tid: bytes) -> object:
        loaded = load(self, oid, tid)
        sizes.append(len(loaded[0]) if loaded else 0)
        return loaded

    monkeypatch.setattr(Guest, "loadBefore", noted)
    return sizes


@pytest.fixture
def guest(place: Place, server: DB, asked: list[int]) -> Iterator[DB]:
    storage = place.open()
    note_uri(storage, place.uri)
    db = DB(storage)
    yield db
    db.close()


def values(root: PersistentMapping) -> list[int]:
    """The different values of each block."""
    array = root["array"]
    return [int(each) for start in (0, BLOCK_SIZE) for each in numpy.unique(array[start : start + BLOCK_SIZE])]


def test_blocks_come_from_the_file_and_not_from_the_host(guest: DB, asked: list[int]) -> None:
    with opened(guest) as root:
        assert values(root) == [1, 1]
    assert max(asked) < BLOCK_SIZE


def test_streams_come_from_the_file_too(server: DB, guest: DB, asked: list[int]) -> None:
    data = numpy.arange(ROWS + 1000, dtype="<u4").view("u1")[: 2 * BLOCK_SIZE].tobytes()
    with opened(server) as root:
        root["stream"] = ByteStream()
        for start in range(0, len(data), BLOCK_SIZE):
            root["stream"].append(data[start : start + BLOCK_SIZE], final=True)
        commit(root)
    with opened(guest) as root:
        assert root["stream"].read(0, len(data)) == data
        assert root["stream"].read(BLOCK_SIZE - 3, BLOCK_SIZE + 5) == data[BLOCK_SIZE - 3 : BLOCK_SIZE + 5]
    assert max(asked) < BLOCK_SIZE


def test_what_the_host_commits_is_seen_by_the_next_transaction_and_not_before(
    server: DB, guest: DB, asked: list[int]
) -> None:
    with opened(server) as here, opened(guest) as there:
        assert values(there) == [1, 1]
        here["array"][:BLOCK_SIZE] = 2
        commit(here)
        assert values(there) == [1, 1]
        begin(there)
        assert values(there) == [2, 1]
    assert max(asked) < BLOCK_SIZE


def test_a_guest_sees_what_it_has_written_itself(server: DB, guest: DB) -> None:
    with opened(guest) as root:
        root["array"][BLOCK_SIZE:] = 3
        assert values(root) == [1, 3]
        commit(root)
        assert values(root) == [1, 3]
    with opened(server) as root:
        assert values(root) == [1, 3]


def test_after_a_pack_blocks_come_from_the_new_file(server: DB, guest: DB, place: Place, asked: list[int]) -> None:
    with opened(server) as here, opened(guest) as there:
        assert values(there) == [1, 1]
        here["array"][:BLOCK_SIZE] = 2
        commit(here)
        server.pack()
        here["array"][BLOCK_SIZE:] = 3
        commit(here)
        begin(there)
        assert values(there) == [2, 3]
    assert max(asked) < BLOCK_SIZE


def test_where_the_file_cannot_be_read_blocks_come_from_the_host(
    server: DB, place: Place, asked: list[int], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "wendelin.storage")
    storage = place.open()
    note_uri(storage, "file:///nowhere/Data.fs")
    db = DB(storage)
    try:
        with opened(db) as root:
            assert values(root) == [1, 1]
    finally:
        db.close()
    assert max(asked) > BLOCK_SIZE
    assert "blocks are read through the host, since /nowhere/Data.fs cannot be read here" in caplog.text
