"""Whether the figures of a manifest and its versions are those of its entries.

One walk over all paths, with what each was in all versions: the walk holds a few numbers for each version, and nothing
for a path.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from Products.ERP5Wendelin.content.entry import Entry


@dataclass
class Figures:
    """What a commit did, by the entries before and after it."""

    added: int = 0
    modified: int = 0
    removed: int = 0
    growth: int = 0

    def note(self, before: Entry | None, after: Entry | None) -> None:
        """Take in a path that the commit changed, or that it is said to have changed."""
        self.added += before is None and after is not None
        self.modified += before is not None and after is not None
        self.removed += before is not None and after is None
        self.growth += (after.size if after else 0) - (before.size if before else 0)


def wrong_figures(manifest: Any) -> Iterator[str]:
    """Sentences, each about a figure of a manifest (of its newest version, then of its versions) that is wrong."""
    versions = list(manifest.versions())  # newest first
    commits = {version.number: Figures() for version in versions}
    firsts = [version.number for version in versions if version.replaced is None]
    now = Figures()
    for _, history in manifest.histories():
        _take_apart(history, commits, firsts, now)
    yield from _compared("the data set", "files", manifest.file_count, now.added)
    yield from _compared("the data set", "bytes", manifest.size, now.growth)
    newest = versions[0].number if versions else 0
    if manifest.version != newest:
        yield f"its version is said to be {manifest.version}, and the newest it has is {newest}"
    count, size = now.added, now.growth
    for version in versions:
        name, commit = f"version {version.number}", commits[version.number]
        yield from _compared(name, "files", version.file_count, count)
        yield from _compared(name, "bytes", version.size, size)
        yield from _compared(name, "added files", version.added, commit.added)
        yield from _compared(name, "modified files", version.modified, commit.modified)
        yield from _compared(name, "removed files", version.removed, commit.removed)
        count -= commit.added - commit.removed
        size -= commit.growth


def _take_apart(
    history: list[tuple[int, Entry | None]], commits: dict[int, Figures], firsts: list[int], now: Figures
) -> None:
    """Note what each commit did to a path; `firsts` are the commits that found no files, newest first."""
    after = None
    if history[0][0] == 0:
        after = history[0][1]
        now.note(None, after)
        history = history[1:]
    waiting = iter(firsts)
    first = next(waiting, 0)
    for number, before in [*history, (0, None)]:
        while first > number:
            if after is not None:
                commits[first].note(None, after)
                after = None
            first = next(waiting, 0)
        if number:
            commits[number].note(before, after)
            after = before


def _compared(of: str, what: str, said: int, found: int) -> Iterator[str]:
    if said != found:
        yield f"{of} is said to have {said} {what}, and has {found}"
