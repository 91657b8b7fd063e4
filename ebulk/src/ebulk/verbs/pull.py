"""Brings a folder to a version of its data set, and keeps what was changed here.

For each path three things are compared: what the lake has, what the folder's base had (the index), and what is here.

================  ==================  ================================================================================
lake              here                then
================  ==================  ================================================================================
as the base       whatever            stays as it is here: local changes, also removals, are kept
changed           as the base         fetched, or removed
changed           changed the same    taken over as it is
changed           changed otherwise   conflict, before anything is touched; with `discard` the lake's
================  ==================  ================================================================================

Files are written one by one and the index follows; killed anywhere, the same command again goes on: what has arrived is
there, what is half there is resumed.
"""

from __future__ import annotations

import shutil
import threading
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from ebulk.errors import ConflictError, DiskFullError, EbulkError
from ebulk.local.compare import Kind, classify, compare, outer_join
from ebulk.local.digest import measure, to_raw, to_text
from ebulk.local.folder import Folder
from ebulk.local.incoming import Arriving, Incoming
from ebulk.local.index import Index, Known, Totals, is_settled, known_from
from ebulk.local.lock import Lock
from ebulk.local.names import Capacity, shown
from ebulk.local.scan import Found, Scan
from ebulk.local.tree import Tree
from ebulk.model import SYMLINK, FileEntry, LocalFile
from ebulk.remote.lake import Lake
from ebulk.transfer.download import Fetched, fetch
from ebulk.verbs.manifest import checked
from ebulk.verbs.observer import SILENT, Observer, told
from ebulk.verbs.problems import listed

INDEX_BATCH = 5000
INDEX_BATCH_SIZE = 1 << 30
"""Files, or bytes of them, between two writes of the index: what a kill can cost is hashing so much again."""


@dataclass(frozen=True, slots=True)
class PullReport:
    """What a pull did."""

    reference: str
    version: int
    previous: int
    """The version that the folder came from."""
    new: int
    modified: int
    removed: int
    moved: int
    """Files that were only renamed here, since their content was here under a path that is gone."""
    adopted: int
    """Files that were here already, without coming from the lake, and are the same."""
    unchanged: int
    kept: int
    """Local changes that stay as they are."""
    received: Totals
    total: Totals
    reused: int = 0
    """Bytes of modified files that were copied from those they replaced."""

    @property
    def changed(self) -> bool:
        """Whether the pull changed anything here."""
        return bool(self.new or self.modified or self.removed or self.moved)


@dataclass(slots=True)
class _Counts:
    new: int = 0
    modified: int = 0
    removed: int = 0
    moved: int = 0
    adopted: int = 0
    unchanged: int = 0
    kept: int = 0


def pull(
    folder: Folder,
    lake: Lake,
    *,
    version: int | None = None,
    directory: str = "",
    discard: bool = False,
    jobs: int = 4,
    observer: Observer = SILENT,
) -> PullReport:
    """Bring the newest version here, or `version`; of all the data set, or of its folder `directory`.

    ConflictError, with nothing touched: files changed both here and in the lake; with `discard` the lake's are taken.
    """
    with (
        Lock(folder.control / "lock") as lock,
        Index(folder.control / "index.db") as index,
        Incoming() as incoming,
        Tree(folder.root) as tree,
    ):
        number, entries = lake.manifest(folder.reference, version, f"{directory}/" if directory else "")
        work = _Pull(folder, lock, index, incoming, tree, discard, observer)
        work.plan(entries, directory)
        work.check()
        previous = index.base_version(directory)
        fetched = work.apply(lake, number, jobs)
        index.set_version(directory, number)
        counts = work.counts
        return PullReport(
            reference=folder.reference,
            version=number,
            previous=previous,
            new=counts.new,
            modified=counts.modified,
            removed=counts.removed,
            moved=counts.moved,
            adopted=counts.adopted,
            unchanged=counts.unchanged,
            kept=counts.kept,
            received=Totals(fetched.files, fetched.bytes),
            total=index.totals(),
            reused=fetched.reused,
        )


class _Pull:
    def __init__(
        self,
        folder: Folder,
        lock: Lock,
        index: Index,
        incoming: Incoming,
        tree: Tree,
        discard: bool,
        observer: Observer,
    ) -> None:
        self._folder = folder
        self._root = str(folder.root)
        self._lock = lock
        self._index = index
        self._incoming = incoming
        self._discard = discard
        self._observer = observer
        self._tree = tree
        self._conflicts: list[str] = []
        self._in_the_way: list[str] = []
        self._stamps: list[tuple[Found, FileEntry]] = []
        self._gone: list[str] = []
        self._empty_folders: list[str] = []
        self._disk_names: dict[str, str] = {}
        self._refreshed: list[Known] = []
        self._refreshed_size = 0
        self._growth = 0
        """Bytes that the files which have come take more than those that they replaced."""
        self._noting = threading.Lock()
        self._small_part = folder.parts / "small.part"
        self.counts = _Counts()

    # what is to be done

    def plan(self, entries: Iterable[FileEntry], directory: str) -> None:
        """Compare lake, base and folder, and write down what follows."""
        self._observer.stage("Comparing")
        scan = Scan(self._root, directory, self._index)
        self._disk_names = scan.disk_names
        listing = ((entry.path, entry) for entry in checked(entries, directory, Capacity(self._folder.root)))
        here = (
            (path, (found, known))
            for path, found, known in compare(self._root, told(scan, self._observer), self._index.known(directory))
        )
        nothing = True
        for path, entry, both in outer_join(listing, here):
            nothing = False
            found, known = both or (None, None)
            if entry is None:
                self._plan_without(path, found, known)
            else:
                self._plan_with(entry, found, known)
        unread = [problem for problem in scan.problems if problem.unread]
        if unread:
            raise EbulkError(
                f"Nothing was pulled: {shown(unread[0].path)} {unread[0].reason}.", "Put it right, then pull again."
            )
        if nothing and directory:
            raise EbulkError(
                f"There is no folder {shown(directory)} in this version of {shown(self._folder.reference)}.",
                "Give it relative to the data set.",
            )

    def _plan_without(self, path: str, found: Found | None, known: Known | None) -> None:
        """The lake has no such file."""
        if known is None:
            self.counts.kept += 1
        elif found is None:
            self._gone.append(path)
        elif self._discard or self._is_base(found, known):
            self._incoming.leave(found, known.digest)
        else:
            self._conflicts.append(path)

    def _plan_with(self, entry: FileEntry, found: Found | None, known: Known | None) -> None:
        if known is not None and _same(entry, known):
            self._plan_unchanged(entry, found, known)
        elif found is None:
            if known is None or self._discard:
                self._arrive(entry, None)
            else:
                self._conflicts.append(entry.path)
        elif known is not None and self._is_base(found, known):
            if entry.digest == to_text(known.digest) and SYMLINK not in (entry.mode, found.mode):
                self.counts.modified += 1
                self._stamps.append((found, entry))
            else:
                self._arrive(entry, found)
        elif self._has_content(found, entry):
            self.counts.adopted += 1
            self._stamps.append((found, entry))
        elif self._discard:
            self._arrive(entry, found)
        else:
            self._conflicts.append(entry.path)

    def _plan_unchanged(self, entry: FileEntry, found: Found | None, known: Known) -> None:
        """The lake has what the base had."""
        if found is not None and self._is_base(found, known):
            self.counts.unchanged += 1
        elif self._discard:
            self._arrive(entry, found)
        else:
            self.counts.kept += 1

    def _arrive(self, entry: FileEntry, replaces: Found | None) -> None:
        if replaces is None:
            self.counts.new += 1
        else:
            self.counts.modified += 1
        self._incoming.arrive(entry, replaces.disk if replaces else self._disk_path(entry.path), replaces)

    def _is_base(self, found: Found, known: Known) -> bool:
        """Whether a file is as the base had it; one that was only touched is read, and remembered."""
        kind = classify(found, known)
        if kind is not Kind.SUSPECT:
            return kind is Kind.UNCHANGED
        measured = measure(self._root, found)
        if measured.digest != known.digest:
            return False
        settled = is_settled(measured.found, self._lock.clock())
        self._refresh(known_from(measured.found, known.digest, known.mtime_ns, settled))
        return True

    def _has_content(self, found: Found, entry: FileEntry) -> bool:
        if found.size != entry.size or (found.mode == SYMLINK) != (entry.mode == SYMLINK):
            return False
        return measure(self._root, found).digest == to_raw(entry.digest)

    def _disk_path(self, path: str) -> str:
        """Where a new file goes: into the folders as they are named here, should their Unicode form be another."""
        if not self._disk_names:
            return path
        folder = path.rpartition("/")[0]
        while folder:
            if folder in self._disk_names:
                return self._disk_names[folder] + path[len(folder) :]
            folder = folder.rpartition("/")[0]
        return path

    # before anything is touched

    def check(self) -> None:
        """ConflictError for local changes in the way; DiskFullError where there is no room."""
        for arriving in self._incoming.arriving():
            if arriving.replaces is None:
                self._check_free(arriving)
        if self._conflicts:
            paths = tuple(self._conflicts)
            if self._discard:
                raise ConflictError(
                    f"Nothing was pulled: in the way, and not of this data set: {listed(self._in_the_way)}.",
                    "Move that away, then pull again: only what came from the lake is discarded.",
                    paths,
                )
            raise ConflictError(
                f"Nothing was pulled: the lake has other content than this folder for {listed(paths)}.",
                "Move your files away to keep them, then pull again; or take the lake's by --discard-changes.",
                paths,
            )
        self._check_room()

    def _check_free(self, arriving: Arriving) -> None:
        """Nothing may be where a new file goes, nor a file or link where its folders go, unless that is removed."""
        path = arriving.entry.path
        try:
            self._tree.look(path, arriving.disk)
        except ConflictError as conflict:
            (blocker,) = conflict.paths
            if blocker == path and self._is_emptied(path):
                self._empty_folders.append(arriving.disk)
            elif not self._incoming.is_leaving(blocker):
                self._conflicts.append(path)
                self._in_the_way += [found.path for found in self._others(path)] if blocker == path else [blocker]

    def _others(self, path: str) -> Iterator[Found]:
        """The files of a folder that are not to be removed."""
        return (found for found in Scan(self._root, path) if not self._incoming.is_leaving(found.path))

    def _is_emptied(self, path: str) -> bool:
        """Whether all files of a folder are to be removed."""
        scan = Scan(self._root, path)
        return all(self._incoming.is_leaving(found.path) for found in scan) and not scan.problems

    def _check_room(self) -> None:
        needed = self._missing_size()
        room = shutil.disk_usage(self._root).free
        if needed > room:
            raise DiskFullError(
                f"{needed:,} bytes are to come and the disk has room for {room:,}.",
                "Make room, or pull into a folder on another disk; nothing was pulled.",
            )

    def _missing_size(self) -> int:
        parts = self._folder.parts
        there = sum(part.stat().st_size for part in parts.iterdir()) if parts.is_dir() else 0
        return max(0, self._incoming.totals().size - self._incoming.replaced_size() - self._growth - there)

    # doing it

    def apply(self, lake: Lake, version: int, jobs: int) -> Fetched:
        """Do what was planned."""
        self._flush()
        self._move()
        self._remove()
        for disk in self._empty_folders:
            self._tree.remove_empty(disk)
        self._stamp()
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
            raise DiskFullError(
                f"The disk is full; {self._missing_size():,} bytes are still to come.",
                "Make room, then run the same command again: what has arrived is kept.",
            ) from error
        finally:
            self._flush()
        shutil.rmtree(parts)
        return fetched

    def _move(self) -> None:
        """Rename what the lake has under another path now: a renamed folder of 132 GB costs no download."""
        for leaving, arriving in self._incoming.moves():
            source = leaving.found
            if self._tree.look(source.path, source.disk) != source:
                continue  # `_remove` says so
            found = self._tree.place(Path(self._root, source.disk), arriving.entry, arriving.disk, None)
            self._tree.prune(source.disk)
            self._incoming.forget([arriving.entry.path], [source.path])
            self._note(found, arriving.entry, gone=source.path)
            self.counts.moved += 1
            self.counts.new -= 1
        self._flush()

    def _remove(self) -> None:
        for leaving in self._incoming.leaving():
            self._tree.remove(leaving.found)
            self.counts.removed += 1
            self._gone.append(leaving.found.path)
        self._flush()

    def _stamp(self) -> None:
        for found, entry in self._stamps:
            self._note(self._tree.stamp(found, entry.mode, entry.mtime_ns), entry)
        self._flush()

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
        if found.mode == SYMLINK or self._tree.look(found.path, found.disk) != found:
            return None
        return LocalFile(_entry_of(known), f"{self._root}/{found.disk}")

    def _take_in(self, arrived: Arriving, found: Found) -> None:
        with self._noting:
            self._growth += found.size - (arrived.replaces.size if arrived.replaces else 0)
            self._note(found, arrived.entry)

    def _note(self, found: Found, entry: FileEntry, gone: str | None = None) -> None:
        if gone is not None:
            self._gone.append(gone)
        settled = is_settled(found, found.ctime_ns)  # just written: its ctime is the clock
        self._refresh(known_from(found, to_raw(entry.digest), entry.mtime_ns, settled))

    def _refresh(self, known: Known) -> None:
        self._refreshed.append(known)
        self._refreshed_size += known.size
        if len(self._refreshed) >= INDEX_BATCH or self._refreshed_size >= INDEX_BATCH_SIZE:
            self._flush()

    def _flush(self) -> None:
        self._index.update(self._refreshed, self._gone)
        self._refreshed.clear()
        self._refreshed_size = 0
        self._gone.clear()


def _entry_of(known: Known) -> FileEntry:
    return FileEntry(known.path, known.size, to_text(known.digest), known.mtime_ns, known.mode)


def _same(entry: FileEntry, known: Known) -> bool:
    return (entry.digest, entry.mode, entry.mtime_ns) == (to_text(known.digest), known.mode, known.mtime_ns)
