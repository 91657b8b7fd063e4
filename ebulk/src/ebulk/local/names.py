"""Which names a data set may hold: checked on the way out, and again on the way in, whatever a server says.

A name is refused, never repaired: a repaired name is another one when it comes back. The rules are the server's
(`docs/protocol.rst`) and two more that keep a path inside the folder: no `.ebulk` at the top, where ebulk's own files
are, and no drive letter at the beginning.
"""

from __future__ import annotations

import os
import re
import unicodedata
from pathlib import Path

from ebulk.errors import EbulkError, UsageError

CONTROL_FOLDER = ".ebulk"
"""Where ebulk keeps its own files, at the top of a data set folder."""

PATH_SIZE = 4096
"""Bytes of a path in UTF-8."""

SEGMENT_SIZE = 255
"""Bytes of one segment in UTF-8."""

REFERENCE_LENGTH = 200
"""Characters of a reference."""

SHOWN_LENGTH = 120

_SUSPICIOUS = re.compile(r"[\x00-\x1f\x7f\\]")
_DRIVE = re.compile(r"[A-Za-z]:")
_UTF8_LENGTH = 4
"""The most bytes a character takes in UTF-8: shorter names need no encoding to be measured."""


def shown(name: str) -> str:
    """A name as it can stand in a message: quoted, printable, not longer than a line."""
    text = repr(name) if name.isprintable() else ascii(name)
    return text if len(text) <= SHOWN_LENGTH else f"{text[:SHOWN_LENGTH]}…"


def check_path(path: str) -> str:
    """Return `path` if it may be written below a data set folder; otherwise EbulkError quotes it and says why not."""
    problem = path_problem(path)
    if problem:
        raise EbulkError(
            f"The lake has a file {shown(path)} that cannot be written here: it {problem}.",
            "Nothing was written; whoever runs the lake should look at this data set.",
        )
    return path


def check_directory(directory: str) -> str:
    """Return a folder within the data set without its last slash, or "" for all of it; UsageError for a bad one."""
    text = unicodedata.normalize("NFC", directory).removeprefix("./").rstrip("/")
    if text in ("", "."):
        return ""
    problem = path_problem(text)
    if problem:
        raise UsageError(
            f"{shown(directory)} is no folder of a data set: it {problem}.", "Give it relative to the data set."
        )
    return text


def check_reference(reference: str) -> str:
    """Return `reference` if a data set may have this name; otherwise UsageError says why not."""
    problem = _reference_problem(reference)
    if problem:
        raise UsageError(f"{shown(reference)} cannot be the reference of a data set: it {problem}.")
    return reference


def path_problem(path: str) -> str | None:
    """Why no data set may hold this path, as the end of a sentence that begins with "it"; None if it may."""
    if not path:
        return "is empty"
    if len(path) * _UTF8_LENGTH > PATH_SIZE and len(path.encode(errors="surrogatepass")) > PATH_SIZE:
        return f"is longer than {PATH_SIZE} bytes"
    if path.startswith("/"):
        return "is absolute"
    if _DRIVE.match(path):
        return "begins with a drive letter"
    segments = path.split("/")
    if segments[0] == CONTROL_FOLDER:
        return f"is in {CONTROL_FOLDER}, which ebulk keeps for itself"
    if not path.isascii() and not unicodedata.is_normalized("NFC", path):
        return "is not in Unicode normal form C"
    for segment in segments:
        problem = segment_problem(segment)
        if problem:
            return problem
    return None


def has_suspicious(names: str) -> bool:
    """Whether a text of many names has a character that no name in a data set may have."""
    return _SUSPICIOUS.search(names) is not None


def segment_problem(segment: str) -> str | None:
    """Why no file or folder of a data set may have this name; None if it may. Called for each file that is scanned."""
    if segment in ("", ".", ".."):
        return f"has the segment {segment!r}"
    if _SUSPICIOUS.search(segment):
        return "has a backslash" if "\\" in segment else "has a control character"
    if segment.isascii():
        return f"has a name longer than {SEGMENT_SIZE} bytes" if len(segment) > SEGMENT_SIZE else None
    return _unicode_problem(segment)


def is_text(name: str) -> bool:
    """Whether a name can be encoded: undecodable bytes of a local name, and lone surrogates in JSON, can't."""
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


def _unicode_problem(segment: str) -> str | None:
    if not is_text(segment):
        return "is not valid Unicode"
    if len(segment.encode()) > SEGMENT_SIZE:
        return f"has a name longer than {SEGMENT_SIZE} bytes"
    if not segment.isprintable() and any(unicodedata.category(character) == "Cc" for character in segment):
        return "has a control character"
    return None


def _reference_problem(reference: str) -> str | None:
    if not reference:
        return "is empty"
    if len(reference) > REFERENCE_LENGTH:
        return f"is longer than {REFERENCE_LENGTH} characters"
    if "/" in reference:
        return "has a slash"
    if reference in (".", ".."):
        return "is a name that folders keep for themselves"
    if reference != reference.strip():
        return "begins or ends with white space"
    if not unicodedata.is_normalized("NFC", reference):
        return "is not in Unicode normal form C"
    problem = segment_problem(reference)
    return None if problem and "longer than" in problem else problem


class Capacity:
    """What the file system of a folder can hold: the longest name, the longest path, and whether `a` and `A` differ."""

    def __init__(self, root: Path, *, case_insensitive: bool | None = None) -> None:
        self.name_size = os.pathconf(root, "PC_NAME_MAX")
        self.path_size = os.pathconf(root, "PC_PATH_MAX") - len(os.fsencode(root)) - 2
        self.case_insensitive = _ignores_case(root) if case_insensitive is None else case_insensitive
        self._folded: dict[str, str] = {}

    def check(self, path: str) -> None:
        """EbulkError if this file system can't hold `path`, or not beside those checked before."""
        size = len(os.fsencode(path))
        if size > self.path_size or (
            size > self.name_size and any(len(os.fsencode(name)) > self.name_size for name in path.split("/"))
        ):
            raise EbulkError(
                f"The file {shown(path)} cannot be written here: its name is too long for this file system.",
                "Pull into a folder with a shorter path, or on another file system.",
            )
        if self.case_insensitive:
            self._check_case(path)

    def _check_case(self, path: str) -> None:
        position = 0
        while position >= 0:
            position = path.find("/", position + 1)
            part = path if position < 0 else path[:position]
            other = self._folded.setdefault(part.casefold(), part)
            if other != part:
                raise EbulkError(
                    f"{shown(part)} and {shown(other)} cannot both be here: this file system cannot tell them apart.",
                    "Pull on a file system that tells upper case from lower case.",
                )


def _ignores_case(root: Path) -> bool:
    return (root / CONTROL_FOLDER).exists() and (root / CONTROL_FOLDER.upper()).exists()
