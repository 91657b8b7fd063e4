"""The elements of an array in one request each. Requests for them are not tried again here."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from http import HTTPStatus
from urllib.parse import urlencode

from ebulk.errors import EbulkError
from ebulk.remote import documents, failure
from ebulk.remote.lake import array_path
from ebulk.remote.session import Reply, Session

NPY = "npy"
RAW = "raw"

SNAPSHOT = "Array-Snapshot"
"""The header that says which state an answer is of."""

NPY_TYPE = "application/octet-stream"
"""There is no registered type for .npy."""

PATIENCE = 600.0
"""Seconds until a lake has stored what it was sent, and says so."""

_CONTENT_RANGE = re.compile(r"bytes (?:(\d{1,18})-\d{1,18}|\*)/(\d{1,18})", re.ASCII)


@dataclass(frozen=True, slots=True)
class ArrayPart:
    """What of an array is wanted: a slice, as `0:100,::2` ("" is everything), as .npy or raw, of some state."""

    reference: str
    slice: str = ""
    format: str = NPY
    snapshot: str | None = None
    """None is the newest state."""


@dataclass(frozen=True, slots=True)
class Opened:
    """An answer with bytes of a part, of which the first is at `offset`; `total` is how many the part has."""

    reply: Reply
    offset: int
    total: int
    snapshot: str | None


class OutsideError(EbulkError):
    """Bytes were asked for that a part does not have."""

    def __init__(self, reference: str, start: int, total: int) -> None:
        super().__init__(
            f"The lake has {total:,} bytes of this part of the array {reference!r}, and none from byte {start:,} on.",
            "Ask for all of it anew.",
        )


class UploadOffsetError(EbulkError):
    """A piece of an upload does not begin where the lake has its end, at `offset`."""

    def __init__(self, offset: int) -> None:
        super().__init__(f"The lake has the upload up to byte {offset:,}.", failure.RESUME_HINT)
        self.offset = offset


def open_part(session: Session, part: ArrayPart, start: int, stop: int) -> Opened:
    """Ask for the bytes of a part from offset `start` up to `stop`, or to its end if that is before.

    The answer may begin before `start`. One that begins at the end has no bytes. OutsideError: the end is before.
    """
    target = session.api(f"{array_path(part.reference)}/data?{urlencode(_query(part))}")
    headers = {"Range": f"bytes={start}-{stop - 1}"}
    reply = session.request("GET", target, expect=(200, 206, 416), headers=headers)
    try:
        offset, total = _extent(session, reply)
        if offset > start or (reply.status == HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE and start != total):
            raise OutsideError(part.reference, start, total)
    except BaseException:
        reply.close()
        raise
    return Opened(reply, offset, total, reply.headers.get(SNAPSHOT))


def put_npy(session: Session, reference: str, slice: str | None, length: int, blocks: Iterable[memoryview]) -> None:
    """Write .npy bytes into a slice of an array ("" is all of it); or, where that is None, in place of the array."""
    query = "" if slice is None else f"?{urlencode({'slice': slice or '...'})}"
    target = session.api(f"{array_path(reference)}/data{query}")
    headers = {"Content-Type": NPY_TYPE, "Accept": "application/json"}
    expect = (200, 201, 204)
    with session.request(
        "PUT", target, expect=expect, headers=headers, body=blocks, length=length, patience=PATIENCE
    ) as reply:
        reply.drain()


def put_piece(
    session: Session, reference: str, key: str, start: int, total: int, length: int, blocks: Iterable[memoryview]
) -> bool:
    """Send `length` bytes, from byte `start` on, of a .npy file of `total` that is to be all of the array.

    `key` tells uploads apart. Whether it is there now: the last piece makes it so, at once. UploadOffsetError, and
    nothing is stored: the lake has another number of bytes of this upload.
    """
    target = session.api(f"{array_path(reference)}/data")
    headers = {
        "Content-Type": NPY_TYPE,
        "Accept": "application/json",
        "Idempotency-Key": key,
        "Content-Range": f"bytes {start}-{start + length - 1}/{total}",
    }
    with session.request(
        "PUT", target, expect=(200, 201, 202, 409), headers=headers, body=blocks, length=length, patience=PATIENCE
    ) as reply:
        if reply.status == HTTPStatus.CONFLICT:
            offset = reply.headers.get("Upload-Offset", "")
            if not offset.isdecimal() or int(offset) > total:
                raise session.refused(reply)
            raise UploadOffsetError(int(offset))
        reply.drain()
        return reply.status != HTTPStatus.ACCEPTED


def append_npy(
    session: Session, reference: str, key: str, length: int, blocks: Iterable[memoryview]
) -> tuple[int, ...]:
    """Append the elements of .npy bytes to an array, of which the shape then is returned.

    Once only, however often it is asked for with the same `key`.
    """
    target = session.api(f"{array_path(reference)}/data")
    headers = {"Content-Type": NPY_TYPE, "Accept": "application/json", "Idempotency-Key": key}
    with session.request(
        "POST", target, expect=(200, 201), headers=headers, body=blocks, length=length, patience=PATIENCE
    ) as reply:
        return documents.array_shape(reply.json())


def _query(part: ArrayPart) -> dict[str, str]:
    given = {"format": part.format, "slice": part.slice, "snapshot": part.snapshot}
    return {name: value for name, value in given.items() if value}


def _extent(session: Session, reply: Reply) -> tuple[int, int]:
    """Where an answer's first byte is, and how many bytes there are in all."""
    found = _CONTENT_RANGE.fullmatch(reply.headers.get("Content-Range", ""))
    length = reply.headers.get("Content-Length", "")
    if reply.status == HTTPStatus.OK and length.isascii() and length.isdigit():
        return 0, int(length)
    if found is not None and (found[1] is None) == (reply.status != HTTPStatus.PARTIAL_CONTENT):
        return int(found[1] or found[2]), int(found[2])
    raise failure.not_a_lake(session.settings.url, f"HTTP {reply.status} without a length")
