"""`/data-sets/{reference}/manifest`: which files a version has."""

from __future__ import annotations

import json

from Products.ERP5Wendelin.views.answer import Answer, json_text
from Products.ERP5Wendelin.views.call import Call
from Products.ERP5Wendelin.views.paging import decode_cursor, encode_cursor, limit_of, take, version_of
from Products.ERP5Wendelin.views.wire import format_entry


def read(call: Call) -> Answer:
    """GET: the cursor holds the version, so that all pages are of one."""
    manifest = call.data_set.manifest
    asked = version_of(call.query) or manifest.version
    version, after = decode_cursor(call.query, int, str) or (asked, "")
    rows = manifest.items(prefix=call.query.text("prefix"), after=after, version=version)
    entries, more = take(rows, limit_of(call.query))
    cursor = encode_cursor(version, entries[-1][0]) if more else None
    items = ",".join(
        [
            format_entry(path, size, digest, mtime_ns, mode)
            for path, (_stream, _offset, size, digest, mtime_ns, mode) in entries
        ]
    )
    return json_text(f'{{"version":{version},"items":[{items}],"next":{json.dumps(cursor)}}}')
