"""The bytes and records of a stream in one request each. Requests for them are not tried again here."""

from __future__ import annotations

import re
from dataclasses import dataclass
from http import HTTPStatus
from urllib.parse import urlencode

from ebulk.errors import EbulkError
from ebulk.protocol import seconds
from ebulk.remote import failure
from ebulk.remote.lake import stream_path
from ebulk.remote.session import Reply, Session

PATIENCE = 600.0
"""Seconds until records come: for an array a lake reads them all before it can say what fields there are."""

_CONTENT_RANGE = re.compile(r"bytes (?:(\d{1,18})-\d{1,18}|\*)/(\d{1,18})", re.ASCII)


@dataclass(frozen=True, slots=True)
class Extent:
    """What a lake keeps of a stream: the bytes from offset `start` up to `size`."""

    start: int
    size: int


class OutsideError(EbulkError):
    """Bytes were asked for that the lake does not keep, or not yet; `extent` is what it keeps."""

    def __init__(self, reference: str, offset: int, extent: Extent) -> None:
        super().__init__(
            f"The lake does not have byte {offset:,} of the stream {reference!r}, "
            f"but those from {extent.start:,} up to {extent.size:,}."
        )
        self.extent = extent


@dataclass(frozen=True, slots=True)
class Opened:
    """An answer with bytes, of which the first is at `offset` of the stream."""

    reply: Reply
    offset: int
    extent: Extent


def open_bytes(session: Session, reference: str, start: int | None = None, stop: int | None = None) -> Opened:
    """Ask for the bytes from offset `start`, or from the first that is kept, up to `stop`, or all there are.

    The answer may begin before `start`. OutsideError: there are none from `start` on.
    """
    target = session.api(stream_path(reference))
    headers = {} if start is None else {"Range": f"bytes={start}-{'' if stop is None else stop - 1}"}
    reply = session.request("GET", target, expect=(200, 206, 416), headers=headers)
    try:
        opened = _opened(session, reply)
        asked = opened.offset if start is None else start
        if reply.status == HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE or opened.offset > asked:
            raise OutsideError(reference, asked, opened.extent)
    except BaseException:
        reply.close()
        raise
    return opened


def extent(session: Session, reference: str) -> Extent:
    """What the lake keeps of a stream."""
    target = session.api(stream_path(reference))
    with session.request("GET", target, expect=(200, 206, 416), headers={"Range": "bytes=-1"}) as reply:
        return _opened(session, reply).extent


def open_records(session: Session, reference: str, format: str, since: int | None, until: int | None) -> Reply:
    """Ask for the records with times from `since` up to `until`, in nanoseconds since the epoch, in some format."""
    query = {"format": format} | _times(since, until)
    target = session.api(f"{stream_path(reference)}?{urlencode(query)}")
    headers = {"Accept-Encoding": session.settings.codings.accept}
    return session.request("GET", target, expect=(200,), headers=headers, patience=PATIENCE)


def open_events(session: Session, reference: str, last_id: str | None, since: int | None) -> Reply:
    """Ask for the records with times from `since` on, as they arrive; behind the event `last_id`, if there was one.

    Without both, for those that arrive from now on: the lake first says where that is.
    """
    headers = {"Accept": "text/event-stream"} | ({} if last_id is None else {"Last-Event-ID": last_id})
    query = _times(since, None)
    path = stream_path(reference)
    target = session.api(f"{path}?{urlencode(query)}" if query else path)
    reply = session.request("GET", target, expect=(200,), headers=headers)
    kind = reply.headers.get("Content-Type", "nothing").partition(";")[0].strip().lower()
    if kind != "text/event-stream":
        reply.close()
        raise failure.not_a_lake(session.settings.url, f"HTTP {reply.status} with {kind}")
    return reply


def _opened(session: Session, reply: Reply) -> Opened:
    """What the headers of an answer with bytes say."""
    start = _number(reply, "Stream-Start") or 0
    found = _CONTENT_RANGE.fullmatch(reply.headers.get("Content-Range", ""))
    if reply.status == HTTPStatus.OK:
        length = _number(reply, "Content-Length")
        if length is not None:
            return Opened(reply, start, Extent(start, start + length))
    elif found is not None and (found[1] is None) == (reply.status != HTTPStatus.PARTIAL_CONTENT):
        return Opened(reply, int(found[1] or found[2]), Extent(start, int(found[2])))
    raise failure.not_a_lake(session.settings.url, f"HTTP {reply.status} without a length")


def _number(reply: Reply, name: str) -> int | None:
    value = reply.headers.get(name, "")
    return int(value) if value.isascii() and value.isdigit() and len(value) <= 18 else None


def _times(since: int | None, until: int | None) -> dict[str, str]:
    return {name: seconds(value) for name, value in (("since", since), ("until", until)) if value is not None}
