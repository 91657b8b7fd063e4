"""Small manifests: entries made of a letter, and commits in one line."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime, timezone
from typing import Any

import transaction
from BTrees.OOBTree import OOBTree
from ZODB.DB import DB

from Products.ERP5Wendelin.content.entry import Entry
from Products.ERP5Wendelin.content.manifest import Manifest

DATE = datetime(2026, 11, 22, 10, 6, tzinfo=timezone.utc)


def entry(content: str, mtime_ns: int = 1, mode: str = "100644") -> Entry:
    """An entry as of a file with this content; the bytes themselves are nowhere."""
    return Entry(None, 0, len(content), hashlib.sha256(content.encode()).digest(), mtime_ns, mode)


def files(contents: Mapping[str, Any]) -> OOBTree:
    """What an ingestion has staged: path -> content or entry."""
    return OOBTree({path: entry(value) if isinstance(value, str) else value for path, value in contents.items()})


def commit(manifest: Manifest, contents: Mapping[str, Any], removed: Iterable[str] = ()) -> Any:
    return manifest.commit(files(contents), removed, "ada", "a message", DATE)


@contextmanager
def stored_manifest(db: DB | None = None) -> Iterator[Manifest]:
    """A manifest in a database in memory (or the one given), in a transaction manager of its own."""
    db = DB(None) if db is None else db
    connection = db.open(transaction.TransactionManager())
    try:
        connection.root()["manifest"] = manifest = Manifest()
        connection.transaction_manager.commit()
        yield manifest
    finally:
        connection.transaction_manager.abort()
        connection.close()
        db.close()
