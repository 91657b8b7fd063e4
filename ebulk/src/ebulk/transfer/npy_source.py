"""What is sent as a .npy file: a header and elements, read piece by piece."""

from __future__ import annotations

import os
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, Protocol

from ebulk.errors import ChangedError, UsageError
from ebulk.local.npy import read_header
from ebulk.transfer.disk import unreadable


class NpySource(Protocol):
    """An array as the bytes of a .npy file."""

    name: str
    """For messages and progress."""
    descr: Any
    """Its dtype, as the header has it."""
    fortran_order: bool
    shape: tuple[int, ...]
    offset: int
    """Bytes of the header."""
    itemsize: int
    size: int
    """Bytes in all."""

    def read(self, start: int, stop: int) -> memoryview:
        """The bytes from offset `start` up to `stop`."""


class NpyFile:
    """A .npy file, as a context manager that has it open. EbulkError for one that holds no array, or not all of it."""

    _file: BinaryIO
    _stat: os.stat_result

    def __init__(self, path: Path) -> None:
        self.name = str(path)
        self._path = path
        try:
            header = read_header(path)
        except FileNotFoundError as error:
            raise UsageError(f"There is no file {str(path)!r}.", "Check its name.") from error
        except OSError as error:
            raise unreadable(error, path) from error
        self.descr = header.descr
        self.fortran_order = header.fortran_order
        self.shape = header.shape
        self.offset = header.offset
        self.itemsize = header.itemsize
        self.size = header.offset + header.nbytes

    def __enter__(self) -> NpyFile:
        try:
            self._file = open(self._path, "rb", buffering=0)
        except OSError as error:
            raise unreadable(error, self._path) from error
        self._stat = os.fstat(self._file.fileno())
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._file.close()

    @property
    def state(self) -> tuple[int, int]:
        """Size and modification time (ns): what another file, or a file that was changed, has not."""
        return self._stat.st_size, self._stat.st_mtime_ns

    def read(self, start: int, stop: int) -> memoryview:
        """The bytes from offset `start` up to `stop`. ChangedError: the file is not what it was when it was opened."""
        try:
            data = os.pread(self._file.fileno(), stop - start, start)
            now = os.fstat(self._file.fileno())
        except OSError as error:
            raise unreadable(error, self._path) from error
        if (now.st_size, now.st_mtime_ns) != self.state or len(data) != stop - start:
            raise ChangedError(f"{self._path} changed while it was sent.", "Push again.")
        return memoryview(data)
