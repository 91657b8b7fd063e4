"""Archives, as the standard library and GNU tar read them."""

from __future__ import annotations

import io
import subprocess
import tarfile
from collections.abc import Sequence
from typing import Any

import pytest
import transaction
from zope.interface.verify import verifyObject
from ZPublisher.Iterators import IUnboundStreamIterator

from Products.ERP5Wendelin.download import archive
from Products.ERP5Wendelin.download.archive import PIECE_SIZE, Archive, File, check_files, header
from Products.ERP5Wendelin.errors import NotFound
from Products.ERP5Wendelin.ingestion import bundle, locks, session
from Products.ERP5Wendelin.ingestion.tar import members
from Products.ERP5Wendelin.storage.block import BLOCK_SIZE
from support.pushes import MTIME_NS, anybody_may, planned, push, send_large, start, stop
from support.site import Lake

FILES = {
    "a.txt": b"abc",
    "empty": b"",
    "exact": b"x" * 512,
    "folder/" + "n" * 120: b"long name",
    "folder/ü": "ü".encode() * 1000,
}


def archive_of(lake: Lake, data_set: Any, **options: Any) -> bytes:
    options.setdefault("version", data_set.manifest.version)
    return b"".join(Archive(lake.db, data_set.manifest._p_oid, **options))


def files_in(data: bytes) -> dict[str, bytes]:
    with tarfile.open(fileobj=io.BytesIO(data), mode="r:") as found:
        return {each.name: found.extractfile(each).read() for each in found}


def test_all_files_are_in_it_by_path(lake, data_set):
    push(data_set, FILES)
    found = files_in(archive_of(lake, data_set))
    assert found == FILES
    assert list(found) == sorted(FILES)


def test_an_archive_can_be_sent_back_as_a_bundle(lake, data_set):
    push(data_set, FILES)
    again = start(data_set)
    with locks.serialised(session.key_of_ingestion(again)):
        bundle.receive(again, io.BytesIO(archive_of(lake, data_set)))
    assert stop(again) == {"version": 1, "added": 0, "modified": 0, "removed": 0}


def test_modes_links_and_exact_times_are_in_it(lake, data_set, tmp_path):
    ingestion = start(data_set)
    files = [
        planned("program", b"#!/bin/sh\n", mode="100755"),
        planned("link", b"folder/ziel-\xc3\xbc", mode="120000"),
        planned("long", b"t" * 300, mode="120000"),
        planned("old", b"old", mtime_ns=-1_500_000_000),
    ]
    session.plan(ingestion, files, [], [], anybody_may)
    transaction.commit()
    contents = {"program": b"#!/bin/sh\n", "link": b"folder/ziel-\xc3\xbc", "long": b"t" * 300, "old": b"old"}
    for path, content in contents.items():
        send_large(ingestion, path, content)
    stop(ingestion)
    data = archive_of(lake, data_set)
    with tarfile.open(fileobj=io.BytesIO(data)) as found:
        assert found.getmember("program").mode == 0o755
        assert found.getmember("link").linkname == "folder/ziel-ü"
        assert found.getmember("long").linkname == "t" * 300
        assert found.getmember("old").mtime == -1.5
    assert {each.path: each.mtime_ns for each in members(io.BytesIO(data), 1 << 20, 1 << 20)} == {
        "program": MTIME_NS,
        "link": MTIME_NS,
        "long": MTIME_NS,
        "old": -1_500_000_000,
    }
    subprocess.run(["tar", "-x", "-C", str(tmp_path)], input=data, check=True)
    assert (tmp_path / "program").stat().st_mtime_ns == MTIME_NS
    assert (tmp_path / "program").stat().st_mode & 0o777 == 0o755
    assert (tmp_path / "link").readlink().name == "ziel-ü"


def test_a_folder_is_in_it_and_can_be_sent_back(lake, data_set, tmp_path):
    ingestion = start(data_set)
    folders = ["empty", "folder/" + "n" * 120]
    session.plan(ingestion, [planned(path, b"", mode="040000") for path in folders], [], [], anybody_may)
    transaction.commit()
    stop(ingestion)
    data = archive_of(lake, data_set)
    assert [(each.path, each.mode, each.mtime_ns) for each in members(io.BytesIO(data), 1 << 20, 1 << 20)] == [
        (path, "040000", MTIME_NS) for path in folders
    ]
    subprocess.run(["tar", "-x", "-C", str(tmp_path)], input=data, check=True)
    assert [(tmp_path / path).is_dir() for path in folders] == [True, True]
    again = start(data_set)
    with locks.serialised(session.key_of_ingestion(again)):
        bundle.receive(again, io.BytesIO(data))
    assert stop(again) == {"version": 1, "added": 0, "modified": 0, "removed": 0}


def test_large_files_come_in_pieces(lake, data_set):
    content = bytes(range(256)) * (BLOCK_SIZE // 128) + b"end"
    ingestion = start(data_set)
    send_large(ingestion, "large", content)
    stop(ingestion)
    pieces = list(Archive(lake.db, data_set.manifest._p_oid, 1))
    assert max(map(len, pieces)) <= 2 * PIECE_SIZE
    assert files_in(b"".join(pieces)) == {"large": content}


@pytest.mark.parametrize(
    ("prefix", "paths"), [("folder/", sorted(FILES)[3:]), ("", sorted(FILES)), ("a", ["a.txt"]), ("none", [])]
)
def test_a_prefix_selects(lake, data_set, prefix, paths):
    push(data_set, FILES)
    assert list(files_in(archive_of(lake, data_set, prefix=prefix))) == paths


@pytest.mark.parametrize("paths", [["folder/ü", "a.txt"], []])
def test_paths_select_in_their_order(lake, data_set, paths: Sequence[str]):
    push(data_set, FILES)
    assert list(files_in(archive_of(lake, data_set, paths=paths))) == paths


def test_an_older_version_is_as_it_was(lake, data_set):
    push(data_set, {"a": b"1", "b": b"1"})
    push(data_set, {"a": b"2"}, removed=["b"])
    assert files_in(archive_of(lake, data_set, version=1)) == {"a": b"1", "b": b"1"}
    assert files_in(archive_of(lake, data_set, version=2)) == {"a": b"2"}


def test_a_push_in_the_middle_changes_nothing(lake, data_set, monkeypatch):
    monkeypatch.setattr(archive, "BATCH", 2)
    files = {f"{number}": b"%d" % number * 200_000 for number in range(6)}
    push(data_set, files)
    pieces = Archive(lake.db, data_set.manifest._p_oid, 1)
    first = next(pieces)
    push(data_set, {"5": b"changed", "50": b"new"}, removed=["4"])
    assert files_in(first + b"".join(pieces)) == files


def test_many_batches_make_one_archive(lake, data_set, monkeypatch):
    monkeypatch.setattr(archive, "BATCH", 7)
    files = {f"{number:03}": b"%d" % number for number in range(50)}
    push(data_set, files)
    assert files_in(archive_of(lake, data_set)) == files
    assert files_in(archive_of(lake, data_set, paths=list(reversed(files)))) == files


def test_no_connection_is_held_between_pieces(lake, data_set):
    push(data_set, {f"{number}": b"x" * 200_000 for number in range(6)})

    def opened():
        """When each open connection was opened; how long ago is said behind that."""
        return [each["opened"].split(" (")[0] for each in lake.db.connectionDebugInfo() if each["opened"]]

    before = opened()
    pieces = Archive(lake.db, data_set.manifest._p_oid, 1)
    next(pieces)
    assert opened() == before
    pieces.close()
    assert list(pieces) == []


def test_it_is_an_iterator_that_zope_takes_for_a_response(lake, data_set):
    assert verifyObject(IUnboundStreamIterator, Archive(lake.db, data_set.manifest._p_oid, 0))


def test_an_unknown_path_is_told_before_anything_is_sent(data_set):
    push(data_set, {"a": b"1"})
    check_files(data_set.manifest, ["a"])
    with pytest.raises(NotFound, match=r"^There is no file 'b' in this version\.$") as caught:
        check_files(data_set.manifest, ["a", "b"])
    assert caught.value.extra == {"paths": ["b"]}


@pytest.mark.parametrize(
    ("path", "size", "mtime_ns"),
    [
        ("p" * 4000, 8**11, 0),
        ("ÿ" * 100, 8**11 - 1, (8**11 - 1) * 10**9),
        ("\x7f" * 100, 2**62, 8**11 * 10**9),
        ("p" * 100, 0, 1),
    ],
)
def test_headers_hold_names_sizes_and_times_of_any_length(path, size, mtime_ns):
    data = header(File(path, b"", 0, size, mtime_ns, "100644"))
    with tarfile.open(fileobj=io.BytesIO(data), mode="r|") as found:
        member = found.next()
    assert (member.name, member.size, member.mtime) == (
        path,
        size,
        mtime_ns / 10**9 if mtime_ns % 10**9 else mtime_ns // 10**9,
    )


def test_every_length_of_a_pax_record_counts_itself():
    for length in range(1, 1200):
        record = archive._keyword(b"path", b"x" * length)
        assert int(record.split(b" ")[0]) == len(record)
