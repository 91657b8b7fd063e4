"""A FileStorage's file, read beside the process that writes to it.

Through the socket on which a process offers its FileStorage (`portal.shared_storage`) blocks are read thirty times
slower than from the file. What was committed in the file never changes, so another process of this machine can read it
there, with an index of its own. ZODB's FileStorage can be opened read-only for that, and then stays at what the file
held when it was opened; this one goes on (`catch_up`).

A pack puts another file in the place of this one. What is open stays readable: each read goes to the descriptor, at a
position, and never to the file's name. `is_replaced` tells. It is closed once nobody reads any more, for the system
gives the descriptor's number to the next file that is opened.
"""

from __future__ import annotations

import io
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

from ZODB.FileStorage.FileStorage import FileStorage, read_index
from ZODB.utils import u64, z64

_FIRST = 4
"""Where the first transaction begins: behind the four bytes that say what the file is."""


class FileBeside(FileStorage):
    """The file of a path, read-only, up to what was committed when it was opened or last caught up."""

    _file: Any
    _files: Any
    _pos: int
    _index: Any

    def __init__(self, path: str) -> None:
        super().__init__(path, read_only=True)
        self._files.close()
        self._files = _Files(self._file.fileno())
        self._note_end()

    def catch_up(self, tid: bytes) -> bool:
        """Read what was committed since, unless a transaction is known already; whether it is now."""
        with self._lock:
            if self._ltid < tid:
                # A buffer would still hold the end of the file as it was.
                with self._files.fresh() as file:
                    self._pos, self._oid, _ = read_index(
                        file, self._file_name, self._index, {}, ltid=self._ltid, start=self._pos, read_only=True
                    )
                self._note_end()
            return bool(self._ltid >= tid)

    def is_replaced(self) -> bool:
        """Whether the path names another file by now, as after a pack, or has other content, as after a restore."""
        with self._lock, suppress(FileNotFoundError):
            opened = os.fstat(self._file.fileno())
            named = os.stat(self._file_name)
            is_another = (opened.st_dev, opened.st_ino) != (named.st_dev, named.st_ino)
            return is_another or self._last_transaction() != self._ltid
        return True

    def close(self) -> None:
        """Close it, once nobody reads in it."""
        self._files.close()
        super().close()

    def _note_end(self) -> None:
        """Take the last transaction that is complete for the last one: `read_index` may return the one behind it."""
        self._ltid = self._last_transaction()

    def _last_transaction(self) -> bytes:
        """The id of the transaction that ends where we have read up to; none, if no transaction does."""
        if self._pos <= _FIRST:
            return z64
        descriptor, end = self._file.fileno(), self._pos - 8
        length = os.pread(descriptor, 8, end)
        start = end - u64(length) if len(length) == 8 else 0
        return os.pread(descriptor, 8, start) if start >= _FIRST else b""


class _Files:
    """What FileStorage takes its files from to read: one for each thread, over one descriptor."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._of_thread = threading.local()
        self._changed = threading.Condition()
        self._readers = 0
        self._is_closed = False

    @contextmanager
    def get(self) -> Iterator[io.BufferedReader]:
        """The thread's file. Bytes in its buffer may be of a transaction that had not ended, but none that is read.

        ValueError: it is closed.
        """
        with self._changed:
            if self._is_closed:
                raise ValueError("closed")
            self._readers += 1
        try:
            if not hasattr(self._of_thread, "file"):
                self._of_thread.file = self.fresh()
            yield self._of_thread.file
        finally:
            with self._changed:
                self._readers -= 1
                self._changed.notify_all()

    def fresh(self) -> io.BufferedReader:
        """A new file, with nothing in its buffer."""
        return io.BufferedReader(_Positioned(self._descriptor))

    def close(self) -> None:
        """Wait until nobody reads, and let nobody begin to; the descriptor is the storage's to close."""
        with self._changed:
            self._changed.wait_for(lambda: not self._readers)
            self._is_closed = True


class _Positioned(io.RawIOBase):
    """A file with a position of its own over a descriptor that others use."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._position = 0

    def fileno(self) -> int:
        return self._descriptor

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def readinto(self, buffer: Any, /) -> int:
        count = os.preadv(self._descriptor, [buffer], self._position)
        self._position += count
        return count

    def tell(self) -> int:
        return self._position

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        end = os.fstat(self._descriptor).st_size if whence == io.SEEK_END else 0
        self._position = (0, self._position, end)[whence] + offset
        return self._position
