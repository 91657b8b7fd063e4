"""Does what a pull has worked out: moves, removes, makes and fetches, file by file, and the index follows.

Killed anywhere, the same pull again goes on: what has arrived is there, what is half there is resumed.
"""

from __future__ import annotations

import shutil
import threading
from collections.abc import Iterable
from pathlib import Path

from ebulk.errors import DiskFullError
from ebulk.local.append import append
from ebulk.local.batch import Batch
from ebulk.local.compare import Kind, classify
from ebulk.local.digest import to_text
from ebulk.local.folder import Folder
from ebulk.local.incoming import Arriving, Incoming
from ebulk.local.index import Index, known_written
from ebulk.local.scan import Found
from ebulk.local.tree import Tree
from ebulk.model import FOLDER, SYMLINK, FileEntry, LocalFile
from ebulk.remote.lake import Lake
from ebulk.transfer.download import Fetched, fetch
from ebulk.verbs.observer import SILENT, Observer
from ebulk.verbs.reconcile import Counts, missing_size


def fetch_targets(lake: Lake, folder: Folder, version: int, incoming: Incoming, jobs: int) -> Fetched:
    """Fetch into `incoming` where the symbolic links lead that are to be made: they are looked at before."""
    if next(incoming.arriving(SYMLINK), None) is None:
        return Fetched(0, 0)
    return fetch(
        lake,
        folder.reference,
        version,
        ((arriving.entry, None) for arriving in incoming.arriving(SYMLINK)),
        parts=folder.parts,
        jobs=jobs,
        progress=SILENT,
        destination=_Targets(incoming),
    )


class _Targets:
    """Takes the targets of symbolic links."""

    def __init__(self, incoming: Incoming) -> None:
        self._incoming = incoming

    def write(self, entry: FileEntry, where: None, content: bytes) -> None:
        """Take one that is verified."""
        self._incoming.set_target(entry.path, content)

    def place(self, entry: FileEntry, where: None, part: Path) -> None:
        """Links are small: they do not come in parts."""

    def old(self, entry: FileEntry, where: None) -> None:
        """Nor from what is here."""

    def can_append(self, entry: FileEntry, where: None) -> bool:
        """Nor do they grow."""
        return False

    def append(self, entry: FileEntry, where: None, tail: Path, start: int) -> None:
        """Never."""


class Arrival:
    """Carries out what is in `incoming`, by `apply`."""

    def __init__(
        self,
        folder: Folder,
        index: Index,
        batch: Batch,
        incoming: Incoming,
        tree: Tree,
        counts: Counts,
        observer: Observer,
    ) -> None:
        self._folder = folder
        self._root = str(folder.root)
        self._index = index
        self._batch = batch
        self._incoming = incoming
        self._tree = tree
        self._counts = counts
        self._observer = observer
        self._growth = 0
        """Bytes that the files which have come take more than those that they replaced."""
        self._noting = threading.Lock()
        self._small_part = folder.parts / "small.part"

    def apply(self, lake: Lake, version: int, jobs: int, blocking: Iterable[str]) -> Fetched:
        """Remove what leaves, with the `blocking` folders, stamp what is right already, and fetch the rest."""
        self._batch.flush()
        self._move()
        self._remove()
        for disk in blocking:
            self._tree.remove_empty(disk)
        self._make_folders()
        self._make_links()
        self._stamp()
        self._batch.flush()
        return self._fetch(lake, version, jobs)

    def _move(self) -> None:
        """Rename what the lake has under another path now: a renamed folder of 132 GB costs no download."""
        for leaving, arriving in self._incoming.moves():
            source = leaving.found
            if self._tree.look(source.path, source.disk) != source:
                continue  # `_remove` says so
            found = self._tree.place(Path(self._root, source.disk), arriving.entry, arriving.disk, None)
            self._tree.prune(source.disk)
            self._incoming.forget([arriving.entry.path], [source.path])
            self._batch.remove(source.path)
            self._note(found, arriving.entry)
            self._counts.moved += 1
            self._counts.new -= 1

    def _remove(self) -> None:
        for leaving in self._incoming.leaving():
            self._tree.remove(leaving.found)
            self._counts.removed += 1
            self._batch.remove(leaving.found.path)

    def _make_folders(self) -> None:
        for arriving in self._incoming.arriving(FOLDER):
            self._note(self._tree.make_folder(arriving.entry, arriving.disk, arriving.replaces), arriving.entry)
            self._incoming.forget([arriving.entry.path])

    def _make_links(self) -> None:
        for path, target in self._incoming.targets():
            arriving = self._incoming.find(path)
            self.write(arriving.entry, arriving, target)
            self._incoming.forget([path])

    def _stamp(self) -> None:
        for entry, found in self._incoming.staying():
            self._note(self._tree.stamp(found, entry.mode, entry.mtime_ns) if entry.mode != FOLDER else found, entry)

    def _fetch(self, lake: Lake, version: int, jobs: int) -> Fetched:
        self._observer.expect(*self._incoming.totals())
        parts = self._folder.parts
        parts.mkdir(exist_ok=True)
        try:
            fetched = fetch(
                lake,
                self._folder.reference,
                version,
                ((arriving.entry, arriving) for arriving in self._incoming.arriving()),
                parts=parts,
                jobs=jobs,
                progress=self._observer,
                destination=self,
            )
        except DiskFullError as error:
            missing = missing_size(self._folder, self._incoming, self._growth)
            raise DiskFullError(
                f"The disk is full; {missing:,} bytes are still to come.",
                "Make room, then run the same command again: what has arrived is kept.",
            ) from error
        finally:
            self._batch.flush()
        shutil.rmtree(parts)
        return fetched

    def place(self, entry: FileEntry, where: Arriving, part: Path) -> None:
        """Take a large file that is complete and verified; from any thread."""
        self._take_in(where, self._tree.place(part, entry, where.disk, where.replaces))

    def write(self, entry: FileEntry, where: Arriving, content: bytes) -> None:
        """Take a small file that is complete and verified; from one thread at a time."""
        self._take_in(where, self._tree.write(content, self._small_part, entry, where.disk, where.replaces))

    def old(self, entry: FileEntry, where: Arriving) -> LocalFile | None:
        """The file that a large one replaces, if it is still what the base had; from any thread."""
        found, known = where.replaces, self._index.find(entry.path)
        if found is None or known is None or classify(found, known) not in (Kind.UNCHANGED, Kind.SUSPECT):
            return None
        if to_text(known.digest) == entry.digest:  # it comes again, since what is here is something else
            return None
        if found.mode == SYMLINK or self._tree.look(found.path, found.disk) != found:
            return None
        return LocalFile(known.entry, f"{self._root}/{found.disk}")

    def can_append(self, entry: FileEntry, where: Arriving) -> bool:
        """Whether the file that a large one replaces may grow instead; from any thread."""
        return where.replaces is not None and self._tree.can_append(where.replaces)

    def append(self, entry: FileEntry, where: Arriving, tail: Path, start: int) -> None:
        """Append a verified end to that file; from any thread."""
        if where.replaces is not None:
            self._take_in(where, append(self._tree, entry, where.replaces, tail, start))

    def _take_in(self, arrived: Arriving, found: Found) -> None:
        with self._noting:
            self._growth += found.size - (arrived.replaces.size if arrived.replaces else 0)
            self._note(found, arrived.entry)

    def _note(self, found: Found, entry: FileEntry) -> None:
        self._batch.add(known_written(found, entry))
