"""`/progress-indicators` and `/progress-indicators/{indicator*}`: how far scripts and analyses are."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from Products.ERP5Wendelin.content.progress_indicator_module import indicators_of
from Products.ERP5Wendelin.permissions import ModifyPortalContent
from Products.ERP5Wendelin.views.access import may
from Products.ERP5Wendelin.views.call import Call
from Products.ERP5Wendelin.views.paging import page_by_reference
from Products.ERP5Wendelin.views.wire import format_date


def search(call: Call) -> dict[str, Any]:
    """GET /progress-indicators: those the caller may see."""
    return page_by_reference(call.query, indicators_of(call.site).searchProgressIndicators, outline)


def read(call: Call) -> dict[str, Any]:
    """GET /progress-indicators/{reference}. An error may show data: it is for who may change the indicator."""
    indicator = call.indicator
    error = indicator.progress.error if may(ModifyPortalContent, indicator) else None
    return {**outline(indicator), "description": indicator.getDescription(), "error": error}


def outline(indicator: Any) -> dict[str, Any]:
    """An indicator as plain data, as a list has it."""
    progress = indicator.progress
    return {
        "reference": indicator.getReference(),
        "title": indicator.getTitle(),
        "state": indicator.getProgressState() or None,
        "done": indicator.getDone(),
        "total": indicator.getTotal(),
        "unit": indicator.getUnit(),
        "rate": indicator.getRate(),
        "start": _date(progress.start_date),
        "stop": _date(progress.stop_date),
        "modified": _date(progress.modified),
    }


def _date(date: datetime | None) -> str | None:
    return None if date is None else format_date(date)
