"""Writes a part past the system's page cache (O_DIRECT of open(2)) where the disk is quick enough for that to pay.

What is pulled is as a rule larger than the memory that is free, and a page of memory that is touched for the first time
can cost more than the disk does: 1.5 GiB took 2.5 s of CPU through the cache and 0.3 s past it, at 1.2 GB/s. Where the
disk is slower than that, the cache is what lets the network go on meanwhile, and is used.
"""

from __future__ import annotations

import errno
import mmap
import os
import sys
import time
from io import FileIO

from ebulk.protocol import MIB

if sys.platform == "linux":
    from fcntl import F_GETFL, F_SETFL, fcntl

DIRECT_FROM = 8 * MIB
"""Bytes of a file from which it is worth it; a smaller one may well be read soon, and then is in the cache."""
BLOCK_SIZE = MIB
ALIGNMENT = 4096
"""Offsets and lengths that all disks take; a mapping's address is a multiple of it."""
TRIAL = 16 * MIB
QUICK = 150e6
"""Bytes a second of the first TRIAL bytes, below which the rest goes through the cache."""


class PartFile:
    """A file that grows at its end; `size` is about how long it will be. What was not flushed is lost by a kill."""

    def __init__(self, file: FileIO, size: int) -> None:
        self.file = file
        self._flags = fcntl(file, F_GETFL) if sys.platform == "linux" else 0
        self._direct = size >= DIRECT_FROM and self._set_direct(True)
        self._buffer = memoryview(mmap.mmap(-1, BLOCK_SIZE) if self._direct else b"")
        self._filled = 0
        self._offset = file.tell()
        self._tried = 0
        self._seconds = 0.0

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
            self._buffer[self._filled : self._filled + len(piece)] = piece
            self._filled += len(piece)
            if len(piece) == room:
                self.flush()

    def flush(self) -> None:
        """Give to the system what it has not yet."""
        piece, self._filled = self._buffer[: self._filled], 0
        if not len(piece):
            return
        aligned = not self._offset % ALIGNMENT and not len(piece) % ALIGNMENT
        start = time.perf_counter()
        if not (aligned and self._set_direct(True) and self._write_direct(piece)):
            self._set_direct(False)
            _write(self.file, piece)
        self._offset += len(piece)
        self._judge(len(piece), time.perf_counter() - start)

    def go_to(self, offset: int) -> None:
        """Go on behind what came into the file otherwise."""
        self.file.seek(offset)
        self._offset = offset

    def start_over(self) -> None:
        """Forget all that is there."""
        self._filled = 0
        self.go_to(0)
        self.file.truncate()

    def _write_direct(self, piece: memoryview) -> bool:
        """Write a block; False if this file system does not take it so."""
        try:
            _write(self.file, piece)
        except OSError as error:
            if error.errno != errno.EINVAL:
                raise
            self.file.seek(self._offset)
            return False
        return True

    def _judge(self, size: int, seconds: float) -> None:
        """Leave it at the cache if the disk is slow."""
        self._tried += size
        self._seconds += seconds
        if self._direct and self._tried >= TRIAL:
            self._direct = self._tried >= QUICK * self._seconds
            self._tried, self._seconds = 0, 0.0
            if not self._direct:
                self._set_direct(False)

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
