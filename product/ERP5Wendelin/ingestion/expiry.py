"""Giving up pushes, and arrays that arrive, that nobody continues, so that what they brought can be freed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from Products.CMFCore.interfaces import ICatalogTool
from zope.component import getUtility

from Products.ERP5Wendelin.content.acting import as_system
from Products.ERP5Wendelin.content.base import now
from Products.ERP5Wendelin.ingestion.locks import CATALOGUE, serialised

ARRAYS = "array arrivals"
"""The key of what gives up arrays that arrive."""


def cancel_expired(reference: str) -> None:
    """Cancel the expired ingestions of a data set, whoever started them."""
    time = now()
    found = getUtility(ICatalogTool).unrestrictedSearchResults(
        portal_type="Data Ingestion", data_set=reference, simulation_state="started"
    )
    with as_system():
        for brain in found:
            ingestion = brain._unrestrictedGetObject()
            if ingestion.expires < time:
                ingestion.cancel()


def cancel_all_expired(site: Any, keep_going: Callable[[], bool] = lambda: True) -> int:
    """Cancel the expired pushes of all data sets, each in a transaction of its own, while `keep_going()`; how many.

    What agents send arrives for as long as they run: their ingestions have no data set, and do not expire.
    """
    found = site.portal_catalog.unrestrictedSearchResults(portal_type="Data Ingestion", simulation_state="started")
    count = 0
    for id in [brain.id for brain in found if brain.data_set]:
        if not keep_going():
            break
        with serialised(CATALOGUE), as_system():
            ingestion = site.data_ingestion_module._getOb(id, None)
            if ingestion is not None and ingestion.getSimulationState() == "started" and ingestion.expires < now():
                ingestion.cancel()
                count += 1
    return count


def drop_expired_arrays(site: Any) -> int:
    """Drop the arrays that arrive, and that nobody has gone on with, in a transaction of its own; how many."""
    with serialised(ARRAYS):
        return int(site.data_array_module.dropExpiredArrivals(now()))
