"""`…/ingestions/{ingestion}/bundle`: many small files in one request."""

from __future__ import annotations

from typing import Any

from Products.ERP5Wendelin.ingestion import bundle, locks, session
from Products.ERP5Wendelin.views.call import Call
from Products.ERP5Wendelin.views.wire import format_digest


def create(call: Call) -> dict[str, Any]:
    """POST."""
    with locks.serialised(session.key_of_ingestion(call.ingestion)):
        received = bundle.receive(call.ingestion, call.body)
    return {
        "received": [{"path": path, "size": size, "digest": format_digest(digest)} for path, size, digest in received]
    }
