"""Running Data Analyses: the scripts of their operations, with their inputs and outputs for arguments.

A script gets, by the reference of each line that is no operation, a dictionary: `reference`, `causality_reference` and
`causality_relative_url` (of the ingestion), `resource_relative_url`, `Start Date`, `Stop Date`, and by its portal type
each document that the line leads to; or a list of such dictionaries, if several lines have the reference. So the
parameters `in_stream, out_array` are what it reads as `in_stream["Data Stream"]` and writes as
`out_array["Data Array"]`. It is called with the line of the operation for its context, and returns 1 if it wants to be
called again at once, for it has done but a part.

Steps are transactions of their own: the analysis is started; its operations are done, and what was done is noted with
it; it is stopped. The second is not held up by, and does not hold up, what is written to the catalogue meanwhile. A
process that is killed leaves the analysis as the last step had it, and what was done is not done twice.
"""

from __future__ import annotations

import traceback
from collections.abc import Callable
from datetime import timedelta
from typing import Any, NamedTuple

import transaction
from Acquisition import aq_base
from transaction.interfaces import TransientError

from Products.ERP5Wendelin.compute.create import BATCH
from Products.ERP5Wendelin.compute.rights import as_owner
from Products.ERP5Wendelin.content import scripts
from Products.ERP5Wendelin.content.base import now
from Products.ERP5Wendelin.content.relation import find, first, paths
from Products.ERP5Wendelin.errors import NotFound
from Products.ERP5Wendelin.ingestion.lines import lines
from Products.ERP5Wendelin.ingestion.locks import CATALOGUE, serialised

OPERATION = "Data Operation"

ATTEMPTS = 5
"""How often in a row a script may fail before its analysis is failed."""

DELAY = timedelta(minutes=1)
"""How long after a first failure it is tried again; after each further one, four times as long."""

AGAIN = 1
"""What a script returns that wants to be called again at once."""


class Executed(NamedTuple):
    """What came of running the analyses that were due, by their relative URLs."""

    done: list[str]
    failed: list[str]
    """Those whose scripts failed: to be tried again, or given up now."""


def execute_analyses(site: Any, keep_going: Callable[[], bool]) -> Executed:
    """Run the analyses that are due, one after the other, each in transactions of its own."""
    found = site.portal_catalog.unrestrictedSearchResults(
        portal_type="Data Analysis", simulation_state=("planned", "started")
    )
    executed = Executed([], [])
    for url in [brain.relative_url for brain in found]:
        if not keep_going():
            break
        transaction.begin()
        analysis = find(site, url)
        if analysis is None or not _is_due(analysis):
            continue
        succeeded = execute(analysis, keep_going)
        (executed.done if succeeded else executed.failed).append(url)
    return executed


def execute(analysis: Any, keep_going: Callable[[], bool]) -> bool:
    """Run an analysis that is planned or started, in transactions of its own; False if its script failed."""
    if analysis.getSimulationState() == "planned":
        with serialised(CATALOGUE):
            if analysis.getSimulationState() == "planned":
                analysis.start()
    try:
        while _do(analysis) and keep_going():
            pass
    except TransientError:  # it met the commit of another; the next run tries again
        transaction.abort()
        return True
    except Exception as error:
        transaction.abort()
        _note_failure(analysis, error)
        return False
    if analysis.complete:
        with serialised(CATALOGUE):
            if analysis.getSimulationState() == "started":
                analysis.edit(stop_date=now())
                analysis.stop()
    return True


def _do(analysis: Any) -> bool:
    """Call the scripts of an analysis, if there is anything to do, and commit; True: one wants to be called again."""
    transaction.begin()
    if analysis.getSimulationState() != "started" or analysis.complete:
        return False
    # before the scripts read them: what comes later is left for the next time
    sizes, is_last = _sizes(analysis), _is_last(analysis)
    results: list[bool] = []
    if sizes != analysis.sizes:
        _check_transformation(analysis)
        with as_owner(analysis):
            results = [_call(analysis, line) for line in _operations(analysis)]
    again = any(results)
    analysis.note_success(None if again else sizes, is_last and not again)
    transaction.commit()
    return again


def _is_due(analysis: Any) -> bool:
    """Whether there is something to do for an analysis now."""
    if analysis.retry_date is not None and now() < analysis.retry_date:
        return False
    return (
        analysis.getSimulationState() == "planned"
        or analysis.complete
        or _is_last(analysis)
        or _sizes(analysis) != analysis.sizes
    )


def _is_last(analysis: Any) -> bool:
    """Whether nothing more will come: it is of a batch, or its ingestion has ended."""
    if any(BATCH in line.getUseList() for line in lines(analysis) if line.getQuantity() < 0):
        return True
    ingestion = first(analysis, "causality")
    return ingestion is None or ingestion.getSimulationState() != "started"


def _sizes(analysis: Any) -> dict[str, int]:
    """How many bytes, or buckets, each input has that is a stream."""
    site = analysis.getPortalObject()
    urls = [url for line in lines(analysis) if line.getQuantity() < 0 for url in paths(line, "aggregate")]
    documents = ((url, find(site, url)) for url in urls)
    return {url: document.getSize() for url, document in documents if hasattr(aq_base(document), "getSize")}


def _check_transformation(analysis: Any) -> None:
    """NotFound unless the transformation that an analysis specialises is still there."""
    site = analysis.getPortalObject()
    documents = (find(site, url) for url in paths(analysis, "specialise"))
    if not any(document is not None and document.getPortalType() == "Data Transformation" for document in documents):
        raise NotFound(f"The Data Transformation of {analysis.getRelativeUrl()} is gone: cancel the analysis.")


def _operations(analysis: Any) -> list[Any]:
    operations = [line for line in lines(analysis) if _is_operation(line)]
    if not operations:
        raise NotFound(f"{analysis.getRelativeUrl()} has no operation: none of its lines has one for its resource.")
    return operations


def _is_operation(line: Any) -> bool:
    resource = first(line, "resource")
    return resource is not None and bool(resource.getPortalType() == OPERATION)


def _call(analysis: Any, line: Any) -> bool:
    """Call the script of an operation, as the current user; True: it wants to be called again."""
    operation = line.getResourceValue(portal_type=OPERATION)
    if operation is None:
        raise NotFound(f"The Data Operation {line.getResource()} is not there for the owner of the transformation.")
    return bool(scripts.run(scripts.script_of(line, operation.getScriptId()), **_parameters(analysis)) == AGAIN)


def _parameters(analysis: Any) -> dict[str, Any]:
    """What scripts get, by the references of lines."""
    parameters: dict[str, Any] = {}
    for line in lines(analysis):
        if _is_operation(line) or not line.getReference():
            continue
        parameter = _parameter(analysis, line)
        before = parameters.get(line.getReference())
        if before is None:
            parameters[line.getReference()] = parameter
        else:
            parameters[line.getReference()] = [*(before if isinstance(before, list) else [before]), parameter]
    return parameters


def _parameter(analysis: Any, line: Any) -> dict[str, Any]:
    return {
        "reference": line.getReference(),
        "causality_reference": analysis.getCausalityReference(),
        "causality_relative_url": analysis.getCausality(),
        "resource_relative_url": line.getResource(),
        "Start Date": analysis.getStartDate(),
        "Stop Date": analysis.getStopDate(),
        **{document.getPortalType(): document for document in line.getAggregateValueList()},
    }


def _note_failure(analysis: Any, error: Exception) -> None:
    """Keep how a script failed, and when to try it again, if ever."""
    failure = "".join(traceback.format_exception(type(error), error, error.__traceback__)).strip()
    with serialised(CATALOGUE):
        if analysis.getSimulationState() == "started":
            failures = analysis.attempts
            analysis.note_failure(failure, now() + DELAY * 4**failures if failures + 1 < ATTEMPTS else None)
