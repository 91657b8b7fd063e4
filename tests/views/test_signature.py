"""Signatures and deltas of files: what a client compares with, and what it needs not read."""

from __future__ import annotations

import hashlib

import pytest

from Products.ERP5Wendelin.download import signature
from Products.ERP5Wendelin.storage.block import BLOCK_SIZE
from Products.ERP5Wendelin.views.api import delta
from support.http_server import Server
from support.pattern import pattern
from support.push import TUS, metadata, push

B = BLOCK_SIZE
FIRST = pattern(0, 4 * B + 5000)
SECOND = FIRST[:B] + pattern(5, 5 + B) + FIRST[2 * B :] + pattern(0, 10)
SMALL = {"pack/a": pattern(1, 1000), "pack/b": pattern(2, 2000), "empty": b""}


def digest_of(content: bytes) -> str:
    return f"sha-256:{hashlib.sha256(content).hexdigest()}"


def signature_of(content: bytes) -> bytes:
    return b"".join(hashlib.sha256(content[i : i + B]).digest() for i in range(0, len(content), B))


@pytest.fixture
def two_versions(server: Server, monkeypatch: pytest.MonkeyPatch) -> Server:
    """A server whose data set `brain` has SMALL, and as `big` FIRST, then SECOND."""
    monkeypatch.setattr(signature, "TOGETHER", 2)
    push(server, "brain", SMALL)
    for content, base in ((FIRST, b""), (SECOND, FIRST)):
        location = server.request("POST", "/data-sets/brain/ingestions").headers["Location"]
        values = {"path": "big", "base": digest_of(base), "base_length": str(len(base))}
        values["changed"] = f"{B}-{2 * B - 1}" if base else ""
        sent = {**TUS, "Upload-Length": str(len(content)), "Upload-Metadata": metadata(**values)}
        created = server.request("POST", f"{location}/uploads", headers=sent)
        offset = int(created.headers["Upload-Offset"])
        while offset < len(content):
            piece = content[offset : offset + (B if base else len(content))]
            sent = {**TUS, "Upload-Offset": str(offset)}
            answer = server.request("PATCH", created.headers["Location"], piece, sent)
            offset = int(answer.headers["Upload-Offset"])
        assert server.request("POST", f"{location}/stop").status == 200
    return server


def test_a_signature_is_the_digest_of_each_block(two_versions: Server) -> None:
    answer = two_versions.request("GET", "/data-sets/brain/signature/big")
    assert (answer.status, answer.body) == (200, signature_of(SECOND))
    names = ("Content-Type", "Content-Length", "Signature-Block-Size", "ETag", "Transfer-Encoding")
    assert [answer.headers[name] for name in names] == [
        "application/octet-stream",
        str(5 * 32),
        "2097152",
        f'"{digest_of(SECOND)}"',
        None,
    ]
    old = two_versions.request("GET", "/data-sets/brain/signature/big?version=2")
    assert (old.body, old.headers["ETag"]) == (signature_of(FIRST), f'"{digest_of(FIRST)}"')


def test_part_of_a_signature_is_sent_to_who_goes_on(two_versions: Server) -> None:
    whole = signature_of(SECOND)
    for start, stop in ((0, 1), (31, 33), (2 * 32 - 5, 3 * 32 + 5), (5 * 32 - 1, 5 * 32)):
        answer = two_versions.request(
            "GET", "/data-sets/brain/signature/big", headers={"Range": f"bytes={start}-{stop - 1}"}
        )
        assert (answer.status, answer.body) == (206, whole[start:stop])
        assert answer.headers["Content-Range"] == f"bytes {start}-{stop - 1}/{len(whole)}"


def test_head_of_a_signature_tells_its_length_without_reading(two_versions: Server) -> None:
    answer = two_versions.request("HEAD", "/data-sets/brain/signature/big")
    assert (answer.status, answer.headers["Content-Length"], answer.body) == (200, str(5 * 32), b"")


def test_a_signature_that_is_known_is_not_sent_again(two_versions: Server) -> None:
    known = {"If-None-Match": f'"{digest_of(SECOND)}"'}
    assert two_versions.request("GET", "/data-sets/brain/signature/big", headers=known).status == 304


@pytest.mark.parametrize("path", SMALL)
def test_files_of_a_bundle_have_signatures_too(two_versions: Server, path: str) -> None:
    answer = two_versions.request("GET", f"/data-sets/brain/signature/{path}")
    assert (answer.status, answer.body) == (200, signature_of(SMALL[path]))


@pytest.mark.parametrize(
    ("query", "base_size", "changed"),
    [
        (f"base={digest_of(FIRST)}", len(FIRST), [[B, 2 * B], [4 * B, len(SECOND)]]),
        (f"base={digest_of(SECOND)}", len(SECOND), []),
        (f"base={digest_of(SMALL['pack/b'])}", 1998, [[0, len(SECOND)]]),
        (f"base={digest_of(SECOND)}&version=2", len(SECOND), [[B, 2 * B], [4 * B, len(FIRST)]]),
    ],
    ids=["the version before", "the same", "another file", "the version after"],
)
def test_a_delta_is_what_is_not_in_shared_blocks(
    two_versions: Server, query: str, base_size: int, changed: list[list[int]]
) -> None:
    answer = two_versions.request("GET", f"/data-sets/brain/delta/big?{query}")
    size = len(FIRST if "version=2" in query else SECOND)
    assert (answer.status, answer.data) == (200, {"size": size, "base_size": base_size, "changed": changed})


def test_of_too_many_ranges_the_last_goes_to_the_end(two_versions: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(delta, "RANGES", 1)
    answer = two_versions.request("GET", f"/data-sets/brain/delta/big?base={digest_of(FIRST)}")
    assert answer.data["changed"] == [[B, len(SECOND)]]


def test_an_empty_file_has_nothing_that_changed(two_versions: Server) -> None:
    answer = two_versions.request("GET", f"/data-sets/brain/delta/empty?base={digest_of(FIRST)}")
    assert answer.data == {"size": 0, "base_size": len(FIRST), "changed": []}


@pytest.mark.parametrize("resource", ["signature/big?", f"delta/big?base={digest_of(FIRST)}&"])
def test_they_are_for_who_may_read_the_file(two_versions: Server, resource: str) -> None:
    def statuses() -> list[int]:
        return [two_versions.request("GET", f"/data-sets/{name}/{resource}", user=user).status for name, user in asked]

    asked = [("brain", "ada"), ("brain", "dan"), ("brain", None), ("other", "ada")]
    # The first push that stopped has validated the data set.
    assert statuses() == [200, 200, 401, 404]
    two_versions.request("POST", "/data-sets/brain/state", {"transition": "publish"})
    assert statuses() == [200, 200, 200, 404]
    two_versions.request("DELETE", "/data-sets/brain")
    assert statuses() == [404, 404, 401, 404]


NO_BASE = "base must be 'sha-256:' and 64 hexadecimal digits in lower case."


@pytest.mark.parametrize(
    ("path", "status", "detail"),
    [
        ("signature/none", 404, "The newest version of 'brain' has no file 'none'."),
        ("signature/big?version=1", 404, "Version 1 of 'brain' has no file 'big'."),
        ("signature/big?version=9", 404, "There is no version 9; the newest is 3."),
        (f"delta/none?base={digest_of(FIRST)}", 404, "The newest version of 'brain' has no file 'none'."),
        ("delta/big", 400, NO_BASE),
        ("delta/big?base=md5:00", 400, NO_BASE),
        (
            f"delta/big?base={digest_of(b'x')}",
            404,
            f"'brain' has no content {digest_of(b'x')} in any version. Read the file as a whole.",
        ),
    ],
)
def test_what_is_not_there_is_said(two_versions: Server, path: str, status: int, detail: str) -> None:
    answer = two_versions.request("GET", f"/data-sets/brain/{path}")
    assert (answer.status, answer.data["detail"]) == (status, detail)


def test_a_content_of_another_data_set_is_no_base_of_a_delta(two_versions: Server) -> None:
    other = pattern(9, 3000)
    push(two_versions, "heart", {"a": other})
    answer = two_versions.request("GET", f"/data-sets/brain/delta/big?base={digest_of(other)}")
    assert answer.status == 404
