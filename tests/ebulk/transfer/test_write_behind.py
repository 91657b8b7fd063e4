"""What is added is written in order by a thread that ends with it, and errors of either side end both."""

from __future__ import annotations

import threading
import tracemalloc

import pytest

from ebulk.transfer.write_behind import BLOCK_SIZE, BLOCKS, WriteBehind

DATA = bytes(range(256)) * (3 * BLOCK_SIZE // 256) + b"tail"


class Sink:
    """A disk that is as slow as a test wants, and refuses what it wants."""

    def __init__(self) -> None:
        self.data = bytearray()
        self.threads: set[str] = set()
        self.open = threading.Event()
        self.open.set()
        self.error: OSError | None = None

    def __call__(self, block: memoryview) -> None:
        self.open.wait(5)
        if self.error:
            raise self.error
        self.data += block
        self.threads.add(threading.current_thread().name)


def write(sink: Sink, data: bytes, step: int) -> None:
    with WriteBehind(sink, len(data), "x") as behind:
        for start in range(0, len(data), step):
            behind.add(data[start : start + step])


@pytest.mark.parametrize("size", [0, 1, BLOCK_SIZE - 1, BLOCK_SIZE, BLOCK_SIZE + 1, len(DATA)])
@pytest.mark.parametrize("step", [100_000, BLOCK_SIZE, len(DATA)])
def test_all_that_was_added_is_written_in_order(size, step):
    sink = Sink()
    write(sink, DATA[:size], step)
    assert sink.data == DATA[:size]
    assert "write x" not in [thread.name for thread in threading.enumerate()]


def test_less_than_a_block_needs_no_thread():
    sink = Sink()
    write(sink, DATA[: BLOCK_SIZE - 1], 1000)
    assert sink.threads == {threading.current_thread().name}


def test_blocks_are_written_while_others_are_added():
    sink = Sink()
    written = threading.Event()
    with WriteBehind(lambda block: (sink(block), written.set()), len(DATA), "x") as behind:
        behind.add(DATA[:BLOCK_SIZE])
        assert written.wait(5)
        behind.add(DATA[BLOCK_SIZE:])
    assert sink.data == DATA
    assert sink.threads == {"write x"}


def test_memory_is_bounded_while_the_disk_is_slow():
    sink = Sink()
    sink.open.clear()
    last = threading.Event()
    size = 100 * BLOCK_SIZE
    piece = bytes(BLOCK_SIZE)

    def fill() -> None:
        with WriteBehind(lambda block: sink.open.wait(5), size, "x") as behind:
            for _ in range(BLOCKS - 1):
                behind.add(piece)
            last.set()
            for _ in range(100 - BLOCKS + 1):
                behind.add(piece)

    tracemalloc.start()
    thread = threading.Thread(target=fill)
    thread.start()
    assert last.wait(5)
    sink.open.set()
    thread.join()
    assert tracemalloc.get_traced_memory()[1] < (BLOCKS + 1) * BLOCK_SIZE
    tracemalloc.stop()


def test_error_of_the_disk_is_raised_where_bytes_are_added():
    sink = Sink()
    sink.error = OSError(28, "No space left on device")
    added = []

    def add() -> None:
        with WriteBehind(sink, 100 * BLOCK_SIZE, "x") as behind:
            for number in range(100):
                behind.add(bytes(BLOCK_SIZE))
                added.append(number)

    with pytest.raises(OSError, match="No space left") as raised:
        add()
    assert raised.value is sink.error
    assert len(added) <= BLOCKS
    assert "write x" not in [thread.name for thread in threading.enumerate()]


@pytest.mark.parametrize("size", [10, BLOCK_SIZE + 10])
def test_error_of_the_disk_is_raised_at_the_end(size):
    sink = Sink()
    sink.error = OSError(28, "No space left on device")
    with pytest.raises(OSError, match="No space left"), WriteBehind(sink, 100 * BLOCK_SIZE, "x") as behind:
        behind.add(bytes(size))


def test_nothing_is_written_after_an_error():
    calls = []

    def refuse_once(block: memoryview) -> None:
        calls.append(len(block))
        if len(calls) == 1:
            raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="No space left"), WriteBehind(refuse_once, len(DATA), "x") as behind:
        behind.add(DATA)
    assert calls == [BLOCK_SIZE]


def test_what_was_added_before_the_network_broke_is_written():
    sink = Sink()

    def add() -> None:
        with WriteBehind(sink, len(DATA), "x") as behind:
            behind.add(DATA[: BLOCK_SIZE + 1000])
            raise ConnectionError("broke")

    with pytest.raises(ConnectionError, match="broke"):
        add()
    assert sink.data == DATA[: BLOCK_SIZE + 1000]
