"""Bytes of files in one request each: a bundle up, a file or an archive down. Nothing is tried again here."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence

from ebulk.model import FileEntry, Ingestion
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


def open_file(session: Session, reference: str, version: int, entry: FileEntry, start: int = 0) -> Reply:
    """Ask for a file from byte `start`: 206 has the rest, 200 all of it (asked or not), 416 says it isn't that long."""
    target = session.api(f"{file_path(reference, entry.path)}?version={version}")
    if not start:
        return session.request("GET", target, expect=(200,))
    headers = {"Range": f"bytes={start}-", "If-Range": f'"{entry.digest}"'}
    return session.request("GET", target, expect=(200, 206, 416), headers=headers)


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
    headers = {"Content-Type": "application/json"}
    body = json.dumps({"paths": paths}).encode()
    return session.request("POST", target, expect=(200,), headers=headers, body=body)
