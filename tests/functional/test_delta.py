"""An upload that starts from a content of its data set, while its server is killed."""

from __future__ import annotations

import http.client
from base64 import b64encode
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from support.lake import PASSWORD, ServedLake, served_lake
from support.pattern import pattern
from support.push import TUS, metadata

OLD = pattern(0, 9_000_000)
NEW = OLD[:3_000_000] + b"edited" + OLD[3_000_006:] + pattern(5, 2_000_000)


@pytest.fixture
def lake(tmp_path: Path) -> Iterator[ServedLake]:
    """A lake that is served."""
    with served_lake(tmp_path) as lake:
        lake.add_user("ada", "contributor")
        yield lake


def request(
    lake: ServedLake, method: str, path: str, body: bytes | None = None, **headers: str
) -> tuple[http.client.HTTPResponse, bytes]:
    """One request; `path` is below /api/v1, or an absolute URL."""
    url = urlsplit(path if path.startswith("http") else f"{lake.url}/api/v1{path}")
    credentials = {"Authorization": f"Basic {b64encode(f'ada:{PASSWORD}'.encode()).decode()}"}
    connection = http.client.HTTPConnection(url.netloc, timeout=60)
    try:
        connection.request(method, url.path, body, {**TUS, **credentials, **headers})
        answer = connection.getresponse()
        return answer, answer.read()
    finally:
        connection.close()


def upload(lake: ServedLake, push: str, content: bytes, **values: str) -> tuple[str, int]:
    """Begin an upload; its URL and its offset."""
    named = metadata(path="big", digest=f"sha-256:{sha256(content).hexdigest()}", **values)
    headers = {"Upload-Length": str(len(content)), "Upload-Metadata": named}
    answer, body = request(lake, "POST", f"{push}/uploads", **headers)
    assert answer.status == 201, body
    return answer.headers["Location"], int(answer.headers["Upload-Offset"])


def patch(lake: ServedLake, url: str, offset: int, piece: bytes) -> int:
    """Send a piece; the new offset."""
    answer, body = request(lake, "PATCH", url, piece, **{"Upload-Offset": str(offset)})
    assert answer.status == 204, body
    return int(answer.headers["Upload-Offset"])


def start(lake: ServedLake) -> str:
    """The URL of a new push."""
    return str(request(lake, "POST", "/data-sets/brain/ingestions")[0].headers["Location"])


def restart(lake: ServedLake) -> None:
    """Kill the server, and start it again."""
    lake.kill()
    lake.start()


def test_an_upload_with_a_base_goes_on_after_its_server_was_killed_at_every_step(lake: ServedLake) -> None:
    request(lake, "PUT", "/data-sets/brain")
    push = start(lake)
    url, offset = upload(lake, push, OLD)
    assert patch(lake, url, offset, OLD) == len(OLD)
    assert request(lake, "POST", f"{push}/stop")[0].status == 200

    push = start(lake)
    base = {"base": f"sha-256:{sha256(OLD).hexdigest()}", "base_length": str(len(OLD)), "changed": "3000000-3000005"}
    url, offset = upload(lake, push, NEW, **base)
    assert offset == 3_000_000
    restart(lake)
    assert request(lake, "HEAD", url)[0].headers["Upload-Offset"] == str(offset)
    assert patch(lake, url, offset, b"edited") == len(OLD)
    restart(lake)
    assert patch(lake, url, len(OLD), NEW[len(OLD) : -10]) == len(NEW) - 10
    restart(lake)
    assert patch(lake, url, len(NEW) - 10, NEW[-10:]) == len(NEW)
    restart(lake)
    assert request(lake, "POST", f"{push}/stop")[0].status == 200
    assert request(lake, "GET", "/data-sets/brain/files/big")[1] == NEW
