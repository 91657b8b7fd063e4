"""Giving up pushes that nobody continues, so that what they brought can be freed."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from AccessControl.SecurityManagement import getSecurityManager, newSecurityManager, setSecurityManager
from AccessControl.SpecialUsers import system
from Products.CMFCore.interfaces import ICatalogTool
from zope.component import getUtility

from Products.ERP5Wendelin.content.base import now


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


@contextmanager
def as_system() -> Iterator[None]:
    """Act as the system user: only who started an ingestion may change it otherwise."""
    before = getSecurityManager()
    newSecurityManager(None, system)
    try:
        yield
    finally:
        setSecurityManager(before)
