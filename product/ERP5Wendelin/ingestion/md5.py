"""The md5 of files that came without: those that `ebulk push` brought. The original ebulk compares files by it.

What the original ebulk sends has its md5 computed while it arrives. Of other files it is computed when somebody asks
for a small data set's list, or by an alarm. It is a content's, not a path's: a file that is renamed keeps it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from hashlib import md5
from typing import Any

from ZODB import DB
from ZODB.Connection import Connection

from Products.ERP5Wendelin.content.entry import FOLDER, SYMLINK, Entry
from Products.ERP5Wendelin.protocol import MIB
from Products.ERP5Wendelin.storage.transaction import in_transaction, separate_connection

REQUEST_LIMIT = 256 * MIB
"""The most bytes that are read for one list: half a second's work."""

BATCH = 1000
"""Files whose md5 is stored in one transaction."""


def compute_missing(
    database: DB,
    data_set: Any,
    limit_bytes: int,
    *,
    whole_files: bool = True,
    keep_going: Callable[[], bool] = lambda: True,
) -> tuple[int, int]:
    """Compute and store the md5 of a data set's files that lack it; of how many contents, and how many files are left.

    It ends before more than `limit_bytes` are read, but for one file that is larger than that by itself; with
    `whole_files` false such a one is left. `keep_going` is asked before each block; where it is false the file that is
    being read, which is left, is the last one. Transactions are of connections of its own.
    """
    # what is walked over stays as it is, though something is committed on the way
    with separate_connection(database) as reading, separate_connection(database) as writing:
        done = left = size = 0
        computed: set[bytes] = set()
        found: dict[bytes, bytes] = {}
        for entry in _missing(reading.get(data_set._p_oid)):
            if entry.digest in computed:
                continue
            fits = size + entry.size <= limit_bytes or (whole_files and not size)
            value = _md5_of(entry, keep_going) if fits else None
            if value is None:
                left += 1
                if fits:
                    break
                continue
            computed.add(entry.digest)
            found[entry.digest] = value
            size += entry.size
            done += 1
            if len(found) == BATCH:
                _note(writing, data_set._p_oid, found)
        _note(writing, data_set._p_oid, found)
    return done, left


def _missing(data_set: Any) -> Iterator[Entry]:
    """The files without md5."""
    for _, entry in data_set.manifest.items():
        if entry.mode not in (FOLDER, SYMLINK) and data_set.getMd5(entry.digest) is None:
            yield entry


def _md5_of(entry: Entry, keep_going: Callable[[], bool]) -> bytes | None:
    """The md5 of a file; None if that took too long."""
    digest = md5(usedforsecurity=False)
    for chunk in entry.stream.chunks(entry.offset, entry.offset + entry.size) if entry.size else ():
        if not keep_going():
            return None
        digest.update(chunk)
    return digest.digest()


def _note(connection: Connection, oid: bytes, found: dict[bytes, bytes]) -> None:
    """Store what was computed for a data set, and forget it."""

    def note() -> None:
        data_set: Any = connection.get(oid)
        for digest, value in found.items():
            data_set.noteMd5(digest, value)

    if found:
        in_transaction(connection, note, note="compute md5")
        found.clear()
