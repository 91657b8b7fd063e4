"""`…/ingestions/{ingestion}/stop`: commit a push."""

from __future__ import annotations

from typing import Any

from Products.ERP5Wendelin.ingestion import locks, session
from Products.ERP5Wendelin.views.call import Call


def create(call: Call) -> dict[str, Any]:
    """POST: repeated, it gives the same answer."""
    base_version = call.members().size("base_version", None)
    with locks.serialised(locks.CATALOGUE):
        return session.stop(call.ingestion, call.user_id, base_version)
