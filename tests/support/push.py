"""Files into a data set, by the API as a client would."""

from __future__ import annotations

import io
import tarfile
from base64 import b64encode
from collections.abc import Mapping
from typing import Any

from support.http_server import Server

TUS = {"Tus-Resumable": "1.0.0", "Content-Type": "application/offset+octet-stream"}


def metadata(**values: str) -> str:
    """Value of the header Upload-Metadata."""
    return ",".join(f"{key} {b64encode(value.encode()).decode()}" for key, value in values.items())


def tar(files: Mapping[str, bytes], mtime: float = 1700000000.123456789) -> bytes:
    """A bundle of regular files."""
    target = io.BytesIO()
    with tarfile.open(fileobj=target, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for path, content in files.items():
            member = tarfile.TarInfo(path)
            member.size, member.mtime = len(content), mtime
            archive.addfile(member, io.BytesIO(content))
    return target.getvalue()


def push(server: Server, reference: str, files: Mapping[str, bytes], message: str = "", user: str = "ada") -> Any:
    """Make a version of a data set, with these files added or replaced; return what `stop` answered."""
    server.request("PUT", f"/data-sets/{reference}", user=user)
    started = server.request("POST", f"/data-sets/{reference}/ingestions", {"message": message}, user=user)
    location = started.headers["Location"]
    assert server.request("POST", f"{location}/bundle", tar(files), user=user).status == 200
    stopped = server.request("POST", f"{location}/stop", user=user)
    assert stopped.status == 200, stopped.body
    return stopped.data
