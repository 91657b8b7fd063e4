"""Writes a part past the system's page cache (O_DIRECT of open(2)) where the disk is quick enough for that to pay.

What is pulled is as a rule larger than the memory that is free, and a page of memory that is touched for the first time
can cost more than the disk does: 1.5 GiB took 2.5 s of CPU through the cache and 0.3 s past it, at 1.2 GB/s. A thread
of its own waits for the disk, while the next block comes. Where the disk is slower than that, the cache is what lets
the network go on meanwhile, and is used.
"""

from __future__ import annotations

import errno
import mmap
import os
import sys
import threading
import time
from io import FileIO
from queue import SimpleQueue

from ebulk.protocol import MIB

if sys.platform == "linux":
    from fcntl import F_GETFL, F_SETFL, fcntl

DIRECT_FROM = 8 * MIB
"""Bytes of a file from which it is worth it; a smaller one may well be read soon, and then is in the cache."""
BLOCK_SIZE = MIB
BLOCKS = 4
"""Blocks that are filled or on their way to the disk, for each large file."""
ALIGNMENT = 4096
"""Offsets and lengths that all disks take; a mapping's address is a multiple of it."""
TRIAL = 16 * MIB
QUICK = 150e6
"""Bytes a second of the first TRIAL bytes, below which the rest goes through the cache."""


class PartFile:
    """A file that grows at its end; `size` is about how long it will be. Close it, but not the file, when it is done.

    What is written is there after `flush`; a kill loses what was not flushed.
    """

    def __init__(self, file: FileIO, size: int) -> None:
        self.file = file
        self._flags = fcntl(file, F_GETFL) if sys.platform == "linux" else 0
        self._direct = size >= DIRECT_FROM and self._set_direct(True)
        self._offset = file.tell()
        """Where the block that is being filled begins."""
        self._filled = 0
        self._free: SimpleQueue[memoryview] = SimpleQueue()
        self._full: SimpleQueue[tuple[memoryview, int, int] | None] = SimpleQueue()
        self._error: OSError | None = None
        self._tried = 0
        self._seconds = 0.0
        if self._direct:
            self._block = memoryview(mmap.mmap(-1, BLOCK_SIZE))
            for _ in range(BLOCKS - 1):
                self._free.put(memoryview(mmap.mmap(-1, BLOCK_SIZE)))
            self._thread = threading.Thread(target=self._run, name="write", daemon=True)
            self._thread.start()

    def write(self, data: bytes | memoryview) -> None:
        """Add bytes."""
        if not self._direct:
            _write(self.file, data)
            return
        rest = memoryview(data)
        while rest:
            # Blocks end where they would if all of the file had been written so.
            room = BLOCK_SIZE - (self._offset + self._filled) % BLOCK_SIZE
            piece, rest = rest[:room], rest[room:]
            self._block[self._filled : self._filled + len(piece)] = piece
            self._filled += len(piece)
            if len(piece) == room:
                self._hand_over()

    def flush(self) -> None:
        """Give to the system what it has not yet."""
        if not self._direct:
            return
        self._hand_over()
        blocks = [self._free.get() for _ in range(BLOCKS - 1)]  # all are back
        for block in blocks:
            self._free.put(block)
        self._raise()

    def go_to(self, offset: int) -> None:
        """Go on, after `flush`, behind what came into the file otherwise."""
        self.file.seek(offset)
        self._offset = offset

    def start_over(self) -> None:
        """Forget all that is there."""
        self.flush()
        self.go_to(0)
        self.file.truncate()

    def close(self) -> None:
        """End the thread; what was not flushed may be lost."""
        if self._direct:
            self._full.put(None)
            self._thread.join()
            self._direct = False

    def _hand_over(self) -> None:
        """Have the block written, and take another."""
        if self._filled:
            self._full.put((self._block, self._filled, self._offset))
            self._offset += self._filled
            self._filled = 0
            self._block = self._free.get()
            self._raise()

    def _raise(self) -> None:
        if self._error is not None:
            raise self._error

    def _run(self) -> None:
        while (job := self._full.get()) is not None:
            block, size, offset = job
            try:
                if self._error is None:
                    self._put(block[:size], offset)
            except OSError as error:
                self._error = error
            self._free.put(block)

    def _put(self, piece: memoryview, offset: int) -> None:
        """Write a block where the file ends."""
        start = time.perf_counter()
        aligned = not offset % ALIGNMENT and not len(piece) % ALIGNMENT
        if not (aligned and self._is_quick and self._set_direct(True) and self._write_direct(piece, offset)):
            self._set_direct(False)
            _write(self.file, piece)
        self._tried += len(piece)
        self._seconds += time.perf_counter() - start

    @property
    def _is_quick(self) -> bool:
        return self._tried < TRIAL or self._tried >= QUICK * self._seconds

    def _write_direct(self, piece: memoryview, offset: int) -> bool:
        """Write a block past the cache; False if this file system does not take it so."""
        try:
            _write(self.file, piece)
        except OSError as error:
            if error.errno != errno.EINVAL:
                raise
            self.file.seek(offset)
            return False
        return True

    def _set_direct(self, direct: bool) -> bool:
        """Have the system write past its cache, or not; False if it can't."""
        if sys.platform != "linux":
            return False
        flags = self._flags | os.O_DIRECT if direct else self._flags & ~os.O_DIRECT
        if flags != self._flags:
            try:
                fcntl(self.file, F_SETFL, flags)
            except OSError:
                return False
            self._flags = flags
        return True


def _write(file: FileIO, data: bytes | memoryview) -> None:
    position = file.write(data)
    while position < len(data):
        position += file.write(memoryview(data)[position:])
