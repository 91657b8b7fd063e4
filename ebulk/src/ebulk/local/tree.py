"""Writes into the folder: the only module that changes a user's files.

Each path is walked one segment at a time with `O_NOFOLLOW`, so a symbolic link on the way, whoever put it there, leads
nowhere; and what is at its end is looked at again before it is replaced. Files come folder by folder, and to walk costs
more than to write a small file, so the last folder stays open: for the next file of it, it is enough to see that it and
those around it are the ones that were walked.
"""

from __future__ import annotations

import errno
import os
import secrets
import stat
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import TracebackType

from ebulk.errors import ConflictError, DiskFullError, EbulkError
from ebulk.local.names import shown
from ebulk.local.scan import Found, found_from
from ebulk.model import EXECUTABLE, FOLDER, SYMLINK, FileEntry
from ebulk.protocol import MIB

FOLDER_FLAGS = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
PIECE_SIZE = MIB
"""Of what is appended."""
Identity = tuple[int, int]
"""Device and inode."""


class Tree:
    """The files below `root`; a context manager, since it keeps a folder open. Threads may share it.

    Folders that become empty are removed, but for those that `keeps` says are to stay, by their paths on the disk.
    """

    def __init__(self, root: Path, keeps: Callable[[str], bool] = lambda disk: False) -> None:
        self._root = root
        self._keeps = keeps
        self._umask = os.umask(0o022)
        os.umask(self._umask)
        self._lock = threading.RLock()
        self._missing: str | None = None
        """A folder that wasn't there when it was last looked for."""
        self._open: str | None = None
        """The folder that is open, and then its descriptor, and what it and those around it are."""
        self._descriptor = -1
        self._walked: list[tuple[str, Identity]] = []

    def __enter__(self) -> Tree:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._close()

    def look(self, path: str, disk: str) -> Found | None:
        """What is there now; None for nothing. EbulkError for a folder, or something that is neither file nor link."""
        folder = disk.rpartition("/")[0]
        with self._lock:
            if folder and folder == self._missing:
                return None
            try:
                parent, name = self._parent(disk)
            except FileNotFoundError:
                self._missing = folder
                return None
            return _look(path, disk, parent, name)

    def write(self, content: bytes, part: Path, entry: FileEntry, disk: str, replaces: Found | None) -> Found:
        """Write a small file, whole, by way of `part`; otherwise as `place`."""
        with self._writing(entry.path):
            if entry.mode == SYMLINK:
                with self._lock:
                    return self._place_link(content, entry, disk, replaces)
            descriptor = _open_new(part, 0o777 if entry.mode == EXECUTABLE else 0o666)
            try:
                _write(descriptor, content)
                os.utime(descriptor, ns=(entry.mtime_ns, entry.mtime_ns))
            finally:
                os.close(descriptor)  # here a network file system says that the disk is full
            return self._rename(part, entry, disk, replaces)

    def place(self, part: Path, entry: FileEntry, disk: str, replaces: Found | None) -> Found:
        """Move a complete file into its place in one step; return its new state.

        ConflictError: what is there isn't what was there (`replaces`). EbulkError: this file system won't have it.
        """
        with self._writing(entry.path):
            os.chmod(part, (0o777 if entry.mode == EXECUTABLE else 0o666) & ~self._umask)
            os.utime(part, ns=(entry.mtime_ns, entry.mtime_ns))
            return self._rename(part, entry, disk, replaces)

    def can_append(self, found: Found) -> bool:
        """Whether a file may be written to in place: it is as `found`, writable, and under no other name."""
        try:
            os.close(self._open_to_append(found))
        except (OSError, ConflictError):
            return False
        return True

    def append(self, entry: FileEntry, found: Found, tail: Path, start: int) -> Found:
        """Append to a file, which is as `found`, what it lacks of `tail`, its new content from `start` on.

        Return its new state, which is on the disk. What was there is not touched; if something fails, such as that the
        disk is full, what was appended is cut off. ConflictError: it has changed, or does not go on as the tail begins.
        """
        with self._writing(entry.path), open(tail, "rb", buffering=0) as file:
            descriptor = self._open_to_append(found)
            try:
                if not _go_on_alike(descriptor, file.fileno(), start):
                    raise _changed(found.path)
                self._grow(descriptor, file.fileno(), start, found)
                if found.mode != entry.mode:
                    os.fchmod(descriptor, _permissions(os.fstat(descriptor), entry.mode))
                os.utime(descriptor, ns=(entry.mtime_ns, entry.mtime_ns))
                os.fsync(descriptor)
                return found_from(entry.path, found.disk, os.fstat(descriptor))
            finally:
                os.close(descriptor)

    def _open_to_append(self, found: Found) -> int:
        """Open a file that is as `found` and has one name."""
        with self._lock:
            parent, name = self._parent(found.disk)
            _check(found.path, found.disk, parent, name, found)
            descriptor = os.open(name, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=parent)
        status = os.fstat(descriptor)
        if status.st_nlink == 1 and found_from(found.path, found.disk, status) == found:
            return descriptor
        os.close(descriptor)
        raise _changed(found.path)

    def _grow(self, descriptor: int, tail: int, start: int, found: Found) -> None:
        """Append a tail, or nothing; ConflictError, with all left as it is, if another program does the same."""
        size = found.size
        try:
            while piece := os.pread(tail, PIECE_SIZE, size - start):
                if os.fstat(descriptor).st_size != size:
                    raise _changed(found.path)
                size += os.pwrite(descriptor, piece, size)
        except OSError:
            if os.fstat(descriptor).st_size == size:
                os.ftruncate(descriptor, found.size)
                os.utime(descriptor, ns=(found.mtime_ns, found.mtime_ns))
            raise

    def stamp(self, found: Found, mode: str, mtime_ns: int) -> Found:
        """Give a file that has the right content the right mode and modification time; return its new state."""
        with self._writing(found.path), self._lock:
            parent, name = self._parent(found.disk)
            _check(found.path, found.disk, parent, name, found)
            if found.mode != mode:
                os.chmod(name, _permissions(os.lstat(name, dir_fd=parent), mode), dir_fd=parent)
            os.utime(name, ns=(mtime_ns, mtime_ns), dir_fd=parent, follow_symlinks=False)
            return found_from(found.path, found.disk, os.lstat(name, dir_fd=parent))

    def make_folder(self, entry: FileEntry, disk: str, replaces: Found | None) -> Found:
        """Make a folder, or find that it is there; return its new state. ConflictError as `place`."""
        with self._writing(entry.path), self._lock:
            parent, name = self._parent(disk, create=True)
            status = _status(parent, name)
            if status is None or not stat.S_ISDIR(status.st_mode):
                _check(entry.path, disk, parent, name, replaces)
                if replaces is not None:
                    os.unlink(name, dir_fd=parent)
                os.mkdir(name, dir_fd=parent)
                os.utime(name, ns=(entry.mtime_ns, entry.mtime_ns), dir_fd=parent, follow_symlinks=False)
            return found_from(entry.path, disk, os.lstat(name, dir_fd=parent))

    def remove(self, found: Found) -> None:
        """Remove a file that is as `found`, and the folders that are empty without it; ConflictError if it is not.

        A folder is removed if it is empty.
        """
        if found.mode == FOLDER:
            self.prune(f"{found.disk}/")
            return
        with self._writing(found.path), self._lock:
            parent, name = self._parent(found.disk)
            _check(found.path, found.disk, parent, name, found)
            os.unlink(name, dir_fd=parent)
        self.prune(found.disk)

    def remove_empty(self, disk: str) -> None:
        """Remove a folder that holds nothing but empty folders; OSError if it holds more."""
        for folder, _, _ in os.walk(self._root / disk, topdown=False):
            os.rmdir(folder)

    def prune(self, disk: str) -> None:
        """Remove the folders around a path that are empty."""
        folder = disk.rpartition("/")[0]
        while folder and not self._keeps(folder):
            try:
                with self._lock:
                    parent, name = self._parent(folder)
                    os.rmdir(name, dir_fd=parent)
            except OSError:
                return
            folder = folder.rpartition("/")[0]

    def _rename(self, part: Path, entry: FileEntry, disk: str, replaces: Found | None) -> Found:
        with self._lock:
            parent, name = self._parent(disk, create=True)
            _check(entry.path, disk, parent, name, replaces)
            os.rename(part, name, dst_dir_fd=parent)
            return found_from(entry.path, disk, os.lstat(name, dir_fd=parent))

    def _place_link(self, target: bytes, entry: FileEntry, disk: str, replaces: Found | None) -> Found:
        parent, name = self._parent(disk, create=True)
        _check(entry.path, disk, parent, name, replaces)
        temporary = f".ebulk-{secrets.token_hex(8)}"
        os.symlink(os.fsdecode(target), temporary, dir_fd=parent)
        try:
            os.utime(temporary, ns=(entry.mtime_ns, entry.mtime_ns), dir_fd=parent, follow_symlinks=False)
            os.rename(temporary, name, src_dir_fd=parent, dst_dir_fd=parent)
        except BaseException:
            os.unlink(temporary, dir_fd=parent)
            raise
        return found_from(entry.path, disk, os.lstat(name, dir_fd=parent))

    def _parent(self, disk: str, *, create: bool = False) -> tuple[int, str]:
        """A descriptor of the folder that holds a path, and the path's last name; to be used before the next."""
        folder, _, name = disk.rpartition("/")
        if create:
            self._missing = None
        if folder != self._open or any(_identity(path) != identity for path, identity in self._walked):
            self._close()
            self._walk(folder, disk, create)
        return self._descriptor, name

    def _walk(self, folder: str, disk: str, create: bool) -> None:
        """Open a folder, for a path in it."""
        path = str(self._root)
        descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        walked = []
        try:
            for name in folder.split("/") if folder else ():
                path = f"{path}/{name}"
                try:
                    inner = _open_folder(name, descriptor, create)
                except OSError as error:
                    if error.errno in (errno.ENOTDIR, errno.ELOOP):
                        raise _in_the_way(path.removeprefix(f"{self._root}/"), disk, self._root) from error
                    raise
                os.close(descriptor)
                descriptor = inner
                status = os.fstat(descriptor)
                walked.append((path, (status.st_dev, status.st_ino)))
        except BaseException:
            os.close(descriptor)
            raise
        self._open, self._descriptor, self._walked = folder, descriptor, walked

    def _close(self) -> None:
        """Let go of the open folder."""
        if self._open is not None:
            os.close(self._descriptor)
            self._open, self._descriptor, self._walked = None, -1, []

    @contextmanager
    def _writing(self, path: str) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            if error.errno in (errno.ENOSPC, errno.EDQUOT):
                raise DiskFullError(
                    f"There is no room for {shown(path)}.", "Make room, then run the same command again: it goes on."
                ) from error
            raise EbulkError(
                f"{shown(path)} cannot be written: {(error.strerror or str(error)).lower()}.",
                "What was pulled so far is kept.",
            ) from error


def _identity(path: str) -> Identity | None:
    """What is at a path; None for nothing."""
    try:
        status = os.lstat(path)
    except FileNotFoundError:
        return None
    return status.st_dev, status.st_ino


def _open_new(part: Path, permissions: int) -> int:
    """Make a file, in place of one that an interrupted pull left; the system takes the umask's permissions away."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    try:
        return os.open(part, flags, permissions)
    except FileExistsError:
        os.unlink(part)
        return os.open(part, flags, permissions)


def _write(descriptor: int, content: bytes) -> None:
    position = os.write(descriptor, content)
    while position < len(content):
        position += os.write(descriptor, memoryview(content)[position:])


def _status(parent: int, name: str) -> os.stat_result | None:
    """What is in a folder under a name; None for nothing."""
    try:
        return os.lstat(name, dir_fd=parent)
    except FileNotFoundError:
        return None


def _look(path: str, disk: str, parent: int, name: str) -> Found | None:
    status = _status(parent, name)
    if status is None:
        return None
    if not stat.S_ISREG(status.st_mode) and not stat.S_ISLNK(status.st_mode):
        kind = "folder" if stat.S_ISDIR(status.st_mode) else "special file"
        raise ConflictError(f"A {kind} is in the way of {shown(path)}.", "Move it away, then pull again.", (path,))
    return found_from(path, disk, status)


def _check(path: str, disk: str, parent: int, name: str, expected: Found | None) -> None:
    if _look(path, disk, parent, name) != expected:
        raise _changed(path)


def _changed(path: str) -> ConflictError:
    return ConflictError(
        f"{shown(path)} changed here during the pull.", "The same command again looks at it anew.", (path,)
    )


def _permissions(status: os.stat_result, mode: str) -> int:
    """A file's permissions, such that it is executable or not: by whom it is readable."""
    permissions = stat.S_IMODE(status.st_mode)
    return permissions | (permissions & 0o444) >> 2 if mode == EXECUTABLE else permissions & ~0o111


def _go_on_alike(descriptor: int, tail: int, start: int) -> bool:
    """Whether a file has from `start` on what a tail begins with."""
    offset = start
    while piece := os.pread(descriptor, PIECE_SIZE, offset):
        if piece != os.pread(tail, len(piece), offset - start):
            return False
        offset += len(piece)
    return True


def _open_folder(name: str, parent: int, create: bool) -> int:
    try:
        return os.open(name, FOLDER_FLAGS, dir_fd=parent)
    except FileNotFoundError:
        if not create:
            raise
    with suppress(FileExistsError):  # another thread was faster
        os.mkdir(name, dir_fd=parent)
    return os.open(name, FOLDER_FLAGS, dir_fd=parent)


def _in_the_way(folder: str, disk: str, root: Path) -> ConflictError:
    kind = "a symbolic link" if (root / folder).is_symlink() else "a file"
    return ConflictError(
        f"{shown(disk)} cannot be written: {shown(folder)} is {kind} here.",
        "Move it away, then pull again.",
        (folder,),
    )
