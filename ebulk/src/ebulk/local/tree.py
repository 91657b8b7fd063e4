"""Writes into the folder: the only module that changes a user's files.

Each path is walked one segment at a time with `O_NOFOLLOW`, so a symbolic link on the way, whoever put it there, leads
nowhere; and what is at its end is looked at again before it is replaced.
"""

from __future__ import annotations

import errno
import os
import secrets
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from ebulk.errors import ConflictError, DiskFullError, EbulkError
from ebulk.local.names import shown
from ebulk.local.scan import Found, found_from
from ebulk.model import EXECUTABLE, SYMLINK, FileEntry

FOLDER_FLAGS = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
TARGET_SIZE = 4096
"""The longest target of a symbolic link, in bytes (PATH_MAX)."""


class Tree:
    """The files below `root`."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._umask = os.umask(0o022)
        os.umask(self._umask)

    def look(self, path: str, disk: str) -> Found | None:
        """What is there now; None for nothing. EbulkError for a folder, or something that is neither file nor link."""
        try:
            with self._parent(disk) as (parent, name):
                return _look(path, disk, parent, name)
        except FileNotFoundError:
            return None

    def place(self, part: Path, entry: FileEntry, disk: str, replaces: Found | None) -> Found:
        """Move a complete file into its place in one step; return its new state.

        ConflictError: what is there isn't what was there (`replaces`). EbulkError: this file system won't have it.
        """
        with self._writing(entry.path), self._parent(disk, create=True) as (parent, name):
            _check(entry.path, disk, parent, name, replaces)
            if entry.mode == SYMLINK:
                self._place_link(part, parent, name, entry.mtime_ns)
            else:
                os.chmod(part, (0o777 if entry.mode == EXECUTABLE else 0o666) & ~self._umask)
                os.utime(part, ns=(entry.mtime_ns, entry.mtime_ns))
                os.rename(part, name, dst_dir_fd=parent)
            return found_from(entry.path, disk, os.lstat(name, dir_fd=parent))

    def stamp(self, found: Found, mode: str, mtime_ns: int) -> Found:
        """Give a file that has the right content the right mode and modification time; return its new state."""
        with self._writing(found.path), self._parent(found.disk) as (parent, name):
            _check(found.path, found.disk, parent, name, found)
            if found.mode != mode:
                permissions = stat.S_IMODE(os.lstat(name, dir_fd=parent).st_mode)
                executable = permissions | (permissions & 0o444) >> 2
                os.chmod(name, executable if mode == EXECUTABLE else permissions & ~0o111, dir_fd=parent)
            os.utime(name, ns=(mtime_ns, mtime_ns), dir_fd=parent, follow_symlinks=False)
            return found_from(found.path, found.disk, os.lstat(name, dir_fd=parent))

    def remove(self, found: Found) -> None:
        """Remove a file that is as `found`, and the folders that are empty without it; ConflictError if it is not."""
        with self._writing(found.path), self._parent(found.disk) as (parent, name):
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
        while folder:
            try:
                with self._parent(folder) as (parent, name):
                    os.rmdir(name, dir_fd=parent)
            except OSError:
                return
            folder = folder.rpartition("/")[0]

    def _place_link(self, part: Path, parent: int, name: str, mtime_ns: int) -> None:
        with part.open("rb") as file:
            target = file.read(TARGET_SIZE + 1)
        temporary = f".ebulk-{secrets.token_hex(8)}"
        os.symlink(os.fsdecode(target), temporary, dir_fd=parent)
        try:
            os.utime(temporary, ns=(mtime_ns, mtime_ns), dir_fd=parent, follow_symlinks=False)
            os.rename(temporary, name, src_dir_fd=parent, dst_dir_fd=parent)
        except BaseException:
            os.unlink(temporary, dir_fd=parent)
            raise
        part.unlink()

    @contextmanager
    def _parent(self, disk: str, *, create: bool = False) -> Iterator[tuple[int, str]]:
        """A descriptor of the folder that holds a path, and the path's last name."""
        *folders, name = disk.split("/")
        descriptor = os.open(self._root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            for position, folder in enumerate(folders, 1):
                try:
                    inner = _open_folder(folder, descriptor, create)
                except OSError as error:
                    if error.errno in (errno.ENOTDIR, errno.ELOOP):
                        raise _in_the_way("/".join(folders[:position]), disk, self._root) from error
                    raise
                os.close(descriptor)
                descriptor = inner
            yield descriptor, name
        finally:
            os.close(descriptor)

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
                f"{shown(path)} can't be written: {error.strerror}.", "What was pulled so far is kept."
            ) from error


def _look(path: str, disk: str, parent: int, name: str) -> Found | None:
    try:
        status = os.lstat(name, dir_fd=parent)
    except FileNotFoundError:
        return None
    if not stat.S_ISREG(status.st_mode) and not stat.S_ISLNK(status.st_mode):
        kind = "folder" if stat.S_ISDIR(status.st_mode) else "special file"
        raise ConflictError(f"A {kind} is in the way of {shown(path)}.", "Move it away, then pull again.", (path,))
    return found_from(path, disk, status)


def _check(path: str, disk: str, parent: int, name: str, expected: Found | None) -> None:
    if _look(path, disk, parent, name) != expected:
        raise ConflictError(
            f"{shown(path)} changed here during the pull.", "The same command again looks at it anew.", (path,)
        )


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
        f"{shown(disk)} can't be written: {shown(folder)} is {kind} here.", "Move it away, then pull again.", (folder,)
    )
