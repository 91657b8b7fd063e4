"""tus 1.0.0: the core and its extensions, request by request."""

from __future__ import annotations

import hashlib
import zlib
from base64 import b64encode
from datetime import datetime, timedelta, timezone
from email.utils import parsedate_to_datetime

import pytest

from support.push import metadata

DATA = bytes(range(256)) * 1200
LENGTH = len(DATA)
HALF = LENGTH // 2
DIGEST = f"sha-256:{hashlib.sha256(DATA).hexdigest()}"
BAD_DIGEST = "digest must be 'sha-256:' and 64 hexadecimal digits in lower case."
BAD_MTIME = "mtime must be seconds since 1970 with at most nine decimals, between the years 1678 and 2262."
NO_LENGTH = "Upload-Defer-Length is not supported: say how long the file is, in Upload-Length."
NO_PATH = "Upload-Metadata must have the path of the file in the data set, as 'path' or 'filename'."
PIECE = {"Tus-Resumable": "1.0.0", "Content-Type": "application/offset+octet-stream"}


@pytest.fixture
def push(server) -> str:
    """URL of a push that has started."""
    server.request("PUT", "/data-sets/brain")
    return server.request("POST", "/data-sets/brain/ingestions").headers["Location"]


@pytest.fixture
def create(server, push):
    """Begin an upload of DATA; answers the response."""

    def create(body=None, length=LENGTH, headers=(), **values):
        sent = {
            "Tus-Resumable": "1.0.0",
            "Upload-Length": str(length),
            "Upload-Metadata": metadata(**values or {"path": "a"}),
        }
        return server.request("POST", f"{push}/uploads", body, {**sent, **dict(headers)})

    return create


@pytest.fixture
def patch(server):
    """Send a piece; answers the response."""

    def patch(location, offset, body, **headers):
        return server.request("PATCH", location, body, {**PIECE, "Upload-Offset": str(offset), **headers})

    return patch


@pytest.fixture
def head(server):
    """Ask for the state of an upload; answers the response."""
    return lambda location: server.request("HEAD", location, headers={"Tus-Resumable": "1.0.0"})


def test_options_tells_what_the_server_can(server):
    answer = server.request("OPTIONS", "/data-sets/brain/ingestions/1/uploads", user=None)
    assert answer.status == 204
    assert {name: answer.headers[name] for name in ("Tus-Resumable", "Tus-Version", "Tus-Extension")} == {
        "Tus-Resumable": "1.0.0",
        "Tus-Version": "1.0.0",
        "Tus-Extension": "creation,creation-with-upload,checksum,expiration,termination",
    }
    assert answer.headers["Tus-Checksum-Algorithm"] == "sha256,sha1,md5,crc32"


def test_file_arrives_in_pieces(server, push, create, patch, head):
    created = create(path="scans/naïve.nii", digest=DIGEST, mtime="1700000000.123456789", mode="100755")
    location = created.headers["Location"]
    assert (created.status, created.body) == (201, b"")
    assert location.startswith(f"{push}/uploads/")
    assert created.headers["Upload-Offset"] == "0"
    assert created.headers["Tus-Resumable"] == "1.0.0"
    lifetime = parsedate_to_datetime(created.headers["Upload-Expires"]) - datetime.now(timezone.utc)
    assert abs(lifetime - timedelta(days=7)) < timedelta(minutes=1)

    first = patch(location, 0, DATA[:HALF])
    assert (first.status, first.headers["Upload-Offset"]) == (204, str(HALF))
    assert first.headers["Upload-Expires"]
    state = head(location)
    assert (state.status, state.headers["Upload-Offset"], state.headers["Upload-Length"]) == (
        200,
        str(HALF),
        str(len(DATA)),
    )
    assert state.headers["Cache-Control"] == "no-store"
    assert state.headers["Upload-Metadata"].startswith("path ")
    (listed,) = server.request("GET", push).data["uploads"]
    assert listed == {
        "id": location.rpartition("/")[2],
        "location": location,
        "path": "scans/naïve.nii",
        "offset": HALF,
        "length": len(DATA),
        "digest": DIGEST,
    }

    last = patch(location, HALF, DATA[HALF:])
    assert (last.status, last.headers["Upload-Offset"]) == (204, str(len(DATA)))
    assert last.headers["Upload-Expires"] is None
    assert head(location).headers["Upload-Offset"] == str(len(DATA))
    ingestion = server.request("GET", push).data
    assert (ingestion["uploads"], ingestion["received"]) == ([], {"file_count": 1, "size": len(DATA)})
    assert server.request("GET", "/data-sets/brain/manifest").data["items"] == []

    assert server.request("POST", f"{push}/stop").data["added"] == 1
    (row,) = server.request("GET", "/data-sets/brain/manifest").data["items"]
    assert (row["path"], row["digest"], row["mode"]) == ("scans/naïve.nii", DIGEST, "100755")
    assert b'"mtime":1700000000.123456789' in server.request("GET", "/data-sets/brain/manifest").body


def test_creation_takes_the_first_bytes(create, patch):
    created = create(DATA[:HALF], headers=PIECE.items())
    assert (created.status, created.headers["Upload-Offset"]) == (201, str(HALF))
    assert patch(created.headers["Location"], HALF, DATA[HALF:]).status == 204


def test_creation_takes_all_bytes(server, push, create):
    assert create(DATA, headers=PIECE.items(), filename="a.bin").headers["Upload-Offset"] == str(len(DATA))
    assert server.request("GET", push).data["received"] == {"file_count": 1, "size": len(DATA)}


def test_empty_file_is_complete_at_once(server, push, create):
    created = create(length=0)
    assert (created.status, created.headers["Upload-Offset"]) == (201, "0")
    assert server.request("GET", push).data["received"] == {"file_count": 1, "size": 0}


def test_wrong_offset_is_409_with_the_right_one(create, patch, head):
    location = create(DATA[:HALF], headers=PIECE.items()).headers["Location"]
    for offset in (0, HALF + 1):
        answer = patch(location, offset, DATA[:10])
        assert (answer.status, answer.headers["Upload-Offset"], answer.data["offset"]) == (409, str(HALF), HALF)
        assert answer.headers["Tus-Resumable"] == "1.0.0"
    assert answer.data["detail"] == f"{HALF} bytes of 'a' are here, not {HALF + 1}. Go on from byte {HALF}."
    assert head(location).headers["Upload-Offset"] == str(HALF)


def test_repeated_chunk_changes_nothing(create, patch, head):
    location = create().headers["Location"]
    assert [patch(location, 0, DATA[:HALF]).status for _ in range(2)] == [204, 409]
    assert head(location).headers["Upload-Offset"] == str(HALF)


def test_more_bytes_than_announced_are_400(create, patch, head):
    location = create().headers["Location"]
    answer = patch(location, 0, DATA + b"x")
    assert answer.status == 400
    assert answer.data["detail"] == f"Bytes 0 to {len(DATA) + 1} do not fit into an upload of {len(DATA)} bytes."
    assert head(location).headers["Upload-Offset"] == "0"


def test_wrong_digest_is_422_and_the_upload_is_dropped(server, push, create, patch, head):
    location = create(path="a", digest=DIGEST).headers["Location"]
    answer = patch(location, 0, DATA[:-1] + b"x")
    assert (answer.status, answer.data["paths"]) == (422, ["a"])
    assert answer.data["detail"].endswith("It was damaged, or the file changed while it was sent: send it again.")
    assert head(location).status == 404
    assert server.request("GET", push).data["uploads"] == []


CHECKSUMS = {
    "sha256": hashlib.sha256(DATA).digest(),
    "sha1": hashlib.sha1(DATA, usedforsecurity=False).digest(),
    "md5": hashlib.md5(DATA, usedforsecurity=False).digest(),
    "crc32": zlib.crc32(DATA).to_bytes(4, "big"),
}


@pytest.mark.parametrize("algorithm", CHECKSUMS)
def test_piece_is_stored_only_if_its_checksum_is_right(create, patch, head, algorithm):
    location = create().headers["Location"]
    checksum = {"Upload-Checksum": f"{algorithm} {b64encode(CHECKSUMS[algorithm]).decode()}"}
    answer = patch(location, 0, DATA[:-1] + b"x", **checksum)
    assert answer.status == 460
    assert answer.data["title"] == "Checksum Mismatch"
    assert answer.data["detail"] == (
        f"The piece does not have the {algorithm} of Upload-Checksum: it was damaged. Send it again."
    )
    assert head(location).headers["Upload-Offset"] == "0"
    assert patch(location, 0, DATA, **checksum).status == 204


def test_checksum_of_an_unknown_algorithm_is_400(create, patch):
    answer = patch(create().headers["Location"], 0, DATA, **{"Upload-Checksum": "sha3 YQ=="})
    assert answer.status == 400
    assert answer.data["detail"] == "Upload-Checksum: 'sha3' is not one of sha256, sha1, md5, crc32."


def test_terminated_upload_is_gone(server, push, create, head):
    location = create().headers["Location"]
    assert server.request("DELETE", location, headers={"Tus-Resumable": "1.0.0"}).status == 204
    answer = server.request("PATCH", location, DATA, {**PIECE, "Upload-Offset": "0"})
    identity = location.rpartition("/")[2]
    assert answer.status == 404
    assert answer.data["detail"].endswith(f"has no upload '{identity}'. It was dropped: send the file again.")
    assert head(location).status == 404
    assert server.request("GET", push).data["uploads"] == []


@pytest.mark.parametrize("version", [None, "0.2.2"])
@pytest.mark.parametrize("method", ["HEAD", "PATCH", "DELETE"])
def test_other_version_of_tus_is_412_with_ours(server, create, method, version):
    location = create().headers["Location"]
    headers = {} if version is None else {"Tus-Resumable": version}
    answer = server.request(method, location, headers=headers)
    assert answer.status == 412
    assert (answer.headers["Tus-Version"], answer.headers["Tus-Resumable"]) == ("1.0.0", "1.0.0")


@pytest.mark.parametrize(
    ("headers", "status", "detail"),
    [
        ({"Upload-Length": "x"}, 400, "The header Upload-Length must be a whole number of bytes from 0."),
        ({"Upload-Defer-Length": "1"}, 400, NO_LENGTH),
        ({"Upload-Metadata": ""}, 400, NO_PATH),
        ({"Upload-Metadata": "path é"}, 400, "Upload-Metadata: the value of 'path' is not UTF-8 text in base64."),
        (
            {"Upload-Metadata": metadata(path="../a")},
            400,
            "The path '../a' has the segment '..', which no file can be named.",
        ),
        ({"Upload-Metadata": metadata(path="a", digest="md5:1")}, 400, BAD_DIGEST),
        (
            {"Upload-Metadata": metadata(path="a", mode="0644")},
            400,
            "mode must be one of 100644, 100755, 120000, 040000.",
        ),
        ({"Upload-Metadata": metadata(path="a", mtime="now")}, 400, BAD_MTIME),
    ],
)
def test_upload_that_can_not_begin_says_why(create, headers, status, detail):
    answer = create(headers=headers.items())
    assert (answer.status, answer.data["detail"]) == (status, detail)


def test_bytes_of_another_type_are_415(server, create):
    location = create().headers["Location"]
    detail = "The bytes of an upload have the header Content-Type: application/offset+octet-stream."
    for answer in (
        server.request("PATCH", location, DATA, {"Tus-Resumable": "1.0.0", "Upload-Offset": "0"}),
        create(DATA, headers={"Content-Type": "application/octet-stream"}.items()),
    ):
        assert (answer.status, answer.data["detail"]) == (415, detail)


def test_post_stands_for_patch_where_only_posts_get_through(server, create):
    location = create().headers["Location"]
    headers = {**PIECE, "Upload-Offset": "0", "X-HTTP-Method-Override": "PATCH"}
    answer = server.request("POST", location, DATA, headers)
    assert (answer.status, answer.headers["Upload-Offset"]) == (204, str(len(DATA)))


def test_get_of_an_upload_is_405(server, create):
    answer = server.request("GET", create().headers["Location"])
    assert (answer.status, answer.headers["Allow"]) == (405, "DELETE, HEAD, OPTIONS, PATCH")


def test_upload_of_another_user_is_404(server, create):
    answer = server.request("HEAD", create().headers["Location"], headers={"Tus-Resumable": "1.0.0"}, user="eve")
    assert (answer.status, answer.headers["Tus-Resumable"]) == (404, "1.0.0")
