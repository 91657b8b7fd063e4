"""Works out what a pull is to do, before anything is touched: lake, base and folder are laid side by side.

For each path three things are compared: what the lake has, what the folder's base had (the index), and what is here.

================  ==================  ================================================================================
lake              here                then
================  ==================  ================================================================================
as the base       whatever            stays as it is here: local changes, also removals, are kept
changed           as the base         fetched, or removed
changed           gone                fetched, so that a file can be moved aside; conflict if its removal is staged
changed           changed the same    taken over as it is
changed           changed otherwise   conflict, before anything is touched; with `discard` the lake's
================  ==================  ================================================================================

Files that the filter leaves out stay as they are, whatever the lake has. An empty folder is in nobody's way.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterable
from dataclasses import dataclass

from ebulk.errors import ConflictError, DiskFullError, EbulkError
from ebulk.local.batch import Batch
from ebulk.local.compare import Kind, classify, compare, outer_join, refreshed
from ebulk.local.digest import measure, to_raw, to_text
from ebulk.local.filter import Filter, takes
from ebulk.local.folder import Folder
from ebulk.local.incoming import Arriving, Incoming
from ebulk.local.index import Index, Known
from ebulk.local.lock import Lock
from ebulk.local.names import Capacity, shown
from ebulk.local.scan import Found, Scan, look_folder
from ebulk.local.tree import Tree
from ebulk.model import FOLDER, SYMLINK, FileEntry
from ebulk.verbs.conflict import Conflict
from ebulk.verbs.links import Link, leads_out, named
from ebulk.verbs.manifest import checked
from ebulk.verbs.observer import Observer, told
from ebulk.verbs.problems import listed


@dataclass(slots=True)
class Counts:
    """What a pull does: `PullReport` says what each is."""

    new: int = 0
    modified: int = 0
    removed: int = 0
    moved: int = 0
    adopted: int = 0
    unchanged: int = 0
    kept: int = 0
    left_out: int = 0


class Reconciler:
    """Fills `incoming` by `plan`; then the checks tell what is in the way."""

    def __init__(
        self,
        folder: Folder,
        lock: Lock,
        index: Index,
        batch: Batch,
        incoming: Incoming,
        tree: Tree,
        filter: Filter,
        discard: bool,
        observer: Observer,
    ) -> None:
        self._folder = folder
        self._root = str(folder.root)
        self._lock = lock
        self._index = index
        self._any_staged = bool(index.staged_count())
        self._batch = batch
        self._incoming = incoming
        self._tree = tree
        self._filter = filter
        self._discard = discard
        self._observer = observer
        self._scan = Scan(self._root)
        self.conflicts: list[Conflict] = []
        self.blocking: list[str] = []
        """Folders, by their paths on the disk, that hold nothing once what leaves is gone, in the place of a file."""
        self.complete = True
        """Whether all that was left out is here as the lake has it."""
        self.counts = Counts()

    # lake, base and folder

    def plan(self, entries: Iterable[FileEntry], directory: str) -> None:
        """Compare lake, base and folder, and write down what follows. EbulkError if there is nothing to compare."""
        self._observer.stage("Comparing")
        self._scan = scan = Scan(self._root, directory, self._index)
        self._keep_around(directory)
        listing = ((entry.path, entry) for entry in checked(entries, directory, Capacity(self._folder.root)))
        here = (
            (path, (found, known))
            for path, found, known in compare(self._root, told(scan, self._observer), self._index.known(directory))
        )
        nothing = True
        for path, entry, both in outer_join(listing, here):
            nothing = False
            self._plan(path, entry, *(both or (None, None)))
        unread = [problem for problem in scan.problems if problem.unread and self._filter.concerns(problem)]
        if unread:
            raise EbulkError(
                f"Nothing was pulled: {shown(unread[0].path)} {unread[0].reason}.", "Put it right, then pull again."
            )
        if nothing and directory:
            raise EbulkError(
                f"There is no folder {shown(directory)} in this version of {shown(self._folder.reference)}.",
                "Give it relative to the data set.",
            )

    def _keep_around(self, directory: str) -> None:
        """Let the folders stay that the data set has around what is pulled."""
        while directory:
            known = self._index.find(directory)
            if known is not None and known.mode == FOLDER:
                self._incoming.keep(self._scan.disk_path(directory))
            directory = directory.rpartition("/")[0]

    def _plan(self, path: str, entry: FileEntry | None, found: Found | None, known: Known | None) -> None:
        is_folder = FOLDER in [each.mode for each in (entry, found, known) if each is not None]
        taken = takes(self._filter, path, entry, found, known)
        staying = entry if taken else known
        if staying is not None and staying.mode == FOLDER:
            self._incoming.keep(self._scan.disk_path(path))
        if not taken:
            self._leave_out(entry, known)
        elif entry is None:
            self._plan_without(path, found, known)
        elif is_folder:
            self._plan_folder(entry, found, known)
        else:
            self._plan_with(entry, found, known)

    def _leave_out(self, entry: FileEntry | None, known: Known | None) -> None:
        if entry is not None or known is not None:
            self.counts.left_out += 1
        if (entry and (entry.digest, entry.mode)) != (known and (to_text(known.digest), known.mode)):
            self.complete = False

    def _plan_without(self, path: str, found: Found | None, known: Known | None) -> None:
        """The lake has no such file."""
        if known is None:
            self.counts.kept += 1
        elif found is None:
            self._batch.remove(path)
        elif FOLDER in (found.mode, known.mode) and found.mode != known.mode:  # one has taken the other's place here
            self._batch.remove(path)
            self.counts.kept += 1
        elif self._discard or self._is_base(found, known):
            self._incoming.leave(found, known.digest)
        else:
            self._conflict(path, found, known)

    def _plan_folder(self, entry: FileEntry, found: Found | None, known: Known | None) -> None:
        """A folder is here, or in the lake, or was in the base."""
        if entry.mode == FOLDER:
            self._plan_with(entry, found or look_folder(self._root, entry.path), known)
        elif known is not None and known.mode == FOLDER and (found is None or found.mode == FOLDER):
            self._plan_with(entry, None, None)
        else:
            self._plan_with(entry, None if found and found.mode == FOLDER else found, known)

    def _plan_with(self, entry: FileEntry, found: Found | None, known: Known | None) -> None:
        removal_staged = self._any_staged and self._is_removal_staged(entry.path)
        if known is not None and _same(entry, known):
            self._plan_unchanged(entry, found, known)
        elif removal_staged:
            self._conflict(entry.path, None, known)
        elif found is None:
            self._arrive(entry, None)
        elif known is not None and self._is_base(found, known):
            if entry.digest == to_text(known.digest) and _kind(entry.mode) == _kind(found.mode) != SYMLINK:
                self.counts.modified += 1
                self._incoming.stay(entry, found)
            else:
                self._arrive(entry, found)
        elif self._has_content(found, entry):
            self.counts.adopted += 1
            self._incoming.stay(entry, found)
        elif self._discard:
            self._arrive(entry, found)
        else:
            self._conflict(entry.path, found, known)

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
        disk = replaces.disk if replaces else self._scan.disk_path(entry.path)
        self._incoming.arrive(entry, disk, replaces)

    def _conflict(self, path: str, found: Found | None, known: Known | None) -> None:
        self.conflicts.append(Conflict(path, "removed" if found is None else "modified" if known else "new"))

    def _is_removal_staged(self, path: str) -> bool:
        """Whether the user wants a path removed; with `discard` no longer."""
        mark = self._index.find_staged(path)
        if mark is not None and mark.removed and self._discard:
            self._index.unstage([path])
            return False
        return mark is not None and mark.removed

    def _is_base(self, found: Found, known: Known) -> bool:
        """Whether a file is as the base had it; one that was only touched is read, and remembered."""
        kind = classify(found, known)
        if kind is not Kind.SUSPECT:
            return kind is Kind.UNCHANGED
        row = refreshed(self._root, found, known, self._lock)
        if row is not None:
            self._batch.add(row)
        return row is not None

    def _has_content(self, found: Found, entry: FileEntry) -> bool:
        if found.size != entry.size or _kind(found.mode) != _kind(entry.mode):
            return False
        return measure(self._root, found).digest == to_raw(entry.digest)

    # before anything is touched

    def check_places(self) -> None:
        """Look at where new files go; what is in their way is a conflict, with `discard` at once a ConflictError."""
        for arriving in self._incoming.arriving():
            if arriving.replaces is None:
                self._check_place(arriving)
        if self.conflicts and self._discard:
            raise ConflictError(
                "Nothing was pulled: in the way, and not of this data set:"
                f" {listed([conflict.blocker or conflict.path for conflict in self.conflicts])}.",
                "Move that away, then pull again: only what came from the lake is discarded.",
                tuple(conflict.path for conflict in self.conflicts),
            )

    def _check_place(self, arriving: Arriving) -> None:
        """Nothing may be where a new file goes, nor a file or link where its folders go, unless that is removed."""
        entry = arriving.entry
        try:
            found = self._tree.look(entry.path, arriving.disk)
        except ConflictError as conflict:
            (blocker,) = conflict.paths
            if blocker != entry.path:
                if not self._incoming.makes_way(blocker):
                    self.conflicts.append(Conflict(entry.path, blocker=blocker))
            elif self._is_emptied(entry.path):
                self.blocking.append(arriving.disk)
            else:
                self.conflicts.append(Conflict(entry.path, blocker=self._other(entry.path)))
        else:
            if found is not None:
                self._meet(arriving, found)

    def _meet(self, arriving: Arriving, found: Found) -> None:
        """There is a file already where a new one goes, which the scan has not told of: it is ignored."""
        entry = arriving.entry
        if self._has_content(found, entry):
            self._incoming.forget([entry.path])
            self.counts.new -= 1
            self.counts.adopted += 1
            self._incoming.stay(entry, found)
        elif self._discard:
            self._incoming.forget([entry.path])
            self.counts.new -= 1
            self._arrive(entry, found)
        else:
            self.conflicts.append(Conflict(entry.path, "new"))

    def _other(self, folder: str) -> str:
        """Something in a folder that is not to be removed; the folder itself, if it is of another kind."""
        others = (found.path for found in Scan(self._root, folder) if found.mode != FOLDER)
        return next((path for path in others if not self._incoming.is_leaving(path)), folder)

    def _is_emptied(self, path: str) -> bool:
        """Whether nothing is in a folder but what is to be removed, and folders."""
        scan = Scan(self._root, path)
        return (
            all(found.mode == FOLDER or self._incoming.is_leaving(found.path) for found in scan) and not scan.problems
        )

    def check_links(self) -> None:
        """EbulkError if a symbolic link that is to be made leads out of the data set; its target has been fetched."""
        links: list[Link] = []
        for path, content in self._incoming.targets():
            if not content or b"\0" in content:
                raise EbulkError(
                    f"The lake has the symbolic link {shown(path)}, which leads to nothing that has a name.",
                    f"Nothing was pulled; leave it out by --exclude {shown('/' + path)}.",
                )
            target = content.decode(errors="surrogateescape")
            if leads_out(path, target, self._will_be_link):
                links.append((path, target))
        if links:
            some = "a symbolic link leads" if len(links) == 1 else "symbolic links lead"
            raise EbulkError(
                f"Nothing was pulled: {some} out of the data set, which is not safe: {named(links)}.",
                f"Leave out what you do not trust by --exclude, such as --exclude {shown('/' + links[0][0])}.",
            )

    def _will_be_link(self, path: str) -> bool:
        mode = self._incoming.mode_of(path)
        if mode is not None:
            return mode == SYMLINK
        return not self._incoming.is_leaving(path) and (self._folder.root / self._scan.disk_path(path)).is_symlink()

    def check_room(self) -> None:
        """DiskFullError where there is no room for what is to come."""
        needed = missing_size(self._folder, self._incoming)
        room = shutil.disk_usage(self._root).free
        if needed > room:
            raise DiskFullError(
                f"{needed:,} bytes are to come and the disk has room for {room:,}.",
                "Make room, or pull into a folder on another disk; nothing was pulled.",
            )


def missing_size(folder: Folder, incoming: Incoming, growth: int = 0) -> int:
    """Bytes that are still to come, where `growth` more are here than there were; a tail is written once more."""
    there = sum(part.stat().st_size for part in folder.parts.glob("*.part"))
    return max(0, incoming.totals().size - incoming.replaced_size() - growth - there)


def _kind(mode: str) -> str:
    """A link, a folder, or a file whatever its mode."""
    return mode if mode in (SYMLINK, FOLDER) else "file"


def _same(entry: FileEntry, known: Known) -> bool:
    if (entry.digest, entry.mode) != (to_text(known.digest), known.mode):
        return False
    return entry.mode == FOLDER or entry.mtime_ns == known.mtime_ns
