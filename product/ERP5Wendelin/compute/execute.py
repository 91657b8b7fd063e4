"""Running Data Analyses: the scripts of their operations, with their inputs and outputs for arguments.

A script gets, by the reference of each line that is no operation, a dictionary: `reference`, `causality_reference` and
`causality_relative_url` (of the ingestion), `resource_relative_url`, `Start Date`, `Stop Date`, and by its portal type
each document that the line leads to; or a list of such dictionaries, if several lines have the reference. So the
parameters `in_stream, out_array` are what it reads as `in_stream["Data Stream"]` and writes as
`out_array["Data Array"]`. It is called with the line of the operation for its context, and returns 1 if it wants to be
called again at once, for it has done but a part.

Steps are transactions of their own: the analysis is claimed and started; its operations are done, and what was done is
noted with it; it is stopped. The second is not held up by, and does not hold up, what is written to the catalogue
meanwhile. A process that is killed leaves the analysis as the last step had it, and what was done is not done twice.

Any number of processes may run analyses: workers (`portal.worker`), and the alarm of a server. Each claims one at a
time. A claim ends with the run, when its process is known to have ended, or when it was not renewed for some minutes;
then another process takes the analysis over. What the first was doing is never committed: see `content.data_analysis`.
"""

from __future__ import annotations

import traceback
from collections.abc import Callable
from datetime import datetime, timedelta
from enum import Enum
from typing import Any, NamedTuple, TypeVar

import transaction
from transaction.interfaces import TransientError

from Products.ERP5Wendelin.compute.create import BATCH
from Products.ERP5Wendelin.compute.inputs import documents, size_of
from Products.ERP5Wendelin.compute.rights import as_owner
from Products.ERP5Wendelin.content import scripts
from Products.ERP5Wendelin.content.base import now
from Products.ERP5Wendelin.content.relation import find, first, paths
from Products.ERP5Wendelin.errors import NotFound
from Products.ERP5Wendelin.ingestion.lines import lines
from Products.ERP5Wendelin.ingestion.locks import CATALOGUE, serialised
from Products.ERP5Wendelin.storage import transaction as retries
from Products.ERP5Wendelin.storage.lease import LeaseKeeper
from Products.ERP5Wendelin.storage.process import this_process

Result = TypeVar("Result")

OPERATION = "Data Operation"

ATTEMPTS = 5
"""How often in a row a script may fail before its analysis is failed."""

DELAY = timedelta(minutes=1)
"""How long after a first failure it is tried again; after each further one, four times as long."""

AGAIN = 1
"""What a script returns that wants to be called again at once."""


GONE = "The process that ran it, {holder}, is gone: it was killed, or its machine is out of reach."
"""What is noted of an analysis that is taken over, where nothing more is known."""


class Outcome(Enum):
    """What came of running an analysis."""

    DONE = "done"
    """What there was to do is done, or a part of it."""
    FAILED = "failed"
    """Its script failed: it is to be tried again later, or given up now."""
    CONFLICT = "conflict"
    """It met the commit of another, or lost the database, and has changed nothing: it is still due."""
    NOT_DUE = "not due"
    """There was nothing to do, or another process is doing it."""


class Executed(NamedTuple):
    """What came of running the analyses that were due, by their relative URLs."""

    done: list[str]
    failed: list[str]
    """Those whose scripts failed: to be tried again, or given up now."""


def execute_analyses(site: Any, keep_going: Callable[[], bool], holder: str | None = None) -> Executed:
    """Run the analyses that are due, one after the other, each in transactions of its own."""
    executed = Executed([], [])
    for url in planned_analyses(site):
        if not keep_going():
            break
        outcome = execute(site, url, keep_going, holder)
        if outcome is Outcome.DONE:
            executed.done.append(url)
        elif outcome is Outcome.FAILED:
            executed.failed.append(url)
    return executed


def planned_analyses(site: Any) -> list[str]:
    """The relative URLs of the analyses that are planned or started."""
    found = site.portal_catalog.unrestrictedSearchResults(
        portal_type="Data Analysis", simulation_state=("planned", "started")
    )
    return [brain.relative_url for brain in found]


def execute(site: Any, url: str, keep_going: Callable[[], bool], holder: str | None = None) -> Outcome:
    """Run an analysis if it is due and nobody else does, in transactions of its own.

    `holder` names who runs it, this process unless given. It goes on while its script wants to be called again, and
    `keep_going()`.
    """
    holder = holder or this_process()
    try:
        claimed = _committed(lambda: _claimed(site, url, holder))
        if claimed is None:
            return Outcome.NOT_DUE
        outcome = _run_claimed(claimed, keep_going, holder)
        _committed(lambda: _end(site, url, holder))
    except TransientError:
        return Outcome.CONFLICT
    return outcome


def is_due(analysis: Any, time: datetime) -> bool:
    """Whether there is something to do for an analysis at a time, and nobody does it."""
    if analysis is None or analysis.getSimulationState() not in ("planned", "started"):
        return False
    if analysis.holder:
        return not analysis.is_held(time)
    return _has_work(analysis, time)


def note_end(site: Any, url: str, holder: str, failure: str) -> None:
    """Note that the process that ran an analysis has ended, and why; nothing if it is not that one's any more."""

    def note() -> None:
        analysis = find(site, url)
        if analysis is not None and analysis.holder == holder:
            _note_end(analysis, failure)

    _committed(note)


def release(site: Any, url: str, holder: str) -> None:
    """Give an analysis back that a process had claimed, which has ended for no fault of the script."""

    def give_back() -> None:
        analysis = find(site, url)
        if analysis is not None:
            analysis.release(holder)

    _committed(give_back)


def _committed(function: Callable[[], Result]) -> Result:
    """Call a function in a transaction that may write to the catalogue, again if it meets another's; its result."""
    for attempt in range(1, retries.ATTEMPTS + 1):
        try:
            with serialised(CATALOGUE):
                return function()
        except TransientError:
            if attempt == retries.ATTEMPTS:
                raise
            retries.pause(attempt)
    raise AssertionError("unreachable")


def _claimed(site: Any, url: str, holder: str) -> Any:
    """In the current transaction claim an analysis, started; None if there is nothing to do, or another does it."""
    analysis, time = find(site, url), now()
    if analysis is None or analysis.getSimulationState() not in ("planned", "started"):
        return None
    if analysis.holder not in ("", holder):
        if analysis.is_held(time):
            return None
        _note_end(analysis, GONE.format(holder=analysis.holder))
    if analysis.getSimulationState() == "failed" or not _has_work(analysis, time):
        return None
    analysis.claim(holder, time)
    if analysis.getSimulationState() == "planned":
        analysis.start()
    return analysis


def _run_claimed(analysis: Any, keep_going: Callable[[], bool], holder: str) -> Outcome:
    """Call the scripts of an analysis that this holder has claimed, for as long as there is something to do."""
    with LeaseKeeper(analysis._p_jar.db(), analysis.lease._p_oid, holder) as keeper:
        try:
            while _do(analysis, holder) and keep_going() and not keeper.lost:
                pass
        except TransientError:  # it met the commit of another
            transaction.abort()
            return Outcome.CONFLICT
        except Exception as error:
            transaction.abort()
            failure = "".join(traceback.format_exception(type(error), error, error.__traceback__)).strip()
            _committed(lambda: _note_failure(analysis, holder, failure))
            return Outcome.FAILED
    return Outcome.DONE


def _do(analysis: Any, holder: str) -> bool:
    """Call the scripts of an analysis, if there is anything to do, and commit; True: one wants to be called again."""
    transaction.begin()
    if analysis.holder != holder or analysis.getSimulationState() != "started" or analysis.complete:
        return False
    # before the scripts read them: what comes later is left for the next time
    sizes, is_last = _sizes(analysis), _is_last(analysis)
    results: list[bool] = []
    if sizes != analysis.sizes:
        _check_transformation(analysis)
        with as_owner(analysis):
            results = [_call(analysis, line) for line in _operations(analysis)]
    again = any(results)
    # this writes to the record that a claim writes to: who has lost the analysis to another meets that commit here
    analysis.note_success(None if again else sizes, is_last and not again)
    transaction.commit()
    return again


def _end(site: Any, url: str, holder: str) -> None:
    """In the current transaction give an analysis back, stopped if it is complete."""
    analysis = find(site, url)
    if analysis is None or analysis.holder != holder:
        return
    if analysis.complete and analysis.getSimulationState() == "started":
        analysis.edit(stop_date=now())
        analysis.stop()
    analysis.release(holder)


def _has_work(analysis: Any, time: datetime) -> bool:
    """Whether there is something to do for an analysis that is planned or started."""
    if analysis.retry_date is not None and time < analysis.retry_date:
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
    """How many bytes, or buckets, each input has that may grow."""
    found = {url: each for line in lines(analysis) if line.getQuantity() < 0 for url, each in documents(line).items()}
    sizes = {url: size_of(document) for url, document in found.items()}
    return {url: size for url, size in sizes.items() if size is not None}


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


def _note_failure(analysis: Any, holder: str, failure: str) -> None:
    """In the current transaction keep how a script failed, and when to try it again, if ever; give it back."""
    if analysis.holder == holder and analysis.getSimulationState() == "started":
        analysis.note_failure(failure, _retry_date(analysis, DELAY))
        analysis.release(holder)


def _note_end(analysis: Any, failure: str) -> None:
    """In the current transaction note that the process that ran an analysis has ended.

    That counts as a failure, for a script may kill its process each time. The first time may have been an accident, so
    it is tried again at once.
    """
    if analysis.getSimulationState() == "started":
        analysis.note_failure(failure, _retry_date(analysis, DELAY if analysis.attempts else timedelta()))
    analysis.release(analysis.holder)


def _retry_date(analysis: Any, delay: timedelta) -> datetime | None:
    """When to try an analysis again that has failed once more; None: it is given up."""
    failures = analysis.attempts
    return now() + delay * 4**failures if failures + 1 < ATTEMPTS else None
