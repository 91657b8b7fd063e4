"""`/`: what this is, and the limits that a client needs to know."""

from __future__ import annotations

from importlib.metadata import version
from typing import Any

from Products.ERP5Wendelin import protocol
from Products.ERP5Wendelin.views.call import Call


def read(call: Call) -> dict[str, Any]:
    """GET."""
    return {
        "name": "wendelin",
        "api": protocol.API_VERSION,
        "version": version("erp5-wendelin"),
        "small_file_size": protocol.SMALL_FILE_SIZE,
        "bundle_size": protocol.BUNDLE_SIZE,
        "plan_length": protocol.PLAN_LENGTH,
        "content_encodings": list(protocol.CONTENT_ENCODINGS),
    }
