"""Data Analysis: a Data Transformation at work on what one Data Ingestion brings.

::

    planned ── start ──> started ── stop ──> stopped ── deliver ──> delivered
                            │                   │
                            └─ fail ──> failed ─┴── plan ──> planned            cancel, from all but the last two

It specialises the transformation, is caused by the ingestion, and has the lines `compute.create` gave it. While it is
started `compute.execute` calls the scripts of its operations. One on a stream goes on as long as data arrives, and is
called again for what is new; it stops when its ingestion has. A script that fails is tried again a few times, each time
later; then the analysis is failed, until somebody plans it again.

State (public format): that of `content.folder` (its lines) and `content.base`, and `sizes` (dictionary relative URL of
an input -> how many bytes it had when the script was last called; None before the first time), `complete` (whether
nothing is left to do but to stop), `attempts` (how often it has failed in a row), `retry_date` (aware datetime in UTC,
not to be called before; or None), `failure` (text: the traceback of the last time it failed; '' once it succeeds).
"""

from __future__ import annotations

from datetime import datetime
from typing import ClassVar

from AccessControl.SecurityInfo import ClassSecurityInfo
from DateTime import DateTime

from Products.ERP5Wendelin.content.accessors import shown_date
from Products.ERP5Wendelin.content.declaration import declared
from Products.ERP5Wendelin.content.folder import Folder
from Products.ERP5Wendelin.content.movement import PARTIES
from Products.ERP5Wendelin.content.state import SimulationState, change_state
from Products.ERP5Wendelin.permissions import ModifyPortalContent, View


@declared
class DataAnalysis(SimulationState, Folder):
    """An analysis: planned, started, and then stopped, failed or cancelled."""

    security = ClassSecurityInfo()
    security.declarePrivate("sizes", "complete", "attempts", "retry_date", "failure")

    portal_type = meta_type = "Data Analysis"
    properties: ClassVar[dict[str, str]] = {"start_date": "date", "stop_date": "date"}
    base_categories = (*PARTIES, "specialise", "causality")

    sizes: dict[str, int] | None = None
    complete = False
    attempts = 0
    retry_date: datetime | None = None
    failure = ""

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

    @security.protected(ModifyPortalContent)
    def plan(self) -> None:
        """Do it again, from its beginning: one that has stopped or failed. WrongState, NotAuthorised: see `start`."""
        change_state(self, "simulation_state", "plan")
        self.sizes = None
        self.complete = False
        self._forget_failures()

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
