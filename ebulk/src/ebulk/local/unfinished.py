"""A file on its way: it takes its name when it is whole, and one that was broken off is gone on with.

Beside `FILE` are `.FILE.part`, which is at any time a beginning of what it is to be, and `.FILE.pull`, a note of what
that is. Another note, and the part is begun anew.
"""

from __future__ import annotations

import fcntl
import json
import os
import stat
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import BinaryIO

from ebulk.errors import EbulkError
from ebulk.local.atomic import write_atomically


class Unfinished:
    """A context manager that has the part of `path` open, at its end: `out`. EbulkError if another process has it.

    A link stays one: what it leads to is replaced.
    """

    out: BinaryIO

    def __init__(self, path: Path) -> None:
        self._target = Path(os.path.realpath(path))
        self._part = self._target.with_name(f".{self._target.name}.part")
        self._note = self._target.with_name(f".{self._target.name}.pull")

    def __enter__(self) -> Unfinished:
        self.out = _locked(self._part)
        self.out.seek(0, os.SEEK_END)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if not self.out.closed and not self._note.exists():
            self._part.unlink(missing_ok=True)  # nothing has come
        self.out.close()

    @property
    def length(self) -> int:
        """How many bytes of it are there."""
        return self.out.tell()

    def note(self) -> Mapping[str, object]:
        """What it was begun as; nothing, if it was not."""
        try:
            noted = json.loads(self._note.read_bytes())
        except (FileNotFoundError, ValueError):
            return {}
        return noted if isinstance(noted, dict) else {}

    def begin(self, note: Mapping[str, object]) -> None:
        """Begin it anew, as this."""
        self._note.unlink(missing_ok=True)
        self.out.seek(0)
        self.out.truncate()
        write_atomically(self._note, json.dumps(note).encode())

    def finish(self) -> None:
        """Let it take its name, and the permissions of what had the name."""
        with suppress(FileNotFoundError):
            os.fchmod(self.out.fileno(), stat.S_IMODE(self._target.stat().st_mode))
        self.out.flush()
        os.fsync(self.out.fileno())
        os.replace(self._part, self._target)
        self._note.unlink(missing_ok=True)
        self.out.close()


def _locked(path: Path) -> BinaryIO:
    """A file, made if there is none, that no other ebulk writes to meanwhile."""
    while True:
        file = open(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666), "r+b")  # noqa: SIM115
        try:
            fcntl.flock(file.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB)
            # Who had it may have given it its name meanwhile.
            if path.exists() and os.path.samestat(path.stat(), os.fstat(file.fileno())):
                return file
        except BlockingIOError:
            file.close()
            raise EbulkError(
                f"Another ebulk is at work on {path}.", "Wait for it, or end it, then try again."
            ) from None
        file.close()
