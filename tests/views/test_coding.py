"""Content codings: requests come in them, answers go in zstd where that makes them smaller, and nothing explodes."""

from __future__ import annotations

import gzip
import hashlib
import io
import os
import tarfile
import zlib
from base64 import b64encode

import pytest
from backports import zstd

from Products.ERP5Wendelin.protocol import KIB, MIB
from Products.ERP5Wendelin.views import coding
from Products.ERP5Wendelin.views.decoding import DecodedSource
from support.push import metadata, push, tar

TEXT = b"".join(b"%06d the quick brown fox\n" % number for number in range(40_000))
NOISE = os.urandom(MIB)
ENCODED = {"Content-Encoding": "zstd"}
ACCEPT = {"Accept-Encoding": "zstd"}
TUS = {"Tus-Resumable": "1.0.0", "Content-Type": "application/offset+octet-stream"}


def frame_without_size(data: bytes) -> bytes:
    """A zstd frame of which only the end says how long its content is."""
    compressor = zstd.ZstdCompressor()
    return compressor.compress(data) + compressor.flush()


@pytest.fixture
def started(server) -> str:
    """URL of a push that has started."""
    server.request("PUT", "/data-sets/brain")
    return server.request("POST", "/data-sets/brain/ingestions").headers["Location"]


@pytest.fixture
def upload(server, started) -> str:
    """URL of an upload of as many bytes as TEXT has."""
    headers = {**TUS, "Upload-Length": str(len(TEXT)), "Upload-Metadata": metadata(path="text")}
    return server.request("POST", f"{started}/uploads", None, headers).headers["Location"]


@pytest.fixture
def patch(server, upload):
    """Send a piece in zstd; answers the response."""

    def patch(offset, body, **headers):
        sent = {**TUS, **ENCODED, "Upload-Offset": str(offset), **headers}
        return server.request("PATCH", upload, body, sent)

    return patch


def test_every_answer_says_in_what_requests_may_come(server):
    for path, status in (("/", 200), ("/data-sets/none", 404)):
        answer = server.request("GET", path)
        assert (answer.status, answer.headers["Accept-Encoding"]) == (status, "zstd, gzip, deflate")


def test_bundle_in_zstd_is_stored_as_what_it_stands_for(server, started):
    bundle = tar({"a": TEXT[: 200 * KIB], "b": b""})
    for body in (zstd.compress(bundle), frame_without_size(bundle), zstd.compress(b"") + zstd.compress(bundle)):
        answer = server.request("POST", f"{started}/bundle", body, {**ENCODED, "Content-Type": "application/x-tar"})
        assert answer.status == 200, answer.body
        assert [(item["path"], item["size"]) for item in answer.data["received"]] == [("a", 200 * KIB), ("b", 0)]


def test_json_may_come_in_zstd(server):
    answer = server.request("PUT", "/data-sets/a", zstd.compress(b'{"title": "Brains"}'), ENCODED)
    assert (answer.status, answer.data["title"]) == (201, "Brains")


def test_pieces_in_zstd_are_counted_decoded(server, upload, patch):
    half = len(TEXT) // 2
    assert patch(0, zstd.compress(TEXT[:half])).headers["Upload-Offset"] == str(half)
    assert patch(half, frame_without_size(TEXT[half:])).status == 204
    assert server.request("HEAD", upload, headers=TUS).headers["Upload-Offset"] == str(len(TEXT))


def test_checksum_is_that_of_the_decoded_bytes(patch):
    checksum = b64encode(hashlib.sha256(TEXT).digest()).decode()
    assert patch(0, zstd.compress(TEXT), **{"Upload-Checksum": f"sha256 {checksum}"}).status == 204


def test_wrong_checksum_of_decoded_bytes_is_460_and_stores_nothing(server, upload, patch):
    checksum = b64encode(bytes(32)).decode()
    assert patch(0, zstd.compress(TEXT), **{"Upload-Checksum": f"sha256 {checksum}"}).status == 460
    assert server.request("HEAD", upload, headers=TUS).headers["Upload-Offset"] == "0"


def test_frame_that_goes_on_behind_the_upload_is_400(patch):
    answer = patch(0, zstd.compress(TEXT + b"x"))
    assert (answer.status, answer.data["offset"]) == (400, len(TEXT))
    assert answer.data["detail"] == f"The body goes on behind the {len(TEXT)} bytes of the upload."


def test_body_that_is_no_zstd_is_400(server, started):
    answer = server.request("POST", f"{started}/bundle", tar({"a": b"x"}), ENCODED)
    assert answer.status == 400
    assert answer.data["detail"].startswith("The body is not zstd: ")


def test_damaged_frame_is_400_and_nothing_of_a_bundle_is_kept(server, started):
    body = bytearray(zstd.compress(tar({"a": TEXT[: 200 * KIB]})))
    body[100:1100] = bytes(1000)
    answer = server.request("POST", f"{started}/bundle", bytes(body), ENCODED)
    assert answer.status == 400
    assert answer.data["detail"].startswith("The body is not zstd: ")
    assert server.request("GET", started).data["received"] == {"file_count": 0, "size": 0}


def test_frame_that_is_cut_is_400(server, started):
    answer = server.request("POST", f"{started}/bundle", zstd.compress(tar({"a": NOISE[: 200 * KIB]}))[:-9], ENCODED)
    assert answer.status == 400
    assert answer.data["detail"] == "The body ends in the middle of its zstd."


@pytest.mark.parametrize(
    ("coding", "encode"),
    [
        ("gzip", gzip.compress),
        ("X-GZIP", lambda data: gzip.compress(b"") + gzip.compress(data)),
        ("deflate", zlib.compress),
    ],
)
def test_bundle_in_gzip_or_deflate_is_stored_as_what_it_stands_for(server, started, coding, encode):
    bundle = tar({"a": TEXT[: 200 * KIB], "b": NOISE[: 200 * KIB]})
    headers = {"Content-Encoding": coding, "Content-Type": "application/x-tar"}
    answer = server.request("POST", f"{started}/bundle", encode(bundle), headers)
    assert answer.status == 200, answer.body
    digests = [f"sha-256:{hashlib.sha256(data[: 200 * KIB]).hexdigest()}" for data in (TEXT, NOISE)]
    assert [item["digest"] for item in answer.data["received"]] == digests


@pytest.mark.parametrize(
    ("coding", "body", "detail"),
    [
        ("gzip", TEXT[:100], "The body is not gzip: Error -3 while decompressing data: incorrect header check."),
        ("gzip", gzip.compress(TEXT)[:-9], "The body ends in the middle of its gzip."),
        ("gzip", gzip.compress(TEXT) + b"x", "The body ends in the middle of its gzip."),
        ("deflate", TEXT[:100], "The body is not deflate: Error -3 while decompressing data: incorrect header check."),
        ("deflate", zlib.compress(TEXT)[:-1], "The body ends in the middle of its deflate."),
    ],
)
def test_body_that_is_no_gzip_or_deflate_is_400(server, coding, body, detail):
    answer = server.request("PUT", "/data-sets/a", body, {"Content-Encoding": coding})
    assert (answer.status, answer.data["detail"]) == (400, detail)


def test_other_coding_is_415_and_says_which_is_taken(server, started):
    answer = server.request("POST", f"{started}/bundle", b"", {"Content-Encoding": "br"})
    assert (answer.status, answer.headers["Accept-Encoding"]) == (415, "zstd, gzip, deflate")
    assert answer.data["detail"] == (
        "Content-Encoding 'br' is not known here. Send the body as it is, or in zstd, gzip or deflate."
    )


def test_bundle_of_gigabytes_in_a_few_bytes_is_413_without_being_decoded(server, started, monkeypatch):
    taken = []
    some = DecodedSource._some
    monkeypatch.setattr(DecodedSource, "_some", lambda self, size: taken.append(data := some(self, size)) or data)
    compressor = zstd.ZstdCompressor()
    zeros = bytes(16 * MIB)
    body = compressor.compress(tar({"a": b"x"})[:1024])
    body += b"".join(compressor.compress(zeros) for _ in range(64)) + compressor.flush()
    header = tarfile.TarInfo("bomb")
    header.size = 1024 * MIB
    bomb = zstd.compress(header.tobuf()) + body
    answer = server.request("POST", f"{started}/bundle", bomb, ENCODED)
    assert len(bomb) < 200 * KIB
    assert answer.status == 413
    assert sum(map(len, taken)) < 130 * MIB
    assert max(map(len, taken)) <= 2 * MIB


@pytest.fixture
def files(server) -> None:
    push(server, "brain", {"text": TEXT[: 200 * KIB], "noise": NOISE[: 200 * KIB]})


def decoded(answer) -> bytes:
    assert answer.headers["Content-Encoding"] == "zstd"
    assert answer.headers["Content-Length"] is None
    return zstd.decompress(answer.body)


def test_archive_goes_in_zstd_to_who_accepts_it(server, files):
    answer = server.request("GET", "/data-sets/brain/archive?prefix=text", headers=ACCEPT)
    with tarfile.open(fileobj=io.BytesIO(decoded(answer))) as archive:
        assert archive.extractfile("text").read() == TEXT[: 200 * KIB]
    assert len(answer.body) < 60 * KIB
    assert answer.headers["Vary"] == "Accept-Encoding"


@pytest.mark.parametrize("accept", ["gzip", "zstd;q=0", "zstd; q=0.0", "*"])
def test_archive_goes_plain_to_who_does_not_accept_zstd(server, files, accept):
    answer = server.request("GET", "/data-sets/brain/archive", headers={"Accept-Encoding": accept})
    assert answer.headers["Content-Encoding"] is None
    assert answer.headers["Vary"] == "Accept-Encoding"
    tarfile.open(fileobj=io.BytesIO(answer.body)).close()


def test_archive_of_noise_goes_plain(server, files):
    answer = server.request("POST", "/data-sets/brain/archive", {"paths": ["noise"]}, ACCEPT)
    assert answer.headers["Content-Encoding"] is None


@pytest.mark.parametrize(("query", "start", "stop"), [("start=0", 0, None), ("start=5&stop=100000", 5, 100_000)])
def test_part_of_a_file_goes_in_zstd_and_plain(server, files, query, start, stop):
    path = f"/data-sets/brain/files/text?{query}"
    expected = TEXT[: 200 * KIB][start:stop]
    assert decoded(server.request("GET", path, headers={"Accept-Encoding": "gzip, zstd;q=0.5"})) == expected
    plain = server.request("GET", path)
    assert (plain.body, plain.headers["Content-Length"]) == (expected, str(len(expected)))
    for answer in (plain, server.request("GET", path, headers=ACCEPT)):
        assert answer.headers["Vary"] == "Accept-Encoding"
        assert answer.headers["ETag"] == f'W/"sha-256:{hashlib.sha256(TEXT[: 200 * KIB]).hexdigest()}"'


def test_part_of_a_file_of_noise_goes_plain_with_its_length(server, files):
    answer = server.request("GET", "/data-sets/brain/files/noise?start=1", headers=ACCEPT)
    assert (answer.body, answer.headers["Content-Encoding"]) == (NOISE[1 : 200 * KIB], None)


def test_head_of_a_part_has_the_headers_of_get(server, files):
    for headers in ({}, ACCEPT):
        got, head = (
            server.request(name, "/data-sets/brain/files/text?start=0", headers=headers) for name in ("GET", "HEAD")
        )
        names = ("Content-Encoding", "Content-Length", "ETag", "Vary", "Content-Type", "Last-Modified")
        assert [head.headers[name] for name in names] == [got.headers[name] for name in names]
        assert head.body == b""


def test_part_that_the_caller_has_is_304(server, files):
    path = "/data-sets/brain/files/text?start=10"
    etag = server.request("GET", path).headers["ETag"]
    answer = server.request("GET", path, headers={"If-None-Match": etag, **ACCEPT})
    assert (answer.status, answer.body, answer.headers["ETag"]) == (304, b"", etag)


def test_part_at_the_end_is_empty_and_behind_it_416(server, files):
    size = 200 * KIB
    assert server.request("GET", f"/data-sets/brain/files/text?start={size}", headers=ACCEPT).body == b""
    assert server.request("GET", "/data-sets/brain/files/text?stop=0").body == b""
    answer = server.request("GET", f"/data-sets/brain/files/text?start={size + 1}")
    assert answer.status == 416
    assert answer.data["detail"] == f"start is behind the end: the file has {size} bytes."


@pytest.mark.parametrize("value", ["-1", "x", "", "9" * 19])
def test_start_that_is_no_number_is_400(server, files, value):
    answer = server.request("GET", f"/data-sets/brain/files/text?start={value}")
    assert (answer.status, answer.data["detail"]) == (400, "start must be a whole number from 0.")


def test_files_in_zstd_are_as_many_as_half_the_threads_and_are_given_back(server, files, monkeypatch):
    path = "/data-sets/brain/files/text?start=0"
    before = coding.FILES._value
    for method in ("GET", "HEAD", "GET"):
        server.request(method, path, headers=ACCEPT)
    server.request("GET", "/data-sets/brain/files/noise?start=0", headers=ACCEPT)
    assert coding.FILES._value == before
    monkeypatch.setattr(coding, "FILES", coding.BoundedSemaphore(1))
    coding.FILES.acquire()
    assert server.request("GET", path, headers=ACCEPT).headers["Content-Encoding"] is None


def test_long_document_goes_in_zstd_and_a_short_one_plain(server):
    push(server, "many", {f"file {number:04}": b"" for number in range(200)})
    answer = server.request("GET", "/data-sets/many/manifest?limit=200", headers=ACCEPT)
    assert answer.headers["Content-Length"] == str(len(answer.body))
    assert answer.headers["Content-Encoding"] == "zstd"
    assert zstd.decompress(answer.body) == server.request("GET", "/data-sets/many/manifest?limit=200").body
    assert server.request("GET", "/data-sets/many", headers=ACCEPT).headers["Content-Encoding"] is None
