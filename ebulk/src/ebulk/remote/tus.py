"""Large files on their way up, by tus 1.0.0 (https://tus.io/protocols/resumable-upload): one request each.

Nothing is tried again here: after a broken request only the offset that the lake tells says how to go on, and that is
`transfer.upload`'s.
"""

from __future__ import annotations

from base64 import b64decode, b64encode
from collections.abc import Iterable
from dataclasses import replace
from http import HTTPStatus
from itertools import chain
from typing import NamedTuple

from ebulk.errors import EbulkError, NotFoundError
from ebulk.model import Ingestion, LocalFile, Ranges, Upload
from ebulk.protocol import TUS_VERSION, seconds
from ebulk.remote.lake import ingestion_path
from ebulk.remote.session import Reply, Session

HEADERS = {"Tus-Resumable": TUS_VERSION}
MEDIA_TYPE = "application/offset+octet-stream"
GONE = (HTTPStatus.NOT_FOUND, HTTPStatus.GONE)


class Standing(NamedTuple):
    """Where an upload is: how many bytes the lake has, and which were announced as those to be sent (None: all)."""

    offset: int
    changed: Ranges | None


def create(
    session: Session,
    ingestion: Ingestion,
    file: LocalFile,
    changed: Ranges | None = None,
    blocks: Iterable[memoryview] | None = None,
) -> Upload:
    """Begin the upload of a file: all of it, or only what changed since its base, as far as the lake can use that.

    With `blocks` all of the file is sent at once (creation-with-upload). The upload's offset is behind what was sent,
    and what the lake takes over at once.
    """
    entry, base = file.entry, file.base
    metadata = {"path": entry.path, "digest": entry.digest, "mtime": seconds(entry.mtime_ns), "mode": entry.mode}
    if changed is not None and base is not None:
        metadata |= {"base": base.digest, "base_length": str(base.size), "changed": _ranges_text(changed)}
    headers = {
        **HEADERS,
        "Upload-Length": str(entry.size),
        "Upload-Metadata": ",".join(f"{key} {b64encode(value.encode()).decode()}" for key, value in metadata.items()),
    }
    if blocks is not None:
        headers["Content-Type"] = MEDIA_TYPE
    body, length = (b"", 0) if blocks is None else (blocks, entry.size)
    target = session.api(f"{ingestion_path(ingestion)}/uploads")
    with session.request("POST", target, expect=(201,), headers=headers, body=body, length=length) as reply:
        location = reply.headers.get("Location")
        if not location:
            raise EbulkError("The lake's answer cannot be understood: it began an upload without a Location.")
        upload = Upload(location, entry.path, 0, entry.size, entry.digest)
        return replace(upload, offset=_offset(reply, upload)) if "Upload-Offset" in reply.headers else upload


def look(session: Session, upload: Upload) -> Standing:
    """Where an upload is. NotFoundError when the lake has none of it, or is done with it."""
    expect = (200, 204, *GONE)
    with session.request("HEAD", session.locate(upload.location), expect=expect, headers=HEADERS) as reply:
        if reply.status in GONE:
            # An answer to HEAD has no body that would say so.
            raise NotFoundError(f"The lake has no unfinished upload of {upload.path}.")
        return Standing(_offset(reply, upload), _announced(reply, upload))


def append(session: Session, upload: Upload, start: int, length: int, blocks: Iterable[memoryview]) -> int:
    """Send `length` bytes that begin at `start`; the offset that the lake has afterwards.

    Another than `start + length` when the lake had a different offset, which it says: nothing was stored then.
    """
    headers = {**HEADERS, "Upload-Offset": str(start), "Content-Type": MEDIA_TYPE}
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


def _announced(reply: Reply, upload: Upload) -> Ranges | None:
    """The ranges that were announced when the upload began, which the lake repeats; None for what is none of ours."""
    for pair in reply.headers.get("Upload-Metadata", "").split(","):
        key, _, value = pair.strip().partition(" ")
        if key == "changed":
            try:
                return _ranges(b64decode(value).decode(), upload.length)
            except ValueError:
                return None
    return None


def _ranges_text(ranges: Ranges) -> str:
    """Ranges in HTTP's notation: first and last byte."""
    return ",".join(f"{start}-{stop - 1}" for start, stop in ranges)


def _ranges(text: str, length: int) -> Ranges:
    """The reverse. ValueError for what are no ranges of a file of this length."""
    bounds = [tuple(map(int, part.split("-"))) for part in text.split(",")] if text else []
    ranges = tuple((first, last + 1) for first, last in bounds)
    edges = [0, *chain.from_iterable(ranges), length]
    if edges != sorted(edges):
        raise ValueError(f"no ranges: {text}")
    return ranges
