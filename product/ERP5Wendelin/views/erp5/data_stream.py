"""`{portal}/data_stream_module/{id}/getData`: the bytes of a stream."""

from __future__ import annotations

from typing import Any

from Products.ERP5Wendelin.download import ranges
from Products.ERP5Wendelin.download.reader import StreamReader
from Products.ERP5Wendelin.views.answer import Answer
from Products.ERP5Wendelin.views.api.files import MEDIA_TYPE, select
from Products.ERP5Wendelin.views.call import Call
from Products.ERP5Wendelin.views.wire import format_digest


def read(call: Call) -> Answer:
    """GET and HEAD; of a data set's file, whose digest is known, also ranges of it."""
    stream = call.data_stream
    size = stream.getSize()
    if stream.sha256 is None:
        return part(call.database, stream, 0, size)
    etag = f'"{format_digest(stream.sha256)}"'
    selection = select(call, etag, size)
    headers = {"ETag": etag, "Cache-Control": "private, no-cache"}
    if selection.status == ranges.NOT_MODIFIED:
        return Answer(None, selection.status, headers)
    headers["Accept-Ranges"] = "bytes"
    if selection.content_range:
        headers["Content-Range"] = selection.content_range
    answer = part(call.database, stream, selection.start, selection.stop)
    return Answer(answer.body, selection.status, {**answer.headers, **headers})


def part(database: Any, stream: Any, start: int, stop: int) -> Answer:
    """The bytes of a stream from `start` up to `stop`, which it has, as they are read from the database."""
    headers = {
        "Cache-Control": "private, no-cache",
        "Content-Type": MEDIA_TYPE,
        "Content-Length": str(stop - start),
        "X-Content-Type-Options": "nosniff",
    }
    if start >= stop:
        return Answer(b"", headers=headers)
    offset = stream.offset
    return Answer(StreamReader(database, stream.stream._p_oid, offset + start, offset + stop), headers=headers)
