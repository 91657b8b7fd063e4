"""What the skin scripts of the original ebulk call: its requests but for the sending (`docs/original_ebulk.rst`).

Functions take and return plain data, or an `Answer`. They check the permissions of the current user themselves.
"""

from __future__ import annotations

import math
from contextlib import suppress
from datetime import datetime, timezone
from typing import Any

import transaction
from AccessControl.SecurityInfo import ModuleSecurityInfo

from Products.ERP5Wendelin.content.ingestion_reference import (
    CONSTANTS,
    check_new_reference,
    parse,
    parse_ingestion_reference,
)
from Products.ERP5Wendelin.errors import BadInput, NotFound, StorageFull
from Products.ERP5Wendelin.ingestion import ebulk, md5
from Products.ERP5Wendelin.ingestion.chunk import base64_decoded
from Products.ERP5Wendelin.views import locate
from Products.ERP5Wendelin.views.access import may_view
from Products.ERP5Wendelin.views.answer import Answer
from Products.ERP5Wendelin.views.erp5.data_stream import part
from Products.ERP5Wendelin.views.erp5.listing import count_of, listing
from Products.ERP5Wendelin.views.wire import format_date, format_digest

security = ModuleSecurityInfo("Products.ERP5Wendelin.views.erp5.ebulk")
security.declarePublic(
    "constants",
    "reference_exists",
    "data_stream_list",
    "data_stream_count",
    "data_stream_chunk",
    "invalidate",
    "rename",
    "increase_version",
    "set_description",
    "descriptor",
)

UNAUTHORISED = {
    "status_code": 1,
    "error_message": "401 - Unauthorized access. Please check your user credentials and try again.",
}
"""Read by the client from the body of a 200."""

STREAMS = "data_stream_module/"


def constants() -> dict[str, Any]:
    """How references are made."""
    return CONSTANTS


def reference_exists(context: Any, reference: str) -> str:
    """`TRUE` where a file, or a piece of one, need not be sent, `FALSE` where it is to be."""
    return "TRUE" if ebulk.is_known(context.getPortalObject(), parse(reference)) else "FALSE"


def data_stream_list(context: Any, data_set_reference: str) -> Any:
    """The files of a data set, each as a stream with its size and md5; see `listing`."""
    data_set = _data_set(context, data_set_reference)
    if data_set is None:
        return {"status_code": 0, "result": []}
    if not may_view(data_set):
        return UNAUTHORISED
    with suppress(StorageFull):  # what is here can be listed, and fetched, all the same
        md5.compute_missing(data_set._p_jar.db(), data_set, md5.REQUEST_LIMIT, whole_files=False)
    transaction.begin()  # to see that
    return listing(data_set)


def data_stream_count(context: Any, data_set_reference: str) -> dict[str, Any]:
    """How many files a data set has."""
    data_set = _data_set(context, data_set_reference)
    if data_set is None:
        return {"status_code": 0, "result": 0}
    if not may_view(data_set):
        return UNAUTHORISED
    return {"status_code": 0, "result": count_of(data_set)}


def data_stream_chunk(
    context: Any, id: str, start_offset: str | float = 0, end_offset: str | float = math.inf
) -> Answer:
    """The bytes of a stream from an offset up to another; none behind its end."""
    site = context.getPortalObject()
    stream = locate.data_stream(site, id.strip("/").removeprefix(STREAMS))
    size = stream.getSize()
    start, stop = _offset("start_offset", start_offset, size), _offset("end_offset", end_offset, size)
    return part(site._p_jar.db(), stream, start, max(start, stop))


def invalidate(context: Any, reference: str) -> None:
    """Let a file leave its data set."""
    ebulk.remove(context.getPortalObject(), *parse_ingestion_reference(reference))


def rename(context: Any, reference: str, new_reference: str) -> None:
    """Give a file another reference."""
    old, new = parse_ingestion_reference(reference), check_new_reference(new_reference)
    ebulk.rename(context.getPortalObject(), old, new, new_reference)


def increase_version(context: Any, reference: str) -> str:
    """Count a data set's own version on; the new one, such as `001`."""
    return ebulk.increase_version(context.getPortalObject(), reference)


def set_description(context: Any, dataset: str, data_chunk: str) -> dict[str, Any]:
    """Set the description of a data set to a text in base64."""
    try:
        description = b"".join(base64_decoded([data_chunk.encode()])).decode()
    except UnicodeDecodeError:
        raise BadInput("data_chunk must be text in UTF-8, in base64.") from None
    try:
        ebulk.describe(context.getPortalObject(), dataset, description)
    except NotFound as error:
        return {"status_code": 1, "message": str(error)}
    return {"status_code": 0, "message": f"The description of {dataset} is set."}


def descriptor(context: Any, reference: str) -> dict[str, Any]:
    """What is known of a file."""
    site = context.getPortalObject()
    data_set_reference, path = parse_ingestion_reference(reference)
    data_set = locate.data_set(site, data_set_reference)
    entry = data_set.manifest.get(path)
    if entry is None:
        return {"metadata": "No metadata available for this type of file yet"}
    known = data_set.getMd5(entry.digest)
    return {
        "reference": data_set.getIngestionReference(path),
        "data_set": data_set_reference,
        "path": path,
        "id": data_set.getDataStream(path).getRelativeUrl(),
        "size": entry.size,
        "digest": format_digest(entry.digest),
        "md5": "" if known is None else known.hex(),
        "mode": entry.mode,
        "modified": format_date(datetime.fromtimestamp(entry.mtime_ns // 10**9, timezone.utc)),
        "version": data_set.getVersion(),
    }


def _data_set(context: Any, reference: str) -> Any:
    """A data set that is in use, whoever asks; None if there is none."""
    found = context.getPortalObject().data_set_module.getDataSet(reference)
    return None if found is None or found.getValidationState() == "invalidated" else found


def _offset(name: str, value: str | float, size: int) -> int:
    """An offset, which the client may write as a float, within a stream of a size."""
    try:
        number = float(value)
    except ValueError:
        number = math.nan
    if not number >= 0:
        raise BadInput(f"{name} must be a number from 0.")
    return size if number >= size else int(number)
