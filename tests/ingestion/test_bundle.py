"""Bundles: all of their files or none, in one stream."""

from __future__ import annotations

import io
from hashlib import sha256

import pytest

from Products.ERP5Wendelin.errors import BadInput, BadPath, DigestMismatch
from Products.ERP5Wendelin.ingestion import bundle
from support.pushes import MTIME_NS, contents_of, plan, send, start, stop, tar_of


def test_a_bundle_answers_what_it_brought(data_set):
    received = send(start(data_set), {"b": b"abc", "a": b""})
    assert received == [("b", 3, sha256(b"abc").digest()), ("a", 0, sha256(b"").digest())]


def test_files_of_a_bundle_share_a_stream_and_keep_their_bytes(data_set):
    files = {f"{number:02}": bytes([number]) * (number * 30_000) for number in range(1, 20)}
    ingestion = start(data_set)
    send(ingestion, files)
    stop(ingestion)
    assert contents_of(data_set) == files
    assert len({entry.stream for _, entry in data_set.manifest.items()}) == 1
    assert {entry.mtime_ns for _, entry in data_set.manifest.items()} == {MTIME_NS}


def test_a_bundle_with_a_file_that_is_not_what_was_planned_is_refused_as_a_whole(data_set):
    ingestion = start(data_set)
    plan(ingestion, {"a": b"1", "b": b"2"})
    with pytest.raises(DigestMismatch, match="'b' is not what was planned: it has other content") as caught:
        send(ingestion, {"a": b"1", "b": b"other"})
    assert caught.value.extra == {"paths": ["b"]}
    assert (list(ingestion.staged), list(ingestion.expected)) == ([], ["a", "b"])


def test_a_bundle_with_a_bad_path_is_refused(data_set):
    with pytest.raises(BadPath, match=r"'a/\.\./b' has the segment '\.\.'"):
        send(start(data_set), {"a/../b": b"1"})


def test_a_bundle_that_has_a_path_twice_is_refused(data_set):
    one = tar_of({"a": b"1"}).getvalue()
    member = one[: one.index(b"1" + bytes(511)) + 512]
    with pytest.raises(BadInput, match="The bundle has 'a' twice"):
        bundle.receive(start(data_set), io.BytesIO(member + one))


def test_a_bundle_replaces_what_an_earlier_one_brought(data_set):
    ingestion = start(data_set)
    send(ingestion, {"a": b"1"})
    send(ingestion, {"a": b"22"})
    assert ingestion.getReceived() == (1, 2)
    stop(ingestion)
    assert contents_of(data_set) == {"a": b"22"}
