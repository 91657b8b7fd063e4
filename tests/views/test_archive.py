"""Many files as one tar."""

from __future__ import annotations

import io
import tarfile

import pytest

from support.push import push

ARCHIVE = "/data-sets/brain/archive"


@pytest.fixture(autouse=True)
def versions(server) -> None:
    """Two versions of a data set."""
    push(server, "brain", {"a": b"one", "scans/1": b"1", "scans/2": b"2"})
    push(server, "brain", {"a": b"two"})


def files(body: bytes) -> dict[str, bytes]:
    with tarfile.open(fileobj=io.BytesIO(body)) as archive:
        return {member.name: archive.extractfile(member).read() for member in archive}


def test_archive_has_the_files_of_the_newest_version(server):
    answer = server.request("GET", ARCHIVE)
    assert answer.status == 200
    assert files(answer.body) == {"a": b"two", "scans/1": b"1", "scans/2": b"2"}
    assert answer.headers["Content-Type"] == "application/x-tar"
    assert answer.headers["Content-Disposition"] == 'attachment; filename="brain.tar"'


def test_archive_of_an_older_version_and_a_prefix(server):
    assert files(server.request("GET", f"{ARCHIVE}?format=tar&version=1&prefix=a").body) == {"a": b"one"}
    assert list(files(server.request("GET", f"{ARCHIVE}?prefix=scans/").body)) == ["scans/1", "scans/2"]


def test_archive_of_named_files_is_in_their_order(server):
    answer = server.request("POST", ARCHIVE, {"paths": ["scans/2", "a"]})
    assert list(files(answer.body).items()) == [("scans/2", b"2"), ("a", b"two")]


def test_unknown_file_is_404_before_anything_is_sent(server):
    answer = server.request("POST", ARCHIVE, {"paths": ["a", "b"]})
    assert (answer.status, answer.data["paths"]) == (404, ["b"])
    assert answer.data["detail"] == "There is no file 'b' in this version."


def test_head_of_an_archive_has_no_length(server):
    answer = server.request("HEAD", ARCHIVE)
    assert (answer.status, answer.body, answer.headers["Content-Length"]) == (200, b"", None)


@pytest.mark.parametrize(
    ("method", "query", "body", "status", "detail"),
    [
        ("GET", "?format=zip", None, 400, "format must be tar."),
        ("GET", "?version=3", None, 404, "There is no version 3; the newest is 2."),
        ("POST", "?version=3", {"paths": ["a"]}, 404, "There is no version 3; the newest is 2."),
        ("POST", "", {}, 400, "paths is missing; it must be a list."),
        ("POST", "", {"paths": [1]}, 400, "paths[0] must be text."),
    ],
)
def test_archive_that_can_not_be_says_why(server, method, query, body, status, detail):
    answer = server.request(method, ARCHIVE + query, body)
    assert (answer.status, answer.data["detail"]) == (status, detail)
