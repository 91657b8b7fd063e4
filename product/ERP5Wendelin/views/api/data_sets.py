"""`/data-sets` and `/data-sets/{reference}`."""

from __future__ import annotations

from typing import Any

from Products.ERP5Wendelin.errors import Conflict
from Products.ERP5Wendelin.ingestion import locks
from Products.ERP5Wendelin.views.access import may_view
from Products.ERP5Wendelin.views.answer import Answer, as_json, created
from Products.ERP5Wendelin.views.call import Call
from Products.ERP5Wendelin.views.paging import page_by_reference
from Products.ERP5Wendelin.views.wire import format_date


def search(call: Call) -> dict[str, Any]:
    """GET /data-sets: those the caller may see."""
    return page_by_reference(call.query, call.site.data_set_module.searchDataSets, describe)


def create(call: Call) -> Answer:
    """PUT /data-sets/{reference}: one that exists is left as it is."""
    reference = call.names["reference"]
    members = call.members()
    title, description = members.text("title", ""), members.text("description", "")
    module = call.site.data_set_module
    with locks.serialised(locks.CATALOGUE):
        existing = module.getDataSet(reference)
        made = existing is None and module.newDataSet(reference, title=title, description=description)
    if made:
        return created(call.url("data-sets", reference), describe(made))
    if not may_view(existing):
        raise Conflict(f"The reference {reference!r} is taken, by a data set that you may not see. Choose another.")
    return as_json(describe(existing))


def read(call: Call) -> dict[str, Any]:
    """GET /data-sets/{reference}."""
    return describe(call.data_set)


def update(call: Call) -> dict[str, Any]:
    """PATCH /data-sets/{reference}."""
    members = call.members()
    properties = {name: members.text(name) for name in ("title", "description") if name in members}
    if properties:
        with locks.serialised(locks.CATALOGUE):
            call.data_set.edit(**properties)
    return describe(call.data_set)


def invalidate(call: Call) -> None:
    """DELETE /data-sets/{reference}."""
    with locks.serialised(locks.CATALOGUE):
        if call.data_set.getValidationState() != "invalidated":
            call.data_set.changeState("invalidate")


def describe(data_set: Any) -> dict[str, Any]:
    """A data set as plain data."""
    manifest = data_set.manifest
    return {
        "reference": data_set.getReference(),
        "title": data_set.getTitle(),
        "description": data_set.getDescription(),
        "state": data_set.getValidationState(),
        "version": manifest.version,
        "size": manifest.size,
        "file_count": manifest.file_count,
        "created": format_date(data_set.created),
        "modified": format_date(data_set.modified),
    }
