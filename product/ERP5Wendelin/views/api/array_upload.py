"""`/arrays/{reference*}/data`: elements that are sent, as a .npy file: all of an array, some of it, or more of it."""

from __future__ import annotations

import re
from hashlib import sha256
from http import HTTPStatus
from secrets import token_hex
from typing import Any

import numpy

from Products.ERP5Wendelin.errors import BadInput, NotAuthorised
from Products.ERP5Wendelin.ingestion import locks
from Products.ERP5Wendelin.ingestion.array_upload import (
    Piece,
    Upload,
    check_appendable,
    check_writable,
    read_values,
)
from Products.ERP5Wendelin.permissions import AddDataSet, PushData
from Products.ERP5Wendelin.storage.array_index import parse
from Products.ERP5Wendelin.storage.transaction import SLICES
from Products.ERP5Wendelin.views import locate
from Products.ERP5Wendelin.views.access import may
from Products.ERP5Wendelin.views.answer import NO_STORE, Answer, as_json, created
from Products.ERP5Wendelin.views.api.arrays import check_stored, describe
from Products.ERP5Wendelin.views.call import Call
from Products.ERP5Wendelin.views.idempotency import KEY, parse_key

_CONTENT_RANGE = re.compile(r"bytes ([0-9]{1,18})-([0-9]{1,18})/([0-9]{1,18})", re.ASCII)


def replace(call: Call) -> Answer:
    """PUT: the whole content, by a file or by pieces of one; or what is in a slice."""
    if "slice" in call.query:
        return as_json(_write_slice(call))
    piece = _piece_of(call)
    existing = _writable(call)
    if piece is not None:
        return _replace_by_piece(call, piece, existing)
    upload = Upload(call.database, call.site.data_array_module, token_hex(16), call.user_id)
    upload.receive(call.body, call.body.length)
    try:
        return _place(call, upload)
    except BaseException:
        upload.drop()
        raise


def append(call: Call) -> dict[str, Any]:
    """POST: more rows, in one transaction; those that came before with the same key are there already."""
    key = parse_key(call.header(KEY))
    with SLICES:
        values = read_values(call.body)
        id = None if key is None else key + sha256(values.reshape(-1).view(numpy.uint8).data).digest()
        with locks.serialised(_key_of(call.data_array)):
            check_stored(call.data_array)
            shape = call.data_array.getArrayShape()
            if id is not None and call.data_array.hasChunk(id):
                return {"shape": list(shape), "start": None, "stop": None}
            check_appendable(call.data_array.getReader(), values)
            call.data_array.appendArray(values)
            if id is not None:
                call.data_array.noteChunk(id)
            call.data_array.notifyModified()
    start, stop = shape[0], shape[0] + len(values)
    return {"shape": [stop, *shape[1:]], "start": start, "stop": stop}


def _replace_by_piece(call: Call, piece: Piece, existing: Any) -> Answer:
    """202 with what is here as long as there is more to come; the last piece makes it the array's content."""
    key = parse_key(call.header(KEY))
    if key is None:
        raise BadInput(f"What has the header Content-Range is a piece of an upload: name that in the header {KEY}.")
    id = sha256(b"\0".join((call.user_id.encode(), call.names["reference"].encode(), key))).digest()
    upload = Upload(call.database, call.site.data_array_module, id.hex(), call.user_id)
    if existing is not None and existing.hasChunk(id) and not upload.is_here():
        return as_json(describe(call, existing))
    reached = upload.receive_piece(call.body, piece)
    if reached < piece.total:
        return Answer(None, HTTPStatus.ACCEPTED, {**NO_STORE, "Upload-Offset": str(reached)})
    return _place(call, upload, id)


def _place(call: Call, upload: Upload, id: bytes | None = None) -> Answer:
    """Let the array have what was stored, and know the upload's id; make it if there is none."""
    reference, module = call.names["reference"], call.site.data_array_module
    with locks.serialised(locks.CATALOGUE):
        existing = _writable(call)
        document = module.newDataArray(reference) if existing is None else existing
        upload.place(module, document)
        if id is not None:
            document.noteChunk(id)
    if existing is None:
        return created(call.url("arrays", reference), describe(call, document))
    return as_json(describe(call, document))


def _write_slice(call: Call) -> dict[str, Any]:
    index = parse(call.query.text("slice"))
    if call.header("Content-Range") is not None:
        raise BadInput("A slice is written at once: leave out the header Content-Range.")
    document = locate.array(call.site, call.names["reference"])
    with SLICES:
        values = read_values(call.body)
        with locks.serialised(_key_of(document)):
            check_may_write(document)
            check_writable(document.getReader(), index, values)
            document.setArrayIndex(index, values)
            document.notifyModified()
    return describe(call, document)


def _writable(call: Call) -> Any:
    """The array that the path names; None if there is none, and the caller may make one of that reference."""
    module, reference = call.site.data_array_module, call.names["reference"]
    existing = module.getDataArray(reference)
    if existing is not None:
        check_may_write(existing)
    elif not may(AddDataSet, call.site):
        raise NotAuthorised(f"There is no array {reference!r}, and you may not make one. Ask a contributor to.")
    else:
        module.checkFree(reference)
    return existing


def check_may_write(document: Any) -> None:
    """NotAuthorised unless the caller may write to an array. Conflict: nobody may, for it is a view."""
    check_stored(document)
    if not may(PushData, document):
        raise NotAuthorised(f"You may not write to the array {document.getReference()!r}.")


def _piece_of(call: Call) -> Piece | None:
    """What the header Content-Range says of the body; None without one."""
    text = call.header("Content-Range")
    if text is None:
        return None
    found = _CONTENT_RANGE.fullmatch(text.strip())
    first, last, total = map(int, found.groups()) if found else (1, 0, 0)
    if not first <= last < total or call.body.length not in (None, last + 1 - first):
        raise BadInput("Content-Range must say which bytes of the .npy file the body has: bytes 0-1048575/8000128.")
    return Piece(first, last + 1, total)


def _key_of(document: Any) -> str:
    """Of what only one at a time may do: write to this array."""
    return f"array {document._p_oid.hex()}"
