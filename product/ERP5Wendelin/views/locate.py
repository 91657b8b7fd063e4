"""The objects that paths of the API name, as far as the caller may see them."""

from __future__ import annotations

from typing import Any

from Acquisition import aq_base

from Products.ERP5Wendelin.content.data_analysis import DataAnalysis
from Products.ERP5Wendelin.content.data_stream import DataStream
from Products.ERP5Wendelin.content.ingestion_policy import IngestionPolicy
from Products.ERP5Wendelin.content.progress_indicator_module import indicators_of
from Products.ERP5Wendelin.content.state import IN_USE
from Products.ERP5Wendelin.errors import NotAuthorised, NotFound, WendelinError
from Products.ERP5Wendelin.views.access import is_known, may_view


def data_set(site: Any, reference: str) -> Any:
    """The data set of a reference; for who may not see it there is none."""
    found = site.data_set_module.getDataSet(reference)
    if found is not None and may_view(found):
        return found
    raise _not_found("data set", reference, "Check the spelling.")


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
    raise _not_found("data stream", id, "Ask for the list again.")


def stream(site: Any, reference: str) -> Any:
    """The stream of a reference: one of an agent's, for files have none here."""
    found = site.data_stream_module.getDataStream(reference)
    if found is not None:
        return found
    raise _not_found("stream", reference, "Check the spelling.")


def array(site: Any, reference: str) -> Any:
    """The array of a reference."""
    found = site.data_array_module.getDataArray(reference)
    if found is not None:
        return found
    raise _not_found("array", reference, "Check the spelling.")


def analysis(site: Any, id: str) -> Any:
    """A Data Analysis."""
    found = site.data_analysis_module._getOb(id, None)
    if isinstance(aq_base(found), DataAnalysis) and may_view(found):
        return found
    raise _not_found("analysis", id, "Ask for the list again.")


def indicator(site: Any, reference: str) -> Any:
    """The Progress Indicator of a reference."""
    found = indicators_of(site).getProgressIndicator(reference)
    if found is not None:
        return found
    raise _not_found("progress indicator", reference, "Ask for the list.")


def ingestion(site: Any, data_set: Any, identity: str) -> Any:
    """An ingestion of a data set, of the caller's own unless they are a manager."""
    found = site.data_ingestion_module._getOb(identity, None)
    if found is None or found.data_set != data_set.getReference() or not may_view(found):
        raise NotFound(
            f"{data_set.getReference()!r} has no ingestion {identity!r} of yours. It may have expired: start another."
        )
    return found


def _not_found(kind: str, name: str, advice: str) -> WendelinError:
    """What is said of something that is not there, or not for the caller: nobody learns which."""
    if is_known():
        return NotFound(f"There is no {kind} {name!r} that you may see. {advice}")
    return NotAuthorised(f"There is no public {kind} {name!r}. Log in if you have an account.")
