"""Which files each version of a data set has.

The newest version is one BTree from path to entry; `content.version` says how older ones are read. A commit writes the
records of what it changes and nothing else: one file more among 100,000 is a bucket or two in each of three trees.

A path is a file or a folder, never both: a file `a` and `a/b` cannot be in one version, since no file system could hold
it. (An entry of a folder, of mode FOLDER, may be beside those of its files.)

State (public format): `version`, `file_count`, `size` (integers), `_entries` (OOBTree path -> plain tuple, see
`content.entry`), `_versions` (IOBTree number -> Version), `_contents` (OOBTree digest -> (stream, offset, size), of all
versions).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from datetime import datetime
from heapq import merge
from itertools import groupby
from operator import itemgetter
from typing import Any, TypeVar

from BTrees.IOBTree import IOBTree
from BTrees.OOBTree import OOBTree
from persistent import Persistent
from zope.interface import implementer

from Products.ERP5Wendelin.content.clash import all_clashes, clashes_of_file, clashes_with, refuse
from Products.ERP5Wendelin.content.entry import FOLDER, Entry
from Products.ERP5Wendelin.content.version import ChangedPaths, Files, Version, items_from, lay_over
from Products.ERP5Wendelin.errors import NotFound
from Products.ERP5Wendelin.interfaces import IManifest

GC_INTERVAL = 10_000
"""Entries read between two collections of the object cache: about 350 buckets, a few MB."""

SAVEPOINT_INTERVAL = 500_000
"""Entries committed between two savepoints, which move changed records out of memory: about 150 MB of them.

Digests come in no order, so that after a savepoint the buckets they go to are read again: not to be done too often.
"""

UNKNOWN = object()

NewContent = Callable[[bytes, int], None]

Item = TypeVar("Item", bound=tuple[Any, ...])


@implementer(IManifest)
class Manifest(Persistent):
    """The files of a data set, of its newest version and of the older ones."""

    def __init__(self) -> None:
        self.version = 0
        self.file_count = 0
        self.size = 0
        self._entries = OOBTree()
        self._versions = IOBTree()
        self._contents = OOBTree()

    def get(self, path: str, version: int | None = None) -> Entry | None:
        """The entry of a path, or None; in the newest version unless `version` is given. NotFound: no such version."""
        trees, base = self._layers(self.version if version is None else version)
        for tree in trees:
            value = tree.get(path, UNKNOWN)
            if value is not UNKNOWN:
                return value and Entry._make(value)
        value = base.get(path)
        return value and Entry._make(value)

    def items(self, prefix: str = "", after: str = "", version: int | None = None) -> Iterator[tuple[str, Entry]]:
        """Iterate over (path, entry) by code points: paths beginning with `prefix` and greater than `after`.

        NotFound, at once, when there is no such version.
        """
        trees, base = self._layers(self.version if version is None else version)
        layers = (items_from(tree, prefix, after) for tree in (*trees, base))
        merged = lay_over(layers) if trees else next(layers)
        return ((path, Entry._make(value)) for path, value in self._collecting(merged) if value is not None)

    def find_content(self, digest: bytes) -> Entry | None:
        """An entry with this sha-256 (32 bytes), from any version, or None; its modification time is 0."""
        location = self._contents.get(digest)
        if location is None:
            return None
        stream, offset, size = location
        return Entry(stream, offset, size, digest, 0)

    def refuse_clash(self, path: str) -> None:
        """PushConflict, with `paths`, if a file of this path would be file and folder at once with one that is here."""
        refuse(clashes_of_file(self._entries, path), self.version)

    def versions(self, before: int | None = None) -> Iterator[Version]:
        """Iterate over versions, newest first; only those with a smaller number than `before`."""
        limit = self.version if before is None else before - 1
        while limit > 0:
            try:
                number = self._versions.maxKey(limit)
            except ValueError:  # none is left
                return
            yield self._versions[number]
            limit = number - 1

    def get_version(self, number: int) -> Version:
        """The version of a number, or NotFound."""
        try:
            return self._versions[number]
        except KeyError:
            raise NotFound(f"There is no version {number}; the newest is {self.version}.") from None

    def changed_since(self, version: int) -> ChangedPaths:
        """The set-like, ordered collection of paths that commits after `version` changed. NotFound: no such version."""
        self._check(version)
        later = self._versions.values(min=version, excludemin=True)
        return ChangedPaths([Files(self, v.number) if v.replaced is None else v.replaced for v in later])

    def histories(self, after: str = "") -> Iterator[tuple[str, list[tuple[int, Entry | None]]]]:
        """Iterate over each path greater than `after` that any version has, with all it was, newest first.

        That is (number, entry): what a version replaced (None: nothing) as its number, and what is there now, if
        anything is, as 0. A version that found no files at all replaced nothing, and is not in the lists.
        """
        trees = [(0, self._entries), *((version.number, version.replaced) for version in self.versions())]
        layers = [_numbered(rank, number, tree, after) for rank, (number, tree) in enumerate(trees) if tree is not None]
        merged = self._collecting(merge(*layers, key=itemgetter(0, 1)))
        for path, group in groupby(merged, key=itemgetter(0)):
            yield path, [(number, value and Entry._make(value)) for _, _, number, value in group]

    def commit(
        self,
        staged: OOBTree,
        removed: Iterable[str],
        author: str,
        message: str,
        date: datetime,
        *,
        new_content: NewContent = lambda digest, size: None,
    ) -> Version | None:
        """Make the next version in the current transaction and return it; None where nothing changes.

        On an empty manifest `staged` becomes the manifest's own: whoever made it must let go of it. A path that is
        staged and removed is staged. PushConflict, with `paths`, when a path would be file and folder at once; the
        transaction must be aborted then. `new_content(digest, size)` is called for each content that no version had.
        """
        if not self.file_count:
            if not staged:
                return None
            self._adopt(staged, new_content)
            return self._add_version(author, message, date, added=self.file_count, modified=0, removed=0, replaced=None)
        change = Change(self._entries)
        for path in removed:
            if path not in staged:
                change.remove(path)
        for path, value in self._collecting(self._saving(staged.items())):
            if change.put(path, value):
                self._index(value, new_content)
        if not change.replaced:
            return None
        refuse(clashes_with(self._entries, change.added_paths()), self.version)
        self.file_count += change.added - change.removed
        self.size += change.growth
        return self._add_version(
            author,
            message,
            date,
            added=change.added,
            modified=change.modified,
            removed=change.removed,
            replaced=change.replaced,
        )

    def _adopt(self, staged: OOBTree, new_content: NewContent) -> None:
        """Take `staged` as the newest version, reading it once: to count, to index its contents and to find clashes."""
        self.file_count = self.size = 0
        refuse(all_clashes(self._taking_in(staged, new_content)), self.version)
        self._entries = staged

    def _taking_in(self, staged: OOBTree, new_content: NewContent) -> Iterator[tuple[str, Any]]:
        for path, value in self._collecting(self._saving(staged.items())):
            self.file_count += 1
            self.size += value[2]
            self._index(value, new_content)
            yield path, value

    def _add_version(
        self, author: str, message: str, date: datetime, *, added: int, modified: int, removed: int, replaced: Any
    ) -> Version:
        self.version += 1
        self._versions[self.version] = version = Version(
            number=self.version,
            date=date,
            author=author,
            message=message,
            added=added,
            modified=modified,
            removed=removed,
            size=self.size,
            file_count=self.file_count,
            replaced=replaced,
        )
        return version

    def _index(self, value: tuple[Any, ...], new_content: NewContent) -> None:
        stream, offset, size, digest = value[:4]
        if size and self._contents.insert(digest, (stream, offset, size)):
            new_content(digest, size)

    def _collecting(self, items: Iterable[Item]) -> Iterator[Item]:
        """The same items; now and then what was read is let go of."""
        for count, item in enumerate(items, 1):
            yield item
            if not count % GC_INTERVAL and self._p_jar is not None:
                self._p_jar.cacheGC()

    def _saving(self, items: Iterable[tuple[str, Any]]) -> Iterator[tuple[str, Any]]:
        """The same items; now and then what was changed is moved out of memory, by a savepoint."""
        for count, item in enumerate(items, 1):
            yield item
            if not count % SAVEPOINT_INTERVAL and self._p_jar is not None:
                self._p_jar.transaction_manager.savepoint(optimistic=True)

    def _check(self, version: int) -> None:
        if version and version not in self._versions:
            self.get_version(version)

    def _layers(self, version: int) -> tuple[list[OOBTree], OOBTree]:
        """What to lay over what, uppermost first: the replaced entries of later commits, and the files below them."""
        self._check(version)
        trees: list[OOBTree] = []
        for later in self._versions.values(min=version, excludemin=True):
            if later.replaced is None:  # there were no files before it
                return trees, OOBTree()
            trees.append(later.replaced)
        return trees, self._entries


def _numbered(rank: int, number: int, tree: OOBTree, after: str) -> Iterator[tuple[str, int, int, Any]]:
    return ((path, rank, number, value) for path, value in items_from(tree, after=after))


class Change:
    """Applies changes to the newest entries, and keeps what they replace and the figures of the new version."""

    def __init__(self, entries: OOBTree) -> None:
        self._entries = entries
        self.replaced = OOBTree()
        self.added = self.modified = self.removed = 0
        self.growth = 0

    def put(self, path: str, value: tuple[Any, ...]) -> bool:
        """Set an entry; False if the file is the same as before (content, modification time and mode)."""
        old = self._entries.get(path)
        if old is None:
            self.added += 1
        elif Entry._make(old).same_file(value):
            return False
        else:
            self.modified += 1
            self.growth -= old[2]
        self.growth += value[2]
        self._entries[path] = tuple(value)
        self.replaced[path] = old
        return True

    def remove(self, path: str) -> None:
        """Remove an entry, if there is one."""
        old = self._entries.pop(path, None)
        if old is not None:
            self.removed += 1
            self.growth -= old[2]
            self.replaced[path] = old

    def added_paths(self) -> Iterator[str]:
        """The paths that had no entry before, or that of a folder, in order: what may clash now."""
        return (
            path for path, old in self.replaced.items() if old is None or (old[-1] == FOLDER and path in self._entries)
        )
