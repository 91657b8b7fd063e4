"""FileStorage that a full disk does not damage, and that writes what it stores once.

Where ZODB 6.4's FileStorage has no room to vote, it truncates its file to the last transaction. But what Python's
buffered file could not write stays in its buffer: it makes the truncation fail too, and goes to the file later, behind
the end. The file then can't be opened any more, or its tail is read as a transaction from the far future. (Seen in one
of eight runs that filled a small disk at random and freed it again.) The same for the temporary file in which a
transaction's records are collected. So here both files are opened anew when writing to them has failed.

That temporary file is memory here, as long as a transaction is no larger than the lake's own are: appending 16 MiB at a
time is 1.3 times as fast so, and the disk is not asked to write them twice.
"""

from __future__ import annotations

import os
from contextlib import suppress
from io import BytesIO
from typing import Any

from ZODB.FileStorage import FileStorage
from ZODB.FileStorage.FileStorage import TempFormatter

from ..protocol import MIB, SLICE_SIZE

MOST_IN_MEMORY = SLICE_SIZE + 16 * MIB
"""Bytes of the records of a transaction that are collected in memory; of a larger one all are in a file."""

MOST_KEPT = 32 * MIB
"""Bytes of that memory that the next transaction finds."""


class SafeFileStorage(FileStorage):
    """The file and its format are FileStorage's; so are the arguments."""

    _file: Any
    _tfile: Any

    def __init__(self, *arguments: Any, **keywords: Any) -> None:
        super().__init__(*arguments, **keywords)
        if self._tfile is not None:
            self._tfile.close()
            os.unlink(self._tfile.name)
            self._collect_in(BytesIO())

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
        if isinstance(self._tfile, BytesIO) and self._tfile.tell() + len(data) > MOST_IN_MEMORY:
            with self._tfile.getbuffer() as buffer:
                collected = buffer[: self._tfile.tell()]
                self._collect_in(open(f"{self._file_name}.tmp", "w+b"))  # noqa: SIM115
                self._tfile.write(collected)
                collected.release()

    def _clear_temp(self) -> None:
        if self._tfile is not None and (not isinstance(self._tfile, BytesIO) or self._tfile.tell() > MOST_KEPT):
            with suppress(OSError):  # what there was no room for
                self._tfile.close()
            self._collect_in(BytesIO())
        super()._clear_temp()

    def _collect_in(self, file: Any) -> None:
        self._tfile = file
        self._tfmt = TempFormatter(file)
