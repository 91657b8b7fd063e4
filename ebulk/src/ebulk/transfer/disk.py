"""What this machine's disk refuses, in words."""

from __future__ import annotations

import errno
from pathlib import Path

from ebulk.errors import ChangedError, DiskFullError, EbulkError


def unreadable(error: OSError, path: Path | str) -> EbulkError:
    """The error for a file of the folder that could not be read."""
    if error.errno in (errno.ENOENT, errno.ENOTDIR):
        return ChangedError(f"{path} vanished before it was sent.", "Run the same command again.")
    return EbulkError(f"{path} cannot be read: {_reason(error)}.", "Make it readable, or remove it from the push.")


def unwritable(error: OSError, path: Path) -> EbulkError:
    """The error for a download that could not be written."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return DiskFullError(
            f"The disk has no room left for {path}.",
            "Make room, then run the same command again: what has arrived is kept.",
        )
    return EbulkError(f"{path} cannot be written: {_reason(error)}.")


def _reason(error: OSError) -> str:
    return (error.strerror or str(error)).lower()
