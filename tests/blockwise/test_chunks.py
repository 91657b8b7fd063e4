"""The bytes of streams, read ahead."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from ZODB.Connection import Connection

from Products.ERP5Wendelin.blockwise import chunks as chunks_module
from Products.ERP5Wendelin.blockwise.chunks import MANY, iter_chunks
from Products.ERP5Wendelin.storage.block import BLOCK_SIZE
from Products.ERP5Wendelin.storage.database import open_database
from Products.ERP5Wendelin.storage.stream import ByteStream
from Products.ERP5Wendelin.storage.transaction import separate_connection
from support.pattern import pattern

SIZE = 2 * MANY + 1000


@pytest.fixture
def connection(tmp_path: Path) -> Iterator[Connection]:
    database = open_database(f"file://{tmp_path}/Data.fs")
    with separate_connection(database) as connection:
        yield connection
    database.close()


@pytest.fixture
def stream(connection: Connection) -> ByteStream:
    """A committed stream."""
    stream = connection.root()["stream"] = ByteStream()
    stream.append(pattern(0, SIZE), keep_chunks=True)
    connection.transaction_manager.commit()
    return stream


@pytest.mark.parametrize(
    ("start", "stop"), [(0, SIZE), (5, 5 + MANY), (3, BLOCK_SIZE + 1), (SIZE, SIZE), (BLOCK_SIZE, SIZE - 1)]
)
def test_all_bytes_come_in_order_in_pieces_of_at_most_a_block(stream: ByteStream, start: int, stop: int) -> None:
    pieces = list(iter_chunks(stream, start, stop))
    assert b"".join(pieces) == pattern(start, stop)
    assert all(0 < len(piece) <= BLOCK_SIZE and isinstance(piece, bytes) for piece in pieces)


def test_many_bytes_are_read_ahead_and_the_thread_ends_with_them(stream: ByteStream) -> None:
    reading = iter_chunks(stream, 0, SIZE)
    assert next(reading) == pattern(0, BLOCK_SIZE)
    assert any(thread.name == "wendelin-read-ahead" for thread in threading.enumerate())
    reading.close()  # type: ignore[attr-defined]
    assert not any(thread.name == "wendelin-read-ahead" for thread in threading.enumerate())


def test_what_is_dropped_meanwhile_is_read_to_its_end(connection: Connection, stream: ByteStream) -> None:
    reading = iter_chunks(stream, 0, SIZE)
    pieces = [next(reading)]
    stream.drop(SIZE)
    connection.transaction_manager.commit()
    assert b"".join([*pieces, *reading]) == pattern(0, SIZE)
    with pytest.raises(ValueError, match=f"^Bytes 0 to {stream.start} of the stream were dropped.$"):
        iter_chunks(stream, 0, SIZE)


@pytest.mark.parametrize("is_put_aside", [False, True])
def test_what_the_transaction_has_appended_is_read(
    connection: Connection, stream: ByteStream, is_put_aside: bool
) -> None:
    stream.append(pattern(SIZE, SIZE + 5))
    if is_put_aside:
        connection.transaction_manager.savepoint()
    assert b"".join(iter_chunks(stream, 0, SIZE + 5)) == pattern(0, SIZE + 5)
    new = ByteStream()
    new.append(bytes(MANY))
    assert b"".join(iter_chunks(new, 0, MANY)) == bytes(MANY)


def test_nothing_is_started_for_a_few_bytes(stream: ByteStream, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(chunks_module, "read_ahead")
    assert b"".join(iter_chunks(stream, 0, MANY - 1)) == pattern(0, MANY - 1)
