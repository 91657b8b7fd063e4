"""A file is read ahead of what is taken from it, by a thread that ends with it."""

from __future__ import annotations

import threading
import tracemalloc

import pytest

from ebulk.errors import ChangedError, EbulkError
from ebulk.transfer.read_ahead import BLOCK_SIZE, BLOCKS, STEP, ReadAhead

DATA = bytes(range(256)) * (3 * BLOCK_SIZE // 256) + b"tail"


@pytest.fixture
def source(tmp_path):
    path = tmp_path / "data"
    path.write_bytes(DATA)
    return path


@pytest.mark.parametrize(("start", "stop"), [(0, len(DATA)), (1, 2), (BLOCK_SIZE - 1, 2 * BLOCK_SIZE + 1)])
def test_bytes_between_start_and_stop_come_in_order(source, start, stop):
    with ReadAhead(source, ((start, stop),)) as ahead:
        assert b"".join(bytes(block) for block in ahead.take(stop - start)) == DATA[start:stop]


def test_taking_goes_on_where_it_stopped(source):
    sizes = [1, STEP, BLOCK_SIZE + 5, 700_000]
    with ReadAhead(source, ((0, len(DATA)),)) as ahead:
        taken = b"".join(bytes(block) for size in sizes for block in ahead.take(size))
    assert taken == DATA[: sum(sizes)]


def test_blocks_are_no_larger_than_a_step(source):
    with ReadAhead(source, ((0, len(DATA)),)) as ahead:
        assert max(len(block) for block in ahead.take(len(DATA))) == STEP


def test_memory_is_bounded_and_the_thread_ends_though_much_was_not_taken(tmp_path):
    path = tmp_path / "large"
    with path.open("wb") as file:
        file.truncate(100 * BLOCK_SIZE)
    tracemalloc.start()
    with ReadAhead(path, ((0, 100 * BLOCK_SIZE),)) as ahead:
        for _ in ahead.take(50 * BLOCK_SIZE):
            pass
        assert [thread.name for thread in threading.enumerate()].count("read large") == 1
        assert tracemalloc.get_traced_memory()[1] < (BLOCKS + 1) * BLOCK_SIZE
    tracemalloc.stop()
    assert "read large" not in [thread.name for thread in threading.enumerate()]


def test_file_that_became_shorter_is_a_changed_file(source):
    with ReadAhead(source, ((0, len(DATA) + 1),)) as ahead, pytest.raises(ChangedError) as raised:
        list(ahead.take(len(DATA) + 1))
    assert str(raised.value) == f"{source} became shorter while it was sent."


def test_file_that_vanished_is_named(tmp_path):
    with ReadAhead(tmp_path / "gone", ((0, 1),)) as ahead, pytest.raises(ChangedError) as raised:
        list(ahead.take(1))
    assert str(raised.value) == f"{tmp_path / 'gone'} vanished before it was sent."


def test_file_that_cannot_be_read_is_named(tmp_path):
    with ReadAhead(tmp_path, ((0, 1),)) as ahead, pytest.raises(EbulkError) as raised:
        list(ahead.take(1))
    assert str(raised.value) == f"{tmp_path} cannot be read: is a directory."
    assert raised.value.hint == "Make it readable, or remove it from the push."
