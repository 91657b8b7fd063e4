"""What differs between two states of a data set, gathered before it is shown: which files were renamed is known last.

It is a temporary SQLite database without a name: in memory while it is small, on disk when it grows, gone with the
process. So two versions of a million files are compared in little memory.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator
from types import TracebackType
from typing import NamedTuple

SCHEMA = """
CREATE TABLE changes (
    path TEXT PRIMARY KEY, source TEXT, old_size INTEGER, old_mode TEXT, old_digest BLOB,
    new_size INTEGER, new_mode TEXT, new_digest BLOB
) WITHOUT ROWID;
CREATE TABLE renames (source TEXT, target TEXT);
"""

SAME_CONTENT = """
INSERT INTO renames SELECT gone.path, come.path
FROM (
    SELECT path, old_mode AS mode, old_digest AS digest,
        row_number() OVER (PARTITION BY old_mode, old_digest ORDER BY path) AS number
    FROM changes WHERE new_mode IS NULL AND old_size > 0
) gone JOIN (
    SELECT path, new_mode AS mode, new_digest AS digest,
        row_number() OVER (PARTITION BY new_mode, new_digest ORDER BY path) AS number
    FROM changes WHERE old_mode IS NULL AND new_size > 0
) come USING (mode, digest, number)
"""
"""Pairs of a removed and a new file with the same content, each file in one pair at the most."""

RENAME = """
UPDATE changes SET (source, old_size, old_mode, old_digest) = (
    SELECT o.path, o.old_size, o.old_mode, o.old_digest FROM renames r JOIN changes o ON o.path = r.source
    WHERE r.target = changes.path
) WHERE path IN (SELECT target FROM renames);
"""

KIND = (
    "CASE WHEN source IS NOT NULL THEN 'renamed' WHEN old_mode IS NULL THEN 'new' WHEN new_mode IS NULL THEN 'removed'"
    " WHEN old_digest = new_digest THEN 'mode' ELSE 'modified' END"
)

KINDS = ("new", "modified", "mode", "removed", "renamed")


class State(NamedTuple):
    """A file on one side."""

    size: int
    mode: str
    digest: bytes


class Change(NamedTuple):
    """A path that differs."""

    kind: str
    """One of KINDS."""
    path: str
    source: str | None
    """Where it was, if it was renamed."""
    old_size: int | None
    old_mode: str | None
    new_size: int | None
    new_mode: str | None


class Changes:
    """A context manager: fill it with `add`, then pair what was renamed, then read it."""

    def __enter__(self) -> Changes:
        self._connection = sqlite3.connect("", isolation_level=None)
        self._connection.executescript(f"{SCHEMA}BEGIN;")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._connection.close()

    def add(self, path: str, old: State | None, new: State | None) -> None:
        """A path differs."""
        nothing = (None, None, None)
        self._connection.execute(
            "INSERT INTO changes VALUES (?, NULL, ?, ?, ?, ?, ?, ?)", (path, *(old or nothing), *(new or nothing))
        )

    def pair_by_content(self) -> None:
        """Take new files with the content of removed ones for renamed."""
        self._connection.execute(SAME_CONTENT)
        self._pair()

    def pair(self, renames: Iterable[tuple[str, str]]) -> None:
        """Take these, as pairs of (from, to), for renamed."""
        self._connection.executemany("INSERT INTO renames VALUES (?, ?)", renames)
        self._pair()

    def _pair(self) -> None:
        self._connection.execute("CREATE INDEX targets ON renames (target)")
        self._connection.execute(RENAME)
        self._connection.execute("DELETE FROM changes WHERE path IN (SELECT source FROM renames)")

    def __iter__(self) -> Iterator[Change]:
        """What differs, by path."""
        rows = self._connection.execute(
            f"SELECT {KIND}, path, source, old_size, old_mode, new_size, new_mode FROM changes ORDER BY path"
        )
        return map(Change._make, rows)

    def counts(self) -> dict[str, int]:
        """How many paths there are of each of KINDS."""
        rows = self._connection.execute(f"SELECT {KIND} AS kind, count(*) FROM changes GROUP BY kind")
        return dict.fromkeys(KINDS, 0) | dict(rows.fetchall())

    def sizes(self) -> tuple[int, int]:
        """Bytes that went, and bytes that came: of files whose content is not what it was, all of them."""
        row = self._connection.execute(
            f"SELECT coalesce(sum(old_size), 0), coalesce(sum(new_size), 0) FROM changes"
            f" WHERE {KIND} NOT IN ('renamed', 'mode')"
        ).fetchone()
        return int(row[0]), int(row[1])

    def widest(self) -> int:
        """The most characters of a path, with where it was if it was renamed."""
        row = self._connection.execute("SELECT max(length(path) + coalesce(length(source), 0)) FROM changes").fetchone()
        return int(row[0] or 0)
