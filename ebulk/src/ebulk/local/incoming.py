"""What a pull is about to do, worked out before anything is touched.

It is a temporary SQLite database without a name: in memory while it is small, on disk when it grows, gone with the
process. An interrupted pull works it out again. Its methods may be called from any thread.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterable, Iterator
from types import TracebackType
from typing import Any, NamedTuple

from ebulk.local.digest import to_raw, to_text
from ebulk.local.index import Totals
from ebulk.local.scan import Found
from ebulk.model import FOLDER, SYMLINK, FileEntry

PAGE_LENGTH = 2000

ENTRY_AND_FOUND = """
    path TEXT PRIMARY KEY, size INTEGER, digest BLOB, mtime_ns INTEGER, mode TEXT, disk TEXT,
    old_disk TEXT, old_size INTEGER, old_mtime_ns INTEGER, old_ctime_ns INTEGER, old_inode INTEGER, old_mode TEXT
"""

SCHEMA = f"""
CREATE TABLE arriving ({ENTRY_AND_FOUND}) WITHOUT ROWID;
CREATE TABLE staying ({ENTRY_AND_FOUND}) WITHOUT ROWID;
CREATE TABLE leaving (
    path TEXT PRIMARY KEY, disk TEXT, size INTEGER, mtime_ns INTEGER, ctime_ns INTEGER, inode INTEGER, mode TEXT,
    digest BLOB
) WITHOUT ROWID;
CREATE TABLE targets (path TEXT PRIMARY KEY, target BLOB) WITHOUT ROWID;
CREATE TABLE kept (disk TEXT PRIMARY KEY) WITHOUT ROWID;
"""

MOVES = """
SELECT min(l.path), a.path
FROM leaving l JOIN (
    SELECT digest, min(path) AS path FROM arriving WHERE old_disk IS NULL AND size > 0 AND mode <> :link GROUP BY digest
) a ON a.digest = l.digest
WHERE l.mode <> :link GROUP BY a.path
"""


class Arriving(NamedTuple):
    """A file to be written: what the lake has, where it goes, and what is there now."""

    entry: FileEntry
    disk: str
    """Its path on the disk."""
    replaces: Found | None


class Leaving(NamedTuple):
    """A file to be removed, since the lake's version does not have it; its content is in an older version."""

    found: Found
    digest: bytes


class Incoming:
    """A context manager; fill it with `arrive`, `stay` and `leave`, then read it."""

    def __enter__(self) -> Incoming:
        self._lock = threading.Lock()
        self._connection = sqlite3.connect("", check_same_thread=False)
        self._connection.executescript(SCHEMA)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._connection.close()

    def arrive(self, entry: FileEntry, disk: str, replaces: Found | None) -> None:
        """A file is to be written."""
        self._insert("arriving", entry, disk, replaces)

    def stay(self, entry: FileEntry, found: Found) -> None:
        """A file has the right content, and needs at most another time or mode."""
        self._insert("staying", entry, found.disk, found)

    def leave(self, found: Found, digest: bytes) -> None:
        """A file is to be removed."""
        self._connection.execute("INSERT INTO leaving VALUES (?, ?, ?, ?, ?, ?, ?, ?)", (*found, digest))

    def set_target(self, path: str, target: bytes) -> None:
        """This is where the symbolic link that is to be made leads."""
        with self._lock:
            self._connection.execute("INSERT OR REPLACE INTO targets VALUES (?, ?)", (path, target))

    def keep(self, disk: str) -> None:
        """The folder of this path on the disk is to stay, also if nothing is left in it."""
        with self._lock:
            self._connection.execute("INSERT OR IGNORE INTO kept VALUES (?)", (disk,))

    def keeps(self, disk: str) -> bool:
        """Whether a folder is to stay, also if nothing is left in it."""
        with self._lock:
            return bool(self._connection.execute("SELECT 1 FROM kept WHERE disk = ?", (disk,)).fetchone())

    def arriving(self, mode: str | None = None) -> Iterator[Arriving]:
        """The files to be written, by path, or those of one mode; others may be changed meanwhile."""
        condition = f"AND mode = '{mode}'" if mode else ""
        return map(_arriving, self._pages("arriving", f"path > ? {condition} ORDER BY path", ""))

    def staying(self) -> Iterator[tuple[FileEntry, Found]]:
        """The files that have the right content already, by path."""
        for arriving in map(_arriving, self._pages("staying", "path > ? ORDER BY path", "")):
            if arriving.replaces is not None:
                yield arriving.entry, arriving.replaces

    def leaving(self) -> Iterator[Leaving]:
        """The files to be removed, what is in a folder before the folder; others may be changed meanwhile."""
        return map(_leaving, self._pages("leaving", "path < ? ORDER BY path DESC", "\U0010ffff"))

    def targets(self) -> Iterator[tuple[str, bytes]]:
        """Path and target of the symbolic links whose targets are known, by path."""
        return self._pages("targets", "path > ? ORDER BY path", "")

    def mode_of(self, path: str) -> str | None:
        """The mode of a file that is to be written, or None."""
        with self._lock:
            row = self._connection.execute("SELECT mode FROM arriving WHERE path = ?", (path,)).fetchone()
        return row and str(row[0])

    def makes_way(self, path: str) -> bool:
        """Whether a file that is here goes, for nothing or a folder."""
        return self.is_leaving(path) or self.mode_of(path) == FOLDER

    def find(self, path: str) -> Arriving:
        """The file to be written of a path."""
        with self._lock:
            return _arriving(self._connection.execute("SELECT * FROM arriving WHERE path = ?", (path,)).fetchone())

    def is_leaving(self, path: str) -> bool:
        """Whether the file of this path is to be removed."""
        with self._lock:
            return bool(self._connection.execute("SELECT 1 FROM leaving WHERE path = ?", (path,)).fetchone())

    def moves(self) -> Iterator[tuple[Leaving, Arriving]]:
        """Pairs of a file to be removed and a new one with the same content, each file in one pair at the most."""
        with self._lock:
            pairs = self._connection.execute(MOVES, {"link": SYMLINK}).fetchall()
            leaving = [
                self._connection.execute("SELECT * FROM leaving WHERE path = ?", pair[:1]).fetchone() for pair in pairs
            ]
        for row, (_, path) in zip(leaving, pairs, strict=True):
            yield _leaving(row), self.find(path)

    def forget(self, arriving: Iterable[str] = (), leaving: Iterable[str] = ()) -> None:
        """These are done."""
        with self._lock:
            self._connection.executemany("DELETE FROM arriving WHERE path = ?", ((path,) for path in arriving))
            self._connection.executemany("DELETE FROM leaving WHERE path = ?", ((path,) for path in leaving))

    def totals(self) -> Totals:
        """How many files are to be written, and their bytes."""
        with self._lock:
            row = self._connection.execute("SELECT count(*), coalesce(sum(size), 0) FROM arriving").fetchone()
        return Totals(*row)

    def replaced_size(self) -> int:
        """Bytes of the files that make room."""
        with self._lock:
            (size,) = self._connection.execute("SELECT coalesce(sum(old_size), 0) FROM arriving").fetchone()
        return int(size)

    def _insert(self, table: str, entry: FileEntry, disk: str, found: Found | None) -> None:
        here = found[1:] if found else (None,) * 6
        self._connection.execute(
            f"INSERT INTO {table} VALUES ({', '.join('?' * 12)})",
            (entry.path, entry.size, to_raw(entry.digest), entry.mtime_ns, entry.mode, disk, *here),
        )

    def _pages(self, table: str, condition: str, after: str) -> Iterator[Any]:
        while True:
            with self._lock:
                rows = self._connection.execute(
                    f"SELECT * FROM {table} WHERE {condition} LIMIT {PAGE_LENGTH}", (after,)
                ).fetchall()
            yield from rows
            if len(rows) < PAGE_LENGTH:
                return
            after = rows[-1][0]


def _arriving(row: Any) -> Arriving:
    path, size, digest, mtime_ns, mode, disk, *old = row
    replaces = Found(path, *old) if old[0] is not None else None
    return Arriving(FileEntry(path, size, to_text(digest), mtime_ns, mode), disk, replaces)


def _leaving(row: Any) -> Leaving:
    return Leaving(Found._make(row[:7]), row[7])
