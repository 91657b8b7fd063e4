"""What changed in a folder since the last push or pull, and what of it is staged. Asks no lake."""

from __future__ import annotations

import os
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import groupby

from ebulk.local.compare import Kind, Tally, changes, classify
from ebulk.local.digest import measure
from ebulk.local.filter import NO_FILTER, Filter, takes
from ebulk.local.folder import Folder
from ebulk.local.index import Index, Known, Staged, Totals, is_settled, known_from
from ebulk.local.journal import Journal
from ebulk.local.lock import Lock
from ebulk.local.scan import Found, Problem, Scan, look_folder, unreadable
from ebulk.model import FOLDER
from ebulk.verbs.observer import SILENT, Observer, told_of
from ebulk.verbs.renames import renames


@dataclass(frozen=True, slots=True)
class Changes:
    """Paths by what became of them; sorted."""

    new: tuple[str, ...]
    """Of an empty folder with a slash at the end."""
    modified: tuple[str, ...]
    removed: tuple[str, ...]
    renamed: tuple[tuple[str, str], ...]
    """(from, to), which are not among the removed and the new."""
    new_folders: tuple[tuple[str, int], ...]
    """The outermost folders that have nothing but some of the new files, and how many."""

    @property
    def count(self) -> int:
        """How many there are."""
        return len(self.new) + len(self.modified) + len(self.removed) + len(self.renamed)


@dataclass(frozen=True, slots=True)
class StatusReport:
    """The state of a folder."""

    reference: str
    version: int
    """The version that the folder came from; 0 before the first push or pull."""
    staged: Changes
    """What the next push sends."""
    unstaged: Changes
    touched: int
    """Files that were written with the content they had: no change."""
    unchanged: int
    total: Totals
    """The files of the folder."""
    problems: tuple[Problem, ...]
    """What a push would refuse."""
    interrupted: bool
    """Whether a push was broken off and can go on."""

    @property
    def changed(self) -> bool:
        """Whether there is something to push."""
        return bool(self.staged.count or self.unstaged.count)


def status(
    folder: Folder, *, directory: str = "", filter: Filter = NO_FILTER, observer: Observer = SILENT
) -> StatusReport:
    """Compare a folder, or its subfolder `directory`, with the last push or pull; only files that `filter` takes."""
    observer.stage("Scanning")
    with _lock(folder) as lock, Index(folder.control / "index.db", read_only=lock is None) as index:
        work = _Status(str(folder.root), index, filter)
        work.compare(directory, observer)
        report = StatusReport(
            reference=folder.reference,
            version=index.base_version(directory),
            staged=work.changes(work.staged),
            unstaged=work.changes(work.unstaged),
            touched=len(work.touched),
            unchanged=work.unchanged,
            total=Totals(work.count, work.size),
            problems=tuple(sorted(work.problems)),
            interrupted=Journal(folder.control / "push.json").load() is not None,
        )
        if lock is not None and work.touched:
            clock = lock.clock()
            index.update(
                known_from(found, known.digest, known.mtime_ns, is_settled(found, clock))
                for found, known in work.touched
            )
        return report


@contextmanager
def _lock(folder: Folder) -> Iterator[Lock | None]:
    """The folder's lock, or None: another ebulk is at work, or the folder can't be written. Nothing is noted then."""
    lock = Lock(folder.control / "lock")
    held = os.access(folder.control, os.W_OK, effective_ids=True) and lock.acquire()
    try:
        yield lock if held else None
    finally:
        lock.release()


class _Group:
    """Changes that are staged, or that are not."""

    def __init__(self) -> None:
        self.new: list[Found] = []
        self.modified: list[str] = []
        self.removed: list[Known] = []


class _Status:
    def __init__(self, root: str, index: Index, filter: Filter) -> None:
        self._root = root
        self._index = index
        self._filter = filter
        self.staged = _Group()
        self.unstaged = _Group()
        self.touched: list[tuple[Found, Known]] = []
        self.problems: list[Problem] = []
        self.unchanged = 0
        self.count = 0
        self.size = 0

    def compare(self, directory: str, observer: Observer) -> None:
        """Look at each file."""
        scan = Scan(self._root, directory, self._index)
        tally = Tally(counts=(lambda file: takes(self._filter, file.path, file)) if self._filter else None)
        batches = told_of(scan.batches(), observer)
        for path, found, known, mark in changes(self._root, batches, self._index, directory, tally):
            if not takes(self._filter, path, found, known):
                continue
            if found is not None:
                self.count += 1
                self.size += found.size
            if mark is None:
                self._sort(self.unstaged, path, found, known)
            else:
                self._sort_staged(mark, found, known)
        self.unchanged += tally.files
        self.count += tally.files
        self.size += tally.size
        self.problems += filter(self._filter.concerns, scan.problems)

    def _sort_staged(self, mark: Staged, found: Found | None, known: Known | None) -> None:
        if mark.removed:
            if known is not None:
                self.staged.removed.append(known)
            if found is not None:
                self._sort(self.unstaged, mark.path, found, None)
        elif found is None and (folder := look_folder(self._root, mark.path)):
            self._sort(self.staged, mark.path, folder, known)
        elif found is None:
            self.problems.append(Problem(mark.path, "is staged, and is not here any more"))
        else:
            self._sort(self.staged, mark.path, found, known)

    def _sort(self, group: _Group, path: str, found: Found | None, known: Known | None) -> None:
        kind = classify(found, known)
        if kind is Kind.UNCHANGED:
            self.unchanged += 1
        elif found is not None and (problem := unreadable(self._root, found)):
            self.problems.append(problem)
        elif kind is Kind.NEW and found is not None:
            group.new.append(found)
        elif known is not None and found is None:
            group.removed.append(known)
        elif kind is Kind.SUSPECT and found is not None and known is not None:
            self._look_into(group, found, known)
        else:
            group.modified.append(path)

    def _look_into(self, group: _Group, found: Found, known: Known) -> None:
        measured = measure(self._root, found)
        if measured.digest == known.digest:
            self.touched.append((measured.found, known))
        else:
            group.modified.append(found.path)

    def changes(self, group: _Group) -> Changes:
        """What a group comes to, once all is in it."""
        renamed = renames(self._root, group.new, group.removed)
        sources = {source for source, _ in renamed}
        targets = {target for _, target in renamed}
        new = tuple(found.path for found in group.new if found.path not in targets)
        return Changes(
            new=tuple(_named(found) for found in group.new if found.path not in targets),
            modified=tuple(group.modified),
            removed=tuple(_named(known) for known in group.removed if known.path not in sources),
            renamed=renamed,
            new_folders=tuple(self._new_folders(new, self.unstaged if group is self.staged else self.staged)),
        )

    def _new_folders(self, new: Sequence[str], other: _Group) -> Iterator[tuple[str, int]]:
        mixed: dict[str, bool] = {}
        others = [found.path for found in other.new]
        for folder, paths in groupby(new, lambda path: self._new_folder(path, others, mixed)):
            if folder:
                yield folder, len(list(paths))

    def _new_folder(self, path: str, others: list[str], mixed: dict[str, bool]) -> str:
        """The outermost folder of a new file that has nothing but such files; "" if there is none."""
        position = path.find("/")
        while position >= 0:
            folder = path[:position]
            if folder not in mixed:
                following = bisect_left(others, f"{folder}/")
                mixed[folder] = self._index.knows_below(folder) or (
                    following < len(others) and others[following].startswith(f"{folder}/")
                )
            if not mixed[folder]:
                return folder
            position = path.find("/", position + 1)
        return ""


def _named(file: Found | Known) -> str:
    return f"{file.path}/" if file.mode == FOLDER else file.path
