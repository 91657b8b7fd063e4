"""`/data-sets/{reference}/archive`: many files as one tar."""

from __future__ import annotations

from collections.abc import Sequence

from Products.ERP5Wendelin.download.archive import Archive, check_files
from Products.ERP5Wendelin.errors import BadInput
from Products.ERP5Wendelin.views.answer import Answer
from Products.ERP5Wendelin.views.call import Call
from Products.ERP5Wendelin.views.coding import encoded_stream
from Products.ERP5Wendelin.views.paging import version_of
from Products.ERP5Wendelin.views.wire import content_disposition

MEDIA_TYPE = "application/x-tar"


def read(call: Call) -> Answer:
    """GET: the files whose path begins with `prefix`."""
    return _answer(call, call.query.text("prefix"), None)


def select(call: Call) -> Answer:
    """POST: the files that the body names, in its order; refused before anything is sent if one is unknown."""
    paths = call.members().texts("paths")
    check_files(call.data_set.manifest, paths, version_of(call.query))
    return _answer(call, "", paths)


def _answer(call: Call, prefix: str, paths: Sequence[str] | None) -> Answer:
    if call.query.text("format", "tar") != "tar":
        raise BadInput("format must be tar.")
    manifest = call.data_set.manifest
    version = version_of(call.query) or manifest.version
    if version:
        manifest.get_version(version)
    headers = {
        "Content-Type": MEDIA_TYPE,
        "Content-Disposition": content_disposition(f"{call.data_set.getReference()}.tar"),
        "Cache-Control": "private, no-cache",
        "X-Content-Type-Options": "nosniff",
    }
    archive = Archive(call.database, manifest._p_oid, version, prefix=prefix, paths=paths)
    return encoded_stream(call.header("Accept-Encoding"), archive, headers)
