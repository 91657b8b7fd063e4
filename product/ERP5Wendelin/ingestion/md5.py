"""The md5 of files that came without: those that `ebulk push` brought. The original ebulk compares files by it.

What the original ebulk sends has its md5 computed while it arrives. Of other files it is computed when somebody asks
for a small data set's list, or by an alarm. It is a content's, not a path's: a file that is renamed keeps it.
"""

from __future__ import annotations

from collections.abc import Iterator
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


def compute_missing(database: DB, data_set: Any, limit_bytes: int, *, whole_files: bool = True) -> tuple[int, int]:
    """Compute and store the md5 of a data set's files that lack it; of how many contents, and how many are left.

    It ends before more than `limit_bytes` are read, but for one file that is larger than that by itself; with
    `whole_files` false such a one is left. Transactions are of connections of its own.
    """
    with separate_connection(database) as connection:
        stored = connection.get(data_set._p_oid)
        done = left = size = 0
        found: dict[bytes, bytes] = {}
        for entry in _missing(stored):
            fits = size + entry.size <= limit_bytes or (whole_files and not size)
            if not fits:
                left += 1
                continue
            found[entry.digest] = _md5_of(entry)
            size += entry.size
            done += 1
            if len(found) == BATCH:
                _note(connection, stored, found)
        _note(connection, stored, found)
    return done, left


def _missing(data_set: Any) -> Iterator[Entry]:
    """One entry for each content without md5."""
    seen: set[bytes] = set()
    for _, entry in data_set.manifest.items():
        if entry.mode in (FOLDER, SYMLINK) or entry.digest in seen or data_set.getMd5(entry.digest) is not None:
            continue
        seen.add(entry.digest)
        yield entry


def _md5_of(entry: Entry) -> bytes:
    digest = md5(usedforsecurity=False)
    for chunk in entry.stream.chunks(entry.offset, entry.offset + entry.size) if entry.size else ():
        digest.update(chunk)
    return digest.digest()


def _note(connection: Connection, data_set: Any, found: dict[bytes, bytes]) -> None:
    """Store what was computed, and forget it."""

    def note() -> None:
        for digest, value in found.items():
            data_set.noteMd5(digest, value)

    if found:
        in_transaction(connection, note, note="compute md5")
        found.clear()
