"""FileStorage that a full disk does not damage.

Where ZODB 6.4's FileStorage has no room to vote, it truncates its file to the last transaction. But what Python's
buffered file could not write stays in its buffer: it makes the truncation fail too, and goes to the file later, behind
the end. The file then can't be opened any more, or its tail is read as a transaction from the far future. (Seen in one
of eight runs that filled a small disk at random and freed it again.) The same for the temporary file in which a
transaction's records are collected. So here both files are opened anew when writing to them has failed.
"""

from __future__ import annotations

import os
from typing import Any

from ZODB.FileStorage import FileStorage
from ZODB.FileStorage.FileStorage import TempFormatter


class SafeFileStorage(FileStorage):
    """The file and its format are FileStorage's; so are the arguments."""

    _file: Any
    _tfile: Any

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

    def _clear_temp(self) -> None:
        try:
            super()._clear_temp()
        except OSError:
            self._tfile.raw.close()
            self._tfile = open(f"{self._file_name}.tmp", "w+b")  # noqa: SIM115
            self._tfmt = TempFormatter(self._tfile)
