"""`/analyses` and `/analyses/{analysis}`: Data Analyses, how far they are, and how they failed."""

from __future__ import annotations

from typing import Any

from Products.ERP5Wendelin.compute.progress import progress_of
from Products.ERP5Wendelin.compute.search import search_analyses
from Products.ERP5Wendelin.errors import BadInput
from Products.ERP5Wendelin.ingestion import locks
from Products.ERP5Wendelin.ingestion.lines import lines
from Products.ERP5Wendelin.permissions import ModifyPortalContent
from Products.ERP5Wendelin.views.access import may
from Products.ERP5Wendelin.views.call import Call
from Products.ERP5Wendelin.views.paging import decode_cursor, limit_of, page
from Products.ERP5Wendelin.views.wire import format_date

TRANSITIONS = ("plan", "cancel")


def search(call: Call) -> dict[str, Any]:
    """GET /analyses: those the caller may see."""
    limit = limit_of(call.query)
    (after,) = decode_cursor(call.query, str) or (" ",)
    reference, _, id = after.rpartition(" ")
    found = search_analyses(call.site, call.query.text("search"), call.query.text("state"), (reference, id), limit + 1)
    return page(found, limit, outline, lambda analysis: f"{analysis.getReference() or ''} {analysis.getId()}")


def read(call: Call) -> dict[str, Any]:
    """GET /analyses/{analysis}."""
    return describe(call.analysis)


def change_state(call: Call) -> dict[str, Any]:
    """POST /analyses/{analysis}/state."""
    transition = call.members().text("transition")
    if transition not in TRANSITIONS:
        raise BadInput(f"transition must be one of {', '.join(TRANSITIONS)}.")
    with locks.serialised(locks.CATALOGUE):
        getattr(call.analysis, transition)()
    return describe(call.analysis)


def outline(analysis: Any) -> dict[str, Any]:
    """An analysis as plain data, as a list has it."""
    progress = progress_of(analysis)
    return {
        "id": analysis.getId(),
        "reference": analysis.getReference(),
        "title": analysis.getTitle(),
        "state": analysis.getSimulationState(),
        "active": analysis.isActive(),
        "progress": None if progress is None else progress._asdict(),
        "failures": analysis.getFailureCount(),
        "retry": _date(analysis.retry_date if analysis.getSimulationState() == "started" else None),
        "start": _date(analysis.start_date),
        "stop": _date(analysis.stop_date),
    }


def describe(analysis: Any) -> dict[str, Any]:
    """All of an analysis. A traceback may show data: it is for who may change the analysis."""
    return {
        **outline(analysis),
        "lines": [_line(line) for line in lines(analysis)],
        "failure": analysis.getFailure() if may(ModifyPortalContent, analysis) else None,
    }


def _line(line: Any) -> dict[str, Any]:
    """A line, and what it leads to, as far as the caller may see that."""
    return {
        "reference": line.getReference(),
        "resource": line.getResource(),
        "quantity": line.getQuantity(),
        "documents": [
            {"portal_type": document.getPortalType(), "reference": document.getReference()}
            for document in line.getAggregateValueList()
        ],
    }


def _date(date: Any) -> str | None:
    return None if date is None else format_date(date)
