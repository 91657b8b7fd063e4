"""One ebulk at a time in a data set folder.

`flock` is released by the kernel when its process ends, however it ends: there is no stale lock. The file's
modification time doubles as the clock of the file system (`Lock.clock`).
"""

from __future__ import annotations

import fcntl
import os
from contextlib import suppress
from pathlib import Path
from types import TracebackType

from ebulk.errors import EbulkError


class Lock:
    """A context manager that holds `path`; EbulkError if another process holds it."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._descriptor = -1

    def __enter__(self) -> Lock:
        if not self.acquire():
            raise EbulkError(
                f"Another ebulk{self._holder()} is at work in this data set folder.",
                "Wait for it, or end it, then try again.",
            )
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.release()

    def acquire(self) -> bool:
        """Take the lock; False if another process has it."""
        descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            return False
        except BaseException:
            os.close(descriptor)
            raise
        with suppress(OSError):  # whose it is, is for a message only: a full disk must not keep `status` from working
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, str(os.getpid()).encode(), 0)
        self._descriptor = descriptor
        return True

    def release(self) -> None:
        """Let go of it, if it is held."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def clock(self) -> int:
        """The time by the clock that stamps files here, in nanoseconds: on a network file system it is the server's."""
        os.utime(self._descriptor)
        return os.fstat(self._descriptor).st_mtime_ns

    def _holder(self) -> str:
        try:
            return f" (process {int(self._path.read_text())})"
        except (OSError, ValueError):
            return ""
