"""What is given is hashed in order by a thread that ends with its context, and buffers may be used in turn."""

from __future__ import annotations

import hashlib
import os
import threading
import tracemalloc

import pytest

from ebulk.transfer import hash_behind
from ebulk.transfer.hash_behind import DEPTH, PIECE_SIZE, SMALL, HashBehind, read_pieces

DATA = os.urandom(3 * PIECE_SIZE + 17)


@pytest.mark.parametrize("size", [0, 1, SMALL, SMALL + 1, len(DATA)])
@pytest.mark.parametrize("step", [100_000, len(DATA)])
def test_digest_is_that_of_all_that_was_given(size, step):
    with HashBehind(size, "x") as behind:
        for start in range(0, size, step):
            behind.update(DATA[start : min(start + step, size)])
        assert behind.hexdigest() == hashlib.sha256(DATA[:size]).hexdigest()
    assert "hash x" not in [thread.name for thread in threading.enumerate()]


def test_hashing_goes_on_after_the_digest_was_asked_for_and_begins_anew_when_reset():
    with HashBehind(len(DATA), "x") as behind:
        behind.update(DATA[:1000])
        assert behind.hexdigest() == hashlib.sha256(DATA[:1000]).hexdigest()
        behind.update(DATA[1000:])
        assert behind.hexdigest() == hashlib.sha256(DATA).hexdigest()
        behind.reset()
        behind.update(b"anew")
        assert behind.hexdigest() == hashlib.sha256(b"anew").hexdigest()


def test_what_is_small_needs_no_thread():
    with HashBehind(SMALL, "x") as behind:
        behind.update(DATA[:SMALL])
        assert "hash x" not in [thread.name for thread in threading.enumerate()]


class Gate:
    """A hash that waits until it may go on."""

    def __init__(self) -> None:
        self.open = threading.Event()
        self.seen: list[bytes] = []

    def update(self, piece: memoryview) -> None:
        assert self.open.wait(5)
        self.seen.append(bytes(piece))


def test_buffer_is_free_again_when_so_many_pieces_were_given_after_it(monkeypatch):
    gate = Gate()
    monkeypatch.setattr(hash_behind.hashlib, "sha256", lambda: gate)
    buffers = [bytearray(1) for _ in range(DEPTH + 1)]
    with HashBehind(len(DATA), "x") as behind:
        for number in range(100):
            buffer = buffers[number % len(buffers)]
            buffer[0] = number
            if number == DEPTH:
                gate.open.set()
            behind.update(memoryview(buffer))
    assert gate.seen == [bytes([number]) for number in range(100)]


def test_pieces_of_a_file_are_hashed_while_others_are_read_and_memory_is_bounded(tmp_path):
    path = tmp_path / "large"
    size = 100 * PIECE_SIZE
    with path.open("wb") as file:
        file.truncate(size)
    tracemalloc.start()
    with path.open("rb", buffering=0) as file, HashBehind(size, "x") as behind:
        for piece in read_pieces(file, size):
            behind.update(piece)
        digest = behind.hexdigest()
    assert tracemalloc.get_traced_memory()[1] < (DEPTH + 2) * PIECE_SIZE
    tracemalloc.stop()
    assert digest == hashlib.sha256(bytes(size)).hexdigest()


@pytest.mark.parametrize(("length", "expected"), [(0, 0), (1, 1), (len(DATA), len(DATA)), (10**12, len(DATA))])
def test_pieces_end_at_the_length_or_with_the_file(tmp_path, length, expected):
    path = tmp_path / "data"
    path.write_bytes(DATA)
    with path.open("rb", buffering=0) as file:
        assert b"".join(bytes(piece) for piece in read_pieces(file, length)) == DATA[:expected]
