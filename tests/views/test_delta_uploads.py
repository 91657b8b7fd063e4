"""Uploads that start from a content of their data set: what is sent, what is stored, and what is verified."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

import pytest
import tusclient.client
from backports import zstd

from Products.ERP5Wendelin.ingestion import upload as receiver
from Products.ERP5Wendelin.storage.block import BLOCK_SIZE
from Products.ERP5Wendelin.storage.digest import RunningDigests
from support.http_server import Response, Server, basic
from support.pattern import pattern
from support.push import TUS, metadata, push
from support.site import PASSWORD

B = BLOCK_SIZE
BASE = pattern(0, 4 * B + 5000)


def digest_of(content: bytes) -> str:
    return f"sha-256:{hashlib.sha256(content).hexdigest()}"


def begin(server: Server, reference: str = "brain") -> str:
    """The URL of a new push."""
    server.request("PUT", f"/data-sets/{reference}")
    return server.request("POST", f"/data-sets/{reference}/ingestions").headers["Location"]


def create(server: Server, push: str, length: int, body: bytes | None = None, **values: str) -> Response:
    """Begin an upload."""
    sent = {**TUS, "Upload-Length": str(length), "Upload-Metadata": metadata(**{"path": "big", **values})}
    return server.request("POST", f"{push}/uploads", body, sent)


def patch(server: Server, location: str, offset: int, body: bytes) -> Response:
    """Send a piece."""
    return server.request("PATCH", location, body, {**TUS, "Upload-Offset": str(offset)})


def offset_of(answer: Response) -> int:
    """Where the sender is told to go on."""
    assert answer.status in (200, 201, 204), answer.body
    return int(answer.headers["Upload-Offset"])


def send(
    server: Server, push: str, new: bytes, base: bytes, ranges: Sequence[tuple[int, int]] = (), **values: str
) -> int:
    """Send a file as told, range by range; how many bytes that took."""
    named = {"base": digest_of(base), "base_length": str(len(base)), "digest": digest_of(new), **values}
    created = create(server, push, len(new), **named)
    location = created.headers["Location"]
    offset, sent = offset_of(created), 0
    while offset < len(new):
        body = new[offset : next((stop for start, stop in ranges if start <= offset < stop), len(new))]
        sent += len(body)
        offset = offset_of(patch(server, location, offset, body))
        assert int(server.request("HEAD", location, headers=TUS).headers["Upload-Offset"]) == offset
    return sent


@pytest.fixture
def with_base(server: Server) -> Server:
    """A server whose data set `brain` has BASE as `big`."""
    location = begin(server)
    created = create(server, location, len(BASE), BASE)
    assert offset_of(created) == len(BASE)
    assert server.request("POST", f"{location}/stop").status == 200
    return server


def test_of_a_file_that_has_grown_only_the_new_end_is_sent(with_base: Server) -> None:
    new = BASE + pattern(7, 3 * B)
    location = begin(with_base)
    assert send(with_base, location, new, BASE) == len(new) - len(BASE)
    assert with_base.request("POST", f"{location}/stop").data["modified"] == 1
    assert with_base.request("GET", "/data-sets/brain/files/big").body == new
    assert with_base.request("GET", "/data-sets/brain/files/big?version=1").body == BASE


def test_of_a_file_that_changed_inside_only_the_changed_ranges_are_sent(with_base: Server) -> None:
    new = pattern(3, 3 + B) + BASE[B : 3 * B] + b"x" * 100 + BASE[3 * B + 100 :] + b"more"
    location = begin(with_base)
    changed = f"0-{B - 1},{3 * B}-{3 * B + 99}"
    assert send(with_base, location, new, BASE, [(0, B), (3 * B, 3 * B + 100)], changed=changed) == B + 100 + 4
    with_base.request("POST", f"{location}/stop")
    assert with_base.request("GET", "/data-sets/brain/files/big").body == new


def test_an_upload_with_nothing_to_send_is_complete_when_it_is_created(with_base: Server) -> None:
    new = BASE[: 2 * B + 100]
    location = begin(with_base)
    named = {"base": digest_of(BASE), "base_length": str(len(BASE)), "digest": digest_of(new)}
    created = create(with_base, location, len(new), **named)
    assert (offset_of(created), created.headers["Upload-Expires"]) == (len(new), None)
    assert with_base.request("GET", location).data["uploads"] == []
    assert with_base.request("POST", f"{location}/stop").data["modified"] == 1


def test_a_resumed_push_is_told_where_the_upload_is(with_base: Server) -> None:
    location = begin(with_base)
    created = create(with_base, location, len(BASE) + 5, base=digest_of(BASE), base_length=str(len(BASE)))
    (listed,) = with_base.request("GET", location).data["uploads"]
    assert (listed["offset"], listed["length"]) == (len(BASE), len(BASE) + 5)
    wrong = patch(with_base, created.headers["Location"], 0, BASE[:10])
    assert (wrong.status, wrong.headers["Upload-Offset"]) == (409, str(len(BASE)))


def test_a_content_that_came_in_a_bundle_is_sent_as_a_whole(server: Server) -> None:
    small = pattern(0, 1000)
    push(server, "brain", {"small": small, "other": b"x"})
    assert send(server, begin(server), small + b"more", small) == 1004


def test_a_content_of_a_data_set_is_of_no_use_in_another(with_base: Server) -> None:
    new = BASE + b"more"
    assert send(with_base, begin(with_base, "heart"), new, BASE) == len(new)


def test_a_wrong_base_is_422_at_the_end_and_the_upload_is_dropped(with_base: Server) -> None:
    location = begin(with_base)
    new = b"other" + BASE[5:] + b"more"
    named = {"base": digest_of(BASE), "base_length": str(len(BASE)), "digest": digest_of(new)}
    upload = create(with_base, location, len(new), **named).headers["Location"]
    answer = patch(with_base, upload, len(BASE), b"more")
    assert (answer.status, answer.data["paths"]) == (422, ["big"])
    assert with_base.request("HEAD", upload, headers=TUS).status == 404
    assert send(with_base, location, new, b"unknown") == len(new)


BASED = {"base": digest_of(b"x"), "base_length": "1"}
DIGEST = BASED["base"]
SIZE = "must be a whole number of bytes from 0."
RANGES = "Upload-Metadata: 'changed' must be ranges of bytes such as 0-2097151,8388608-10485759."
ORDER = "Upload-Metadata: the ranges of 'changed' must ascend and not overlap; {} does not."


@pytest.mark.parametrize(
    ("values", "detail"),
    [
        ({"base": "x"}, "base must be 'sha-256:' and 64 hexadecimal digits in lower case."),
        ({"base": DIGEST}, "Upload-Metadata: 'base_length' is missing."),
        ({"base": DIGEST, "base_length": "-1"}, f"Upload-Metadata: 'base_length' {SIZE}"),
        ({"base": DIGEST, "base_length": str(2**63)}, f"Upload-Metadata: 'base_length' {SIZE}"),
        ({"base_length": "1"}, "Upload-Metadata: 'base_length' says something of 'base', which is missing."),
        ({"changed": "0-1"}, "Upload-Metadata: 'changed' says something of 'base', which is missing."),
        ({**BASED, "changed": "bytes=0-1"}, RANGES),
        ({**BASED, "changed": "0-1,"}, RANGES),
        ({**BASED, "changed": "5-"}, RANGES),
        ({**BASED, "changed": "-5"}, RANGES),
        ({**BASED, "changed": "٣-٤"}, RANGES),
        ({**BASED, "changed": "5-4"}, ORDER.format("5-4")),
        ({**BASED, "changed": "5-9,9-10"}, ORDER.format("9-10")),
        ({**BASED, "changed": "5-9,0-1"}, ORDER.format("0-1")),
        (
            {**BASED, "changed": "0-99,100-1000"},
            "Upload-Metadata: 'changed' has 100-1000, behind the end of a file of 1000 bytes.",
        ),
        (
            {**BASED, "changed": ",".join(f"{n}-{n}" for n in range(0, 514, 2))},
            "Upload-Metadata: 'changed' has 257 ranges; 256 are possible. Join neighbours.",
        ),
    ],
)
def test_what_cannot_be_understood_is_400_and_said(server: Server, values: dict[str, str], detail: str) -> None:
    answer = create(server, begin(server), 1000, **values)
    assert (answer.status, answer.data["detail"]) == (400, detail)


@pytest.mark.parametrize("changed", ["", "0-999", "0-0, 999-999", ",".join(f"{n}-{n}" for n in range(0, 512, 2))])
def test_ranges_that_can_be_understood_begin_an_upload(server: Server, changed: str) -> None:
    answer = create(server, begin(server), 1000, changed=changed, **BASED)
    assert offset_of(answer) == 0


def test_a_digest_that_takes_longer_than_a_request_is_503_until_it_is_known(
    with_base: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(receiver, "LAST_CATCH_UP_LIMIT", 2 * B)
    monkeypatch.setattr(receiver, "_COMPLETE", RunningDigests())
    location = begin(with_base)
    named = {"base": digest_of(BASE), "base_length": str(len(BASE)), "digest": digest_of(BASE + b"more")}
    upload = create(with_base, location, len(BASE) + 4, **named).headers["Location"]
    for verified in (2 * B, 4 * B):
        answer = patch(with_base, upload, len(BASE), b"more")
        assert (answer.status, answer.headers["Retry-After"], answer.data["verified"]) == (503, "1", verified)
        assert answer.data["detail"].startswith(f"The server verifies 'big': it has read {verified} of the bytes")
    assert offset_of(patch(with_base, upload, len(BASE), b"more")) == len(BASE) + 4
    assert with_base.request("POST", f"{location}/stop").status == 200
    assert with_base.request("GET", "/data-sets/brain/files/big").body == BASE + b"more"


def test_tuspy_goes_on_where_the_base_ends(with_base: Server, tmp_path: Path) -> None:
    source = tmp_path / "big"
    source.write_bytes(BASE + pattern(1, 3 * B))
    location = begin(with_base)
    client = tusclient.client.TusClient(f"{location}/uploads", headers={"Authorization": basic("ada", PASSWORD)})
    named = {"filename": "big", "base": digest_of(BASE), "base_length": str(len(BASE))}
    uploader = client.uploader(str(source), chunk_size=B, metadata=named, retries=1, retry_delay=0)
    uploader.upload_chunk()
    assert uploader.offset == len(BASE) + B
    uploader.upload()
    assert with_base.request("POST", f"{location}/stop").status == 200
    assert with_base.request("GET", "/data-sets/brain/files/big").body == source.read_bytes()


def test_a_piece_in_zstd_moves_on_too(with_base: Server) -> None:
    new = b"a" * B + BASE[B:] + b"b" * 1000
    location = begin(with_base)
    named = {"base": digest_of(BASE), "base_length": str(len(BASE)), "digest": digest_of(new)}
    upload = create(with_base, location, len(new), changed=f"0-{B - 1}", **named).headers["Location"]
    offset = 0
    for start, stop, reached in ((0, B, len(BASE)), (len(BASE), len(new), len(new))):
        assert offset == start
        sent = {**TUS, "Upload-Offset": str(offset), "Content-Encoding": "zstd"}
        offset = offset_of(with_base.request("PATCH", upload, zstd.compress(new[start:stop]), sent))
        assert offset == reached
    assert with_base.request("POST", f"{location}/stop").status == 200
    assert with_base.request("GET", "/data-sets/brain/files/big").body == new
