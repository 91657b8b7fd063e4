"""Finds which of the new files are removed ones under another name."""

from __future__ import annotations

from collections.abc import Sequence

from ebulk.local.digest import measure
from ebulk.local.index import Known
from ebulk.local.scan import Found
from ebulk.model import FOLDER

Stamps = tuple[int, int, int, str]
Content = tuple[int, str, bytes]


def renames(root: str, new: Sequence[Found], removed: Sequence[Known]) -> tuple[tuple[str, str], ...]:
    """(from, to), each path once.

    A file that was moved keeps inode, size and modification time: it need not be read, so a moved folder of 132 GB is
    known at once. Of the others only those as long as a removed one are read.
    """
    moved: dict[Stamps, str] = {}
    copied: dict[Content, list[Known]] = {}
    for known in reversed(removed):
        if known.size:
            moved[known.inode, known.size, known.disk_mtime_ns, known.mode] = known.path
            copied.setdefault((known.size, known.mode, known.digest), []).append(known)
    sizes = {size for size, _, _ in copied}
    pairs: dict[str, str] = {}
    rest = []
    for found in new:
        source = moved.pop((found.inode, found.size, found.mtime_ns, found.mode), None)
        if source is not None:
            pairs[source] = found.path
        elif found.size in sizes and found.mode != FOLDER:
            rest.append(found)
    for found in rest:
        sources = copied.get((found.size, found.mode, measure(root, found).digest), [])
        while sources:
            source = sources.pop().path
            if source not in pairs:
                pairs[source] = found.path
                break
    return tuple(sorted(pairs.items(), key=lambda pair: pair[1]))
