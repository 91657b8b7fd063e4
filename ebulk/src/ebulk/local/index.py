"""What this folder's files were at the last push or pull: one SQLite file, `.ebulk/index.db`.

==========  ============================================================================================================
`files`     what the lake's version had for each path, and the stamps (mtime, ctime, inode) that the disk gave it here.
            While the stamps are the same the file is, and needs no reading.
`pending`   what the push under way sends: each changed file with its state when it was scanned, and its digest once it
            is hashed, so that an interrupted push of 300 GB doesn't read them all again.
`staged`    the paths that the next push sends: files as they are when it reads them, and removals. `taken` are those
            that the push under way has seen: once it is done only those that were added since are staged.
`scopes`    which version a folder (or "", all of it) came from: the base that the next push is compared with.
`behind`    for those of them from whose last pull files were left out: the oldest version that something in it came
            from, which takes the place of the base.
==========  ============================================================================================================

Stamps have a grain: a file written twice within it keeps its stamps. So stamps are trusted only when they were older
than the grain when the file was read; otherwise the row is written without (`ctime_ns` 0, which no file has), and the
next comparison reads the file. git calls such a file racily clean.

The journal is SQLite's rollback journal, which works on network file systems, as a write-ahead log doesn't. Each method
is one transaction at the most, and may be called from any thread.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from itertools import chain
from pathlib import Path
from types import TracebackType
from typing import NamedTuple, cast

from ebulk.errors import DiskFullError, EbulkError
from ebulk.local.digest import to_raw, to_text
from ebulk.local.scan import Found
from ebulk.model import FileEntry

FORMAT = 2

PAGE_LENGTH = 2000
"""Rows read at once by the iterations that others may write beside."""

STAMP_GRAIN_NS = 2_000_000_000
"""FAT stamps files to 2 s, the coarsest of the file systems in use."""

BUSY_SECONDS = 60.0

BEHIND_TABLE = "behind (directory TEXT PRIMARY KEY, version INTEGER NOT NULL) WITHOUT ROWID;"

STAGED_TABLE = """
staged (
    path TEXT PRIMARY KEY, disk TEXT NOT NULL, removed INTEGER NOT NULL, taken INTEGER NOT NULL DEFAULT 0
) WITHOUT ROWID;
"""

SCHEMA = f"""
BEGIN;
CREATE TABLE files (
    path TEXT PRIMARY KEY, size INTEGER NOT NULL, digest BLOB NOT NULL, mtime_ns INTEGER NOT NULL, mode TEXT NOT NULL,
    disk_mtime_ns INTEGER NOT NULL, ctime_ns INTEGER NOT NULL, inode INTEGER NOT NULL
) WITHOUT ROWID;
CREATE TABLE pending (
    path TEXT PRIMARY KEY, kind TEXT NOT NULL, disk TEXT NOT NULL, size INTEGER NOT NULL, mtime_ns INTEGER NOT NULL,
    ctime_ns INTEGER NOT NULL, inode INTEGER NOT NULL, mode TEXT NOT NULL,
    digest BLOB, settled INTEGER NOT NULL DEFAULT 0, planned INTEGER NOT NULL DEFAULT 0
) WITHOUT ROWID;
CREATE TABLE scopes (directory TEXT PRIMARY KEY, version INTEGER NOT NULL) WITHOUT ROWID;
INSERT INTO scopes VALUES ('', 0);
CREATE TABLE {BEHIND_TABLE}
CREATE TABLE {STAGED_TABLE}
PRAGMA user_version = {FORMAT};
COMMIT;
"""

FROM_FORMAT_1 = f"""
BEGIN;
CREATE TABLE {BEHIND_TABLE}
CREATE TABLE {STAGED_TABLE}
PRAGMA user_version = {FORMAT};
COMMIT;
"""

STAGE = "INSERT OR REPLACE INTO staged (path, disk, removed) VALUES (?, ?, ?)"

STAGE_REPLACED = (
    "INSERT OR REPLACE INTO staged (path, disk, removed) SELECT f.path, f.path, 1 FROM staged s"
    " JOIN files f ON f.path > s.path || '/' AND f.path < s.path || '0' WHERE NOT s.removed"
)
"""Where a staged file takes the place of a folder, the files of that folder go."""

HOLDS = (
    "SELECT 1 FROM files WHERE path = :path UNION ALL SELECT 1 FROM staged WHERE path = :path AND NOT removed LIMIT 1"
)

HOLDS_BELOW = (
    "SELECT 1 FROM files WHERE path > :after AND path < :stop"
    " UNION ALL SELECT 1 FROM staged WHERE path > :after AND path < :stop AND NOT removed LIMIT 1"
)

SAME_STAMPS = (
    "size = excluded.size AND mtime_ns = excluded.mtime_ns AND ctime_ns = excluded.ctime_ns"
    " AND inode = excluded.inode AND mode = excluded.mode"
)

MARK_PLANNED = "UPDATE pending SET planned = planned OR digest IS NOT NULL OR kind = 'removed', kind = 'stale'"
"""Files are planned soon after they are hashed: to take one for planned that was not costs a line of another plan."""

UPSERT_PENDING = (
    "INSERT INTO pending (path, kind, disk, size, mtime_ns, ctime_ns, inode, mode) VALUES (?, ?, ?, ?, ?, ?, ?, ?)"
    " ON CONFLICT (path) DO UPDATE SET kind = excluded.kind, disk = excluded.disk, size = excluded.size,"
    " mtime_ns = excluded.mtime_ns, ctime_ns = excluded.ctime_ns, inode = excluded.inode, mode = excluded.mode,"
    f" digest = CASE WHEN settled AND {SAME_STAMPS} THEN digest END"
)


class Known(NamedTuple):
    """A file as of the last push or pull."""

    path: str
    size: int
    digest: bytes
    """sha-256, 32 raw bytes."""
    mtime_ns: int
    """Modification time in the lake's version."""
    mode: str
    disk_mtime_ns: int
    """The disk's stamps when the file was last seen to have this content."""
    ctime_ns: int
    inode: int

    @property
    def entry(self) -> FileEntry:
        """What the lake's manifest said of it."""
        return FileEntry(self.path, self.size, to_text(self.digest), self.mtime_ns, self.mode)


Stamps = tuple[str, str, int, int, int, int, str]


class Pending(NamedTuple):
    """A file that the push under way sends, or a path that it removes (`kind` "removed")."""

    path: str
    kind: str
    disk: str
    size: int
    mtime_ns: int
    ctime_ns: int
    inode: int
    mode: str
    digest: bytes | None
    planned: bool
    """Whether the lake may have heard of it before the push was broken off."""
    known: Known | None
    """What the last push or pull had there."""

    @property
    def found(self) -> Found:
        """Its state when it was scanned, or hashed."""
        return Found(self.path, self.disk, self.size, self.mtime_ns, self.ctime_ns, self.inode, self.mode)


class Staged(NamedTuple):
    """A path that the next push sends, or removes from the data set."""

    path: str
    disk: str
    """Where it is, relative to the folder."""
    removed: bool


class Totals(NamedTuple):
    """Files and their bytes."""

    files: int
    size: int


def is_settled(found: Found, clock_ns: int) -> bool:
    """Whether a file that is written again now is sure to get other stamps.

    Stamps are in doubt if they are as young as their grain and mtime is as old as ctime; a later write moves mtime away
    from one that was set by hand.
    """
    return clock_ns - found.ctime_ns >= STAMP_GRAIN_NS or abs(found.mtime_ns - found.ctime_ns) >= STAMP_GRAIN_NS


def known_from(found: Found, digest: bytes, mtime_ns: int, settled: bool) -> Known:
    """The row of a file that is in the lake with this digest and modification time, and here as `found`."""
    ctime_ns = found.ctime_ns if settled else 0
    return Known(found.path, found.size, digest, mtime_ns, found.mode, found.mtime_ns, ctime_ns, found.inode)


def known_written(found: Found, entry: FileEntry) -> Known:
    """The row of a file of the lake that was written here just now, as `found`: its ctime is the clock."""
    return known_from(found, to_raw(entry.digest), entry.mtime_ns, is_settled(found, found.ctime_ns))


class Index:
    """The index of a data set folder; a context manager.

    EbulkError when the file is damaged or was written by a newer ebulk; DiskFullError when there is no room to write.
    """

    def __init__(self, path: Path, *, read_only: bool = False) -> None:
        self._path = path
        self._lock = threading.RLock()
        self._read_only = read_only

    def __enter__(self) -> Index:
        with self._errors():
            if self._read_only and not self._path.exists():
                self._connection = sqlite3.connect(":memory:", check_same_thread=False, isolation_level=None)
            else:
                mode = "ro" if self._read_only else "rwc"
                self._connection = sqlite3.connect(
                    f"{self._path.absolute().as_uri()}?mode={mode}",
                    uri=True,
                    timeout=BUSY_SECONDS,
                    check_same_thread=False,
                    isolation_level=None,
                )
            try:
                self._prepare()
            except BaseException:
                self._connection.close()
                raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        with self._errors():
            self._connection.close()
            if isinstance(error, sqlite3.Error):
                raise error

    def _prepare(self) -> None:
        (number,) = self._connection.execute("PRAGMA user_version").fetchone()
        if number > FORMAT:
            raise EbulkError(f"{self._path} was written by a newer ebulk.", "Update ebulk on this machine.")
        if not number:
            self._connection.executescript(SCHEMA)
        elif number < FORMAT:
            # A file that is only read stays as it is: what it lacks is beside it for as long as it is open.
            beside = f"CREATE TEMP TABLE {BEHIND_TABLE} CREATE TEMP TABLE {STAGED_TABLE}"
            self._connection.executescript(beside if self._read_only else FROM_FORMAT_1)

    @contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            if "disk is full" in str(error):
                raise DiskFullError(
                    f"The disk with {self._path} is full.", "Make room, then run the same command again: it goes on."
                ) from error
            raise EbulkError(
                f"The index {self._path} cannot be used: {error}.",
                "Remove it and pull: files that are the same as in the lake stay as they are.",
            ) from error

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        with self._lock:
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield self._connection
                self._connection.execute("COMMIT")
            except BaseException:
                if self._connection.in_transaction:
                    self._connection.execute("ROLLBACK")
                raise

    # which version the files came from

    def base_version(self, directory: str = "") -> int:
        """The version that a folder came from; 0 before the first push or pull."""
        return _nearest(self._scopes(), directory)

    def is_pristine(self) -> bool:
        """Whether nothing of the data set was pushed or pulled yet."""
        return not any(self._scopes().values())

    def push_base(self) -> int:
        """The version to compare a push of what is pending with: the oldest of those that its files came from."""
        bases = self._bases()
        if len(bases) < 2:
            return bases[""]
        with self._lock:
            rows = self._connection.execute("SELECT path FROM pending").fetchall()
        return min({_nearest(bases, path) for (path,) in rows}, default=0)

    def set_version(self, directory: str, version: int, *, complete: bool = True) -> None:
        """Write down that a folder, with all in it, is now as of this version; but for files left out if not complete.

        Those came from an older version, or never came: what is pushed of the folder is compared with that one.
        """
        after, stop = _bounds(directory)
        bases = self._bases()
        below = (base for other, base in bases.items() if after < other < stop)
        oldest = min(version, _nearest(bases, directory), *below)
        with self._transaction() as connection:
            for table in ("scopes", "behind"):
                connection.execute(
                    f"DELETE FROM {table} WHERE directory = ? OR (directory > ? AND directory < ?)",
                    (directory, after, stop),
                )
            connection.execute("INSERT INTO scopes VALUES (?, ?)", (directory, version))
            if not complete:
                connection.execute("INSERT INTO behind VALUES (?, ?)", (directory, oldest))

    def _bases(self) -> dict[str, int]:
        """The oldest version that something in each folder came from."""
        with self._lock:
            return self._scopes() | dict(self._connection.execute("SELECT directory, version FROM behind").fetchall())

    def _scopes(self) -> dict[str, int]:
        with self._lock:
            return dict(self._connection.execute("SELECT directory, version FROM scopes").fetchall())

    # files

    def known(self, directory: str = "") -> Iterator[Known]:
        """The files of a folder, by path. Rows may be written meanwhile."""
        yield from map(Known._make, self._pages("SELECT * FROM files", directory))

    def stamps(self, directory: str = "") -> Iterator[list[Stamps]]:
        """The same as `Found` has them, many at once: a file that is as it was, and named as on the wire, is equal."""
        query = "SELECT path, path, size, disk_mtime_ns, ctime_ns, inode, mode FROM files"
        return cast("Iterator[list[Stamps]]", self._page_lists(query, directory))

    def totals(self) -> Totals:
        """How many files there are, and their bytes."""
        with self._lock:
            row = self._connection.execute("SELECT count(*), coalesce(sum(size), 0) FROM files").fetchone()
        return Totals(*row)

    def find(self, path: str) -> Known | None:
        """The file of a path, or None."""
        with self._lock:
            row = self._connection.execute("SELECT * FROM files WHERE path = ?", (path,)).fetchone()
        return row and Known._make(row)

    def holds(self, path: str) -> bool:
        """Whether a path is in the data set, or staged."""
        with self._lock:
            return bool(self._connection.execute(HOLDS, {"path": path}).fetchone())

    def knows_below(self, folder: str) -> bool:
        """Whether anything in a folder was pushed or pulled."""
        after, stop = _bounds(folder)
        with self._lock:
            query = "SELECT EXISTS (SELECT 1 FROM files WHERE path > ? AND path < ?)"
            return bool(self._connection.execute(query, (after, stop)).fetchone()[0])

    def holds_below(self, folder: str) -> bool:
        """Whether anything in a folder is in the data set, or staged."""
        after, stop = _bounds(folder)
        with self._lock:
            return bool(self._connection.execute(HOLDS_BELOW, {"after": after, "stop": stop}).fetchone())

    def update(self, known: Iterable[Known], removed: Iterable[str] = ()) -> None:
        """Write down files as they are now, and forget others."""
        with self._transaction() as connection:
            connection.executemany("DELETE FROM files WHERE path = ?", ((path,) for path in removed))
            connection.executemany(f"INSERT OR REPLACE INTO files VALUES ({_marks(len(Known._fields))})", known)

    def _pages(self, query: str, directory: str) -> Iterator[tuple[object, ...]]:
        return chain.from_iterable(self._page_lists(query, directory))

    def _page_lists(self, query: str, directory: str) -> Iterator[list[tuple[object, ...]]]:
        after, stop = _bounds(directory)
        while True:
            with self._lock:
                rows = self._connection.execute(
                    f"{query} WHERE path > ? AND path < ? ORDER BY path LIMIT {PAGE_LENGTH}", (after, stop)
                ).fetchall()
            yield rows
            if len(rows) < PAGE_LENGTH:
                return
            after = rows[-1][0]

    # what is staged

    def staged(self, directory: str = "") -> Iterator[Staged]:
        """The staged paths of a folder, in order. Rows may be written meanwhile."""
        for path, disk, removed in self._pages("SELECT path, disk, removed FROM staged", directory):
            yield Staged(str(path), str(disk), bool(removed))

    def find_staged(self, path: str) -> Staged | None:
        """The staged path, or None."""
        with self._lock:
            row = self._connection.execute("SELECT path, disk, removed FROM staged WHERE path = ?", (path,)).fetchone()
        return row and Staged(row[0], row[1], bool(row[2]))

    def staged_count(self, path: str = "") -> int:
        """How many paths are staged: this one and those below it, or all."""
        after, stop = _bounds(path)
        with self._lock:
            (count,) = self._connection.execute(
                "SELECT count(*) FROM staged WHERE path = ? OR (path > ? AND path < ?)", (path, after, stop)
            ).fetchone()
        return int(count)

    def stage(self, rows: Iterable[Staged]) -> None:
        """Stage files and removals; an exception of `rows` leaves all as it was."""
        with self._transaction() as connection:
            connection.executemany(STAGE, rows)
            connection.execute(STAGE_REPLACED)

    def unstage(self, paths: Iterable[str]) -> None:
        """Stage these paths no longer."""
        with self._transaction() as connection:
            connection.executemany("DELETE FROM staged WHERE path = ?", ((path,) for path in paths))

    def take_staged(self, directory: str) -> None:
        """Note what of a folder a push has seen: `commit_push` unstages it."""
        after, stop = _bounds(directory)
        with self._transaction() as connection:
            connection.execute("UPDATE staged SET taken = (path > ? AND path < ?)", (after, stop))

    def leave_staged(self, paths: Iterable[str]) -> None:
        """Note what a push has seen and leaves: it stays staged."""
        with self._transaction() as connection:
            connection.executemany("UPDATE staged SET taken = 0 WHERE path = ?", ((path,) for path in paths))

    # the push under way

    def replace_pending(self, rows: Iterable[tuple[str, Found]], *, resume: bool) -> None:
        """Write what a push sends anew, from pairs of kind and file; an exception of `rows` leaves all as it was.

        With `resume` the lake may know of the old rows: digests of files that are as they were stay, and a path that is
        no change any more becomes a row of kind "stale".
        """
        with self._transaction() as connection:
            connection.execute(MARK_PLANNED if resume else "DELETE FROM pending")
            connection.executemany(UPSERT_PENDING, ((file.path, kind, *file[1:]) for kind, file in rows))
            connection.execute("DELETE FROM pending WHERE kind = 'stale' AND NOT planned")

    def pending(self, *kinds: str) -> Iterator[Pending]:
        """What the push sends, by path; only these kinds if any are given. Rows may be written meanwhile."""
        after = ""
        chosen = f"AND p.kind IN ({_marks(len(kinds))})" if kinds else ""
        query = (
            "SELECT p.path, p.kind, p.disk, p.size, p.mtime_ns, p.ctime_ns, p.inode, p.mode, p.digest, p.planned,"
            " f.*"
            f" FROM pending p LEFT JOIN files f ON f.path = p.path WHERE p.path > ? {chosen} ORDER BY p.path"
            f" LIMIT {PAGE_LENGTH}"
        )
        while True:
            with self._lock:
                rows = self._connection.execute(query, (after, *kinds)).fetchall()
            for row in rows:
                known = Known._make(row[10:]) if row[10] is not None else None
                yield Pending._make((*row[:9], bool(row[9]), known))
            if len(rows) < PAGE_LENGTH:
                return
            after = rows[-1][0]

    def find_pending(self, path: str) -> str | None:
        """The kind of what the push does to a path, or None."""
        with self._lock:
            row = self._connection.execute("SELECT kind FROM pending WHERE path = ?", (path,)).fetchone()
        return row and str(row[0])

    def pending_totals(self, *kinds: str) -> Totals:
        """How many rows of these kinds the push has, and their bytes."""
        with self._lock:
            row = self._connection.execute(
                f"SELECT count(*), coalesce(sum(size), 0) FROM pending WHERE kind IN ({_marks(len(kinds))})", kinds
            ).fetchone()
        return Totals(*row)

    def renamed_count(self) -> int:
        """How many of the new files have the content of a removed one."""
        with self._lock:
            (count,) = self._connection.execute(
                "SELECT count(*) FROM pending WHERE kind = 'new' AND size > 0 AND digest IN"
                " (SELECT f.digest FROM pending p JOIN files f ON f.path = p.path WHERE p.kind = 'removed')"
            ).fetchone()
        return int(count)

    def set_digests(self, measured: Sequence[tuple[Found, bytes, bool]]) -> None:
        """Write down (state, digest, whether its stamps are settled) of files that were hashed."""
        with self._transaction() as connection:
            connection.executemany(
                "UPDATE pending SET size = ?, mtime_ns = ?, ctime_ns = ?, inode = ?, mode = ?, digest = ?, settled = ?"
                " WHERE path = ?",
                (
                    (file.size, file.mtime_ns, file.ctime_ns, file.inode, file.mode, digest, settled, file.path)
                    for file, digest, settled in measured
                ),
            )

    def commit_push(self, version: int | None) -> None:
        """Take what was pending for pushed, and unstage it, in one transaction; it made this version, or none.

        The base moves on where it was the version before. If somebody else pushed in between it stays, since what they
        changed is not here: the next push is compared with the old base, the next pull brings it all.
        A touched file keeps the lake's modification time.
        """
        with self._transaction() as connection:
            connection.execute("DELETE FROM files WHERE path IN (SELECT path FROM pending WHERE kind = 'removed')")
            connection.execute(
                "INSERT OR REPLACE INTO files SELECT p.path, p.size, p.digest,"
                " CASE WHEN f.digest = p.digest AND f.mode = p.mode THEN f.mtime_ns ELSE p.mtime_ns END, p.mode,"
                " p.mtime_ns, CASE WHEN p.settled THEN p.ctime_ns ELSE 0 END, p.inode"
                " FROM pending p LEFT JOIN files f ON f.path = p.path WHERE p.digest IS NOT NULL"
                " AND p.kind NOT IN ('removed', 'stale')"
            )
            connection.execute("DELETE FROM pending")
            connection.execute("DELETE FROM staged WHERE taken")
            if version is not None:
                connection.execute("UPDATE scopes SET version = ? WHERE version = ?", (version, version - 1))


def _nearest(versions: dict[str, int], path: str) -> int:
    """The version of the innermost folder that a path is in."""
    while path and path not in versions:
        path = path.rpartition("/")[0]
    return versions[path]


def _bounds(directory: str) -> tuple[str, str]:
    """Between which texts the paths below a folder are; `0` is the character after the slash."""
    return (directory + "/", directory + "0") if directory else ("", "\U0010ffff")


def _marks(count: int) -> str:
    return ", ".join("?" * count)
