"""`/data-sets/{reference}/signature/{path*}`: the digest of each block of a file."""

from __future__ import annotations

from Products.ERP5Wendelin.download import ranges
from Products.ERP5Wendelin.download.signature import Signature, signature_size
from Products.ERP5Wendelin.storage.block import BLOCK_SIZE
from Products.ERP5Wendelin.views.answer import Answer
from Products.ERP5Wendelin.views.api.files import MEDIA_TYPE, find, select
from Products.ERP5Wendelin.views.call import Call
from Products.ERP5Wendelin.views.wire import format_digest


def read(call: Call) -> Answer:
    """GET and HEAD."""
    _, entry = find(call)
    etag = f'"{format_digest(entry.digest)}"'
    selection = select(call, etag, signature_size(entry.size))
    headers = {"ETag": etag, "Cache-Control": "private, no-cache", "Accept-Ranges": "bytes"}
    if selection.status == ranges.NOT_MODIFIED:
        return Answer(None, selection.status, headers)
    headers |= {
        "Content-Type": MEDIA_TYPE,
        "Content-Length": str(selection.length),
        "X-Content-Type-Options": "nosniff",
        "Signature-Block-Size": str(BLOCK_SIZE),
    }
    if selection.content_range:
        headers["Content-Range"] = selection.content_range
    if call.method == "HEAD" or not selection.length:
        return Answer(None, selection.status, headers)
    oid = entry.stream._p_oid
    body = Signature(call.database, oid, entry.offset, entry.size, selection.start, selection.stop)
    return Answer(body, selection.status, headers)
