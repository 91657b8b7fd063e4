"""Uploads that start from a content of their data set: what is sent, what is stored, and what is verified."""

from __future__ import annotations

import hashlib

import pytest

from Products.ERP5Wendelin.storage.block import BLOCK_SIZE
from support.http_server import Response, Server
from support.pattern import pattern
from support.push import TUS, metadata

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


def send(server: Server, push: str, new: bytes, base: bytes, **values: str) -> int:
    """Send a file as told; how many bytes that took."""
    named = {"base": digest_of(base), "base_length": str(len(base)), "digest": digest_of(new), **values}
    created = create(server, push, len(new), **named)
    location = created.headers["Location"]
    offset, sent = offset_of(created), 0
    while offset < len(new):
        body = new[offset : offset + B]
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
