"""The objects that paths of the API name, as far as the caller may see them."""

from __future__ import annotations

from typing import Any

from Acquisition import aq_base

from Products.ERP5Wendelin.content.data_analysis import DataAnalysis
from Products.ERP5Wendelin.content.data_stream import DataStream
from Products.ERP5Wendelin.content.ingestion_policy import IngestionPolicy
from Products.ERP5Wendelin.content.progress_indicator_module import indicators_of
from Products.ERP5Wendelin.content.state import IN_USE
from Products.ERP5Wendelin.errors import NotAuthorised, NotFound
from Products.ERP5Wendelin.views.access import is_known, may_view


def data_set(site: Any, reference: str) -> Any:
    """The data set of a reference; for who may not see it there is none."""
    found = site.data_set_module.getDataSet(reference)
    if found is not None and may_view(found):
        return found
    if is_known():
        raise NotFound(f"There is no data set {reference!r} that you may see. Check the spelling.")
    raise NotAuthorised(f"There is no public data set {reference!r}. Log in if you have an account.")


def policy(site: Any, id: str) -> Any:
    """An ingestion policy that is in use."""
    found = site.portal_ingestion_policies._getOb(id, None)
    if not isinstance(aq_base(found), IngestionPolicy) or found.getValidationState() not in IN_USE:
        raise NotFound(f"There is no ingestion policy {id!r} in use. Check the spelling, or validate the policy.")
    return found


def data_stream(site: Any, id: str) -> Any:
    """A stream of an agent, or of a data set's file."""
    found = site.data_stream_module._getOb(id, None)
    if isinstance(aq_base(found), DataStream) and may_view(found):
        return found
    if is_known():
        raise NotFound(f"There is no data stream {id!r} that you may see. Ask for the list again.")
    raise NotAuthorised(f"There is no public data stream {id!r}. Log in if you have an account.")


def stream(site: Any, reference: str) -> Any:
    """The stream of a reference: one of an agent's, for files have none here."""
    found = site.data_stream_module.getDataStream(reference)
    if found is not None:
        return found
    if is_known():
        raise NotFound(f"There is no stream {reference!r} that you may see. Check the spelling.")
    raise NotAuthorised(f"There is no public stream {reference!r}. Log in if you have an account.")


def array(site: Any, reference: str) -> Any:
    """The array of a reference."""
    found = site.data_array_module.getDataArray(reference)
    if found is not None:
        return found
    if is_known():
        raise NotFound(f"There is no array {reference!r} that you may see. Check the spelling.")
    raise NotAuthorised(f"There is no public array {reference!r}. Log in if you have an account.")


def analysis(site: Any, id: str) -> Any:
    """A Data Analysis."""
    found = site.data_analysis_module._getOb(id, None)
    if isinstance(aq_base(found), DataAnalysis) and may_view(found):
        return found
    if is_known():
        raise NotFound(f"There is no analysis {id!r} that you may see. Ask for the list again.")
    raise NotAuthorised(f"There is no public analysis {id!r}. Log in if you have an account.")


def indicator(site: Any, reference: str) -> Any:
    """The Progress Indicator of a reference."""
    found = indicators_of(site).getProgressIndicator(reference)
    if found is not None:
        return found
    if is_known():
        raise NotFound(f"There is no progress indicator {reference!r} that you may see. Ask for the list.")
    raise NotAuthorised(f"There is no public progress indicator {reference!r}. Log in if you have an account.")


def ingestion(site: Any, data_set: Any, identity: str) -> Any:
    """An ingestion of a data set, of the caller's own unless they are a manager."""
    found = site.data_ingestion_module._getOb(identity, None)
    if found is None or found.data_set != data_set.getReference() or not may_view(found):
        raise NotFound(
            f"{data_set.getReference()!r} has no ingestion {identity!r} of yours. It may have expired: start another."
        )
    return found
