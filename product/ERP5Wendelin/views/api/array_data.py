"""`/arrays/{reference*}/data`: the elements of an array, or of a slice of it, read."""

from __future__ import annotations

from typing import Any

from Acquisition import aq_base, aq_inner, aq_parent
from ZODB.TimeStamp import TimeStamp

from Products.ERP5Wendelin.blockwise.snapshot import Snapshot
from Products.ERP5Wendelin.content.array_document import all_shown
from Products.ERP5Wendelin.content.npy import header_of
from Products.ERP5Wendelin.download import ranges
from Products.ERP5Wendelin.download.array_body import body_of
from Products.ERP5Wendelin.errors import BadInput, Gone, NotFound
from Products.ERP5Wendelin.storage.array_index import Index, parse
from Products.ERP5Wendelin.storage.array_slice import ArraySlice
from Products.ERP5Wendelin.views.access import may_view
from Products.ERP5Wendelin.views.answer import Answer
from Products.ERP5Wendelin.views.api.files import MEDIA_TYPE, select
from Products.ERP5Wendelin.views.call import Call
from Products.ERP5Wendelin.views.wire import content_disposition

NPY = "npy"
FORMATS = (NPY, "raw")
"""What `format` may be."""


def read(call: Call) -> Answer:
    """GET and HEAD: of one snapshot, named or the newest."""
    form = call.query.text("format", NPY)
    if form not in FORMATS:
        raise BadInput(f"There is no format {form!r}. Formats are: {', '.join(FORMATS)}.")
    index = parse(call.query.text("slice"))
    snapshot = snapshot_of(call)
    try:
        return _of_snapshot(call, form, index, snapshot)
    except Gone:  # whose text names the database, which is its administrator's business
        raise Gone(f"The lake does not have the snapshot {snapshot}, or no longer. Begin anew, without one.") from None


def _of_snapshot(call: Call, form: str, index: Index, snapshot: Snapshot) -> Answer:
    with snapshot.opened() as connection:
        array = array_in(connection, call, snapshot)
        dtype = array.dtype
        chosen = ArraySlice.of(array.shape, dtype.itemsize, index)
    prefix = header_of(chosen.shape, dtype) if form == NPY else b""
    etag = f'"{snapshot.text}-{form}-{chosen.text}"'
    selection = select(call, etag, len(prefix) + chosen.nbytes)
    headers = {
        "ETag": etag,
        "Array-Snapshot": snapshot.text,
        "Cache-Control": "private, no-cache",
        "Accept-Ranges": "bytes",
    }
    if selection.status == ranges.NOT_MODIFIED:
        return Answer(None, selection.status, headers)
    headers |= {
        "Content-Type": MEDIA_TYPE,
        "Content-Length": str(selection.length),
        "Content-Disposition": content_disposition(f"{call.names['reference'].replace('/', '_')}.{form}"),
        "X-Content-Type-Options": "nosniff",
    }
    if selection.content_range:
        headers["Content-Range"] = selection.content_range
    if call.method == "HEAD" or not selection.length:
        return Answer(None, selection.status, headers)
    body = body_of(snapshot, array, chosen, prefix, selection.start, selection.stop)
    return Answer(body, selection.status, headers)


def snapshot_of(call: Call) -> Snapshot:
    """That which the query names, or else what the request's connection sees."""
    connection = call.site._p_jar
    text = call.query.text("snapshot")
    return Snapshot.parse(text, connection) if text else Snapshot.of(connection)


def array_in(connection: Any, call: Call, snapshot: Snapshot) -> Any:
    """The array as it was. NotFound: there was none yet, or the caller, who may view it now, might not view it then.

    What a view is a view of is looked up now, and read as it was: by who might view that, too, then.
    """
    present = call.data_array
    if TimeStamp(snapshot.tid).timeTime() < present.created.timestamp():
        raise NotFound(f"The array {present.getReference()!r} is newer than the snapshot {snapshot}.")
    document = _as_it_was(present, connection)
    if not may_view(document) or not all(may_view(_as_it_was(each, connection)) for each in all_shown(document)):
        raise NotFound(
            f"You may not see the array {present.getReference()!r} as it was in snapshot {snapshot}: name a later one."
        )
    return document.getReader().on(connection)


def _as_it_was(document: Any, connection: Any) -> Any:
    """A document as a connection has it, in what it is in now: users and modules are those of today."""
    return aq_base(connection.get(document._p_oid)).__of__(aq_parent(aq_inner(document)))
