"""`/data-sets/{reference}/files/{path*}`: the bytes of a file."""

from __future__ import annotations

import base64
from datetime import datetime, timezone

from Products.ERP5Wendelin.content.entry import FOLDER, Entry
from Products.ERP5Wendelin.content.path import check_path
from Products.ERP5Wendelin.download import ranges
from Products.ERP5Wendelin.download.reader import StreamReader
from Products.ERP5Wendelin.errors import NotFound, RangeNotSatisfiable
from Products.ERP5Wendelin.views.answer import Answer
from Products.ERP5Wendelin.views.call import Call
from Products.ERP5Wendelin.views.coding import VARY, encoded_file
from Products.ERP5Wendelin.views.paging import version_of
from Products.ERP5Wendelin.views.wire import content_disposition, format_digest, format_http_date

MEDIA_TYPE = "application/octet-stream"
"""Of every file: a page among a data set's files must not run as one of this site's."""


def find(call: Call) -> tuple[str, Entry]:
    """Path and entry of the file that a request names."""
    path = check_path(call.names["path"])
    version = version_of(call.query)
    entry = call.data_set.manifest.get(path, version=version)
    if entry is None:
        place = "the newest version" if version is None else f"version {version}"
        raise NotFound(f"{place.capitalize()} of {call.data_set.getReference()!r} has no file {path!r}.")
    if entry.mode == FOLDER:
        raise NotFound(f"{path!r} is a folder: there are no bytes to read.")
    return path, entry


def select(call: Call, etag: str, size: int, first: int = 0) -> ranges.Selection:
    """Which of `size` bytes, kept from `first` on, the request's conditions and its range ask for."""
    return ranges.select(
        etag,
        size,
        first=first,
        method=call.method,
        byte_range=call.header("Range"),
        if_range=call.header("If-Range"),
        if_match=call.header("If-Match"),
        if_none_match=call.header("If-None-Match"),
    )


def read(call: Call) -> Answer:
    """GET and HEAD."""
    path, entry = find(call)
    start, stop = call.query.position("start"), call.query.position("stop")
    if start is not None or stop is not None:
        return _part(call, entry, start or 0, entry.size if stop is None else stop)
    etag = f'"{format_digest(entry.digest)}"'
    selection = select(call, etag, entry.size)
    headers = {"ETag": etag, "Cache-Control": "private, no-cache", "Accept-Ranges": "bytes"}
    if selection.status == ranges.NOT_MODIFIED:
        return Answer(None, selection.status, headers)
    headers |= {
        "Content-Type": MEDIA_TYPE,
        "Content-Length": str(selection.length),
        "Content-Disposition": content_disposition(path.rpartition("/")[2]),
        "X-Content-Type-Options": "nosniff",
        "Repr-Digest": f"sha-256=:{base64.b64encode(entry.digest).decode()}:",
        "Last-Modified": last_modified(entry.mtime_ns),
    }
    if selection.content_range:
        headers["Content-Range"] = selection.content_range
    return Answer(_open(call, entry, selection), selection.status, headers)


def _part(call: Call, entry: Entry, start: int, stop: int) -> Answer:
    """The bytes from `start` up to `stop`, or to the end: a resource of its own, which may go in a content coding.

    Its entity tag is that of the file, and weak: coded or plain, it stands for the same.
    """
    if start > entry.size:
        raise RangeNotSatisfiable(f"start is behind the end: the file has {entry.size} bytes.", size=entry.size)
    etag = f'"{format_digest(entry.digest)}"'
    selection = ranges.select(
        etag, entry.size, if_match=call.header("If-Match"), if_none_match=call.header("If-None-Match")
    )
    headers = {"ETag": f"W/{etag}", "Cache-Control": "private, no-cache"}
    if selection.status == ranges.NOT_MODIFIED:
        return Answer(None, selection.status, {**headers, **VARY})
    headers |= {
        "Content-Type": MEDIA_TYPE,
        "X-Content-Type-Options": "nosniff",
        "Last-Modified": last_modified(entry.mtime_ns),
    }
    stop = min(stop, entry.size)
    if start >= stop:
        return Answer(b"", headers={**headers, **VARY})
    reader = StreamReader(call.database, entry.stream._p_oid, entry.offset + start, entry.offset + stop)
    return encoded_file(call.header("Accept-Encoding"), reader, headers)


def last_modified(mtime_ns: int) -> str:
    """The file's own modification time, though not one that is still to come (RFC 9110, section 8.8.2.1)."""
    now = datetime.now(timezone.utc)
    return format_http_date(min(datetime.fromtimestamp(mtime_ns // 10**9, timezone.utc), now))


def _open(call: Call, entry: Entry, selection: ranges.Selection) -> StreamReader | None:
    if call.method == "HEAD" or not selection.length:
        return None
    start = entry.offset + selection.start
    return StreamReader(call.database, entry.stream._p_oid, start, start + selection.length)
