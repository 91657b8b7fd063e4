"""What the disk refuses is said in words."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from ebulk.errors import ChangedError, DiskFullError, EbulkError
from ebulk.transfer.disk import unreadable, unwritable

PATH = Path("/data/scan")


def failed(number: int) -> OSError:
    return OSError(number, os.strerror(number))


@pytest.mark.parametrize(
    ("number", "kind", "message"),
    [
        (errno.ENOENT, ChangedError, "/data/scan vanished before it was sent."),
        (errno.ENOTDIR, ChangedError, "/data/scan vanished before it was sent."),
        (errno.EACCES, EbulkError, "/data/scan cannot be read: permission denied."),
        (errno.EIO, EbulkError, "/data/scan cannot be read: input/output error."),
    ],
)
def test_file_that_cannot_be_read_is_named(number, kind, message):
    error = unreadable(failed(number), PATH)
    assert (type(error), str(error)) == (kind, message)
    assert error.hint


@pytest.mark.parametrize(
    ("number", "kind", "message"),
    [
        (errno.ENOSPC, DiskFullError, "The disk has no room left for /data/scan."),
        (errno.EDQUOT, DiskFullError, "The disk has no room left for /data/scan."),
        (errno.EROFS, EbulkError, "/data/scan cannot be written: read-only file system."),
    ],
)
def test_file_that_cannot_be_written_is_named(number, kind, message):
    error = unwritable(failed(number), PATH)
    assert (type(error), str(error)) == (kind, message)
