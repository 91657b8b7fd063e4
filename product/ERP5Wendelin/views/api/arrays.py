"""`/arrays` and `/arrays/{reference*}`: what arrays there are, and what they are made of."""

from __future__ import annotations

from typing import Any

from Acquisition import aq_base

from Products.ERP5Wendelin.blockwise.snapshot import Snapshot
from Products.ERP5Wendelin.content.data_array import DataArray
from Products.ERP5Wendelin.content.npy import descr_of
from Products.ERP5Wendelin.errors import BadInput, Conflict
from Products.ERP5Wendelin.ingestion import locks
from Products.ERP5Wendelin.views.answer import Answer, as_json, created
from Products.ERP5Wendelin.views.api.state import checked_transition
from Products.ERP5Wendelin.views.call import Call
from Products.ERP5Wendelin.views.dtype import parse_dtype
from Products.ERP5Wendelin.views.members import Members
from Products.ERP5Wendelin.views.paging import page_by_reference
from Products.ERP5Wendelin.views.wire import format_date


def search(call: Call) -> dict[str, Any]:
    """GET /arrays: those the caller may see."""
    return page_by_reference(call.query, call.site.data_array_module.searchDataArrays, outline)


def read(call: Call) -> dict[str, Any]:
    """GET /arrays/{reference}."""
    return describe(call, call.data_array)


def create(call: Call) -> Answer:
    """PUT /arrays/{reference}: one of zeros; one that exists is left as it is."""
    reference = call.names["reference"]
    members = call.members()
    shape, dtype = shape_of(members), parse_dtype(members.any("dtype"))
    title = members.text("title", "")
    module = call.site.data_array_module
    with locks.serialised(locks.CATALOGUE):
        existing = module.getDataArray(reference)
        if existing is None:
            made = module.newDataArray(reference, title=title)
            made.initArray(shape, dtype)
    if existing is None:
        return created(call.url("arrays", reference), describe(call, made))
    check_same(existing, shape, dtype)
    return as_json(describe(call, existing))


def update(call: Call) -> dict[str, Any]:
    """PATCH /arrays/{reference}."""
    members = call.members()
    properties = {name: members.text(name) for name in ("title", "description") if name in members}
    names = members.texts("names") if "names" in members else None
    if properties or names is not None:
        with locks.serialised(locks.CATALOGUE):
            if names is not None:
                check_stored(call.data_array)
                call.data_array.setArrayDtypeNames(names)
            if properties:
                call.data_array.edit(**properties)
    return describe(call, call.data_array)


def change_state(call: Call) -> dict[str, Any]:
    """POST /arrays/{reference}/state."""
    transition = checked_transition(call.members())
    with locks.serialised(locks.CATALOGUE):
        call.data_array.changeState(transition)
    return describe(call, call.data_array)


def invalidate(call: Call) -> None:
    """DELETE /arrays/{reference}."""
    with locks.serialised(locks.CATALOGUE):
        if call.data_array.getValidationState() != "invalidated":
            call.data_array.changeState("invalidate")


def outline(data_array: Any) -> dict[str, Any]:
    """An array as plain data, as a list has it; without shape and dtype until it was given them."""
    try:
        reader = data_array.getReader()
        shape, dtype = reader.shape, descr_of(reader.dtype)
        size = reader.nbytes
    except (BadInput, Conflict, IndexError):  # it has none yet, or is a view that does not fit what it shows
        shape, dtype, size = None, None, 0
    return {
        "reference": data_array.getReference(),
        "title": data_array.getTitle(),
        "state": data_array.getValidationState(),
        "shape": shape,
        "dtype": dtype,
        "size": size,
        "modified": format_date(data_array.modified),
    }


def describe(call: Call, data_array: Any) -> dict[str, Any]:
    """All of an array but its elements; and the snapshot of the database that it is so in."""
    outlined = outline(data_array)
    return {
        **outlined,
        "description": data_array.getDescription(),
        "names": data_array.getArrayDtypeNames() if outlined["dtype"] else [],
        "created": format_date(data_array.created),
        "snapshot": Snapshot.of(call.site._p_jar).text,
    }


def shape_of(members: Members) -> tuple[int, ...]:
    """The member `shape`: the length of each axis."""
    shape = members.get("shape", list)
    for number, length in enumerate(shape):
        if type(length) is not int or not 0 <= length < 2**63:
            raise BadInput(f"shape[{number}] must be a whole number from 0.")
    return tuple(shape)


def check_stored(document: Any) -> None:
    """Conflict for what has no elements of its own, and can only be read."""
    if not isinstance(aq_base(document), DataArray):
        raise Conflict(
            f"{document.getReference()!r} is a {document.getPortalType()}: it shows other arrays. Change these instead."
        )


def check_same(data_array: Any, shape: tuple[int, ...], dtype: Any) -> None:
    """Conflict unless an array has this shape and dtype."""
    check_stored(data_array)
    array = data_array.array
    if array is None or (array.shape, array.dtype) != (shape, dtype):
        what = "no elements yet" if array is None else f"the shape {list(array.shape)} and the dtype {array.dtype}"
        raise Conflict(
            f"There is an array {data_array.getReference()!r} already, with {what}, and not {list(shape)} and {dtype}. "
            "Choose another reference, or replace its content by PUT of a .npy file to …/data."
        )
