"""`/data-sets/{reference}/state`: who can see a data set."""

from __future__ import annotations

from typing import Any

from Products.ERP5Wendelin.errors import BadInput
from Products.ERP5Wendelin.ingestion import locks
from Products.ERP5Wendelin.views.api.data_sets import describe
from Products.ERP5Wendelin.views.call import Call
from Products.ERP5Wendelin.views.members import Members

TRANSITIONS = ("validate", "publish", "invalidate")


def change(call: Call) -> dict[str, Any]:
    """POST."""
    transition = checked_transition(call.members())
    with locks.serialised(locks.CATALOGUE):
        call.data_set.changeState(transition)
    return describe(call.data_set)


def checked_transition(members: Members) -> str:
    """The member `transition`. BadInput: there is none of this name."""
    transition: str = members.text("transition")
    if transition not in TRANSITIONS:
        raise BadInput(f"transition must be one of {', '.join(TRANSITIONS)}.")
    return transition
