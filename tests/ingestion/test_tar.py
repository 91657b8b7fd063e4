"""Tar streams, as the standard library and GNU tar write them, and damaged ones."""

from __future__ import annotations

import io
import os
import subprocess
import tarfile
from typing import Any

import pytest

from Products.ERP5Wendelin.errors import BadInput, TooLarge
from Products.ERP5Wendelin.ingestion.tar import Member, members

FORMATS = {"pax": tarfile.PAX_FORMAT, "gnu": tarfile.GNU_FORMAT, "ustar": tarfile.USTAR_FORMAT}


def tar(*infos: tuple[tarfile.TarInfo, bytes], format: int = tarfile.PAX_FORMAT) -> bytes:
    target = io.BytesIO()
    with tarfile.open(fileobj=target, mode="w", format=format) as archive:
        for info, content in infos:
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return target.getvalue()


def info(name: str, **attributes: Any) -> tarfile.TarInfo:
    made = tarfile.TarInfo(name)
    for key, value in attributes.items():
        setattr(made, key, value)
    return made


def read(data: bytes, content_size: int = 1 << 20, stream_size: int = 1 << 20) -> list[Member]:
    return list(members(io.BytesIO(data), content_size, stream_size))


@pytest.mark.parametrize("format", FORMATS.values(), ids=FORMATS)
def test_files_are_read_from_every_format(format):
    files = [
        (info("a.txt", mtime=1_700_000_000), b"abc"),
        (info("empty", mtime=0), b""),
        (info("folder/" + "n" * 90 + "/" + "m" * 90, mtime=1, mode=0o755), b"x" * 513),
        (info("last", mtime=2), b"y" * 1024),
    ]
    assert read(tar(*files, format=format)) == [
        Member("a.txt", 1_700_000_000 * 10**9, "100644", b"abc"),
        Member("empty", 0, "100644", b""),
        Member("folder/" + "n" * 90 + "/" + "m" * 90, 10**9, "100755", b"x" * 513),
        Member("last", 2 * 10**9, "100644", b"y" * 1024),
    ]


@pytest.mark.parametrize("format", [tarfile.PAX_FORMAT, tarfile.GNU_FORMAT], ids=["pax", "gnu"])
def test_long_and_foreign_names_and_targets_are_whole(format):
    name = "ü" * 200
    link = info("link", type=tarfile.SYMTYPE, linkname="../" + "ß" * 200)
    found = read(tar((info(name), b"1"), (link, b""), format=format))
    assert [(each.path, each.mode, each.content) for each in found] == [
        (name, "100644", b"1"),
        ("link", "120000", ("../" + "ß" * 200).encode()),
    ]


@pytest.mark.parametrize("format", FORMATS.values(), ids=FORMATS)
def test_a_folder_is_a_member_without_content(format):
    folder = info("folder/deep", type=tarfile.DIRTYPE, mtime=5, mode=0o755)
    assert read(tar((folder, b""), (info("last"), b"x"), format=format)) == [
        Member("folder/deep", 5 * 10**9, "040000", b""),
        Member("last", 0, "100644", b"x"),
    ]


@pytest.mark.parametrize(
    ("text", "nanoseconds"),
    [
        ("1700000000.123456789", 1_700_000_000_123_456_789),
        ("1700000000.1", 1_700_000_000_100_000_000),
        ("1700000000.1234567899", 1_700_000_000_123_456_789),
        ("0.000000001", 1),
        ("-0.5", -500_000_000),
        ("-5000000000", -5_000_000_000_000_000_000),
        ("5", 5_000_000_000),
    ],
)
def test_the_time_of_a_pax_header_is_exact(text, nanoseconds):
    assert read(tar((info("a", pax_headers={"mtime": text}), b"")))[0].mtime_ns == nanoseconds


@pytest.mark.parametrize("text", ["1e999999999", "nan", "Infinity", "soon", "", "99999999999"])
def test_a_time_that_is_none_is_refused(text):
    with pytest.raises(BadInput, match="modification time of 'a' is out of range or no number"):
        read(tar((info("a", pax_headers={"mtime": text}), b"")))


@pytest.mark.parametrize("seconds", [-1, 2**33 + 1])
def test_times_that_gnu_writes_in_base_256_are_read(seconds):
    assert read(tar((info("a", mtime=seconds), b""), format=tarfile.GNU_FORMAT))[0].mtime_ns == seconds * 10**9


def test_a_global_pax_header_holds_for_all_that_follow():
    target = io.BytesIO()
    with tarfile.open(fileobj=target, mode="w", format=tarfile.PAX_FORMAT, pax_headers={"mtime": "7.5"}) as archive:
        archive.addfile(info("a"))
        archive.addfile(info("b", pax_headers={"mtime": "8"}))
    assert [each.mtime_ns for each in read(target.getvalue())] == [7_500_000_000, 8_000_000_000]


def test_what_gnu_tar_makes_is_read(tmp_path):
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "program").write_bytes(b"#!/bin/sh\n")
    (tmp_path / "sub" / "program").chmod(0o755)
    os.utime(tmp_path / "sub" / "program", ns=(1, 1_700_000_000_123_456_789))
    (tmp_path / "link").symlink_to("sub/program")
    command = ["tar", "--format=posix", "-C", str(tmp_path), "-c", "sub/program", "link"]
    program, link = read(subprocess.run(command, check=True, capture_output=True).stdout)
    assert program == Member("sub/program", 1_700_000_000_123_456_789, "100755", b"#!/bin/sh\n")
    assert (link.path, link.mode, link.content) == ("link", "120000", b"sub/program")


class Drops:
    """A source that gives a few bytes at a time, as a pipe does."""

    def __init__(self, data: bytes) -> None:
        self._source = io.BytesIO(data)

    def read(self, size: int) -> bytes:
        return self._source.read(min(size, 100))


def test_a_source_may_give_less_than_asked_for():
    found = list(members(Drops(tar((info("a"), b"z" * 2000))), 1 << 20, 1 << 20))
    assert [(each.path, each.content) for each in found] == [("a", b"z" * 2000)]


@pytest.mark.parametrize(
    ("type", "kind"),
    [
        (tarfile.LNKTYPE, "a hard link"),
        (tarfile.CHRTYPE, "a character device"),
        (tarfile.BLKTYPE, "a block device"),
        (tarfile.FIFOTYPE, "a named pipe"),
        (tarfile.GNUTYPE_SPARSE, "a sparse file"),
        (b"Z", "of an unknown kind"),
    ],
)
def test_other_members_are_refused_by_name(type, kind):
    with pytest.raises(BadInput, match=f"^The bundle has 'odd/?', which is {kind}. A bundle carries regular files"):
        read(tar((info("odd", type=type, linkname="a"), b"")))


def test_a_sparse_file_in_pax_is_refused():
    with pytest.raises(BadInput, match="has a sparse file"):
        read(tar((info("a", pax_headers={"GNU.sparse.major": "1"}), b"")))


@pytest.mark.parametrize(
    ("cut", "place"), [(0, "a header"), (100, "a header"), (512, "'a'"), (1000, "'a'"), (1024, "a header")]
)
def test_a_truncated_stream_is_refused(cut, place):
    with pytest.raises(BadInput, match=f"ends in the middle, within {place}. Send it again."):
        read(tar((info("a"), b"abc"))[:cut])


def test_what_is_no_tar_is_refused():
    with pytest.raises(BadInput, match="is no tar archive, or damaged: a header's checksum is wrong"):
        read(b"PK" * 4000)


@pytest.mark.parametrize("position", [0, 100, 130, 150, 300])
def test_a_changed_byte_in_a_header_is_noticed(position):
    data = bytearray(tar((info("a"), b"abc")))
    data[position] ^= 1
    with pytest.raises(BadInput, match="a header's checksum is wrong"):
        read(bytes(data))


@pytest.mark.parametrize(
    "record", [b"5 a=1\n", b"99 a=1\n", b"a=1\n", b"6 a=1 ", b"6 abc\n", b"-6 a=\n", b"0 a=1\n", b" 6 a=1\n"]
)
def test_a_malformed_pax_header_is_refused(record):
    data = tar((info("h", type=b"x"), record), (info("a"), b""), format=tarfile.USTAR_FORMAT)
    with pytest.raises(BadInput, match="pax header that cannot be read"):
        read(data)


def test_an_extended_header_without_its_file_is_refused():
    with pytest.raises(BadInput, match="ends after the extended header"):
        read(tar((info("h", type=b"x"), b"7 a=12\n"), format=tarfile.USTAR_FORMAT))


def test_a_huge_extended_header_is_refused():
    with pytest.raises(BadInput, match="an extended header of more than 1048576 bytes"):
        read(tar((info("h", type=b"x"), bytes(1 << 21)), format=tarfile.USTAR_FORMAT), stream_size=1 << 23)


@pytest.mark.parametrize("size", ["-1", "1e3", "9" * 20])
def test_a_size_that_is_none_is_refused(size):
    record = f" size={size}\n".encode()
    data = tar((info("h", type=b"x"), str(len(record) + 2).encode() + record), (info("a"), b""), format=0)
    with pytest.raises(BadInput, match=f"the size of 'a' is '{size}'"):
        read(data)


def test_a_name_that_is_not_utf_8_is_refused():
    with pytest.raises(BadInput, match=r"has the name b'\\xff.*which is not UTF-8"):
        read(_latin("ÿ"))


def _latin(name: str) -> bytes:
    target = io.BytesIO()
    with tarfile.open(fileobj=target, mode="w", format=tarfile.USTAR_FORMAT, encoding="latin-1") as archive:
        archive.addfile(info(name))
    return target.getvalue()


def test_more_content_than_allowed_is_refused_before_it_is_read():
    with pytest.raises(TooLarge, match="at most 1000 bytes of content; 'b' is one too many"):
        read(tar((info("a"), b"x" * 600), (info("b"), b"x" * 600)), content_size=1000)


def test_more_headers_than_allowed_are_refused():
    with pytest.raises(TooLarge, match="at most 1024 bytes, headers included"):
        read(tar((info("a"), b""), (info("b"), b""), (info("c"), b"")), stream_size=1024)
