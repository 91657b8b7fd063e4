"""Folders with files, made and read back."""

from __future__ import annotations

import contextlib
import ctypes
import os
from collections.abc import Iterator, Mapping
from pathlib import Path

OLD = 1_600_000_000_123_456_789
"""A modification time, in nanoseconds: long ago, so that nothing about the file is racy."""

NOBODY = 65534

CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH = 1, 2
PR_CAPBSET_DROP = 24


def write_files(root: Path, files: Mapping[str, str | bytes], mtime_ns: int = OLD) -> None:
    """Write files below `root`, which is made; a text beginning with `-> ` makes a symbolic link."""
    for path, content in files.items():
        target = root / path
        target.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(content, str) and content.startswith("-> "):
            target.symlink_to(content[3:])
        else:
            target.write_bytes(content.encode() if isinstance(content, str) else content)
        os.utime(target, ns=(mtime_ns, mtime_ns), follow_symlinks=False)


def read_files(root: Path) -> dict[str, str | bytes]:
    """The files below `root`, without those in `.ebulk`, as `write_files` takes them; bytes where they are no text."""
    files: dict[str, str | bytes] = {}
    for path in sorted(root.rglob("*")):
        name = path.relative_to(root).as_posix()
        if ".ebulk" in path.relative_to(root).parts:
            continue
        if path.is_symlink():
            files[name] = f"-> {os.readlink(path)}"
        elif path.is_file():
            content = path.read_bytes()
            try:
                files[name] = content.decode()
            except UnicodeDecodeError:
                files[name] = content
    return files


@contextlib.contextmanager
def as_ordinary_user(*folders: Path) -> Iterator[None]:
    """Act as a user to whom modes apply: root, as tests in containers are, may read what nobody may."""
    if os.geteuid():
        yield
        return
    for folder in folders:
        for path in (folder, *folder.rglob("*")):
            os.chown(path, NOBODY, NOBODY, follow_symlinks=False)
        for path in folder.parents:
            mode = path.stat().st_mode
            if mode & 0o011 != 0o011:  # pytest's own folders
                path.chmod(mode | 0o011)
    os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(0)


def heed_modes() -> None:
    """As `preexec_fn`: the program that is run heeds the modes of files, also if root runs it."""
    if not os.geteuid():
        prctl = ctypes.CDLL(None, use_errno=True).prctl
        for capability in (CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH):
            if prctl(PR_CAPBSET_DROP, capability, 0, 0, 0):
                raise OSError(ctypes.get_errno(), "prctl")
