"""The bytes of a file: headers, conditions, ranges."""

from __future__ import annotations

import hashlib
from base64 import b64encode
from urllib.parse import quote

import pytest

from support.push import push

DATA = bytes(range(256)) * 40
DIGEST = hashlib.sha256(DATA)
ETAG = f'"sha-256:{DIGEST.hexdigest()}"'
FILES = "/data-sets/brain/files"

NAMES = [
    "a",
    "aq_self",
    "REQUEST",
    "index_html",
    "PUT",
    "a b/ü?#%.txt",
    "deep/er/and/deeper",
    "...",
    "@@view",
    "脳.nii",
    ";x",
]


@pytest.fixture
def url(server) -> str:
    """Path of a file with DATA."""
    push(server, "brain", {"scans/1.nii": DATA})
    return f"{FILES}/scans/1.nii"


def test_whole_file_comes_with_what_verifies_it(server, url):
    answer = server.request("GET", url)
    assert (answer.status, answer.body) == (200, DATA)
    names = ("ETag", "Accept-Ranges", "Content-Type", "Content-Length", "Content-Disposition", "X-Content-Type-Options")
    assert [answer.headers[name] for name in names] == [
        ETAG,
        "bytes",
        "application/octet-stream",
        str(len(DATA)),
        'attachment; filename="1.nii"',
        "nosniff",
    ]
    assert answer.headers["Repr-Digest"] == f"sha-256=:{b64encode(DIGEST.digest()).decode()}:"
    assert answer.headers["Last-Modified"] == "Tue, 14 Nov 2023 22:13:20 GMT"
    assert answer.headers["Cache-Control"] == "private, no-cache"


def test_head_has_the_headers_and_no_body(server, url):
    head, get = (server.request(method, url) for method in ("HEAD", "GET"))
    volatile = ("date",)
    assert (head.status, head.body) == (200, b"")
    assert [item for item in head.headers.items() if item[0].lower() not in volatile] == [
        item for item in get.headers.items() if item[0].lower() not in volatile
    ]


@pytest.mark.parametrize(
    ("field", "start", "stop"),
    [
        ("bytes=0-0", 0, 1),
        ("bytes=100-199", 100, 200),
        ("bytes=-10", len(DATA) - 10, len(DATA)),
        ("bytes=10000-", 10000, len(DATA)),
        ("bytes=10-99999", 10, len(DATA)),
    ],
)
def test_range_is_206_with_its_bytes(server, url, field, start, stop):
    answer = server.request("GET", url, headers={"Range": field})
    assert (answer.status, answer.body) == (206, DATA[start:stop])
    assert answer.headers["Content-Range"] == f"bytes {start}-{stop - 1}/{len(DATA)}"
    assert answer.headers["Content-Length"] == str(stop - start)
    assert answer.headers["ETag"] == ETAG


def test_range_behind_the_end_is_416_with_the_size(server, url):
    answer = server.request("GET", url, headers={"Range": f"bytes={len(DATA)}-"})
    assert answer.status == 416
    assert answer.headers["Content-Range"] == f"bytes */{len(DATA)}"
    assert answer.data["detail"] == f"The range begins behind the end: the content has {len(DATA)} bytes."


@pytest.mark.parametrize("field", ["bytes=0-1,5-6", "bytes=5-1", "lines=1-2", "bytes=a-b"])
def test_several_ranges_and_malformed_ones_are_the_whole(server, url, field):
    answer = server.request("GET", url, headers={"Range": field})
    assert (answer.status, answer.body) == (200, DATA)


@pytest.mark.parametrize(
    ("condition", "status"), [(ETAG, 206), ('"other"', 200), ("Tue, 14 Nov 2023 22:13:20 GMT", 200), (f"W/{ETAG}", 200)]
)
def test_range_is_given_only_of_the_content_that_if_range_names(server, url, condition, status):
    answer = server.request("GET", url, headers={"Range": "bytes=0-9", "If-Range": condition})
    assert (answer.status, len(answer.body)) == (status, 10 if status == 206 else len(DATA))


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_known_content_is_304_without_a_body(server, url, method):
    answer = server.request(method, url, headers={"If-None-Match": f'"other", {ETAG}'})
    assert (answer.status, answer.body, answer.headers["ETag"]) == (304, b"", ETAG)


def test_other_content_than_if_match_names_is_412(server, url):
    answer = server.request("GET", url, headers={"If-Match": '"other"'})
    assert answer.status == 412
    assert answer.data["detail"] == ("The content is not what If-Match names any more. Read it again without If-Match.")
    assert server.request("GET", url, headers={"If-Match": ETAG}).status == 200


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_empty_file_is_200_with_length_0(server, method):
    push(server, "brain", {"empty": b""})
    answer = server.request(method, f"{FILES}/empty")
    assert (answer.status, answer.body, answer.headers["Content-Length"]) == (200, b"", "0")
    assert answer.headers["ETag"] == f'"sha-256:{hashlib.sha256().hexdigest()}"'


def test_every_name_can_be_read(server):
    push(server, "brain", {name: name.encode() for name in NAMES})
    for name in NAMES:
        answer = server.request("GET", f"{FILES}/{quote(name)}")
        assert (answer.status, answer.body) == (200, name.encode()), name


def test_file_name_of_the_download_is_that_of_the_file(server):
    push(server, "brain", {'scans/naïve "1".txt': b"a"})
    answer = server.request("GET", f"{FILES}/scans/na%C3%AFve%20%221%22.txt")
    assert answer.headers["Content-Disposition"] == (
        "attachment; filename=\"na_ve _1_.txt\"; filename*=UTF-8''na%C3%AFve%20%221%22.txt"
    )


@pytest.mark.parametrize(
    ("path", "detail"),
    [
        ("../a", "The path '../a' has the segment '..', which no file can be named."),
        ("a//b", "The path 'a//b' has the segment '', which no file can be named."),
        ("/etc/passwd", "The path '/etc/passwd' begins with '/'; paths are relative to the data set."),
        ("a/", "The path 'a/' has the segment '', which no file can be named."),
        ("", "The path '' is empty."),
        ("a%5Cb", "The path 'a\\\\b' has a backslash; segments are separated by '/'."),
        ("a%00b", "The path 'a\\x00b' has a control character."),
    ],
)
def test_path_that_no_file_can_have_is_400(server, url, path, detail):
    answer = server.request("GET", f"{FILES}/{path}")
    assert (answer.status, answer.data["detail"]) == (400, detail)


@pytest.mark.parametrize("path", ["scans", "scans/2.nii", "scans/1.nii/x"])
def test_unknown_file_is_404(server, url, path):
    answer = server.request("GET", f"{FILES}/{path}")
    assert (answer.status, answer.data["detail"]) == (404, f"The newest version of 'brain' has no file '{path}'.")


def test_file_of_each_version_can_be_read(server):
    push(server, "brain", {"a": b"one"})
    push(server, "brain", {"a": b"two", "b": b"new"})
    assert server.request("GET", f"{FILES}/a?version=1").body == b"one"
    assert server.request("GET", f"{FILES}/a?version=2").body == server.request("GET", f"{FILES}/a").body == b"two"
    answer = server.request("GET", f"{FILES}/b?version=1")
    assert (answer.status, answer.data["detail"]) == (404, "Version 1 of 'brain' has no file 'b'.")
    answer = server.request("GET", f"{FILES}/a?version=3")
    assert (answer.status, answer.data["detail"]) == (404, "There is no version 3; the newest is 2.")


def test_reader_without_rights_gets_no_byte(server, url):
    server.request("PUT", "/data-sets/brain")
    assert server.request("GET", url, user="dan").status == 200
    server.request("DELETE", "/data-sets/brain")
    assert server.request("GET", url, user="dan").status == 404
    assert server.request("GET", url, user=None).status == 401
    assert server.request("GET", url, user="boss").body == DATA
