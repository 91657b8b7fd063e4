"""A file here of which parts are copied into a newer one; where the file system can, by sharing its blocks."""

from __future__ import annotations

import errno
import struct
import sys
from collections.abc import Iterator
from contextlib import suppress
from io import FileIO

from ebulk.model import LocalFile
from ebulk.transfer.hash_behind import read_pieces
from ebulk.transfer.part_file import PartFile

if sys.platform == "linux":
    from fcntl import ioctl

FICLONERANGE = 0x4020940D
"""Of linux/fs.h: _IOW(0x94, 13, struct file_clone_range). Btrfs and XFS can: no byte is written."""
CLONE_RANGE = struct.Struct("=qQQQ")
"""struct file_clone_range: the source's descriptor, an offset there, how many bytes, an offset in the target."""


class OldFile:
    """A context manager. What cannot be read is left out: the lake has it, too."""

    def __init__(self, file: LocalFile) -> None:
        self._path = file.source
        self._file: FileIO | None = None
        self._clones = sys.platform == "linux"

    def __enter__(self) -> OldFile:
        with suppress(OSError):
            self._file = open(self._path, "rb", buffering=0)
        return self

    def __exit__(self, *exc_info: object) -> None:
        if self._file is not None:
            self._file.close()

    def pieces(self, start: int, stop: int) -> Iterator[memoryview]:
        """The bytes of a range, in buffers for `HashBehind`; as far as they can be read."""
        if self._file is not None and start < stop:
            with suppress(OSError):
                self._file.seek(start)
                yield from read_pieces(self._file, stop - start)

    def clone(self, target: PartFile, offset: int, length: int) -> bool:
        """Let a part go on at `offset` with what this file has there; False if not."""
        if self._file is None or not self._clones:
            return False
        target.flush()
        try:
            ioctl(target.file.fileno(), FICLONERANGE, CLONE_RANGE.pack(self._file.fileno(), offset, length, offset))
        except OSError as error:
            # It does not share less than a block of the file system, 4 KiB mostly; others may be whole.
            self._clones = error.errno == errno.EINVAL
            return False
        target.go_to(offset + length)
        return True
