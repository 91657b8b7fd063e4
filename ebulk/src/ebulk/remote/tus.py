"""Large files on their way up, by tus 1.0.0 (https://tus.io/protocols/resumable-upload): one request each.

Nothing is tried again here: after a broken request only the offset that the lake tells says how to go on, and that is
`transfer.upload`'s.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterable
from http import HTTPStatus

from ebulk.errors import EbulkError, NotFoundError
from ebulk.model import FileEntry, Ingestion, Upload
from ebulk.protocol import TUS_VERSION, seconds
from ebulk.remote.lake import ingestion_path
from ebulk.remote.session import Reply, Session

HEADERS = {"Tus-Resumable": TUS_VERSION}
GONE = (HTTPStatus.NOT_FOUND, HTTPStatus.GONE)


def create(session: Session, ingestion: Ingestion, entry: FileEntry) -> Upload:
    """Begin the upload of a file."""
    metadata = {"path": entry.path, "digest": entry.digest, "mtime": seconds(entry.mtime_ns), "mode": entry.mode}
    headers = {
        **HEADERS,
        "Upload-Length": str(entry.size),
        "Upload-Metadata": ",".join(f"{key} {b64encode(value.encode()).decode()}" for key, value in metadata.items()),
    }
    target = session.api(f"{ingestion_path(ingestion)}/uploads")
    with session.request("POST", target, expect=(201,), headers=headers, body=b"") as reply:
        location = reply.headers.get("Location")
        if not location:
            raise EbulkError("The lake's answer cannot be understood: it began an upload without a Location.")
        return Upload(location, entry.path, 0, entry.size, entry.digest)


def offset(session: Session, upload: Upload) -> int:
    """How many bytes the lake has of an upload. NotFoundError when it has none, or is done with it."""
    expect = (200, 204, *GONE)
    with session.request("HEAD", session.locate(upload.location), expect=expect, headers=HEADERS) as reply:
        if reply.status in GONE:
            # An answer to HEAD has no body that would say so.
            raise NotFoundError(f"The lake has no unfinished upload of {upload.path}.")
        return _offset(reply, upload)


def append(session: Session, upload: Upload, start: int, length: int, blocks: Iterable[memoryview]) -> int:
    """Send `length` bytes that begin at `start`; the offset that the lake has afterwards.

    Another than `start + length` when the lake had a different offset, which it says: nothing was stored then.
    """
    headers = {**HEADERS, "Upload-Offset": str(start), "Content-Type": "application/offset+octet-stream"}
    target = session.locate(upload.location)
    with session.request("PATCH", target, expect=(204, 409), headers=headers, body=blocks, length=length) as reply:
        if reply.status == HTTPStatus.CONFLICT and "Upload-Offset" not in reply.headers:
            raise session.refused(reply)
        return _offset(reply, upload)


def _offset(reply: Reply, upload: Upload) -> int:
    value = reply.headers.get("Upload-Offset", "")
    if not value.isdecimal() or int(value) > upload.length:
        raise EbulkError(
            f"The lake's answer cannot be understood: the upload of {upload.path} is at {value or 'no offset'!r}."
        )
    return int(value)
