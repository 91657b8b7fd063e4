"""Tars are what tarfile writes and reads, and a broken one is told from a short one."""

from __future__ import annotations

import io
import tarfile

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ebulk.errors import EbulkError
from ebulk.model import EXECUTABLE, REGULAR, SYMLINK, FileEntry
from ebulk.transfer import tar

names = st.text(st.characters(exclude_characters="\0/\\", exclude_categories=("Cs", "Cc")), min_size=1, max_size=90)
paths = st.lists(names.filter(lambda name: name not in (".", "..")), min_size=1, max_size=4).map("/".join)
times = st.integers(-(10**19), 10**20)


def entry(path: str = "a", size: int = 0, mtime_ns: int = 0, mode: str = REGULAR) -> FileEntry:
    return FileEntry(path, size, "", mtime_ns, mode)


def packed(*files: tuple[FileEntry, bytes]) -> bytes:
    return b"".join(tar.header(file) + data + bytes(tar.padding(len(data))) for file, data in files) + tar.END


def opened(data: bytes) -> tarfile.TarFile:
    return tarfile.open(fileobj=io.BytesIO(data))


def members(data: bytes, largest: int = 10_000, step: int = 1000) -> list[tuple[str, bytes]]:
    stream = io.BytesIO(data)
    return [(member.path, member.content) for member in tar.members(lambda n: stream.read(min(n, step)), largest)]


@given(paths, st.binary(max_size=1500), times, st.sampled_from([REGULAR, EXECUTABLE]))
def test_file_is_read_by_tarfile_as_it_was_written(path, data, mtime_ns, mode):
    with opened(packed((entry(path, len(data), mtime_ns, mode), data))) as archive:
        (member,) = archive.getmembers()
        assert member.isreg()
        assert member.name == path.rstrip("/")
        assert archive.extractfile(member).read() == data
        assert member.mode == int(mode[-3:], 8)
        assert member.mtime == pytest.approx(mtime_ns / 1e9)


def test_time_is_exact_to_the_nanosecond():
    with opened(packed((entry(mtime_ns=1_700_000_000_123_456_789), b""))) as archive:
        assert archive.getmembers()[0].pax_headers["mtime"] == "1700000000.123456789"


def test_time_of_whole_seconds_and_a_short_name_need_no_extended_header():
    assert len(tar.header(entry(mtime_ns=1_700_000_000_000_000_000))) == 512


@given(paths, st.text(st.characters(exclude_characters="\0", exclude_categories=("Cs",)), min_size=1, max_size=300))
def test_link_is_read_by_tarfile_as_it_was_written(path, target):
    data = tar.header(entry(path, len(target), mode=SYMLINK), target) + tar.END
    with opened(data) as archive:
        (member,) = archive.getmembers()
        assert member.issym()
        assert (member.name, member.linkname) == (path.rstrip("/"), target)


@pytest.mark.parametrize("length", [80, 90, 91, 92, 93, 980, 990, 991, 992, 993, 4096])
def test_length_of_a_record_counts_its_own_digits(length):
    path = "p" * 255 + "/" + "q" * (length - 256) if length > 256 else "ä" * (length // 2)
    with opened(tar.header(entry(path)) + tar.END) as archive:
        assert archive.getnames() == [path]


@given(st.lists(st.tuples(paths, st.binary(max_size=1500)), max_size=5), st.integers(1, 3000))
def test_what_tarfile_wrote_is_read_however_it_arrives(files, step):
    for form in (tarfile.PAX_FORMAT, tarfile.USTAR_FORMAT):
        target = io.BytesIO()
        written = []
        with tarfile.open(fileobj=target, mode="w", format=form) as archive:
            for path, data in files:
                info = tarfile.TarInfo(path)
                info.size = len(data)
                info.mtime = 1.5 if form == tarfile.PAX_FORMAT else 1
                try:
                    archive.addfile(info, io.BytesIO(data))
                except ValueError:
                    continue  # a name that ustar can't hold
                written.append((path, data))
        assert members(target.getvalue(), step=step) == written


def test_link_is_a_member_whose_content_is_the_target():
    data = tar.header(entry("l", 1, mode=SYMLINK), "ziel/ä" * 50) + packed((entry("after", 1), b"x"))
    assert members(data) == [("l", ("ziel/ä" * 50).encode()), ("after", b"x")]


def test_stream_that_ends_anywhere_before_its_end_is_truncated():
    whole = packed((entry("ä" * 60, 600), bytes(600)), (entry("b", 5), b"12345"))
    for length in range(0, len(whole) - len(tar.END), 100):
        with pytest.raises(tar.TruncatedError):
            members(whole[:length])


def damaged(position: int, value: bytes) -> bytes:
    whole = bytearray(packed((entry("name", 5), b"12345")))
    whole[position : position + len(value)] = value
    return bytes(whole)


def extended(records: bytes) -> bytes:
    """A pax header with these records, then a file."""
    with io.BytesIO() as target:
        with tarfile.open(fileobj=target, mode="w") as archive:
            info = tarfile.TarInfo("././@PaxHeader")
            info.type, info.size = tarfile.XHDTYPE, len(records)
            archive.addfile(info, io.BytesIO(records))
        return target.getvalue()[:1024] + packed((entry("name"), b""))


def device() -> bytes:
    info = tarfile.TarInfo("dev")
    info.type = tarfile.CHRTYPE
    return info.tobuf() + tar.END


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"<html>" + bytes(1000), "a header is not a header"),
        (damaged(0, b"other"), "the checksum of a header is wrong"),
        (damaged(124, b"zzz"), "a header is not a header"),
        (packed((entry("big", 20_000), bytes(20_000))), "it holds more than was asked for"),
        (device(), "it holds a member of type b'3'"),
        (extended(b"no length"), "a pax record has no length"),
        (extended(b"0 a=b\n"), "a pax record has no length"),
        (extended(b"99 path=b\n"), "a pax record is broken"),
        (extended(b"6 nope\n"), "a pax record is broken"),
        (extended(b"11 path=\xff\xff\n"), "a name is not UTF-8"),
    ],
)
def test_stream_that_is_no_such_tar_is_refused_with_the_reason(data, reason):
    with pytest.raises(EbulkError) as raised:
        members(data)
    assert str(raised.value) == f"The lake's archive cannot be understood: {reason}."
