"""Appends to a large file of the folder what it has grown by in the lake, so that its old bytes need not be copied.

It is a redo log of one step: the tail, verified, and the journal `<sha-256>.append` beside it are on the disk before
the file is touched. Killed anywhere, the file has its old bytes and some of the tail behind them, and `finish_appends`
does the rest. The journal is JSON: `{"path": …, "disk": …, "mode": …, "mtime_ns": …, "digest": …, "old_size": …,
"size": …, "start": …}`, where the tail has the file's new content from `start` on, at or in front of `old_size`.
"""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path
from unicodedata import normalize

from ebulk.errors import ConflictError, EbulkError
from ebulk.local.atomic import write_atomically
from ebulk.local.digest import hash_next, to_text
from ebulk.local.folder import Folder
from ebulk.local.index import Index, known_written
from ebulk.local.names import path_problem
from ebulk.local.scan import Found
from ebulk.local.tree import Tree
from ebulk.model import SYMLINK, FileEntry


@dataclass(frozen=True, slots=True)
class _Journal:
    """An append under way."""

    path: str
    disk: str
    mode: str
    mtime_ns: int
    digest: str
    old_size: int
    size: int
    start: int


def append(tree: Tree, entry: FileEntry, found: Found, tail: Path, start: int) -> Found:
    """Append to a file, which is as `found`, what it lacks of `tail`, which is used up; errors as `Tree.append`."""
    journal = tail.with_suffix(".append")
    under_way = _Journal(
        entry.path, found.disk, entry.mode, entry.mtime_ns, entry.digest, found.size, entry.size, start
    )
    _sync(tail)
    write_atomically(journal, json.dumps(asdict(under_way)).encode())
    try:
        grown = tree.append(entry, found, tail, start)
    except EbulkError:
        now = tree.look(found.path, found.disk)
        if now is None or now.size <= found.size:  # nothing of the tail is there
            journal.unlink()
        raise
    journal.unlink()
    tail.unlink()
    return grown


def finish_appends(folder: Folder, index: Index) -> None:
    """Finish what interrupted pulls have begun to append, and note it; files that were changed since are left alone.

    The caller has the folder's lock. DiskFullError where there is still no room.
    """
    for journal in sorted(folder.parts.glob("*.append")):
        tail = journal.with_suffix(".tail")
        under_way = _load(journal)
        if under_way is not None:
            with Tree(folder.root) as tree:
                _finish(folder.root, tree, index, under_way, tail)
        journal.unlink()
        tail.unlink(missing_ok=True)


def _load(journal: Path) -> _Journal | None:
    """A journal; None for a damaged one, which no append has written."""
    try:
        under_way = _Journal(**json.loads(journal.read_bytes()))
        is_path = path_problem(under_way.path) is None and normalize("NFC", under_way.disk) == under_way.path
        return under_way if is_path and under_way.start <= under_way.old_size <= under_way.size else None
    except (ValueError, TypeError):
        return None


def _finish(root: Path, tree: Tree, index: Index, under_way: _Journal, tail: Path) -> None:
    """Append the rest, unless the file is not the old one with some of the tail behind it."""
    try:
        found = tree.look(under_way.path, under_way.disk)
        if found is None or found.mode == SYMLINK or not under_way.old_size <= found.size <= under_way.size:
            return
        if _digest(root / under_way.disk, under_way.start, tail) != under_way.digest:
            return
        entry = FileEntry(under_way.path, under_way.size, under_way.digest, under_way.mtime_ns, under_way.mode)
        grown = tree.append(entry, found, tail, under_way.start)
    except (ConflictError, OSError):
        return
    index.update([known_written(grown, entry)])


def _digest(path: Path, start: int, tail: Path) -> str:
    """Of a file's first `start` bytes and a tail behind them."""
    digest = hashlib.sha256()
    for source, length in ((path, start), (tail, tail.stat().st_size)):
        descriptor = os.open(source, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK)
        try:
            hash_next(descriptor, digest, length)
        finally:
            os.close(descriptor)
    return to_text(digest.digest())


def _sync(path: Path) -> None:
    """Have a file's bytes on the disk."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
