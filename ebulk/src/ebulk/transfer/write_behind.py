"""A file's bytes, written by a thread of its own while those behind them are on their way.

To receive, to hash and to write take about as long each, and none of them needs the interpreter: in one thread they
would take turns, and a second core would have nothing to do.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from queue import SimpleQueue

from ebulk.protocol import MIB

BLOCK_SIZE = MIB
BLOCKS = 4
"""Blocks on their way to the disk, for each large file: 4 MiB, which for four jobs is 16 MiB."""

Write = Callable[[memoryview], None]


class WriteBehind:
    """Hands what is added to `write`, in order, in blocks; at the end of its context all that was added is written.

    An error of `write` is raised by `add` or at the end; nothing is written after it. `size` is the most that will be
    added: what does not fill a block is written without a thread.
    """

    def __init__(self, write: Write, size: int, name: str) -> None:
        self._write = write
        self._block = _block(size)
        self._filled = 0
        self._unmade = min(BLOCKS, -(-size // BLOCK_SIZE)) - 1
        self._free: SimpleQueue[memoryview] = SimpleQueue()
        self._full: SimpleQueue[memoryview | None] = SimpleQueue()
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name=f"write {name}", daemon=True)

    def __enter__(self) -> WriteBehind:
        return self

    def __exit__(self, *exc_info: object) -> None:
        if not self._thread.ident:
            self._write(self._block[: self._filled])
            return
        self._full.put(self._block[: self._filled])
        self._full.put(None)
        self._thread.join()
        self._raise()

    def add(self, data: bytes) -> None:
        """Take bytes; the caller waits while the disk is too slow for them."""
        view = memoryview(data)
        while view:
            count = min(len(view), len(self._block) - self._filled)
            self._block[self._filled : self._filled + count] = view[:count]
            self._filled += count
            view = view[count:]
            if self._filled == BLOCK_SIZE:
                self._next_block()

    def _next_block(self) -> None:
        if not self._thread.ident:
            self._thread.start()
        self._full.put(self._block)
        if self._unmade > 0:
            self._unmade -= 1
            self._block = _block(BLOCK_SIZE)
        else:
            self._block = self._free.get()
        self._filled = 0
        self._raise()

    def _raise(self) -> None:
        if self._error is not None:
            raise self._error

    def _run(self) -> None:
        while (block := self._full.get()) is not None:
            if self._error is None:
                try:
                    self._write(block)
                except BaseException as error:
                    self._error = error
            self._free.put(block)


def _block(size: int) -> memoryview:
    return memoryview(bytearray(min(size, BLOCK_SIZE)))
