"""`/data-sets/{reference}/ingestions` and `…/{ingestion}`: pushes."""

from __future__ import annotations

from operator import itemgetter
from typing import Any

from Products.ERP5Wendelin.errors import BadInput
from Products.ERP5Wendelin.ingestion import locks, session
from Products.ERP5Wendelin.views.answer import Answer, created
from Products.ERP5Wendelin.views.call import Call
from Products.ERP5Wendelin.views.paging import decode_cursor, limit_of, page
from Products.ERP5Wendelin.views.wire import format_date, format_digest

STATES = ("started", "stopped", "cancelled")


def search(call: Call) -> dict[str, Any]:
    """GET …/ingestions: the caller's own, all for a manager; by id."""
    state = call.query.text("state")
    if state and state not in STATES:
        raise BadInput(f"state must be one of {', '.join(STATES)}.")
    (after,) = decode_cursor(call.query, str) or ("",)
    query = {"portal_type": "Data Ingestion", "data_set": call.data_set.getReference()}
    if state:
        query["simulation_state"] = state
    rows = ((brain.getPath().rpartition("/")[2], brain) for brain in call.site.portal_catalog.searchResults(**query))
    found = sorted((row for row in rows if row[0] > after), key=itemgetter(0))
    return page(found, limit_of(call.query), lambda row: describe(call, row[1].getObject()), itemgetter(0))


def create(call: Call) -> Answer:
    """POST …/ingestions: start a push."""
    members = call.members()
    base_version = members.size("base_version", None)
    message = members.text("message", "")
    with locks.serialised(locks.CATALOGUE):
        ingestion = session.start(call.data_set, call.user_id, message, base_version)
    return created(call.ingestion_url(ingestion.getId()), describe(call, ingestion))


def read(call: Call) -> dict[str, Any]:
    """GET …/{ingestion}."""
    return describe(call, call.ingestion)


def cancel(call: Call) -> None:
    """DELETE …/{ingestion}."""
    with locks.serialised(locks.CATALOGUE):
        session.cancel(call.ingestion)


def describe(call: Call, ingestion: Any) -> dict[str, Any]:
    """An ingestion as plain data."""
    file_count, size = ingestion.getReceived()
    return {
        "id": ingestion.getId(),
        "data_set": ingestion.data_set,
        "state": ingestion.getSimulationState(),
        "base_version": ingestion.base_version,
        "message": ingestion.message,
        "author": ingestion.author,
        "created": format_date(ingestion.created),
        "modified": format_date(ingestion.modified),
        "expires": format_date(ingestion.expires),
        "received": {"file_count": file_count, "size": size},
        "uploads": [
            describe_upload(call, ingestion, upload) for upload in ingestion.uploads.values() if not upload.complete
        ],
        "result": ingestion.result,
    }


def describe_upload(call: Call, ingestion: Any, upload: Any) -> dict[str, Any]:
    """An upload that has begun and is not complete."""
    return {
        "id": upload.id,
        "location": call.ingestion_url(ingestion.getId(), "uploads", upload.id),
        "path": upload.path,
        "offset": upload.offset,
        "length": upload.length,
        "digest": None if upload.digest is None else format_digest(upload.digest),
    }
