"""Finds what a push is to send: what has changed in a folder, is in the push's scope, and is taken by its filter."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain

from ebulk.errors import EbulkError
from ebulk.local.compare import Kind, Tally, changes, classify, is_changed
from ebulk.local.filter import Filter, takes
from ebulk.local.index import Index, Known, Staged
from ebulk.local.names import is_text, shown
from ebulk.local.scan import Found, Problem, Scan, look_folder, unreadable
from ebulk.model import Scope
from ebulk.verbs.observer import Observer, told_of
from ebulk.verbs.problems import listed, refuse

Row = tuple[str, Found]
"""A row of the index's `pending`: its kind, and the file."""


class Collector:
    """Compares a folder with its index once, by `rows`; then `unchanged` and `unstaged` say how many there were."""

    def __init__(self, root: str, index: Index, scope: Scope, filter: Filter, observer: Observer) -> None:
        self._root = root
        self._index = index
        self._scope = scope
        self._filter = filter
        self._observer = observer
        self._problems: list[Problem] = []
        self.left_out = 0
        """Changes that stay here, since the filter does not take them."""
        self.left_staged: list[str] = []
        """Those of them that are staged."""
        self.unchanged = 0
        self.unstaged = 0
        """Changes that stay here, as far as can be told without reading files."""

    def rows(self) -> Iterator[Row]:
        """What has changed; EbulkError at the end if there is something that can't be pushed, or nothing is staged."""
        if not self._scope.staged:
            return self._all()
        return self._staged() if self._index.staged_count() else self._suspects()

    def _all(self) -> Iterator[Row]:
        directory = self._scope.directory
        if directory:
            self._check_folder(directory)
        scan = Scan(self._root, directory, self._index)
        for path, found, known, mark in self._changes(scan, directory):
            if found is None and known is None:  # staged, and gone since
                continue
            if takes(self._filter, path, found, known):
                yield from self._row(path, found, known)
            elif is_changed(found, known):
                self._leave_out(path, mark)
        self._refuse(scan.problems)

    def _check_folder(self, directory: str) -> None:
        scan = Scan(self._root, directory, self._index)
        if next(chain(scan, self._index.known(directory)), None) is None:
            refuse(scan.problems)
            raise EbulkError(
                f"There is no folder {shown(directory)} with files in this data set.",
                "Give it relative to the data set folder.",
            )

    def _staged(self) -> Iterator[Row]:
        """What is staged; the rest is counted, and not read."""
        scan = Scan(self._root, contents=self._index)
        vanished = []
        for path, found, known, mark in self._changes(scan):
            if not takes(self._filter, path, found, known):
                if mark is not None or is_changed(found, known):
                    self._leave_out(path, mark)
                continue
            if mark is None or (mark.removed and found is not None):
                self.unstaged += is_changed(found, None if mark else known)
            if mark is not None and mark.removed:
                yield from self._removal(mark, known)
            elif mark is not None and found is None and (folder := look_folder(self._root, path)):
                yield from self._row(path, folder, known)  # it was empty when it was staged
            elif mark is not None and found is None:
                vanished.append(path)
            elif mark is not None:
                yield from self._row(path, found, known)
        self._refuse([problem for problem in scan.problems if self._is_staged(problem)])
        if vanished:
            raise EbulkError(
                f"Nothing was pushed: staged, and not here any more: {listed(vanished)}.",
                "`ebulk add` of the same path stages its removal; `ebulk reset` unstages it.",
            )

    def _suspects(self) -> Iterator[Row]:
        """With nothing staged only files may be here that were touched: whether they have changed their bytes tell."""
        scan = Scan(self._root, contents=self._index)
        for path, found, known, _ in self._changes(scan):
            if not takes(self._filter, path, found, known):
                self.left_out += is_changed(found, known)
            elif classify(found, known) in (Kind.SUSPECT, Kind.UNCHANGED):
                yield from self._row(path, found, known)
            else:
                self.unstaged += 1
        if self.unstaged:
            raise nothing_staged()
        self._refuse(scan.problems)

    def _changes(
        self, scan: Scan, directory: str = ""
    ) -> Iterator[tuple[str, Found | None, Known | None, Staged | None]]:
        """What may have changed, or is staged; the rest is counted."""
        tally = Tally(counts=(lambda file: takes(self._filter, file.path, file)) if self._filter else None)
        yield from changes(self._root, told_of(scan.batches(), self._observer), self._index, directory, tally)
        self.unchanged += tally.files

    def _row(self, path: str, found: Found | None, known: Known | None) -> Iterator[Row]:
        kind = classify(found, known)
        if kind is Kind.UNCHANGED:
            self.unchanged += 1
        elif found is None:
            yield kind.value, Found(path, path, 0, 0, 0, 0, "")
        else:
            if problem := unreadable(self._root, found):
                self._problems.append(problem)
            yield kind.value, found

    def _is_staged(self, problem: Problem) -> bool:
        """Whether something is staged that cannot be pushed any more; what is no text was never staged."""
        return is_text(problem.path) and self._index.staged_count(problem.path) > 0

    def _leave_out(self, path: str, mark: Staged | None) -> None:
        self.left_out += 1
        if mark is not None:
            self.left_staged.append(path)

    def _refuse(self, problems: list[Problem]) -> None:
        refuse([problem for problem in self._problems + problems if self._filter.concerns(problem)])

    def _removal(self, mark: Staged, known: Known | None) -> Iterator[Row]:
        if known is not None:
            yield from self._row(mark.path, None, known)


def nothing_staged() -> EbulkError:
    """Something has changed, and nothing is staged."""
    return EbulkError(
        "Nothing was pushed: there are changes, and nothing is staged.",
        "`ebulk add PATH…` stages what the next push is to send; `ebulk push --all` sends all that has changed.",
    )
