"""A part has the bytes that were written, whichever way they went to the disk."""

from __future__ import annotations

import errno
import os
import random
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from fcntl import F_GETFL, fcntl
from pathlib import Path

import pytest

from ebulk.protocol import MIB
from ebulk.transfer import part_file
from ebulk.transfer.part_file import DIRECT_FROM, TRIAL, PartFile

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="O_DIRECT is Linux's: elsewhere nothing is different")

DATA = random.Random(1).randbytes(DIRECT_FROM + MIB + 12345)
SIZES = (1, 4096, 65536, 262144, MIB, 3 * MIB + 1)


@contextmanager
def part_of(path: Path, size: int, start: int = 0) -> Iterator[PartFile]:
    with path.open("r+b" if path.exists() else "w+b", buffering=0) as file:
        file.seek(start)
        with closing(PartFile(file, size)) as part:
            yield part


def is_direct(part: PartFile) -> bool:
    return bool(fcntl(part.file, F_GETFL) & os.O_DIRECT)


def write_pieces(part: PartFile, data: bytes, seed: int) -> None:
    generator = random.Random(seed)
    start = 0
    while start < len(data):
        size = generator.choice(SIZES)
        part.write(data[start : start + size])
        start += size


def can_be_direct(folder: Path) -> bool:
    try:
        os.close(os.open(folder / "try", os.O_WRONLY | os.O_CREAT | os.O_DIRECT))
    except OSError:
        return False
    return True


@pytest.fixture
def path(tmp_path):
    if not can_be_direct(tmp_path):
        pytest.skip("this file system knows no O_DIRECT")
    return tmp_path / "part"


@pytest.mark.parametrize("seed", range(4))
def test_a_large_part_is_what_was_written(path, seed):
    with part_of(path, len(DATA)) as part:
        assert is_direct(part)
        write_pieces(part, DATA, seed)
        part.flush()
    assert path.read_bytes() == DATA


@pytest.mark.parametrize("there", [1, 4096, MIB, 2 * MIB + 17])
def test_a_part_goes_on_where_it_ended(path, there):
    path.write_bytes(DATA[:there])
    with part_of(path, len(DATA), there) as part:
        write_pieces(part, DATA[there:], there)
        part.flush()
    assert path.read_bytes() == DATA


def test_a_part_goes_on_behind_what_was_flushed_in_the_middle_of_a_block(path):
    with part_of(path, len(DATA)) as part:
        for start in range(0, len(DATA), MIB // 2 + 7):
            part.write(DATA[start : start + MIB // 2 + 7])
            part.flush()
            assert path.stat().st_size == min(len(DATA), start + MIB // 2 + 7)
    assert path.read_bytes() == DATA


def test_a_part_begins_anew(path):
    with part_of(path, len(DATA)) as part:
        part.write(DATA[: MIB + 5])
        part.start_over()
        part.write(DATA)
        part.flush()
    assert path.read_bytes() == DATA


def test_a_small_part_goes_through_the_cache_at_once(path):
    with part_of(path, DIRECT_FROM - 1) as part:
        part.write(b"abc")
        assert not is_direct(part)
        assert path.read_bytes() == b"abc"


def test_a_slow_disk_is_left_to_the_cache(path, monkeypatch):
    monkeypatch.setattr(part_file, "QUICK", float("inf"))
    with part_of(path, TRIAL + MIB) as part:
        part.write(bytes(TRIAL))
        part.flush()
        assert is_direct(part)
        part.write(bytes(MIB))
        part.write(b"abc")
        part.flush()
        assert not is_direct(part)
    assert path.read_bytes() == bytes(TRIAL + MIB) + b"abc"


def test_a_file_system_that_refuses_a_block_gets_it_through_the_cache(path, monkeypatch):
    write = part_file._write

    def refuse(file, data):
        if fcntl(file, F_GETFL) & os.O_DIRECT:
            raise OSError(errno.EINVAL, "Invalid argument")
        write(file, data)

    monkeypatch.setattr(part_file, "_write", refuse)
    with part_of(path, len(DATA)) as part:
        write_pieces(part, DATA, 5)
        part.flush()
    assert path.read_bytes() == DATA


def test_a_file_system_without_is_written_as_any(monkeypatch, path):
    def refuse(*_):
        raise OSError(errno.EINVAL, "Invalid argument")

    monkeypatch.setattr(part_file, "fcntl", lambda file, request, *rest: refuse() if rest else 0)
    with part_of(path, len(DATA)) as part:
        part.write(b"abc")
        assert path.read_bytes() == b"abc"


def test_a_full_disk_is_the_systems_error_now_and_from_then_on():
    with part_of(Path("/dev/full"), DIRECT_FROM) as part:
        for _ in range(2):
            with pytest.raises(OSError, match="No space left on device"):
                part.write(bytes(DIRECT_FROM))
