"""`…/ingestions/{ingestion}/plan`: what a push will bring; the answer says which content has to be sent."""

from __future__ import annotations

import time
from decimal import Decimal
from typing import Any

from Products.ERP5Wendelin.content.entry import REGULAR
from Products.ERP5Wendelin.errors import BadInput, TooLarge
from Products.ERP5Wendelin.ingestion import locks, session
from Products.ERP5Wendelin.ingestion.session import PlannedFile
from Products.ERP5Wendelin.protocol import PLAN_LENGTH
from Products.ERP5Wendelin.views.access import may_view
from Products.ERP5Wendelin.views.call import Call
from Products.ERP5Wendelin.views.members import Members
from Products.ERP5Wendelin.views.wire import parse_digest, parse_mode, parse_mtime


def create(call: Call) -> dict[str, Any]:
    """POST."""
    members = call.members()
    removed = members.texts("removed", [])
    renamed = [(each.text("from"), each.text("to")) for each in members.objects("renamed")]
    listed = members.objects("files")
    if len(listed) > PLAN_LENGTH:
        raise TooLarge(f"A plan may name at most {PLAN_LENGTH} files; this one has {len(listed)}. Send several.")
    now = time.time_ns()
    files = [planned_file(each, now) for each in listed]
    with locks.serialised(session.key_of_ingestion(call.ingestion)):
        return {"missing": session.plan(call.ingestion, files, removed, renamed, may_view)}


def planned_file(members: Members, now: int) -> PlannedFile:
    """One file of `files`."""
    return PlannedFile(
        members.text("path"),
        members.size("size"),
        parse_digest(members.text("digest"), members.name_of("digest")),
        read_mtime(members, now),
        parse_mode(members.text("mode", REGULAR), members.name_of("mode")),
    )


def read_mtime(members: Members, now: int) -> int:
    """`mtime` in nanoseconds; `now` where there is none."""
    value = members.any("mtime")
    if value is None:
        return now
    name = members.name_of("mtime")
    if type(value) not in (int, Decimal):
        raise BadInput(f"{name} must be a number.")
    return parse_mtime(value, name)
