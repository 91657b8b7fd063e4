"""`.ebulkignore`: which files of a folder are no part of its data set, in gitignore's syntax (https://git-scm.com/docs/gitignore).

It holds for the folder it is in and all below; of several the innermost that says something decides, and within one its
last line. What is in an ignored folder is ignored, whatever is said of it. The file itself is a file of the data set.

pathspec makes a regular expression of each line. It is asked as git asks, entry by entry from the top: whether a line
means this entry, and not a folder around it, which was asked about before.
"""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Iterator
from typing import TYPE_CHECKING

from ebulk.errors import EbulkError
from ebulk.local.names import shown
from ebulk.local.patterns import parse

if TYPE_CHECKING:
    from pathspec.patterns.gitignore.spec import GitIgnoreSpecPattern

IGNORE_FILE = ".ebulkignore"

SIZE_MAX = 1 << 20
"""Bytes of an ignore file: each entry of the folder is compared with each of its lines."""


class Rules:
    """What the `.ebulkignore` of one folder says, and where it says nothing, those of the folders around it."""

    def __init__(self, prefix: str, lines: list[_Line], around: Rules | None) -> None:
        self._start = len(prefix)
        self._lines = lines
        self._around = around

    def ignores(self, path: str, is_folder: bool) -> bool:
        """Whether an entry is ignored whose folder is not; `path` is the wire's."""
        inner = path[self._start :]
        for line in self._lines:
            if line.means(inner, is_folder):
                return line.ignores
        return self._around is not None and self._around.ignores(path, is_folder)


class _Line:
    """A line that says something, as a pattern of paths relative to its file's folder."""

    def __init__(self, text: str, pattern: GitIgnoreSpecPattern) -> None:
        stem = text.removesuffix("/")
        self.ignores = bool(pattern.include)
        self._match = pattern.match_file
        self._end = "/" if stem != text else ""
        """What the pattern expects behind a folder's path: a slash if it means folders only."""
        self._anchored = "/" in stem.removeprefix("**/")
        self._open_ended = stem.endswith("/**")
        """Whether it means all that is below a folder, at any depth."""

    def means(self, path: str, is_folder: bool) -> bool:
        """Whether it means this entry itself."""
        if self._end and not is_folder:
            return False
        folder, _, name = path.rpartition("/")
        if not self._anchored:
            return self._match(name + self._end) is not None
        if self._match(path + self._end) is None:
            return False
        return self._open_ended or not folder or self._match(folder + self._end) is None


class _Everything(Rules):
    def ignores(self, path: str, is_folder: bool) -> bool:
        return True


EVERYTHING = _Everything("", [], None)
"""What holds in a folder that is ignored."""


def read_rules(root: str, prefix: str, disk_prefix: str, around: Rules | None) -> Rules:
    """The rules of the `.ebulkignore` in a folder, and of those around it. The prefixes are "", or end with a slash.

    EbulkError where it cannot be read, or a line cannot be understood.
    """
    path = prefix + IGNORE_FILE
    lines = list(_parse(_read(f"{root}/{disk_prefix}{IGNORE_FILE}", path), path))
    return Rules(prefix, lines[::-1], around)


def is_ignored(root: str, path: str) -> bool:
    """Whether something that is there, or a folder around it, is ignored; `path` is the wire's, and the disk's."""
    rules: Rules | None = None
    prefix = ""
    for name in path.split("/"):
        if os.path.lexists(f"{root}/{prefix}{IGNORE_FILE}"):
            rules = read_rules(root, prefix, prefix, rules)
        entry = prefix + name
        full = f"{root}/{entry}"
        if rules and os.path.lexists(full) and rules.ignores(entry, os.path.isdir(full) and not os.path.islink(full)):
            return True
        prefix = f"{entry}/"
    return False


def _read(file: str, path: str) -> str:
    try:
        descriptor = os.open(file, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK)
        with open(descriptor, "rb") as opened:
            content = opened.read(SIZE_MAX + 1)
    except OSError as error:
        reason = "is a symbolic link" if os.path.islink(file) else f"cannot be read: {(error.strerror or '').lower()}"
        raise _wrong(path, reason) from error
    if len(content) > SIZE_MAX:
        raise _wrong(path, f"is longer than {SIZE_MAX:,} bytes")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise _wrong(path, "is no text in UTF-8") from error


def _parse(text: str, path: str) -> Iterator[_Line]:
    for number, line in enumerate(unicodedata.normalize("NFC", text).split("\n"), 1):
        try:
            pattern = parse(line)
        except ValueError as error:
            raise _wrong(path, f"has the line {number}, {shown(line)}, which is no pattern") from error
        if pattern is not None:
            yield _Line(_trimmed(line), pattern)


def _trimmed(line: str) -> str:
    """The pattern of a line: without the `!` that takes back, and blanks at the end."""
    return (line if line.endswith("\\ ") else line.rstrip()).removeprefix("!")


def _wrong(path: str, reason: str) -> EbulkError:
    return EbulkError(
        f"{shown(path)} {reason}.",
        "It holds patterns as .gitignore does, one a line; put it right or remove it, then try again.",
    )
