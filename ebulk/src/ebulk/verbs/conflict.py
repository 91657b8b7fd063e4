"""Says whose push a push is in conflict with, and the ways out."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice, takewhile

from ebulk.errors import ConflictError, NotFoundError
from ebulk.local.index import Index
from ebulk.local.names import shown
from ebulk.model import FileEntry, VersionInfo
from ebulk.remote.lake import Lake
from ebulk.verbs.problems import listed

EXPLAINED = 3
"""Paths whose other side is looked up."""

VERSIONS = 20
"""The most versions that are asked for one path."""

HINT = (
    "To keep yours, move it aside, `ebulk pull`, and put back what should stay; to take theirs, `ebulk pull"
    " --discard-changes`. Then push again."
)


def explained(lake: Lake, reference: str, base: int, paths: Sequence[str], index: Index) -> ConflictError:
    """The conflict of what is pending with versions after `base`, with both sides named."""
    versions = list(takewhile(lambda version: version.number > base, lake.versions(reference)))
    sentences = []
    for path in paths[:EXPLAINED]:
        pending = index.find_pending(path)
        yours = {"new": "added", "removed": "removed"}.get(pending or "", "modified")
        sentences.append(f"you {yours} {shown(path)}, and {_theirs(lake, reference, versions, path)}")
    rest = paths[EXPLAINED:]
    more = f" The same goes for {listed(rest)}." if rest else ""
    return ConflictError(f"Nothing was pushed: {'; '.join(sentences)}.{more}", HINT, tuple(paths))


def _theirs(lake: Lake, reference: str, versions: Sequence[VersionInfo], path: str) -> str:
    """Who changed a path, and when; if that can't be told, whose the newest version is."""
    for version in islice(versions, VERSIONS):
        try:
            now = _entry(lake, reference, version.number, path)
            before = _entry(lake, reference, version.number - 1, path)
        except NotFoundError:  # pruned meanwhile
            break
        if now != before:
            change = "removed" if now is None else "added" if before is None else "modified"
            return f"{_by(version)} {change} it"
    return f"{_by(versions[0])} is in its way" if versions else "somebody else changed it, too"


def _by(version: VersionInfo) -> str:
    message = version.message.strip().partition("\n")[0]
    said = f", {shown(message)}" if message else ""
    return f"version {version.number} (by {shown(version.author)}, {version.date}{said})"


def _entry(lake: Lake, reference: str, number: int, path: str) -> FileEntry | None:
    """What a version has for a path."""
    if not number:
        return None
    _, entries = lake.manifest(reference, number, path)
    entry = next(entries, None)
    return entry if entry is not None and entry.path == path else None
