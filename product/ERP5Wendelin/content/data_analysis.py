"""Data Analysis: a Data Transformation at work on what one Data Ingestion brings.

::

    planned ── start ──> started ── stop ──> stopped ── deliver ──> delivered
                            │                   │
                            └─ fail ──> failed ─┴── plan ──> planned            cancel, from all but the last two

It specialises the transformation, is caused by the ingestion, and has the lines `compute.create` gave it. While it is
started `compute.execute` calls the scripts of its operations. One on a stream goes on as long as data arrives, and is
called again for what is new; it stops when its ingestion has. A script that fails is tried again a few times, each time
later; then the analysis is failed, until somebody plans it again.

Whoever runs it claims it: its name is written here, in the record that each call of its scripts changes, too. So
whoever takes an analysis over from a process that is gone, or seemed to be, makes the commit of that one conflict.
How long a claim is valid is in a lease, a record of its own, for it is renewed while scripts run.

State (public format): that of `content.folder` (its lines) and `content.base`, and `sizes` (dictionary relative URL of
an input -> how many bytes it had when the script was last called; None before the first time), `complete` (whether
nothing is left to do but to stop), `attempts` (how often it has failed in a row), `retry_date` (aware datetime in UTC,
not to be called before; or None), `failure` (text: the traceback of the last time it failed; '' once it succeeds),
`holder` (text that names who runs it; '': nobody does) and `lease` (`storage.lease.Lease`; None before the first run).
"""

from __future__ import annotations

from datetime import datetime
from typing import ClassVar

from AccessControl.SecurityInfo import ClassSecurityInfo
from DateTime import DateTime

from Products.ERP5Wendelin.content.accessors import shown_date
from Products.ERP5Wendelin.content.base import now
from Products.ERP5Wendelin.content.declaration import declared
from Products.ERP5Wendelin.content.folder import Folder
from Products.ERP5Wendelin.content.movement import PARTIES
from Products.ERP5Wendelin.content.state import SimulationState, change_state
from Products.ERP5Wendelin.permissions import ModifyPortalContent, View
from Products.ERP5Wendelin.storage.lease import Lease


@declared
class DataAnalysis(SimulationState, Folder):
    """An analysis: planned, started, and then stopped, failed or cancelled."""

    security = ClassSecurityInfo()
    security.declarePrivate("sizes", "complete", "attempts", "retry_date", "failure", "holder", "lease")

    portal_type = meta_type = "Data Analysis"
    properties: ClassVar[dict[str, str]] = {"start_date": "date", "stop_date": "date"}
    base_categories = (*PARTIES, "specialise", "causality")

    sizes: dict[str, int] | None = None
    complete = False
    attempts = 0
    retry_date: datetime | None = None
    failure = ""
    holder = ""
    lease: Lease | None = None

    @security.protected(View)
    def getFailure(self) -> str:
        """The traceback of the last time its script failed; '' if it has not, or has succeeded since."""
        return self.failure

    @security.protected(View)
    def getFailureCount(self) -> int:
        """How often in a row its script has failed."""
        return self.attempts

    @security.protected(View)
    def getRetryDate(self) -> DateTime | None:
        """When its script is tried again after a failure."""
        return None if self.retry_date is None else shown_date(self.retry_date)

    @security.protected(View)
    def isActive(self) -> bool:
        """Whether its scripts are being called, in whatever process."""
        return self.is_held(now())

    @security.protected(ModifyPortalContent)
    def plan(self) -> None:
        """Do it again, from its beginning: one that has stopped or failed. WrongState, NotAuthorised: see `start`."""
        change_state(self, "simulation_state", "plan")
        self.sizes = None
        self.complete = False
        self._forget_failures()

    @security.private
    def is_held(self, time: datetime) -> bool:
        """Whether anybody runs it, or may do so still, at a time."""
        return bool(self.holder) and self.lease is not None and self.lease.is_held_by(self.holder, time)

    @security.private
    def claim(self, holder: str, time: datetime) -> None:
        """In the current transaction take it, to run it; only if nobody has it, or has ended."""
        if self.lease is None:
            self.lease = Lease()
        self.lease.holder = ""
        self.lease.claim(holder, time)
        self.holder = holder

    @security.private
    def release(self, holder: str) -> None:
        """In the current transaction give it back, unless another has it by now."""
        if self.holder == holder:
            self.holder = ""

    @security.private
    def note_success(self, sizes: dict[str, int] | None, complete: bool) -> None:
        """Note that its script has done what there was to do, when the inputs had these sizes."""
        self.sizes = sizes
        self.complete = complete
        self._forget_failures()

    @security.private
    def note_failure(self, failure: str, retry_date: datetime | None) -> None:
        """Note that its script failed; without a date it is not tried again."""
        self.attempts += 1
        self.failure = failure
        self.retry_date = retry_date
        if retry_date is None:
            change_state(self, "simulation_state", "fail")

    def _forget_failures(self) -> None:
        self.attempts = 0
        self.retry_date = None
        self.failure = ""
