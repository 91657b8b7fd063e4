"""A file that takes its name only when it is whole."""

from __future__ import annotations

import os
import secrets
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from ebulk.errors import UsageError
from ebulk.local.names import shown

TOKEN = 4
"""Bytes that tell unfinished files of one name apart."""
NAME_LENGTH = 60
"""Characters of that name in theirs, which take at most 240 bytes."""

NAME_SIZE = 240
"""Bytes of a file's name: at most 255 on most disks, and the name of a note beside it is longer."""


def default_path(name: str) -> Path:
    """The file in the working directory for what is called so. UsageError where a file cannot be named so."""
    if "/" in name or not name.isprintable() or len(name.encode()) > NAME_SIZE:
        raise UsageError(f"No file can be named {shown(name)}.", "Name one by --output.")
    return Path(name)


def is_special(path: Path) -> bool:
    """Whether there is a device or a pipe of this name, which is written to, and not replaced."""
    return path.exists() and not (path.is_file() or path.is_dir())


@contextmanager
def replacing(path: Path) -> Iterator[BinaryIO]:
    """A new file beside `path`, which takes its place, and its permissions, at the end if all went well.

    A link stays one: what it leads to is replaced.
    """
    target = Path(os.path.realpath(path))
    unfinished = target.with_name(f".{target.name[:NAME_LENGTH]}.{secrets.token_hex(TOKEN)}")
    try:
        with open(os.open(unfinished, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666), "r+b") as file:
            with suppress(FileNotFoundError):
                os.fchmod(file.fileno(), stat.S_IMODE(target.stat().st_mode))
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(unfinished, target)
    except BaseException:
        unfinished.unlink(missing_ok=True)
        raise
