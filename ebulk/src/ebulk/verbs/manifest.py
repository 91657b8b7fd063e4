"""Looks at what a lake says its files are before a byte of it is written here, whatever the lake says."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from ebulk.errors import EbulkError
from ebulk.local.digest import EMPTY_DIGEST, to_raw
from ebulk.local.names import Capacity, check_path, shown
from ebulk.model import EXECUTABLE, FOLDER, REGULAR, SYMLINK, FileEntry

MODES = (REGULAR, EXECUTABLE, SYMLINK, FOLDER)
HINT = "Nothing was pulled; whoever runs the lake should look at this data set."


def checked(entries: Iterable[FileEntry], directory: str, capacity: Capacity) -> Iterator[FileEntry]:
    """The entries as they come; EbulkError at the first that can't be written below a folder.

    They must be in order of their paths, each once, and no path a file and a folder at once. In that order all that
    begin with a path follow it at once, so the paths that may still be met as folders are a short chain.
    """
    prefix = f"{directory}/" if directory else ""
    previous = ""
    above: list[str] = []
    for entry in entries:
        path = check_path(entry.path)
        if path <= previous or not path.startswith(prefix):
            raise EbulkError(f"The lake's list of files is out of order at {shown(path)}.", HINT)
        while above and not path.startswith(above[-1]):
            above.pop()
        for folder in above:
            if path[len(folder)] == "/":
                raise EbulkError(f"The lake has {shown(folder)} both as a file and as a folder.", HINT)
        _check_values(entry)
        capacity.check(path)
        if entry.mode != FOLDER:
            above.append(path)
        previous = path
        yield entry


def _check_values(entry: FileEntry) -> None:
    digest = to_raw(entry.digest)
    if entry.mode not in MODES:
        raise EbulkError(f"The lake has {shown(entry.path)} with the unknown mode {shown(entry.mode)}.", HINT)
    if entry.size < 0:
        raise EbulkError(f"The lake has {shown(entry.path)} with the size {entry.size}.", HINT)
    if entry.mode == FOLDER and (entry.size or digest != EMPTY_DIGEST):
        raise EbulkError(f"The lake has the folder {shown(entry.path)} with content.", HINT)
