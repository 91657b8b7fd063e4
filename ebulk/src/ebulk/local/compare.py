"""Lays sorted streams side by side: the folder as scanned, the index, the lake's manifest.

Nothing is read into memory, so millions of files cost time and no room.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import Enum
from operator import attrgetter
from typing import TypeVar

from ebulk.local.digest import measure
from ebulk.local.index import PAGE_LENGTH, Index, Known, Staged, Stamps, is_settled, known_from
from ebulk.local.lock import Lock
from ebulk.local.scan import Found, look_folder
from ebulk.model import FOLDER

Left = TypeVar("Left")
Right = TypeVar("Right")

_size_of = attrgetter("size")


class Kind(Enum):
    """What became of a file since the last push or pull."""

    NEW = "new"
    MODIFIED = "modified"
    REMOVED = "removed"
    SUSPECT = "suspect"
    """Its size is as it was, but its stamps are not: only its bytes can tell."""
    UNCHANGED = "unchanged"


def outer_join(
    left: Iterable[tuple[str, Left]], right: Iterable[tuple[str, Right]]
) -> Iterator[tuple[str, Left | None, Right | None]]:
    """(path, left, right) for each path in either stream; both are sorted by path, None stands where one has none."""
    lefts, rights = iter(left), iter(right)
    one, other = next(lefts, None), next(rights, None)
    while one is not None and other is not None:
        if one[0] == other[0]:
            yield one[0], one[1], other[1]
            one, other = next(lefts, None), next(rights, None)
        elif one[0] < other[0]:
            yield one[0], one[1], None
            one = next(lefts, None)
        else:
            yield other[0], None, other[1]
            other = next(rights, None)
    while one is not None:
        yield one[0], one[1], None
        one = next(lefts, None)
    while other is not None:
        yield other[0], None, other[1]
        other = next(rights, None)


def compare(
    root: str, found: Iterable[Found], known: Iterable[Known]
) -> Iterator[tuple[str, Found | None, Known | None]]:
    """(path, found, known) for each path that the folder or the index has.

    A folder that was empty when it was pushed or pulled is found also if something is in it now.
    """
    for path, file, row in outer_join(((file.path, file) for file in found), ((row.path, row) for row in known)):
        if file is None and row is not None and row.mode == FOLDER:
            yield path, look_folder(root, path), row
        else:
            yield path, file, row


def beside(
    compared: Iterable[tuple[str, Found | None, Known | None]], staged: Iterable[Staged]
) -> Iterator[tuple[str, Found | None, Known | None, Staged | None]]:
    """(path, found, known, staged) for each path that the folder or the index has, or that is staged."""
    rows = ((path, (found, known)) for path, found, known in compared)
    for path, both, mark in outer_join(rows, ((mark.path, mark) for mark in staged)):
        found, known = both or (None, None)
        yield path, found, known, mark


@dataclass(slots=True)
class Tally:
    """Files that are as they were, which `changes` only counts."""

    files: int = 0
    size: int = 0
    counts: Callable[[Found], bool] | None = None
    """Says which are counted, if not all are."""

    def add(self, files: Sequence[Found]) -> None:
        """So many more."""
        counted = files if self.counts is None else list(filter(self.counts, files))
        self.files += len(counted)
        self.size += sum(map(_size_of, counted))

    def remove(self, file: Found) -> None:
        """One less."""
        if self.counts is None or self.counts(file):
            self.files -= 1
            self.size -= file.size


def changes(
    root: str, batches: Iterable[Sequence[Found]], index: Index, directory: str, tally: Tally
) -> Iterator[tuple[str, Found | None, Known | None, Staged | None]]:
    """(path, found, known, staged) of what may have changed, or is staged; `batches` are those of a scan.

    Most files have not changed and equal their rows of the index: they are passed over.
    """
    rows = ((path, (found, known)) for path, found, known in _differing(root, batches, index, directory, tally))
    for path, both, mark in outer_join(rows, ((mark.path, mark) for mark in index.staged(directory))):
        found, known = both or (None, None)
        if both is None and (known := index.find(path)):  # it was passed over
            found = Found(path, path, known.size, known.disk_mtime_ns, known.ctime_ns, known.inode, known.mode)
            tally.remove(found)
        yield path, found, known, mark


def _differing(
    root: str, batches: Iterable[Sequence[Found]], index: Index, directory: str, tally: Tally
) -> Iterator[tuple[str, Found | None, Known | None]]:
    """(path, found, known) of each path for which folder and index are not equal."""
    ahead = _Ahead(index.stamps(directory))
    for batch in batches:
        for start in range(0, len(batch), PAGE_LENGTH):
            files = batch[start : start + PAGE_LENGTH]
            if ahead.passes(files):
                tally.add(files)
                continue
            same = []
            for file in files:
                while (row := ahead.first()) is not None and row[0] < file[0]:
                    yield _absent(root, row, index)
                    ahead.drop()
                if row is None or row[0] != file[0]:
                    yield file[0], file, None
                    continue
                if row == file:
                    same.append(file)
                else:
                    yield file[0], file, index.find(file[0])
                ahead.drop()
            tally.add(same)
    while (row := ahead.first()) is not None:
        yield _absent(root, row, index)
        ahead.drop()


class _Ahead:
    """The rows of the index that are still to come."""

    def __init__(self, pages: Iterator[list[Stamps]]) -> None:
        self._pages = pages
        self._rows: list[Stamps] = []
        self._position = 0

    def passes(self, files: Sequence[Found]) -> bool:
        """Whether the next rows equal these files, and then drop them: the usual case, and the fastest."""
        rows = self._rows[self._position :]
        while len(rows) < len(files) and (page := next(self._pages, None)):
            rows += page
        equal = rows[: len(files)] == files
        self._rows, self._position = rows, len(files) if equal else 0
        return equal

    def first(self) -> Stamps | None:
        """The next row; None at the end."""
        if self._position == len(self._rows):
            self._rows, self._position = next(self._pages, []), 0
        return self._rows[self._position] if self._rows else None

    def drop(self) -> None:
        """It was dealt with."""
        self._position += 1


def _absent(root: str, row: Stamps, index: Index) -> tuple[str, Found | None, Known | None]:
    """What the scan has not found; a folder that was empty may have something in it now."""
    path, mode = row[0], row[-1]
    return path, look_folder(root, path) if mode == FOLDER else None, index.find(path)


def is_changed(found: Found | None, known: Known | None) -> bool:
    """Whether a file has changed, as far as its stamps tell; they don't if it was written twice in their grain."""
    if found is None or known is None or classify(found, known) is not Kind.SUSPECT:
        return classify(found, known) is not Kind.UNCHANGED
    return known.ctime_ns != 0 or (found.mtime_ns, found.inode) != (known.disk_mtime_ns, known.inode)


def refreshed(root: str, found: Found, known: Known, lock: Lock) -> Known | None:
    """The row of a file that is SUSPECT and was only touched, with its stamps as they are; None if it has changed."""
    measured = measure(root, found)
    if measured.digest != known.digest:
        return None
    return known_from(measured.found, known.digest, known.mtime_ns, is_settled(measured.found, lock.clock()))


def classify(found: Found | None, known: Known | None) -> Kind:
    """What became of a file, as far as that can be told without reading it."""
    if known is None:
        return Kind.NEW
    if found is None:
        return Kind.REMOVED
    if found.size != known.size or found.mode != known.mode:
        return Kind.MODIFIED
    if found.mode == FOLDER:  # whose stamps tell only that something came or went
        return Kind.UNCHANGED
    if (found.mtime_ns, found.ctime_ns, found.inode) == (known.disk_mtime_ns, known.ctime_ns, known.inode):
        return Kind.UNCHANGED
    return Kind.SUSPECT
