"""Chooses what the next push sends: `add`, `remove` and `reset`, as git has them. Asks no lake.

Staged is a list of paths, in the index. What a staged file holds is read when it is pushed, so a file that was changed
after `add` is pushed as it is then; and a data set of hundreds of gigabytes is not copied to be staged.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from itertools import chain

from ebulk.errors import ConflictError, EbulkError, UsageError
from ebulk.local.compare import Kind, beside, classify, compare, refreshed
from ebulk.local.folder import Folder
from ebulk.local.ignore import is_ignored
from ebulk.local.index import Index, Known, Staged
from ebulk.local.lock import Lock
from ebulk.local.scan import Found, Problem, Scan, look, look_folder, unreadable
from ebulk.local.selection import Selection
from ebulk.local.tree import Tree
from ebulk.model import FOLDER
from ebulk.verbs.problems import listed, refuse

Row = tuple[str, "Found | None", "Known | None", "Staged | None"]
"""(path, what is here, what the last push or pull had, how it is staged)."""


@dataclass(frozen=True, slots=True)
class StageReport:
    """What was staged."""

    files: int
    """New and modified files that this command staged."""
    removals: int
    """Removals that it staged."""
    unstaged: int
    """Paths that it unstaged."""
    total: int
    """Paths that are staged now."""


def add(folder: Folder, selection: Selection) -> StageReport:
    """Stage what is new, modified or removed of what is selected.

    EbulkError, with nothing staged: something can't be pushed, or a word names nothing.
    """
    with _staging(folder) as stage:
        stage.add(selection)
        return stage.report()


def remove(
    folder: Folder, selection: Selection, *, cached: bool = False, recursive: bool = False, force: bool = False
) -> StageReport:
    """Stage the removal of files, and remove them here unless `cached`; of folders only if `recursive`.

    EbulkError, with nothing removed: a word names nothing of the data set, or changes would be lost and `force` is not
    given.
    """
    with _staging(folder) as stage:
        stage.check_removable(selection, recursive=recursive, lose=cached or force)
        stage.remove(selection)
        if not cached:
            stage.unlink(selection, lose=force)
        return stage.report()


def reset(folder: Folder, selection: Selection) -> StageReport:
    """Unstage what is selected; the files stay as they are. EbulkError if a word names nothing that is staged."""
    with _staging(folder) as stage:
        stage.reset(selection)
        return stage.report()


@contextmanager
def _staging(folder: Folder) -> Iterator[_Staging]:
    with Lock(folder.control / "lock") as lock, Index(folder.control / "index.db") as index:
        yield _Staging(folder, lock, index)


class _Staging:
    def __init__(self, folder: Folder, lock: Lock, index: Index) -> None:
        self._folder = folder
        self._root = str(folder.root)
        self._lock = lock
        self._index = index
        self._no_change: list[str] = []
        """What is to be unstaged."""
        self._ignored: list[str] = []
        """What was named, and is ignored."""
        self._files = 0
        self._removals = 0

    def report(self) -> StageReport:
        """What was done, once it is."""
        self._index.unstage(self._no_change)
        return StageReport(self._files, self._removals, len(self._no_change), self._index.staged_count())

    # add

    def add(self, selection: Selection) -> None:
        """Stage what has changed."""
        self._index.stage(self._added(selection))

    def _added(self, selection: Selection) -> Iterator[Staged]:
        problems: list[Problem] = []
        folder = ""
        for path, found, known, mark in self._selected(selection, problems):
            kind = classify(found, known)
            if kind is Kind.UNCHANGED or (found is None and known is None):
                if mark is not None:
                    self._no_change.append(path)
            elif found is None:
                self._removals += 1
                yield Staged(path, path, True)
            elif problem := unreadable(self._root, found):
                problems.append(problem)
            else:
                self._files += 1
                yield Staged(path, found.disk, False)
                if known is None and folder != (folder := path.rpartition("/")[0]):
                    yield from self._replaced(folder)
        refuse(problems, "staged")
        if self._ignored:
            raise EbulkError(
                f"Nothing was staged: .ebulkignore keeps out {listed(self._ignored)}.",
                "`ebulk add .` stages all that it does not keep out.",
            )
        self._check_found(selection, "There is nothing at")

    def _replaced(self, folder: str) -> Iterator[Staged]:
        """The file in whose place a folder is now, if it was in the data set: it goes."""
        while folder:
            known = self._index.find(folder)
            if known is not None and known.mode != FOLDER:
                yield Staged(folder, folder, True)
            folder = folder.rpartition("/")[0]

    # remove

    def check_removable(self, selection: Selection, *, recursive: bool, lose: bool) -> None:
        """Raise what is in the way of a removal."""
        problems: list[Problem] = []
        lost = [
            path
            for path, found, known, _ in self._in_data_set(selection, problems)
            if found is not None and not lose and self._is_changed(found, known)
        ]
        self._check_found(selection, "Not in the data set:")
        if selection.folders and not recursive:
            are = "are folders" if len(selection.folders) > 1 else "is a folder"
            raise UsageError(
                f"Nothing was removed: {listed(sorted(selection.folders))} {are}.",
                "`ebulk remove -r` removes a folder with all in it.",
            )
        if lost:
            raise EbulkError(
                f"Nothing was removed, since changes would be lost: {listed(lost)}.",
                "Push them first; or keep the files here by --cached; or remove them all the same by --force.",
            )
        if not lose:
            refuse([problem for problem in problems if problem.unread], "removed")

    def remove(self, selection: Selection) -> None:
        """Stage removals."""
        self._index.stage(self._removed(selection))

    def _removed(self, selection: Selection) -> Iterator[Staged]:
        for path, _, known, _ in self._in_data_set(selection, []):
            if known is None:
                self._no_change.append(path)
            else:
                self._removals += 1
                yield Staged(path, path, True)

    def unlink(self, selection: Selection, *, lose: bool) -> None:
        """Remove the files here."""
        with Tree(self._folder.root, self._keeps) as tree:
            for _, found, known, _ in self._in_data_set(selection, []):
                if found is not None and (lose or not self._is_changed(found, known)):
                    with suppress(ConflictError):  # it has changed this moment: it stays here, as a new file
                        tree.remove(found)

    def _keeps(self, disk: str) -> bool:
        """Whether a folder is in the data set by itself, and stays there."""
        path = unicodedata.normalize("NFC", disk)
        known, mark = self._index.find(path), self._index.find_staged(path)
        return known is not None and known.mode == FOLDER and not (mark is not None and mark.removed)

    def _in_data_set(self, selection: Selection, problems: list[Problem]) -> Iterator[Row]:
        """The selected paths that were pushed or pulled, or are to be."""
        for row in self._rows(selection, problems):
            path, _, known, mark = row
            if (known is not None or mark is not None) and selection.chooses(path):
                yield row

    def _is_changed(self, found: Found, known: Known | None) -> bool:
        """Whether a file is not as the lake has it; one that was only touched is read, and remembered."""
        kind = classify(found, known)
        if known is None or kind is not Kind.SUSPECT:
            return kind is not Kind.UNCHANGED
        row = refreshed(self._root, found, known, self._lock)
        if row is not None:
            self._index.update([row])
        return row is None

    # reset

    def reset(self, selection: Selection) -> None:
        """Note what is to be unstaged."""
        for start in selection.starts:
            mark = self._index.find_staged(start)
            staged = chain([mark] if mark else (), self._index.staged(start))
            self._no_change += [row.path for row in staged if selection.chooses(row.path)]
        self._check_found(selection, "Nothing is staged at")

    # what is selected

    def _selected(self, selection: Selection, problems: list[Problem]) -> Iterator[Row]:
        """What there is of what was selected, by path; then `problems` are what cannot be pushed of it."""
        found_problems: list[Problem] = []
        yield from (row for row in self._rows(selection, found_problems) if selection.chooses(row[0]))
        problems += [problem for problem in found_problems if problem.unread or selection.chooses(problem.path)]

    def _rows(self, selection: Selection, problems: list[Problem]) -> Iterator[Row]:
        """All that is at or below the places where the selection begins."""
        for start in selection.starts:
            there = look(self._root, start) if start else None
            if isinstance(there, Problem):
                problems.append(there)
            found = there if isinstance(there, Found) else None
            if start:
                known, mark = self._index.find(start), self._index.find_staged(start)
                if known and known.mode == FOLDER and found is None:
                    found = look_folder(self._root, start)
                if known or mark:
                    yield start, found, known, mark
                elif not self._index.holds_below(start) and is_ignored(self._root, start):
                    self._ignored.append(start)
                elif found:
                    yield start, found, known, mark
            scan = Scan(self._root, start, self._index)
            compared = compare(self._root, () if there else scan, self._index.known(start))
            yield from beside(compared, self._index.staged(start))
            problems += scan.problems

    def _check_found(self, selection: Selection, text: str) -> None:
        if missed := selection.missed():
            raise EbulkError(f"{text} {listed(missed)}.", "Nothing was done. `ebulk status` names what has changed.")
