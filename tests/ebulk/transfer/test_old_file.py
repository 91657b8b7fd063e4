"""What of an old file can be copied is; blocks are shared where the file system can."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from ebulk.model import FileEntry, LocalFile
from ebulk.protocol import MIB
from ebulk.transfer import old_file
from ebulk.transfer.old_file import CLONE_RANGE, OldFile
from ebulk.transfer.part_file import PartFile
from support.disks import sharing_disk

DATA = os.urandom(2 * MIB + 4096 + 17)


@pytest.fixture
def old(tmp_path):
    path = tmp_path / "old"
    path.write_bytes(DATA)
    return LocalFile(FileEntry("old", len(DATA), "sha-256:" + "0" * 64, 1), path)


@pytest.fixture
def target(tmp_path):
    with (tmp_path / "new").open("w+b", buffering=0) as file:
        yield PartFile(file, 0)


@pytest.mark.parametrize(
    ("start", "stop", "expected"),
    [
        (0, len(DATA), DATA),
        (5, MIB + 6, DATA[5 : MIB + 6]),
        (MIB, 10**12, DATA[MIB:]),
        (5, 5, b""),
        (5, 4, b""),
        (10**12, 10**13, b""),
    ],
)
def test_pieces_are_the_bytes_of_a_range_as_far_as_there_are_any(old, start, stop, expected):
    with OldFile(old) as file:
        assert b"".join(bytes(piece) for piece in file.pieces(start, stop)) == expected


def test_file_that_cannot_be_read_has_no_pieces(tmp_path):
    with OldFile(LocalFile(FileEntry("d", 5, "sha-256:" + "0" * 64, 1), tmp_path)) as file:
        assert list(file.pieces(0, 5)) == []
        assert not file.clone(None, 0, 5)


def test_clone_shares_blocks_or_says_that_the_file_system_cannot(old, target):
    with OldFile(old) as file:
        cloned = file.clone(target, 0, MIB)
    assert os.pread(target.file.fileno(), 2 * MIB, 0) == (DATA[:MIB] if cloned else b"")
    assert target.file.tell() == (MIB if cloned else 0)


def test_on_a_disk_whose_files_can_share_blocks_all_pieces_are_cloned(tmp_path):
    with sharing_disk(tmp_path / "disk") as disk:
        old = LocalFile(FileEntry("old", len(DATA), "sha-256:" + "0" * 64, 1), disk / "old")
        Path(old.source).write_bytes(DATA)
        os.sync()
        with OldFile(old) as file, (disk / "new").open("w+b", buffering=0) as new:
            target = PartFile(new, 0)
            assert all(file.clone(target, target.file.tell(), len(piece)) for piece in file.pieces(0, len(DATA)))
            assert os.pread(target.file.fileno(), len(DATA) + 1, 0) == DATA


class FileSystem:
    """Clones as FICLONERANGE of Linux does: no less than a block of 4 KiB; or not at all."""

    def __init__(self, refuses: int | None = None) -> None:
        self.refuses = refuses
        self.calls = 0

    def ioctl(self, target: int, request: int, argument: bytes) -> None:
        self.calls += 1
        assert request == 0x4020940D
        source, start, length, offset = CLONE_RANGE.unpack(argument)
        if self.refuses:
            raise OSError(self.refuses, os.strerror(self.refuses))
        if start % 4096 or length % 4096 or offset % 4096:
            raise OSError(errno.EINVAL, "Invalid argument")
        os.pwrite(target, os.pread(source, length, start), offset)


def test_whole_blocks_are_cloned_and_the_position_is_behind_them(old, target, monkeypatch):
    system = FileSystem()
    monkeypatch.setattr(old_file, "ioctl", system.ioctl)
    with OldFile(old) as file:
        assert file.clone(target, 0, MIB)
        assert not file.clone(target, MIB, 17)
        assert file.clone(target, MIB, MIB)
    assert target.file.tell() == 2 * MIB
    assert os.pread(target.file.fileno(), len(DATA), 0) == DATA[: 2 * MIB]


@pytest.mark.parametrize("number", [errno.EOPNOTSUPP, errno.EXDEV, errno.ENOTTY])
def test_file_system_that_cannot_is_asked_once(old, target, monkeypatch, number):
    system = FileSystem(number)
    monkeypatch.setattr(old_file, "ioctl", system.ioctl)
    with OldFile(old) as file:
        assert not file.clone(target, 0, MIB)
        assert not file.clone(target, 0, MIB)
    assert system.calls == 1
