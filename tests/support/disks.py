"""Small disks that can be filled up, and those whose files share blocks."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

BTRFS_SIZE = 256 * 1024 * 1024
"""About the least that mkfs.btrfs takes; the image has holes."""


@contextmanager
def small_disk(folder: Path, size: int) -> Iterator[Path]:
    """A disk of so many bytes, mounted at `folder`, which is made. Skips the test where none can be mounted."""
    if os.getuid():
        pytest.skip("Only root can mount a small disk to be filled up.")
    with _mounted(folder, "-t", "tmpfs", "-o", f"size={size}", "tmpfs"):
        yield folder


@contextmanager
def sharing_disk(folder: Path) -> Iterator[Path]:
    """A disk whose files can share blocks, Btrfs, mounted at `folder`, which is made. Skips where there is none."""
    if os.getuid() or not shutil.which("mkfs.btrfs"):
        pytest.skip("Only root can mount a disk with Btrfs, made by mkfs.btrfs (Debian: btrfs-progs).")
    image = folder.with_suffix(".image")
    with image.open("wb") as file:
        file.truncate(BTRFS_SIZE)
    subprocess.run(["mkfs.btrfs", "--quiet", image], check=True, capture_output=True)
    with _mounted(folder, "-o", "loop", image):
        yield folder


@contextmanager
def _mounted(folder: Path, *what: str | Path) -> Iterator[None]:
    folder.mkdir()
    mounted = subprocess.run(["mount", *what, folder], check=False, capture_output=True, text=True)
    if mounted.returncode:
        pytest.skip(f"No disk of this kind can be mounted here: {mounted.stderr.strip()}")
    try:
        yield
    finally:
        subprocess.run(["umount", folder], check=True)


def fill(disk: Path, left: int) -> Path:
    """Fill a disk with a file, but for about `left` bytes, and return the file."""
    filler = disk / "filler"
    status = os.statvfs(disk)
    filler.write_bytes(bytes(max(0, status.f_bavail * status.f_bsize - left)))
    return filler
