"""Which paths of a data set the words of a command name, as git's pathspecs do.

A word is relative to the working directory, or absolute. It names the file of that path; the folder, with all in it;
or, if it is a pattern, all paths that it matches: `*` and `?` match slashes, too, so `'*.csv'` is each CSV file below
the working directory, however deep. The words say nothing about what is there: a removed file can be named as well.
"""

from __future__ import annotations

import os
import re
import unicodedata
from collections.abc import Iterator, Sequence
from fnmatch import translate
from pathlib import Path

from ebulk.errors import UsageError
from ebulk.local.names import path_problem, shown

_GLOB = re.compile(r"[*?\[\\]")
_ESCAPED = re.compile(r"\\(.)")


class Selection:
    """The paths that `words` name; `chooses` keeps track of the words that nothing was found for.

    UsageError for a word that leads out of the data set.
    """

    def __init__(self, root: Path, working_folder: Path, words: Sequence[str]) -> None:
        self._literals: dict[str, str] = {}
        """Path of a file or folder: the word."""
        self._patterns: list[tuple[re.Pattern[str], str]] = []
        starts = []
        for word in words:
            path = _relative(root, working_folder, word)
            self._literals[path] = word
            starts.append(path)
            if _GLOB.search(path):
                self._patterns.append((re.compile(translate(_ESCAPED.sub(r"[\1]", path))), word))
                starts[-1] = _GLOB.split(path, maxsplit=1)[0].rpartition("/")[0]
        self._found = {word for path, word in self._literals.items() if not path}
        self._missing = dict.fromkeys(words)
        self.starts = tuple(_outermost(starts))
        """Below which paths all that is named is; "" is the whole data set."""
        self.folders: set[str] = set()
        """The words that were found to name folders."""

    def chooses(self, path: str) -> bool:
        """Whether a path, of something that there is, is named."""
        if "" in self._literals:
            self.folders.add(self._literals[""])
        word = self._literals.get(path)
        above = path.rpartition("/")[0]
        while word is None and above:
            word = self._literals.get(above)
            if word is not None:
                self.folders.add(word)
            above = above.rpartition("/")[0]
        chosen = word is not None or "" in self._literals
        if word is not None:
            self._found.add(word)
        for pattern, pattern_word in self._patterns:
            if pattern.match(path):
                self._found.add(pattern_word)
                chosen = True
        return chosen

    def missed(self) -> list[str]:
        """The words for which `chooses` was never true."""
        return [word for word in self._missing if word not in self._found]


def leading_part(word: str) -> str:
    """The path that a word begins with: all of it, or the folders before anything that makes it a pattern."""
    literal, *rest = _GLOB.split(word, maxsplit=1)
    return os.path.dirname(literal) if rest else literal


def _relative(root: Path, working_folder: Path, word: str) -> str:
    """The path in the data set; "" for all of it."""
    if not word:
        raise UsageError("An empty path names nothing.", "`.` is this folder with all in it.")
    absolute = os.path.normpath(working_folder / word)
    relative = _below(str(root), absolute)
    if relative is None:  # it may lead there by another name, through a symbolic link
        head, tail = os.path.split(absolute)
        relative = _below(os.path.realpath(root), os.path.join(os.path.realpath(head), tail))
    if relative is None:
        raise UsageError(
            f"{shown(word)} is outside of the data set folder {shown(str(root))}.",
            "Name files and folders within it; nothing was done.",
        )
    path = unicodedata.normalize("NFC", relative)
    problem = path and path_problem(_GLOB.sub("_", path))
    if problem:
        raise UsageError(f"{shown(word)} cannot be in a data set: it {problem}.", "Nothing was done.")
    return path


def _below(root: str, path: str) -> str | None:
    if path == root:
        return ""
    prefix = root.rstrip("/") + "/"
    return path[len(prefix) :] if path.startswith(prefix) else None


def _outermost(paths: Sequence[str]) -> Iterator[str]:
    """The paths that are not within another one, in order of the wire."""
    if "" in paths:
        yield ""
        return
    last = None
    for path in sorted(set(paths), key=lambda path: f"{path}/"):
        if last is None or not path.startswith(f"{last}/"):
            last = path
            yield path
