"""Bytes of files in one request each: a bundle up, a file or an archive down; and what of a file differs from another.

Requests for bytes are not tried again here.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from http import HTTPStatus
from urllib.parse import urlencode

from ebulk.model import FileEntry, Ingestion, Ranges
from ebulk.remote import documents
from ebulk.remote.documents import Received
from ebulk.remote.lake import data_set_path, file_path, ingestion_path
from ebulk.remote.session import Reply, Session


def send_bundle(session: Session, ingestion: Ingestion, length: int, blocks: Iterable[memoryview]) -> list[Received]:
    """Send a tar of `length` bytes; what the lake stored of it: all, or an error and nothing."""
    target = session.api(f"{ingestion_path(ingestion)}/bundle")
    headers = {"Content-Type": "application/x-tar", "Accept": "application/json"}
    with session.request("POST", target, expect=(200,), headers=headers, body=blocks, length=length) as reply:
        return [documents.received(item) for item in documents.items(reply.json(), "received")]


def open_file(session: Session, reference: str, version: int, entry: FileEntry, start: int, stop: int) -> Reply:
    """Ask for a file from byte `start` up to `stop`; `is_range` tells whether that is the answer.

    If not, 200 has all of the file, and 416 says it isn't that long.
    """
    target = session.api(f"{file_path(reference, entry.path)}?version={version}")
    if session.settings.codings.zstd:
        headers = {"Accept-Encoding": session.settings.codings.accept}
        return session.request("GET", f"{target}{_part(start, stop)}", expect=(200, 416), headers=headers)
    if not start and stop == entry.size:
        return session.request("GET", target, expect=(200,))
    last = str(stop - 1) if stop < entry.size else ""
    headers = {"Range": f"bytes={start}-{last}", "If-Range": f'"{entry.digest}"'}
    return session.request("GET", target, expect=(200, 206, 416), headers=headers)


def is_range(reply: Reply, entry: FileEntry, start: int, stop: int) -> bool:
    """Whether an answer of `open_file` is what was asked for: as a resource of its own, as a range, or the whole."""
    if reply.status == HTTPStatus.OK:
        return reply.target.endswith(_part(start, stop)) or (start, stop) == (0, entry.size)
    expected = f"bytes {start}-{stop - 1}/{entry.size}"
    return reply.status == HTTPStatus.PARTIAL_CONTENT and reply.headers.get("Content-Range") == expected


def _part(start: int, stop: int) -> str:
    """What makes some bytes of a file a resource, which may be encoded, unlike a range."""
    return f"&start={start}&stop={stop}"


def changed_ranges(session: Session, reference: str, version: int, entry: FileEntry, base: FileEntry) -> Ranges | None:
    """Which ranges of a file are not, at the same place, in another content; None where the lake does not know.

    Tried again when the connection breaks.
    """
    query = urlencode({"version": version, "base": base.digest})
    target = session.api(f"{file_path(reference, entry.path, 'delta')}?{query}")
    status, document = session.call("GET", target, expect=(200, 404, 405))
    return documents.changed_ranges(document, entry.size, base.size) if status == HTTPStatus.OK else None


def open_signature(session: Session, reference: str, path: str, digest: str, start: int = 0) -> Reply:
    """Ask for the digests of the blocks of a data set's newest file of this path, from byte `start` of them.

    404 or 405: there is none, or the lake is older; 412: the file's digest is another than `digest`.
    """
    target = session.api(file_path(reference, path, "signature"))
    headers = {"If-Match": f'"{digest}"'}
    if start:
        headers["Range"] = f"bytes={start}-"
    return session.request("GET", target, expect=(200, 206, 404, 405, 412), headers=headers)


def open_archive(session: Session, reference: str, version: int, paths: Sequence[str]) -> Reply:
    """Ask for some files as one tar, in this order."""
    target = session.api(f"{data_set_path(reference)}/archive?format=tar&version={version}")
    headers = {"Content-Type": "application/json", "Accept-Encoding": session.settings.codings.accept}
    body = json.dumps({"paths": paths}).encode()
    return session.request("POST", target, expect=(200,), headers=headers, body=body)
