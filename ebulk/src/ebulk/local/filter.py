"""`--include` and `--exclude`: which files of a data set a command is about.

Patterns are those of gitignore, relative to the data set: `*.nii` at any depth, `/notes.txt` at the top, `scans/` a
folder with all in it; among several of one kind a later one with `!` takes back. Without `--include` all files are
meant, with it only those that match; `--exclude` wins over `--include`, in whatever order they are given.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from typing import TYPE_CHECKING

from ebulk.errors import UsageError
from ebulk.local.index import Known
from ebulk.local.names import shown
from ebulk.local.patterns import combine, parse
from ebulk.local.scan import Found, Problem
from ebulk.model import FOLDER, FileEntry

if TYPE_CHECKING:
    from pathspec import GitIgnoreSpec


class Filter:
    """Says of a path whether it is meant. UsageError for what is no pattern."""

    def __init__(self, include: Sequence[str] = (), exclude: Sequence[str] = ()) -> None:
        self._include = _spec("--include", include)
        self._exclude = _spec("--exclude", exclude)

    def __bool__(self) -> bool:
        """Whether anything is left out."""
        return self._include is not None or self._exclude is not None

    def takes(self, path: str, *, is_folder: bool = False) -> bool:
        """Whether a file, or an empty folder, is meant."""
        name = f"{path}/" if is_folder else path
        if self._exclude is not None and self._exclude.match_file(name):
            return False
        return self._include is None or self._include.match_file(name)

    def concerns(self, problem: Problem) -> bool:
        """Whether something that cannot be pushed is meant, or may hide files that are."""
        names = (problem.path, f"{problem.path}/")
        if self._exclude is not None and any(map(self._exclude.match_file, names)):
            return False
        return problem.unread or self._include is None or any(map(self._include.match_file, names))


def _spec(option: str, patterns: Sequence[str]) -> GitIgnoreSpec | None:
    for pattern in patterns:
        if not _is_pattern(pattern):
            raise UsageError(
                f"{option} {shown(pattern)} is no pattern.",
                "Patterns are those of .gitignore: *.nii, /notes.txt, scans/.",
            )
    return combine(unicodedata.normalize("NFC", pattern) for pattern in patterns) if patterns else None


def _is_pattern(text: str) -> bool:
    """Whether a line says something, being neither malformed nor blank nor a comment."""
    try:
        return parse(text) is not None
    except ValueError:
        return False


NO_FILTER = Filter()


def takes(filter: Filter, path: str, *states: Found | Known | FileEntry | None) -> bool:
    """Whether a path is meant, which is or was an empty folder if one of its states says so."""
    if not filter:
        return True
    return filter.takes(path, is_folder=any(state is not None and state.mode == FOLDER for state in states))
