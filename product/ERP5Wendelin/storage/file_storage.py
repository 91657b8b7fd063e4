"""FileStorage that a full disk does not damage, and that writes what it stores once.

Where ZODB 6.4's FileStorage has no room to vote, it truncates its file to the last transaction. But what Python's
buffered file could not write stays in its buffer: it makes the truncation fail too, and goes to the file later, behind
the end. The file then can't be opened any more, or its tail is read as a transaction from the far future. (Seen in one
of eight runs that filled a small disk at random and freed it again.) The same for the temporary file in which a
transaction's records are collected. So here both files are opened anew when writing to them has failed.

Readers take files from a pool, and a pack, which puts another file in the place of this one, waits until none is out.
ZODB's pool counts a file as in before it has it back, so at the wrong moment a pack leaves an old file in the pool, in
which the new positions are of anything: each later reader of it gets errors, or bytes of something else. (Two readers
beside one who packed all the time had it within seconds.) Here a file is back before it counts as in.

As long as a transaction is no larger than the lake's own are there is no such file: the records wait in memory, where
they are. Appending 16 MiB at a time is 1.3 times as fast so, and the disk is not asked to write them twice. It takes no
more memory, for what an object has of a record is freed when it is stored.
"""

from __future__ import annotations

import os
from bisect import bisect_right
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

from ZODB.FileStorage import FileStorage
from ZODB.FileStorage.FileStorage import FilePool, TempFormatter

from ..protocol import MIB, SLICE_SIZE

MOST_IN_MEMORY = SLICE_SIZE + 16 * MIB
"""Bytes of the records of a transaction that are collected in memory; of a larger one all are in a file."""


class SafeFileStorage(FileStorage):
    """The file and its format are FileStorage's; so are the arguments."""

    _file: Any
    _files: Any
    _tfile: Any

    def __init__(self, *arguments: Any, **keywords: Any) -> None:
        super().__init__(*arguments, **keywords)
        self._files.close()
        self._files = SafeFilePool(self._file_name)
        if self._tfile is not None:
            self._tfile.close()
            os.unlink(self._tfile.name)
            self._collect_in(Records())

    def store(self, oid: bytes, serial: bytes, data: bytes, *arguments: Any) -> None:
        """Collect a record of the transaction."""
        self._make_room(data)
        super().store(oid, serial, data, *arguments)

    def restore(self, oid: bytes, serial: bytes, data: bytes | None, *arguments: Any) -> None:
        """Collect a record of a transaction of another storage."""
        self._make_room(data or b"")
        super().restore(oid, serial, data, *arguments)

    def tpc_vote(self, transaction: Any) -> Any:
        """Write the transaction behind the last one, or leave the file as it was."""
        try:
            return super().tpc_vote(transaction)
        except OSError:
            with self._lock:
                self._restore_end()
            raise

    def _restore_end(self) -> None:
        # The raw file is closed first, so that the buffer has nowhere to go.
        self._file.raw.close()
        os.truncate(self._file_name, self._pos)
        self._file = open(self._file_name, "r+b")  # noqa: SIM115
        # What other threads have read ahead may be of the transaction that is gone.
        self._files.flush()

    def _make_room(self, data: bytes) -> None:
        collected = self._tfile
        if isinstance(collected, Records) and collected.tell() + len(data) > MOST_IN_MEMORY:
            name = f"{self._file_name}.tmp"
            self._collect_in(open(name, "w+b"))  # noqa: SIM115
            os.unlink(name)  # so that it takes no room once it is closed, whatever ends the process
            self._tfile.writelines(collected.pieces)

    def _clear_temp(self) -> None:
        if self._tfile is not None:
            with suppress(OSError):  # what there was no room for
                self._tfile.close()
            self._collect_in(Records())
        super()._clear_temp()

    def _collect_in(self, file: Any) -> None:
        self._tfile = file
        self._tfmt = TempFormatter(file)


class SafeFilePool(FilePool):
    """The files that a FileStorage is read by; of one that is given back, both steps are one."""

    @contextmanager
    def get(self) -> Iterator[Any]:
        """A file, for as long as the `with` statement lasts. ValueError: the storage is closed."""
        with self._cond:
            self._cond.wait_for(lambda: not self.writers)
            if self.closed:
                raise ValueError("closed")
            file = self._files.pop() if self._files else open(self.name, "rb")  # noqa: SIM115
            self._out.append(file)
        try:
            yield file
        finally:
            with self._cond:
                if not self.closed:  # which has closed the file, too
                    self._out.remove(file)
                    self._files.append(file)
                    self._cond.notify_all()


class Records:
    """The records of a transaction, as a file that is written at its end alone: as the bytes that were given."""

    def __init__(self) -> None:
        self.pieces: list[bytes] = []
        self._starts: list[int] = []
        self._size = self._position = 0

    def tell(self) -> int:
        """Where the next byte is read, or written."""
        return self._position

    def seek(self, position: int) -> None:
        """Read from a position; or go back to the end, to write."""
        self._position = position

    def write(self, data: bytes) -> None:
        """Put bytes at the end."""
        if self._position != self._size:
            raise ValueError(f"Records are written at their end, {self._size}, not at {self._position}.")
        self.pieces.append(data)
        self._starts.append(self._size)
        self._size = self._position = self._size + len(data)

    def read(self, size: int) -> bytes:
        """As many bytes, or those that there are."""
        found = []
        while size and self._position < self._size:
            number = bisect_right(self._starts, self._position) - 1
            start = self._position - self._starts[number]
            part = self.pieces[number][start : start + size]
            found.append(part)
            self._position += len(part)
            size -= len(part)
        return found[0] if len(found) == 1 else b"".join(found)

    def close(self) -> None:
        """Nothing is open."""
