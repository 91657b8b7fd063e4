"""`/data-sets/{reference}/state`: who can see a data set."""

from __future__ import annotations

from typing import Any

from Products.ERP5Wendelin.errors import BadInput
from Products.ERP5Wendelin.ingestion import locks
from Products.ERP5Wendelin.views.api.data_sets import describe
from Products.ERP5Wendelin.views.call import Call

TRANSITIONS = ("validate", "publish", "invalidate")


def change(call: Call) -> dict[str, Any]:
    """POST."""
    transition = call.members().text("transition")
    if transition not in TRANSITIONS:
        raise BadInput(f"transition must be one of {', '.join(TRANSITIONS)}.")
    with locks.serialised(locks.CATALOGUE):
        call.data_set.changeState(transition)
    return describe(call.data_set)
