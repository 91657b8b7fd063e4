"""Data Analyses: made where they are missing, and run where there is something to do, and no worker that does it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from AccessControl.SecurityInfo import ModuleSecurityInfo

from Products.ERP5Wendelin.alarms.budget import Budget
from Products.ERP5Wendelin.compute.create import create_analyses
from Products.ERP5Wendelin.compute.execute import execute_analyses
from Products.ERP5Wendelin.compute.workers import names_of_workers
from Products.ERP5Wendelin.content.alarm import Report, checked_alarm
from Products.ERP5Wendelin.content.relation import find

SECONDS = 300
"""How long a run goes on, but for a script that it has begun to call: the other alarms wait for it."""

security = ModuleSecurityInfo("Products.ERP5Wendelin.alarms.analysis")
security.declarePublic("handle_analysis")


def handle_analysis(alarm: Any) -> Report:
    """Make the analyses that are missing, and run those that are due; the failures, with their tracebacks.

    Where a worker is at work, `wendelin worker`, it is left to that one, and to its log.
    """
    site = checked_alarm(alarm).getPortalObject()
    workers = names_of_workers(site)
    if workers:
        return Report(failed=False, text=f"Data Analyses are made and run by workers: {len(workers)}.")
    budget = Budget(SECONDS, 1)
    created = create_analyses(site, lambda: budget.is_left)
    executed = execute_analyses(site, lambda: budget.is_left)
    lines = [f"Data Analyses: {len(created.made)} made, {len(executed.done)} run, {len(executed.failed)} failed."]
    lines += created.problems
    for url in executed.failed:
        lines += _failure(find(site, url))
    return Report(failed=bool(created.problems or executed.failed), text="\n".join(lines))


def _failure(analysis: Any) -> Iterator[str]:
    """What there is to say of an analysis that has failed."""
    date = analysis.getRetryDate()
    then = "It is given up: plan it again once that is mended." if date is None else f"It is tried again at {date}."
    yield f"{analysis.getRelativeUrl()} has failed {analysis.getFailureCount()} times in a row. {then}"
    yield analysis.getFailure()
