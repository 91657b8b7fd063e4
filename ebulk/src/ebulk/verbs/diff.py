"""What differs between two versions of a data set, or between a folder and the version that it came from."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from ebulk.errors import NotFoundError
from ebulk.local.changes import Changes, State
from ebulk.local.compare import Kind, classify, compare, outer_join
from ebulk.local.digest import measure, to_raw
from ebulk.local.folder import Folder
from ebulk.local.index import Index, Known
from ebulk.local.names import shown
from ebulk.local.scan import Found, Scan
from ebulk.model import FOLDER, FileEntry
from ebulk.remote.lake import Lake
from ebulk.verbs.problems import refuse
from ebulk.verbs.renames import renames


@dataclass(frozen=True, slots=True)
class DiffReport:
    """What differs."""

    reference: str
    old_version: int
    new_version: int | None
    """None for the folder as it is."""
    changes: Changes


@contextmanager
def diff_versions(lake: Lake, reference: str, old: int, new: int | None = None) -> Iterator[DiffReport]:
    """Compare two versions; `new` is the newest one unless given. NotFoundError: there is no such version.

    Two lists of files are read side by side, so versions of any size can be compared.
    """
    number, new_entries = lake.manifest(reference, new)
    if not number:
        raise NotFoundError(f"{shown(reference)} has no version yet.", "`ebulk push` makes the first.")
    _, old_entries = lake.manifest(reference, old)
    with Changes() as changes:
        for path, before, after in outer_join(_by_path(old_entries), _by_path(new_entries)):
            states = _state(before), _state(after)
            if states[0] != states[1]:
                changes.add(path, *states)
        changes.pair_by_content()
        yield DiffReport(reference, old, number, changes)


@contextmanager
def diff_folder(folder: Folder) -> Iterator[DiffReport]:
    """Compare a folder with its last push or pull. Asks no lake, and reads only files whose stamps differ."""
    root = str(folder.root)
    new: list[Found] = []
    removed: list[Known] = []
    with Index(folder.control / "index.db", read_only=True) as index, Changes() as changes:
        scan = Scan(root, "", index)
        for path, found, known in compare(root, scan, index.known()):
            if found is None and known is not None:
                removed.append(known)
                changes.add(path, _known_state(known), None)
            elif known is None and found is not None:
                new.append(found)
                changes.add(path, None, State(found.size, found.mode, b""))
            elif found is not None and known is not None:
                state = _state_here(root, found, known)
                if state != _known_state(known):
                    changes.add(path, _known_state(known), state)
        refuse([problem for problem in scan.problems if problem.unread], "compared")
        changes.pair(renames(root, new, removed))
        yield DiffReport(folder.reference, index.base_version(), None, changes)


def _by_path(entries: Iterable[FileEntry]) -> Iterator[tuple[str, FileEntry]]:
    return ((entry.path, entry) for entry in entries)


def _state(entry: FileEntry | None) -> State | None:
    return None if entry is None else State(entry.size, entry.mode, to_raw(entry.digest))


def _known_state(known: Known) -> State:
    return State(known.size, known.mode, known.digest)


def _state_here(root: str, found: Found, known: Known) -> State:
    """A file as it is here; it is read if only its bytes tell whether they, or only its mode, have changed."""
    if classify(found, known) is Kind.UNCHANGED:
        return _known_state(known)
    may_be_same = found.size == known.size and FOLDER not in (found.mode, known.mode)
    digest = measure(root, found).digest if may_be_same else b""
    return State(found.size, found.mode, digest)
