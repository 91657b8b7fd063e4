"""Paths that would be a file and a folder at once, such as `a` beside `a/b`: no file system could hold both.

An entry of mode FOLDER says only that the folder exists: it may be beside what is in it, though not below a file.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Any

from BTrees.OOBTree import OOBTree

from Products.ERP5Wendelin.content.entry import FOLDER
from Products.ERP5Wendelin.errors import PushConflict

SHOWN = 100
"""The most clashes an error names."""

Clash = tuple[str, str]
"""A file, and a path below it."""


def all_clashes(items: Iterable[tuple[str, Any]]) -> Iterator[Clash]:
    """The clashes among paths, with their entries, that come in order of code points, in one pass.

    All paths that begin with `p` follow `p` without a gap, so the paths that the current one begins with form a
    stack. (`a` and `a/b` need not be neighbours: `a-b` sorts between them.)
    """
    stack: list[str] = []
    for path, entry in items:
        while stack and not path.startswith(stack[-1]):
            stack.pop()
        yield from ((file, path) for file in stack if path[len(file)] == "/")
        if not _is_folder(entry):
            stack.append(path)


def clashes_with(tree: OOBTree, paths: Iterable[str]) -> Iterator[Clash]:
    """The clashes of some of a tree's paths, in order, with any of its paths: a few look-ups for each."""
    clean_folder = ""  # of the path before: its ancestors need no second look
    for path in paths:
        if not _is_folder(tree[path]):
            yield from _clashes_below(tree, path)
        folder = path.rpartition("/")[0]
        if folder != clean_folder:
            found = list(_clashes_above(tree, path))
            yield from found
            clean_folder = clean_folder if found else folder


def clashes_of_file(tree: OOBTree, path: str) -> Iterator[Clash]:
    """The clashes of a file that is yet to come with a tree's paths."""
    yield from _clashes_below(tree, path)
    yield from _clashes_above(tree, path)


def refuse(clashes: Iterator[Clash], version: int) -> None:
    """PushConflict if there is a clash; `paths` has those of the first 100, `version` the newest version."""
    found = list(islice(clashes, SHOWN))
    if not found:
        return
    file, path = found[0]
    raise PushConflict(
        f"{file!r} would be a file and a folder at once, since {path!r} is below it. "
        "Rename or remove one of the two and push again.",
        paths=sorted({name for clash in found for name in clash}),
        version=version,
    )


def _clashes_below(tree: OOBTree, file: str) -> Iterator[Clash]:
    below = next(iter(tree.keys(min=file + "/")), "")
    if below.startswith(file + "/"):
        yield file, below


def _clashes_above(tree: OOBTree, path: str) -> Iterator[Clash]:
    return ((name, path) for name in _ancestors(path) if name in tree and not _is_folder(tree[name]))


def _is_folder(entry: tuple[Any, ...]) -> bool:
    return bool(entry[-1] == FOLDER)


def _ancestors(path: str) -> Iterator[str]:
    end = path.find("/")
    while end >= 0:
        yield path[:end]
        end = path.find("/", end + 1)
