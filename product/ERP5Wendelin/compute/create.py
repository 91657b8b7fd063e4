"""Making Data Analyses: one for each Data Transformation and each stream of the product that it begins with.

A transformation takes part while it is validated or published. It begins with what is brought by Data Ingestion Lines
of the same resource. Its lines say what its analyses have, and their `quantity` which way it goes:

* below 0, a Data Product: an input. The one of the transformation's own resource leads to what the ingestion line
  aggregates; its `use` says how that is to be taken. With `use/big_data/ingestion/batch` the ingestion must have
  stopped, and the analysis runs once; with `use/big_data/ingestion/stream` it may be running, and the analysis runs
  again for what is new. Without one of both it is as the ingestion line has it. Any other input leads to what the
  transformation's line aggregates itself: a table of calibrations, for instance.
* of any quantity, a Data Operation: it is done, by its script. Several are done in the order of `int_index`.
* above 0, a Data Product: an output, for which a document of each portal type of `aggregated_portal_type_list` is
  made, unless the transformation's line aggregates one itself.

A Progress Indicator is made for any line that has it among these portal types, as Wendelin does: the script keeps in
it how far it has read that input.

An analysis is made with the rights of the transformation's owner, who so owns it and what it makes. Its id follows from
the transformation, the ingestion and the line, so that it is never made twice.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Any, NamedTuple

from Products.ERP5Wendelin.compute.rights import as_owner
from Products.ERP5Wendelin.content.base import now
from Products.ERP5Wendelin.content.relation import find
from Products.ERP5Wendelin.content.state import IN_USE
from Products.ERP5Wendelin.errors import WendelinError
from Products.ERP5Wendelin.ingestion.lines import lines
from Products.ERP5Wendelin.ingestion.locks import CATALOGUE, serialised

BATCH = "big_data/ingestion/batch"
STREAM = "big_data/ingestion/stream"

STATES = ("started", "stopped")
"""Of the ingestions that are looked at: what was delivered has been dealt with."""

RESOURCE_LINE = "Data Transformation Resource Line"
PROGRESS = "Progress Indicator"


class Created(NamedTuple):
    """What came of making analyses."""

    made: list[str]
    """Their relative URLs."""
    problems: list[str]
    """Sentences, each about a transformation of which none can be made."""


def create_analyses(site: Any, keep_going: Callable[[], bool]) -> Created:
    """Make the analyses that are missing, each in a transaction of its own."""
    created = Created([], [])
    found = site.portal_catalog.unrestrictedSearchResults(
        portal_type="Data Transformation", validation_state=IN_USE, sort_on="reference"
    )
    for url in [brain.relative_url for brain in found]:
        try:
            for line_url in _lines_without_analysis(site, url):
                if not keep_going():
                    return created
                made = _create_missing(site, url, line_url)
                if made is not None:
                    created.made.append(made)
        except WendelinError as error:
            created.problems.append(str(error))
    return created


def uses(transformation: Any, line: Any) -> list[str]:
    """How an ingestion line is taken by a transformation: BATCH, STREAM, or none of them."""
    ways = {BATCH, STREAM}
    for each in _inputs(transformation):
        if each.getResource() == transformation.getResource() and ways & set(each.getUseList()):
            return [use for use in each.getUseList() if use in ways]
    return [use for use in line.getUseList() if use in ways]


def _lines_without_analysis(site: Any, url: str) -> list[str]:
    """Relative URLs of the ingestion lines that a transformation's owner may view, and that it has no analysis of."""
    transformation = find(site, url)
    if transformation is None or transformation.getResource() is None:
        return []
    with as_owner(transformation):
        found = site.portal_catalog.searchResults(
            portal_type="Data Ingestion Line",
            resource_relative_url=transformation.getResource(),
            simulation_state=STATES,
        )
    urls = (brain.relative_url for brain in found)
    return [line for line in urls if not site.data_analysis_module.has_key(_id(url, line))]


def _create_missing(site: Any, url: str, line_url: str) -> str | None:
    """Make the analysis of an ingestion line by a transformation, unless it is there, or it is too early."""
    with serialised(CATALOGUE):
        transformation, line = find(site, url), find(site, line_url)
        if transformation is None or line is None or transformation.getValidationState() not in IN_USE:
            return None
        states = ("stopped",) if BATCH in uses(transformation, line) else STATES
        if line.getSimulationState() not in states or not line.getAggregateList():
            return None
        if site.data_analysis_module.has_key(_id(url, line_url)):
            return None
        with as_owner(transformation):
            return str(_create(site, transformation, line).getRelativeUrl())


def _id(url: str, line_url: str) -> str:
    """The id of the analysis of a line by a transformation."""
    return hashlib.sha256(f"{url} {line_url}".encode()).hexdigest()[:32]


def _create(site: Any, transformation: Any, line: Any) -> Any:
    """Make the analysis of an ingestion line, planned, with its lines."""
    ingestion = line.getParentValue()
    analysis = site.data_analysis_module.newContent(
        portal_type="Data Analysis",
        id=_id(transformation.getRelativeUrl(), line.getRelativeUrl()),
        title=transformation.getTitleOrId(),
        reference=ingestion.getReference(),
        start_date=now(),
        specialise_list=[transformation.getRelativeUrl(), *ingestion.getSpecialiseList()],
        causality=ingestion.getRelativeUrl(),
    )
    for each in lines(transformation):
        is_main_input = each in _inputs(transformation) and each.getResource() == transformation.getResource()
        analysis.newContent(
            portal_type="Data Analysis Line",
            reference=each.getReference(),
            title=each.getTitle(),
            int_index=each.getIntIndex(),
            quantity=each.getQuantity(),
            resource=each.getResource(),
            use_list=(uses(transformation, line) or each.getUseList()) if is_main_input else each.getUseList(),
            aggregate_list=[
                *(line.getAggregateList() if is_main_input else each.getAggregateList()),
                *_made(site, analysis, each),
            ],
        )
    return analysis


def _inputs(transformation: Any) -> list[Any]:
    return [each for each in transformation.objectValues(portal_type=RESOURCE_LINE) if each.getQuantity() < 0]


def _made(site: Any, analysis: Any, line: Any) -> list[str]:
    """The relative URLs of documents made for a line of an analysis, by the line of the transformation."""
    made = []
    there = {document.getPortalType() for document in line.getAggregateValueList()}
    for portal_type in line.getAggregatedPortalTypeList():
        if portal_type not in there and (line.getQuantity() > 0 or portal_type == PROGRESS):
            names = (analysis.getTitle(), line.getReference() or line.getTitle(), analysis.getReference())
            document = site.getDefaultModule(portal_type).newContent(
                portal_type=portal_type,
                title=f"{analysis.getTitle()}: {line.getTitle() or line.getReference()}",
                reference="-".join(name for name in names if name),
            )
            document.validate()
            made.append(document.getRelativeUrl())
    return made
