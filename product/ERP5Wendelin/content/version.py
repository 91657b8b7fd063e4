"""Versions of a data set, and how the files of an older one are read.

A version keeps what its commit replaced. An older version is therefore the newest manifest with the replaced entries of
all later commits laid over it, the earliest of them on top. Keeping a version costs what its push changed, and reading
one costs what later pushes changed.

State of `Version` (public format): `number`, `date` (aware datetime, UTC), `author`, `message`, `added`, `modified`,
`removed` (files), `size`, `file_count` (of the whole version), `replaced`: OOBTree path -> the entry (plain tuple) that
was there before, None if there was none; or None in place of the tree: there was no file at all before, and every file
of this version was added by it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime
from heapq import merge
from itertools import groupby
from operator import itemgetter
from typing import Any

from BTrees.OOBTree import OOBTree
from persistent import Persistent

from Products.ERP5Wendelin.interfaces import IManifest

Item = tuple[str, Any]


class Version(Persistent):
    """What one commit made of a data set; see the module for its attributes."""

    def __init__(
        self,
        *,
        number: int,
        date: datetime,
        author: str,
        message: str,
        added: int,
        modified: int,
        removed: int,
        size: int,
        file_count: int,
        replaced: OOBTree | None,
    ) -> None:
        self.number = number
        self.date = date
        self.author = author
        self.message = message
        self.added = added
        self.modified = modified
        self.removed = removed
        self.size = size
        self.file_count = file_count
        self.replaced = replaced


class Files:
    """The paths of one version, as a set in order: what a commit changed that added every file there was."""

    def __init__(self, manifest: IManifest, version: int) -> None:
        self._manifest = manifest
        self._version = version

    def __contains__(self, path: str) -> bool:
        return self._manifest.get(path, self._version) is not None

    def keys(self) -> Iterator[str]:
        """The paths, in order."""
        return (path for path, _ in self._manifest.items(version=self._version))


class ChangedPaths:
    """The paths that several commits changed, in order: iterable, and `path in changed`; nothing is held in memory.

    `changes` has for each commit its paths, as something with `in` and `keys()`.
    """

    def __init__(self, changes: list[Any]) -> None:
        self._changes = changes

    def __contains__(self, path: str) -> bool:
        return any(path in change for change in self._changes)

    def __iter__(self) -> Iterator[str]:
        return (path for path, _ in groupby(merge(*(change.keys() for change in self._changes))))

    def __bool__(self) -> bool:
        return any(True for _ in self)


def items_from(tree: OOBTree, prefix: str = "", after: str = "") -> Iterator[Item]:
    """The items of a BTree whose path begins with `prefix` and is greater than `after`, in order."""
    start = max(prefix, after)
    for path, value in tree.items(min=start, excludemin=start == after != ""):
        if not path.startswith(prefix):
            return
        yield path, value


def lay_over(layers: Iterable[Iterator[Item]]) -> Iterator[Item]:
    """Merge sorted iterations; of those that have the same path the first wins."""
    ranked = (_ranked(rank, layer) for rank, layer in enumerate(layers))
    for path, group in groupby(merge(*ranked, key=itemgetter(0, 1)), key=itemgetter(0)):
        yield path, next(group)[2]


def _ranked(rank: int, layer: Iterator[Item]) -> Iterator[tuple[str, int, Any]]:
    return ((path, rank, value) for path, value in layer)
