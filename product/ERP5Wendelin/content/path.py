"""Which paths a data set may hold, and which names a data set may have (`docs/protocol.rst`).

Names are refused, never repaired: a repaired name is another one when it comes back.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator

from Products.ERP5Wendelin.errors import BadInput, BadPath

PATH_SIZE = 4096
"""Bytes of a path in UTF-8: PATH_MAX of Linux."""

SEGMENT_SIZE = 255
"""Bytes of one segment in UTF-8: NAME_MAX of most file systems."""

REFERENCE_LENGTH = 200
"""Characters of a reference."""

SHOWN = 120

_PLAIN = re.compile(r"(?:(?!\.\.?(?:/|\Z))[ -.0-\[\]-~]{1,255}(?:/(?!\Z)|\Z))+")
"""Most paths: printable ASCII without backslashes, in segments of 1 to 255 characters. A third of the checks' time."""


def check_path(path: str) -> str:
    """Return `path` if a data set may hold it; otherwise BadPath says why not."""
    if isinstance(path, str) and len(path) <= PATH_SIZE and _PLAIN.fullmatch(path):
        return path
    problem = next(_problems_of_path(path), None)  # the first; what follows it takes for granted that there is none
    if problem:
        raise BadPath(f"The path {_shown(path)} {problem}.")
    return path


def check_reference(reference: str) -> str:
    """Return `reference` if a data set may have this name; otherwise BadInput says why not."""
    problem = next(_problems_of_reference(reference), None)
    if problem:
        raise BadInput(f"The reference {_shown(reference)} {problem}.")
    return reference


def _problems_of_path(path: object) -> Iterator[str]:
    if not isinstance(path, str):
        yield "is not text"
        return
    if not path:
        yield "is empty"
    if not _encodable(path):
        yield "is not valid Unicode"
    if len(path.encode()) > PATH_SIZE:
        yield f"is longer than {PATH_SIZE} bytes in UTF-8"
    if path.startswith("/"):
        yield "begins with '/'; paths are relative to the data set"
    if "\\" in path:
        yield "has a backslash; segments are separated by '/'"
    if _has_control(path):
        yield "has a control character"
    if not unicodedata.is_normalized("NFC", path):
        yield "is not in Unicode normal form C (NFC)"
    for segment in path.split("/"):
        if segment in ("", ".", ".."):
            yield f"has the segment {segment!r}, which no file can be named"
        if len(segment.encode()) > SEGMENT_SIZE:
            yield f"has a segment longer than {SEGMENT_SIZE} bytes in UTF-8"


def _problems_of_reference(reference: object) -> Iterator[str]:
    if not isinstance(reference, str):
        yield "is not text"
        return
    if not reference:
        yield "is empty"
    if not _encodable(reference):
        yield "is not valid Unicode"
    if len(reference) > REFERENCE_LENGTH:
        yield f"is longer than {REFERENCE_LENGTH} characters"
    if "/" in reference or "\\" in reference:
        yield "has a slash or a backslash"
    if reference in (".", ".."):
        yield "is a name that folders keep for themselves"
    if _has_control(reference):
        yield "has a control character"
    if reference != reference.strip():
        yield "begins or ends with white space"
    if not unicodedata.is_normalized("NFC", reference):
        yield "is not in Unicode normal form C (NFC)"


def _encodable(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:  # lone surrogates, from JSON such as "\ud800"
        return False
    return True


def _has_control(text: str) -> bool:
    return not text.isprintable() and any(unicodedata.category(character) == "Cc" for character in text)


def _shown(name: object) -> str:
    """A name as it can stand in a message: printable, and not longer than a line."""
    text = ascii(name) if not isinstance(name, str) or not _encodable(name) or not name.isprintable() else repr(name)
    return text if len(text) <= SHOWN else f"{text[:SHOWN]}…"
