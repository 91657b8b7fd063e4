"""`/data-sets/{reference}/versions`: what each push changed."""

from __future__ import annotations

from typing import Any

from Products.ERP5Wendelin.views.call import Call
from Products.ERP5Wendelin.views.paging import decode_cursor, limit_of, page
from Products.ERP5Wendelin.views.wire import format_date


def search(call: Call) -> dict[str, Any]:
    """GET: newest first."""
    (before,) = decode_cursor(call.query, int) or (None,)
    versions = call.data_set.manifest.versions(before=before)
    return page(versions, limit_of(call.query), describe, lambda version: version.number)


def describe(version: Any) -> dict[str, Any]:
    """A version as plain data."""
    return {
        "number": version.number,
        "date": format_date(version.date),
        "author": version.author,
        "message": version.message,
        "added": version.added,
        "modified": version.modified,
        "removed": version.removed,
        "size": version.size,
        "file_count": version.file_count,
    }
