"""Progress Indicator: how far something is that goes on for long, and what it needs to go on after it was interrupted.

Scripts of analyses keep in it how far they have read their input, as Wendelin has it: `int_offset_index`,
`string_offset_index`. A batch (`compute.batch`) keeps its checkpoint, and says what is done, of how much.

::

    '' (nothing of the kind)     running ── done
                                    ├────── failed            its text says how; run again it goes on, as does
                                    └────── interrupted       one that was stopped, or whose process was killed

State (public format): that of `content.base`, `int_offset_index` (int or None), `string_offset_index` (text), `lease`
(`storage.lease.Lease`: who runs it) and `progress` (Progress). State of Progress: `state` (text as above), `done`,
`total` (numbers of units; total None: unknown), `unit` (text, as in 'rows'), `rate` (units a second, or None),
`start_date`, `stop_date`, `modified` (aware datetimes in UTC, or None), `error` (text), `holder` (the process that ran
it last), `origin` (path of the script that it ran), `ended_loops` (how many loops of a batch have ended), `loop`
(dictionary, see `compute.loop`: the one after them; or None), `memory` (Memory). State of Memory: `values` (dictionary
of plain values, see `compute.memory`).

Progress is a record of its own: it changes every few seconds, and neither editing the document, nor renewing the lease,
is to conflict with that. Nothing of it is in the catalogue, for the same reason. So is Memory, which may take
megabytes, and changes less often.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any, ClassVar

from AccessControl.SecurityInfo import ClassSecurityInfo
from DateTime import DateTime
from persistent import Persistent

from Products.ERP5Wendelin.content.accessors import shown_date
from Products.ERP5Wendelin.content.base import Base, now
from Products.ERP5Wendelin.content.declaration import declared
from Products.ERP5Wendelin.content.state import ValidationState
from Products.ERP5Wendelin.errors import BadInput
from Products.ERP5Wendelin.permissions import ModifyPortalContent, PushData, View
from Products.ERP5Wendelin.storage.lease import Lease

RUNNING, DONE, FAILED, INTERRUPTED = "running", "done", "failed", "interrupted"

OFFSETS = frozenset({"int_offset_index", "string_offset_index"})
"""The properties that scripts change all the time, and nobody looks for."""

UNIT_LENGTH = 100
"""The most characters of what is counted."""

ERROR_LENGTH = 20_000
"""The most characters of an error that are kept: its end."""


class Memory(Persistent):
    """What a batch remembers, besides how far its loops are."""

    values: dict[str, Any] = {}


class Progress(Persistent):
    """How far it is; whoever goes on with it writes this record, so that of two who do one has a conflict."""

    state = ""
    done: float = 0
    total: float | None = None
    unit = ""
    rate: float | None = None
    start_date: datetime | None = None
    stop_date: datetime | None = None
    modified: datetime | None = None
    error = ""
    holder = ""
    origin = ""
    ended_loops = 0
    loop: dict[str, Any] | None = None

    def __init__(self) -> None:
        self.memory = Memory()

    def begin(self, holder: str, origin: str, *, anew: bool) -> None:
        """A process begins with it anew, or goes on from where another one was."""
        if anew:
            self.ended_loops, self.loop, self.memory = 0, None, Memory()
            self.done, self.total, self.unit = 0, None, ""
            self.start_date = None
        self.state, self.holder, self.origin, self.error = RUNNING, holder, origin, ""
        self.rate = self.stop_date = None
        self.start_date = self.start_date or now()
        self.modified = now()

    def note(self, done: float, total: float | None, unit: str, rate: float | None = None) -> None:
        """Say how much is done, of how much."""
        self.done, self.total, self.unit, self.rate = done, total, unit, rate
        self.modified = now()

    def end(self, state: str, error: str = "") -> None:
        """It ends: DONE, FAILED or INTERRUPTED."""
        self.state, self.error, self.rate = state, error[-ERROR_LENGTH:], None
        self.stop_date = self.modified = now()


@declared
class ProgressIndicator(ValidationState, Base):
    """How far something is."""

    security = ClassSecurityInfo()
    security.declarePrivate("lease", "progress")

    portal_type = meta_type = "Progress Indicator"
    properties: ClassVar[dict[str, str]] = {"int_offset_index": "int", "string_offset_index": "text"}

    def __init__(self, id: str, **properties: Any) -> None:
        super().__init__(id, **properties)
        self.lease = Lease()
        self.progress = Progress()

    @security.protected(View)
    def getIntOffsetIndex(self) -> int:
        """How far a script has read; 0 at first."""
        return self.int_offset_index or 0

    @security.protected(ModifyPortalContent)
    def edit(self, **properties: Any) -> None:
        """Set properties and relations: see `Base.edit`. Offsets alone are not told to the catalogue."""
        if not properties.keys() <= OFFSETS:
            super().edit(**properties)
        elif properties:
            self._assign(properties)
            self.notifyModified()

    @security.protected(View)
    def getProgressState(self) -> str:
        """'running', 'done', 'failed' or 'interrupted'; '' if nothing of the kind was ever noted."""
        if self.progress.state == RUNNING and self.progress.holder and not self.lease.is_held(now()):
            return INTERRUPTED
        return self.progress.state

    @security.protected(View)
    def getDone(self) -> float:
        """How many units are done."""
        return self.progress.done

    @security.protected(View)
    def getTotal(self) -> float | None:
        """How many units there are; None: unknown."""
        return self.progress.total

    @security.protected(View)
    def getUnit(self) -> str:
        """What is counted, as in 'rows' or 'bytes'."""
        return self.progress.unit

    @security.protected(View)
    def getRate(self) -> float | None:
        """Units a second, while it is running; None: unknown."""
        return self.progress.rate if self.getProgressState() == RUNNING else None

    @security.protected(View)
    def getStartDate(self) -> DateTime | None:
        """When it began."""
        return _shown(self.progress.start_date)

    @security.protected(View)
    def getStopDate(self) -> DateTime | None:
        """When it ended: done, failed, or stopped; None while it is running, and where its process was killed."""
        return _shown(self.progress.stop_date)

    @security.protected(View)
    def getProgressDate(self) -> DateTime | None:
        """When something of this was noted last."""
        return _shown(self.progress.modified)

    @security.protected(ModifyPortalContent)
    def getErrorText(self) -> str:
        """How it failed, with a traceback, which may show data: for who may change it; '' if it did not."""
        return self.progress.error

    @security.protected(PushData)
    def noteProgress(self, done: float, total: float | None = None, unit: str = "") -> None:
        """Say how much is done, of how much, in the current transaction; what is done of a known total is 'done'."""
        for number in (done, 0 if total is None else total):
            if isinstance(number, bool) or not isinstance(number, (int, float)) or not 0 <= number < 2**63:
                raise BadInput(f"What is done is counted in numbers from 0, not {number!r}.")
        if not isinstance(unit, str) or not unit.isprintable() or len(unit) > UNIT_LENGTH:
            raise BadInput(f"A unit, such as 'rows', has up to {UNIT_LENGTH} printable characters.")
        progress = self.progress
        progress.note(done, total, unit)
        progress.start_date = progress.start_date or now()
        progress.state = DONE if total is not None and done >= total else RUNNING
        progress.stop_date = now() if progress.state == DONE else None

    @security.protected(ModifyPortalContent)
    def reset(self) -> None:
        """Begin anew: forget offsets, checkpoint and progress, in the current transaction."""
        self.edit(int_offset_index=None, string_offset_index="")
        self.progress = Progress()


def _shown(date: datetime | None) -> DateTime | None:
    return None if date is None else shown_date(date)
