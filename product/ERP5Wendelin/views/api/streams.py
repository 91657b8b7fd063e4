"""`/streams` and `/streams/{stream*}`: the streams that agents append to, as bytes, as records, and as events."""

from __future__ import annotations

import re
import time
from datetime import datetime, timezone
from typing import Any

from Products.ERP5Wendelin.content.date_time import NANOSECONDS, date_time, nanoseconds
from Products.ERP5Wendelin.content.records import TIME_MAX, TIME_MIN
from Products.ERP5Wendelin.content.timed_records import Wanted
from Products.ERP5Wendelin.download import ranges, tail
from Products.ERP5Wendelin.download.growth import LONGEST, grown, turn
from Products.ERP5Wendelin.download.record_export import RecordExport
from Products.ERP5Wendelin.download.stored_stream import Extent, StoredStream, extent_of
from Products.ERP5Wendelin.errors import BadInput, RangeNotSatisfiable
from Products.ERP5Wendelin.views.answer import Answer, no_content
from Products.ERP5Wendelin.views.api.files import MEDIA_TYPE, select
from Products.ERP5Wendelin.views.call import Call
from Products.ERP5Wendelin.views.coding import encoded_stream
from Products.ERP5Wendelin.views.paging import page_by_reference
from Products.ERP5Wendelin.views.query import DIGITS_MAX, Query
from Products.ERP5Wendelin.views.wire import content_disposition, format_date, parse_mtime_text

RAW = "raw"
TYPES = {RAW: MEDIA_TYPE, "msgpack": "application/msgpack", "jsonl": "application/x-ndjson", "npy": MEDIA_TYPE}
"""What `format` may be, and the media types of answers."""

CACHING = {"Cache-Control": "private, no-cache"}
HEADERS = {**CACHING, "X-Content-Type-Options": "nosniff"}

_SECONDS = re.compile(r"-?[0-9]{1,10}(\.[0-9]{1,9})?")
_ZONED = re.compile(r"(\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d(?:\.\d{1,9})?)(?:[Zz]|([+ -])(\d\d:\d\d))", re.ASCII)
_FROM = re.compile(r"bytes=([0-9]{1,18})-", re.ASCII)


def search(call: Call) -> dict[str, Any]:
    """GET /streams: those the caller may see."""
    return page_by_reference(call.query, call.site.data_stream_module.searchDataStreams, describe)


def describe(stream: Any) -> dict[str, Any]:
    """A stream as plain data."""
    arrival = stream.getArrivalTime()
    return {
        "reference": stream.getReference(),
        "title": stream.getTitle(),
        "state": stream.getValidationState(),
        "start": stream.getStartOffset(),
        "size": stream.getSize(),
        "modified": arrival and format_date(datetime.fromtimestamp(arrival // NANOSECONDS, timezone.utc)),
    }


def read(call: Call) -> Answer:
    """GET and HEAD /streams/{reference}."""
    stream = call.data_stream
    extent = extent_of(stream)
    call.headers["Stream-Start"] = str(extent.start)
    form = call.query.text("format", RAW)
    if form not in TYPES:
        raise BadInput(f"There is no format {form!r}. Formats are: {', '.join(TYPES)}.")
    since, until = parse_time(call.query, "since", TIME_MIN), parse_time(call.query, "until", TIME_MAX)
    if tail.MEDIA_TYPE in (call.header("Accept") or ""):
        return _events(call, extent, since, until)
    if form != RAW:
        return _records(call, form, Wanted(extent.start, extent.size, since, until))
    if call.query.text("since") or call.query.text("until"):
        raise BadInput("since and until choose records, not bytes: add format=msgpack, jsonl or npy.")
    return _bytes(call, stream, extent)


def parse_time(query: Query, name: str, default: int) -> int:
    """A time in nanoseconds: of seconds since 1970, or RFC 3339 with a zone, whose unescaped `+` comes as a space."""
    text = query.text(name)
    if not text:
        return default
    if _SECONDS.fullmatch(text):
        return parse_mtime_text(text, name)
    zoned = _ZONED.fullmatch(text)
    if zoned is None:
        raise _no_time(name)
    local, sign, offset = zoned.groups()
    zone = "Z" if sign is None else f"{sign.replace(' ', '+')}{offset}"
    try:
        return nanoseconds(date_time(f"{local.upper()}{zone}"))
    except BadInput:
        raise _no_time(name) from None


def _no_time(name: str) -> BadInput:
    return BadInput(
        f"{name} must be a time with its zone, such as 2026-11-22T19:40:00Z, or seconds since 1970; "
        "from the year 1678 to 2261."
    )


def _bytes(call: Call, stream: Any, extent: Extent) -> Answer:
    """The bytes that are kept, or a range of them; offsets are the stream's, also where its head was dropped."""
    if "wait" in call.query and call.method == "GET":
        waited_at, extent = extent.size, _wait(call, stream, extent)
        if extent.size == waited_at and _asked_from(call) == waited_at:
            return no_content()
    etag = f'"{stream.getId()}-{extent.start}-{extent.size}"'
    selection = select(call, etag, extent.size, extent.start)
    headers = {**CACHING, "ETag": etag, "Accept-Ranges": "bytes"}
    if selection.status == ranges.NOT_MODIFIED:
        return Answer(None, selection.status, headers)
    headers |= {
        **HEADERS,
        "Content-Type": MEDIA_TYPE,
        "Content-Length": str(selection.length),
        "Content-Disposition": content_disposition(_file_name(call)),
    }
    if selection.content_range:
        headers["Content-Range"] = selection.content_range
    if call.method == "HEAD" or not selection.length:
        return Answer(None, selection.status, headers)
    reader = StoredStream(call.database, stream).open(selection.start, selection.stop)
    return Answer(reader, selection.status, headers)


def _wait(call: Call, stream: Any, extent: Extent) -> Extent:
    """The extent of a stream once there is what was asked for, or after some seconds, or if too many wait already."""
    seconds = call.query.position("wait") or 0
    if _asked_from(call) != extent.size:
        return extent
    with turn() as may_wait:
        deadline = time.monotonic() + (min(seconds, LONGEST) if may_wait else 0)
        return grown(StoredStream(call.database, stream), extent.size, deadline)


def _asked_from(call: Call) -> int:
    """From which offset on bytes are asked for. BadInput: none is named."""
    found = _FROM.fullmatch(call.header("Range") or "")
    if found is None:
        raise BadInput("wait takes a header Range: bytes=N-, where N is the offset to wait at.")
    return int(found[1])


def _records(call: Call, form: str, wanted: Wanted) -> Answer:
    """The records of a range of time."""
    stream = StoredStream(call.database, call.data_stream)
    wanted = wanted._replace(start=stream.beginning(wanted.start))
    headers = {
        **HEADERS,
        "Content-Type": TYPES[form],
        "Content-Disposition": content_disposition(f"{_file_name(call)}.{form}"),
    }
    return encoded_stream(call.header("Accept-Encoding"), RecordExport(stream, wanted, form), headers)


def _events(call: Call, extent: Extent, since: int, until: int) -> Answer:
    """The records from an offset or a time on, or from now on, as they arrive."""
    stream = StoredStream(call.database, call.data_stream)
    start = _last_event(call)
    if start is not None and start > extent.size:
        raise RangeNotSatisfiable(
            f"There is no byte {start} yet: the stream has {extent.size}. Ask without Last-Event-ID and offset.",
            size=extent.size,
        )
    if start is None and since != TIME_MIN:
        start = stream.beginning(extent.start)
    headers = {
        "Content-Type": tail.MEDIA_TYPE,
        "Cache-Control": "no-store",
        "X-Accel-Buffering": "no",  # nginx would hold events back
    }
    return Answer(tail.Tail(stream, start, since, until), headers=headers)


def _last_event(call: Call) -> int | None:
    """The offset behind what the caller has; None: it does not say."""
    named = call.header("Last-Event-ID")
    if not named:
        return call.query.position("offset")
    if not (named.isascii() and named.isdigit() and len(named) <= DIGITS_MAX):
        raise BadInput("Last-Event-ID must be the id of an event of this stream: an offset.")
    return int(named)


def _file_name(call: Call) -> str:
    """What a file of the stream's data is called; references may have slashes."""
    return str(call.data_stream.getReference()).replace("/", "_")
