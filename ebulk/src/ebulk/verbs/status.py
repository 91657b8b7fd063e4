"""What changed in a folder since the last push or pull. Asks no lake."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from ebulk.local.compare import Kind, classify, compare
from ebulk.local.digest import measure
from ebulk.local.folder import Folder
from ebulk.local.index import Index, Known, Totals, is_settled, known_from
from ebulk.local.journal import Journal
from ebulk.local.lock import Lock
from ebulk.local.scan import Found, Problem, Scan, unreadable
from ebulk.verbs.observer import SILENT, Observer, told


@dataclass(frozen=True, slots=True)
class StatusReport:
    """The state of a folder; paths are sorted."""

    reference: str
    version: int
    """The version that the folder came from; 0 before the first push or pull."""
    new: tuple[str, ...]
    modified: tuple[str, ...]
    removed: tuple[str, ...]
    renamed: tuple[tuple[str, str], ...]
    """(from, to), which are not among the removed and the new."""
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
        return bool(self.new or self.modified or self.removed or self.renamed)


def status(folder: Folder, *, directory: str = "", observer: Observer = SILENT) -> StatusReport:
    """Compare a folder, or its subfolder `directory`, with the last push or pull."""
    observer.stage("Scanning")
    with _lock(folder) as lock, Index(folder.control / "index.db", read_only=lock is None) as index:
        work = _Status(str(folder.root), index)
        work.compare(directory, observer)
        renamed = work.renamed()
        if lock is not None and work.touched:
            clock = lock.clock()
            index.update(
                known_from(found, known.digest, known.mtime_ns, is_settled(found, clock))
                for found, known in work.touched
            )
        sources = {source for source, _ in renamed}
        targets = {target for _, target in renamed}
        return StatusReport(
            reference=folder.reference,
            version=index.base_version(directory),
            new=tuple(found.path for found in work.new if found.path not in targets),
            modified=tuple(work.modified),
            removed=tuple(known.path for known in work.removed if known.path not in sources),
            renamed=renamed,
            touched=len(work.touched),
            unchanged=work.unchanged,
            total=Totals(work.count, work.size),
            problems=tuple(work.problems),
            interrupted=Journal(folder.control / "push.json").load() is not None,
        )


@contextmanager
def _lock(folder: Folder) -> Iterator[Lock | None]:
    """The folder's lock, or None: another ebulk is at work, or the folder can't be written. Nothing is noted then."""
    lock = Lock(folder.control / "lock")
    held = os.access(folder.control, os.W_OK, effective_ids=True) and lock.acquire()
    try:
        yield lock if held else None
    finally:
        lock.release()


class _Status:
    def __init__(self, root: str, index: Index) -> None:
        self._root = root
        self._index = index
        self.new: list[Found] = []
        self.modified: list[str] = []
        self.removed: list[Known] = []
        self.touched: list[tuple[Found, Known]] = []
        self.problems: list[Problem] = []
        self.unchanged = 0
        self.count = 0
        self.size = 0

    def compare(self, directory: str, observer: Observer) -> None:
        scan = Scan(self._root, directory, self._index)
        for path, found, known in compare(self._root, told(scan, observer), self._index.known(directory)):
            if found is not None:
                self.count += 1
                self.size += found.size
            kind = classify(found, known)
            if kind is Kind.UNCHANGED:
                self.unchanged += 1
            elif found is not None and (problem := unreadable(self._root, found)):
                self.problems.append(problem)
            elif kind is Kind.NEW and found is not None:
                self.new.append(found)
            elif known is not None and found is None:
                self.removed.append(known)
            elif kind is Kind.SUSPECT and found is not None and known is not None:
                self._look_into(found, known)
            else:
                self.modified.append(path)
        self.problems = sorted(self.problems + scan.problems)

    def _look_into(self, found: Found, known: Known) -> None:
        measured = measure(self._root, found)
        if measured.digest == known.digest:
            self.touched.append((measured.found, known))
        else:
            self.modified.append(found.path)

    def renamed(self) -> tuple[tuple[str, str], ...]:
        """(from, to) of files that are the same under another path; only new ones as long as a lost one are read."""
        lost: dict[tuple[int, str, bytes], list[str]] = {}
        for known in reversed(self.removed):
            lost.setdefault((known.size, known.mode, known.digest), []).append(known.path)
        sizes = {known.size for known in self.removed if known.size}
        pairs = []
        for found in self.new:
            if found.size in sizes:
                sources = lost.get((found.size, found.mode, measure(self._root, found).digest))
                if sources:
                    pairs.append((sources.pop(), found.path))
        return tuple(pairs)
