"""Says whose push a push or pull is in conflict with, and the ways out."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice, takewhile
from typing import NamedTuple

from ebulk.errors import ConflictError, EbulkError
from ebulk.local.index import Index
from ebulk.local.names import shown
from ebulk.model import FileEntry, VersionInfo
from ebulk.remote.lake import Lake
from ebulk.verbs.problems import listed

EXPLAINED = 3
"""Paths whose other side is looked up."""

VERSIONS = 20
"""The most versions that are asked for one path."""

HERE = {"new": "added", "modified": "modified", "removed": "removed"}
"""What the user did to a path that became so."""

HINT = (
    "To keep yours, move it aside, `ebulk pull`, and put back what should stay; to take theirs, `ebulk pull"
    " --discard-changes`. Then push again."
)

PULL_HINT = (
    "To keep yours, move it aside, pull, and put back what should stay; to take the lake's, pull with"
    " --discard-changes; to decide later, leave it out by --exclude."
)


def explained(lake: Lake, reference: str, base: int, paths: Sequence[str], index: Index) -> ConflictError:
    """The conflict of what is pending with versions after `base`, with both sides named."""
    versions = _since(lake, reference, base)
    sentences = []
    for path in paths[:EXPLAINED]:
        yours = HERE.get(index.find_pending(path) or "", "modified")
        theirs = _theirs(lake, reference, versions, path) or "somebody else changed it, too"
        sentences.append(f"you {yours} {shown(path)}, and {theirs}")
    return ConflictError(f"Nothing was pushed: {_joined(sentences, paths)}", HINT, tuple(paths))


class Conflict(NamedTuple):
    """A path that the lake and this folder have otherwise than the version the folder came from."""

    path: str
    here: str = ""
    """What became of it here: "new", "modified" or "removed"."""
    blocker: str = ""
    """What is in its way here, where it is not the path itself."""


def pull_conflict(lake: Lake, reference: str, base: int, number: int, conflicts: Sequence[Conflict]) -> ConflictError:
    """The conflicts of a folder that came from version `base` with the version that is pulled, both sides named."""
    conflicts = sorted(conflicts)
    versions = [version for version in _since(lake, reference, base) if version.number <= number]
    sentences = []
    for path, here, blocker in conflicts[:EXPLAINED]:
        yours = f"{shown(blocker)} is in the way of {shown(path)}" if blocker else f"you {HERE[here]} {shown(path)}"
        theirs = _theirs(lake, reference, versions, path) or f"version {number} has it otherwise"
        sentences.append(f"{yours}, and {theirs}")
    paths = tuple(conflict.path for conflict in conflicts)
    return ConflictError(f"Nothing was pulled: {_joined(sentences, paths)}", PULL_HINT, paths)


def _since(lake: Lake, reference: str, base: int) -> list[VersionInfo]:
    """The versions after `base`, newest first; none if the lake cannot tell: that is no reason to hide a conflict."""
    try:
        return list(takewhile(lambda version: version.number > base, lake.versions(reference)))
    except EbulkError:
        return []


def _joined(sentences: Sequence[str], paths: Sequence[str]) -> str:
    rest = paths[EXPLAINED:]
    more = f" The same goes for {listed(rest)}." if rest else ""
    return f"{'; '.join(sentences)}.{more}"


def _theirs(lake: Lake, reference: str, versions: Sequence[VersionInfo], path: str) -> str:
    """Who changed a path, and when; if that can't be told, whose the newest version is; "" if there is none."""
    for version in islice(versions, VERSIONS):
        try:
            now = _entry(lake, reference, version.number, path)
            before = _entry(lake, reference, version.number - 1, path)
        except EbulkError:  # pruned meanwhile, or the network broke
            break
        if now != before:
            change = "removed" if now is None else "added" if before is None else "modified"
            return f"{_by(version)} {change} it"
    return f"{_by(versions[0])} is in its way" if versions else ""


def _by(version: VersionInfo) -> str:
    message = version.message.strip().partition("\n")[0]
    said = f", {shown(message)}" if message else ""
    return f"version {version.number} (by {shown(version.author)}, {version.date}{said})"


def _entry(lake: Lake, reference: str, number: int, path: str) -> FileEntry | None:
    """What a version has for a path."""
    return lake.entry(reference, number, path) if number else None
