"""The workers of a site: those that are at work leave analyses to no alarm.

Who runs an analysis is decided by its claim alone. But a server is not the place for scripts that take minutes and
gigabytes, so its alarm runs analyses only where no worker does.

State (public format), on the module of Data Analyses: `_workers` (OOBTree name of a process -> `storage.lease.Lease`).
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from Acquisition import aq_base
from BTrees.OOBTree import OOBTree

from Products.ERP5Wendelin.content.base import now
from Products.ERP5Wendelin.storage.lease import Lease
from Products.ERP5Wendelin.storage.transaction import in_transaction

_ATTRIBUTE = "_workers"


def announce(site: Any, holder: str) -> None:
    """Say, in a transaction of its own, that a worker is at work; again every `storage.lease.RENEWAL`."""
    in_transaction(site._p_jar, lambda: _announce(site, holder, now()), note="a worker is at work")


def retire(site: Any, holder: str) -> None:
    """Say, in a transaction of its own, that a worker has ended."""
    in_transaction(site._p_jar, lambda: _leases(site).pop(holder, None), note="a worker has ended")


def names_of_workers(site: Any) -> list[str]:
    """The names of the processes that are at work."""
    time = now()
    return [name for name, lease in _leases(site).items() if lease.is_held(time)]


def _announce(site: Any, holder: str, time: datetime) -> None:
    module = aq_base(site.data_analysis_module)
    if not hasattr(module, _ATTRIBUTE):
        setattr(module, _ATTRIBUTE, OOBTree())
    leases = _leases(site)
    for name in [name for name, lease in leases.items() if not lease.is_held(time)]:
        del leases[name]
    leases.setdefault(holder, Lease()).claim(holder, time)


def _leases(site: Any) -> Any:
    return getattr(aq_base(site.data_analysis_module), _ATTRIBUTE, {})
