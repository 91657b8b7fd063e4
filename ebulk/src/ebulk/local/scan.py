"""Reads a folder's files in order of their paths: one `lstat` each, no file is opened, no symbolic link followed.

An empty folder counts as a file: nothing else would say that it is there. What `.ebulkignore` names is left out, unless
it is in the data set already.

The order is that of the wire (Unicode code points of the whole path), so that scan, index and manifest are compared as
three streams, whatever their length. Within a folder that is the order of the names, where a subfolder counts as its
name and a slash: `a-b`, `a/x`, `a0`.

Names go out in Unicode's normal form C. Where the disk has another form, `disk` differs from `path`.

What can't be pushed is never left out silently: it becomes a `Problem`, and the caller decides.
"""

from __future__ import annotations

import os
import stat
import unicodedata
from bisect import bisect_left
from collections.abc import Iterator
from itertools import chain
from operator import attrgetter, itemgetter
from typing import NamedTuple, Protocol, TypeAlias

from ebulk.local.ignore import EVERYTHING, IGNORE_FILE, Rules, read_rules
from ebulk.local.names import CONTROL_FOLDER, has_suspicious, path_problem, segment_problem
from ebulk.model import EXECUTABLE, FOLDER, REGULAR, SYMLINK

INODE_MASK = (1 << 63) - 1
"""SQLite's integers are signed, some file systems' inode numbers use all 64 bits."""

LONG_PATH = 1000
"""Characters from which a path may be over the limit of 4,096 bytes."""

_SPECIAL = {
    stat.S_IFSOCK: "is a socket",
    stat.S_IFIFO: "is a named pipe",
    stat.S_IFBLK: "is a device",
    stat.S_IFCHR: "is a device",
}


class Found(NamedTuple):
    """A file of the folder as the disk has it now."""

    path: str
    """On the wire."""
    disk: str
    """On the disk, relative to the folder."""
    size: int
    mtime_ns: int
    ctime_ns: int
    inode: int
    mode: str
    """git's mode."""


class Folder(NamedTuple):
    """A folder with something in it."""

    prefix: str
    """Its path on the wire, and a slash."""
    disk: str


Pieces: TypeAlias = "Iterator[list[Found] | Folder]"
"""What a folder holds, in order: files that follow each other, and the folders between them."""

_name_of = attrgetter("name")
_path_of = itemgetter(0)


class Contents(Protocol):
    """Knows which paths a data set has."""

    def holds(self, path: str) -> bool:
        """Whether it has this path."""

    def holds_below(self, folder: str) -> bool:
        """Whether it has anything in this folder."""


class Problem(NamedTuple):
    """Something in the folder that can't be pushed, and why: the end of a sentence that begins with its name."""

    path: str
    reason: str
    unread: bool = False
    """Whether files may be below it that the scan did not see."""


def found_from(path: str, disk: str, status: os.stat_result) -> Found:
    """What `lstat` says of a regular file, symbolic link or folder."""
    kind = status.st_mode
    size = status.st_size
    if stat.S_ISREG(kind):
        mode = EXECUTABLE if kind & stat.S_IXUSR else REGULAR
    elif stat.S_ISLNK(kind):
        mode = SYMLINK
    else:
        mode, size = FOLDER, 0
    # A NamedTuple's own way to make one takes twice as long, and there may be millions.
    return tuple.__new__(
        Found, (path, disk, size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino & INODE_MASK, mode)
    )


def is_there(root: str, found: Found) -> bool:
    """Whether a file is as it was found; of a folder, whether there is one."""
    try:
        status = os.lstat(f"{root}/{found.disk}")
    except (FileNotFoundError, NotADirectoryError):
        return False
    if found.mode == FOLDER:
        return stat.S_ISDIR(status.st_mode)
    return found_from(found.path, found.disk, status) == found


def unreadable(root: str, found: Found) -> Problem | None:
    """What is wrong with a file that may not be read; None if it may."""
    if found.mode in (SYMLINK, FOLDER) or os.access(f"{root}/{found.disk}", os.R_OK, effective_ids=True):
        return None
    return Problem(found.path, "cannot be read: permission denied")


def look(root: str, path: str) -> Found | Problem | None:
    """The file, link or empty folder of a path, or why it cannot be pushed; None for other folders, or nothing."""
    located = _locate(root, path)
    if located is None:
        return None
    disk, status = located
    kind = stat.S_IFMT(status.st_mode)
    if kind in _SPECIAL:
        return Problem(path, _SPECIAL[kind])
    if kind == stat.S_IFDIR and not _is_empty(f"{root}/{disk}"):
        return None
    return found_from(path, disk, status)


def look_folder(root: str, path: str) -> Found | None:
    """The folder of a path, whatever is in it; None if there is none."""
    located = _locate(root, path)
    return found_from(path, *located) if located and stat.S_ISDIR(located[1].st_mode) else None


def _locate(root: str, path: str) -> tuple[str, os.stat_result] | None:
    """The path on the disk, and what is there; None if there is nothing, or the way to it is by a link."""
    disk = ""
    status = os.lstat(root)
    for name in path.split("/"):
        if not stat.S_ISDIR(status.st_mode):
            return None
        disk = f"{disk}/" if disk else ""
        disk += _name_on_disk(f"{root}/{disk}", name)
        try:
            status = os.lstat(f"{root}/{disk}")
        except FileNotFoundError:
            return None
    return disk, status


class Scan:
    """Iterates over the files below `root/directory` once; afterwards `problems` and `disk_names` are complete.

    `.ebulkignore` counts where `contents` is given, which says what the data set has. EbulkError if one is damaged.
    """

    def __init__(self, root: str, directory: str = "", contents: Contents | None = None) -> None:
        self._root = root
        self._start = directory
        self._contents = contents
        self.problems: list[Problem] = []
        self.disk_names: dict[str, str] = {}
        """Folders whose name on the disk is not the one on the wire: wire path to disk path."""

    def __iter__(self) -> Iterator[Found]:
        return chain.from_iterable(self.batches())

    def batches(self) -> Iterator[list[Found]]:
        """The same files, those that follow each other in a folder at once."""
        stack = [self._list_start()]
        while stack:
            pieces, rules = stack[-1]
            for piece in pieces:
                if isinstance(piece, Folder):
                    prefix, disk = piece
                    inner = EVERYTHING if rules and rules.ignores(prefix[:-1], is_folder=True) else rules
                    stack.append(self._list(prefix, prefix if disk == prefix[:-1] else f"{disk}/", inner))
                    break
                yield piece
            else:
                stack.pop()

    def disk_path(self, path: str) -> str:
        """Where a path is, or would be, on the disk: in the folders that are here, should they be in another form."""
        if not self.disk_names:
            return path
        folder = path
        while folder:
            if folder in self.disk_names:
                return self.disk_names[folder] + path[len(folder) :]
            folder = folder.rpartition("/")[0]
        return path

    def _list_start(self) -> tuple[Pieces, Rules | None]:
        """What the folder to begin with holds: nothing if it isn't there; a link on the way to it is a problem."""
        path = disk = ""
        rules: Rules | None = None
        for name in self._start.split("/") if self._start else ():
            if self._contents and os.path.lexists(f"{self._root}/{disk}{IGNORE_FILE}"):
                rules = read_rules(self._root, path, disk, rules)
            path += name
            disk += _name_on_disk(f"{self._root}/{disk}", name)
            try:
                status = os.lstat(f"{self._root}/{disk}")
            except FileNotFoundError:
                return iter(()), None
            if not stat.S_ISDIR(status.st_mode):
                self.problems.append(Problem(path, "is not a folder", True))
                return iter(()), None
            if path != disk:
                self.disk_names[path] = disk
            if rules and rules.ignores(path, is_folder=True):
                rules = EVERYTHING
            path += "/"
            disk += "/"
        return self._list(path, path if path == disk else disk, rules)

    def _list(self, prefix: str, disk_prefix: str, rules: Rules | None) -> tuple[Pieces, Rules | None]:
        """What a folder holds, in order, and what is ignored in it."""
        files: list[Found] = []
        folders: list[Folder] = []
        plain = False
        try:
            descriptor = os.open(f"{self._root}/{disk_prefix}", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            try:
                with os.scandir(descriptor) as entries:  # a descriptor saves each `lstat` the way through the folders
                    listed = list(entries)
                if self._contents and rules is not EVERYTHING and IGNORE_FILE in map(_name_of, listed):
                    rules = read_rules(self._root, prefix, disk_prefix, rules)
                if rules and self._contents:
                    listed = [entry for entry in listed if not _is_ignored(prefix, entry, rules, self._contents)]
                plain = prefix is disk_prefix and _are_plain(prefix, listed)
                files, folders = self._read(prefix, disk_prefix, listed, plain)
            finally:
                os.close(descriptor)
        except OSError as error:
            self.problems.append(
                Problem(
                    prefix.rstrip("/") or "the folder",
                    f"cannot be read: {(error.strerror or str(error)).lower()}",
                    True,
                )
            )
        files.sort(key=_path_of)
        folders.sort(key=_path_of)
        if not plain:
            self._make_distinct(files, folders)
        return _pieces(files, folders), rules

    def _read(
        self, prefix: str, disk_prefix: str, listed: list[os.DirEntry[str]], plain: bool
    ) -> tuple[list[Found], list[Folder]]:
        files: list[Found] = []
        folders: list[Folder] = []
        while listed:
            entry = listed.pop()  # it keeps its status, which takes more memory than all else
            path = disk = prefix + entry.name
            if not plain:
                named = self._named(prefix, disk_prefix, entry.name)
                if named is None:
                    continue
                path, disk = named
            status = entry.stat(follow_symlinks=False)
            kind = status.st_mode
            if stat.S_ISREG(kind) or stat.S_ISLNK(kind):
                files.append(found_from(path, disk, status))
            elif not stat.S_ISDIR(kind):
                self.problems.append(Problem(path, _SPECIAL[stat.S_IFMT(kind)]))
            elif entry.name == CONTROL_FOLDER:
                self.problems.append(Problem(path, "makes its folder a data set within this one"))
            else:
                if disk is not path:
                    self.disk_names[path] = disk
                if _is_empty(f"{self._root}/{disk}"):
                    files.append(found_from(path, disk, status))
                else:
                    folders.append(Folder(f"{path}/", disk))
        return files, folders

    def _named(self, prefix: str, disk_prefix: str, disk_name: str) -> tuple[str, str] | None:
        """The path of a name, and its path on the disk; a name that no data set may hold is a problem."""
        if not prefix and disk_name == CONTROL_FOLDER:
            return None
        name = disk_name if disk_name.isascii() else unicodedata.normalize("NFC", disk_name)
        path = prefix + name
        problem = segment_problem(name) or (path_problem(path) if not prefix or len(path) > LONG_PATH else None)
        if problem:
            self.problems.append(Problem(path, problem))
            return None
        return path, path if name == disk_name and prefix is disk_prefix else disk_prefix + disk_name

    def _make_distinct(self, files: list[Found], folders: list[Folder]) -> None:
        """Leave out what is there a second time, in another Unicode form; both are sorted."""
        seen: set[str] = set()
        rows: list[Found | Folder] = sorted([*files, *folders], key=_path_of)
        for row in rows:
            path = row[0].removesuffix("/")
            if path not in seen:
                seen.add(path)
                continue
            self.problems.append(Problem(path, "is there twice, in two Unicode forms that look the same"))
            if isinstance(row, Folder):
                folders.remove(row)
            else:
                files.remove(row)


def _pieces(files: list[Found], folders: list[Folder]) -> Pieces:
    """Files and folders in the order of the wire, where a folder counts as its name and a slash; both are sorted."""
    start = 0
    for folder in folders:
        stop = bisect_left(files, folder[:1], start)
        if stop > start:
            yield files[start:stop]
        yield folder
        start = stop
    if start < len(files):
        yield files[start:]


def _are_plain(prefix: str, listed: list[os.DirEntry[str]]) -> bool:
    """Whether nothing is to be said about any name in a folder: one look at all of them is faster than one at each."""
    names = "/".join(map(_name_of, listed))
    return bool(prefix) and len(prefix) < LONG_PATH and names.isascii() and not has_suspicious(names)


def _is_ignored(prefix: str, entry: os.DirEntry[str], rules: Rules, contents: Contents) -> bool:
    name = unicodedata.normalize("NFC", entry.name)
    path = prefix + name
    is_folder = entry.is_dir(follow_symlinks=False)
    if not rules.ignores(path, is_folder):
        return False
    if segment_problem(name):  # no data set has it
        return True
    return not contents.holds(path) and not (is_folder and contents.holds_below(path))


def _is_empty(folder: str) -> bool:
    """Whether nothing is in a folder; where that cannot be seen, listing it will say why."""
    try:
        with os.scandir(folder) as entries:
            return next(entries, None) is None
    except OSError:
        return False


def _name_on_disk(parent: str, name: str) -> str:
    """The name that a folder's entry has on the disk, where `name` is its normal form C."""
    if name.isascii() or os.path.lexists(f"{parent}/{name}"):
        return name
    try:
        return next(other for other in os.listdir(parent) if unicodedata.normalize("NFC", other) == name)
    except (OSError, StopIteration):
        return name
