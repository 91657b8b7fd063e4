"""A file's bytes, read by a thread of its own while those before are on their way."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from io import FileIO
from pathlib import Path
from queue import SimpleQueue

from ebulk.errors import ChangedError, EbulkError
from ebulk.model import Ranges
from ebulk.protocol import KIB, MIB
from ebulk.transfer.disk import unreadable
from ebulk.transfer.ranges import size_of

BLOCK_SIZE = MIB
STEP = 256 * KIB
"""The most bytes given out at once: as often is progress seen."""
BLOCKS = 8
"""Blocks read ahead, for each large file on its way: 8 MiB, which for four jobs is 32 MiB."""


class ReadAhead:
    """The bytes of a file in some ranges. Its blocks are used over again: use each before taking the next."""

    def __init__(self, source: Path | str, ranges: Ranges) -> None:
        self._source = source
        self._ranges = ranges
        self._free: SimpleQueue[bytearray | None] = SimpleQueue()
        self._full: SimpleQueue[tuple[bytearray, int] | EbulkError] = SimpleQueue()
        self._closed = threading.Event()
        self._left = memoryview(b"")
        self._current: bytearray | None = None
        for _ in range(min(BLOCKS, len(ranges) + size_of(ranges) // BLOCK_SIZE)):
            self._free.put(bytearray(BLOCK_SIZE))
        self._thread = threading.Thread(target=self._run, name=f"read {os.path.basename(source)}", daemon=True)

    def __enter__(self) -> ReadAhead:
        self._thread.start()
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._closed.set()
        self._free.put(None)
        self._thread.join()

    def take(self, length: int) -> Iterator[memoryview]:
        """The next `length` bytes, in blocks."""
        while length:
            if not self._left:
                self._next()
            count = min(length, STEP)
            block, self._left = self._left[:count], self._left[count:]
            length -= len(block)
            yield block

    def _next(self) -> None:
        if self._current is not None:
            self._free.put(self._current)
            self._current = None
        got = self._full.get()
        if isinstance(got, EbulkError):
            raise got
        self._current, count = got
        self._left = memoryview(self._current)[:count]

    def _run(self) -> None:
        try:
            with open(self._source, "rb", buffering=0) as file:
                for start, stop in self._ranges:
                    file.seek(start)
                    if not self._read(file, stop - start):
                        return
        except OSError as error:
            self._full.put(unreadable(error, self._source))
        except EbulkError as error:
            self._full.put(error)

    def _read(self, file: FileIO, length: int) -> bool:
        """Read so many bytes; False when nobody wants them any more."""
        while length:
            buffer = self._free.get()
            if buffer is None or self._closed.is_set():
                return False
            count = file.readinto(memoryview(buffer)[:length])
            if not count:
                raise ChangedError(f"{self._source} became shorter while it was sent.", "Push again.")
            length -= count
            self._full.put((buffer, count))
        return True
