"""Alarm: something that is done periodically, by a script; and what came of it the last times.

`wendelin serve` runs the alarms that are due, in one process of a cluster, as the system user; `wendelin alarm run`
runs one by hand. An alarm is due at the first date of its periodicity after its last run began (or after the alarm was
made): what was missed is made up for, once, however often it was missed. Whoever runs an alarm claims its lease, so
that it is never run twice at the same time.

The script is that of `active_sense_method_id`; it is called with the alarm for its context, and returns a `Report`, a
text, or nothing. What it raises is a failure of the alarm, with the traceback for its text.

State (public format): that of `content.base`, `lease` (`storage.lease.Lease`) and `log` (AlarmLog). State of AlarmLog:
`start` (when the last run began; aware datetime in UTC, or None), `runs` (tuple of `Run` as plain tuples, newest
first), `memory` (a dictionary of plain values that the script keeps from one run to the next).
"""

from __future__ import annotations

from datetime import datetime, timezone
from typing import Any, ClassVar, NamedTuple

from AccessControl.SecurityInfo import ClassSecurityInfo, allow_class
from AccessControl.SecurityManagement import getSecurityManager
from DateTime import DateTime
from persistent import Persistent

from Products.ERP5Wendelin.content import scripts
from Products.ERP5Wendelin.content.accessors import shown_date
from Products.ERP5Wendelin.content.base import Base, now
from Products.ERP5Wendelin.content.declaration import declared
from Products.ERP5Wendelin.content.periodicity import WEEK_DAYS, Periodicity, next_date
from Products.ERP5Wendelin.errors import BadInput, NotAuthorised
from Products.ERP5Wendelin.permissions import ModifyPortalContent, View
from Products.ERP5Wendelin.storage.lease import SKEW, Lease

EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)

RUNS_KEPT = 10
"""Runs that are remembered; one that says the same as the one before takes its place."""

TEXT_LENGTH = 20_000
"""The most characters of a report that are kept."""

LIMITS = {
    "periodicity_minute": (0, 59),
    "periodicity_minute_frequency": (1, 59),
    "periodicity_hour": (0, 23),
    "periodicity_hour_frequency": (1, 23),
    "periodicity_day_frequency": (1, 366),
    "periodicity_week": (1, 53),
    "periodicity_week_frequency": (1, 53),
    "periodicity_month_day": (1, 31),
    "periodicity_month": (1, 12),
    "periodicity_month_frequency": (1, 12),
}
"""Property -> the least and the greatest number that it takes."""


class Report(NamedTuple):
    """What an alarm has to say."""

    failed: bool
    """Whether it found something that somebody should look at."""
    text: str


allow_class(Report)


class Run(NamedTuple):
    """A run of an alarm. Stored as a plain tuple."""

    start: datetime
    stop: datetime
    holder: str
    """The process that ran it."""
    failed: bool
    text: str

    def __reduce__(self) -> tuple[Any, ...]:
        return tuple, (tuple(self),)


class AlarmLog(Persistent):
    """What changes with each run; a record of its own, so that a run and an administrator do not conflict."""

    start: datetime | None = None
    runs: tuple[tuple[Any, ...], ...] = ()
    memory: dict[str, Any] = {}


@declared
class Alarm(Base):
    """An alarm, in the tool `portal_alarms`."""

    security = ClassSecurityInfo()
    security.declarePrivate("lease", "log")

    portal_type = meta_type = "Alarm"
    properties: ClassVar[dict[str, str]] = {
        "enabled": "boolean",
        "active_sense_method_id": "text",
        "periodicity_start_date": "date",
        "periodicity_stop_date": "date",
        "periodicity_minute": "ints",
        "periodicity_minute_frequency": "int",
        "periodicity_hour": "ints",
        "periodicity_hour_frequency": "int",
        "periodicity_day_frequency": "int",
        "periodicity_week_day": "lines",
        "periodicity_week": "ints",
        "periodicity_week_frequency": "int",
        "periodicity_month_day": "ints",
        "periodicity_month": "ints",
        "periodicity_month_frequency": "int",
    }
    """Without a start date there are no dates; for the rest see `content.periodicity`."""

    def __init__(self, id: str, **properties: Any) -> None:
        super().__init__(id, **properties)
        self.lease = Lease()
        self.log = AlarmLog()

    def _assign(self, properties: dict[str, Any]) -> None:
        for name, value in properties.items():
            _check_limits(name.removesuffix("_list"), value)
        super()._assign(properties)

    @security.protected(View)
    def isEnabled(self) -> bool:
        """Whether it is run by itself."""
        return bool(self.enabled)

    @security.protected(View)
    def isActive(self) -> bool:
        """Whether it is running, in whatever process."""
        return bool(self.lease.is_held(now()))

    @security.protected(View)
    def sense(self) -> bool:
        """Whether its last run found something that somebody should look at."""
        return bool(self.log.runs) and self._last_run().failed

    @security.protected(View)
    def getNextAlarmDate(self) -> DateTime | None:
        """When it is due, which may be a date that has passed; None: never."""
        date = self.next_date(now())
        return None if date is None else shown_date(date)

    @security.protected(View)
    def getLastReport(self) -> Report | None:
        """What its last run had to say; None before the first."""
        return Report(self._last_run().failed, self._last_run().text) if self.log.runs else None

    @security.protected(View)
    def getRunList(self) -> list[dict[str, Any]]:
        """Its last runs, newest first: start, stop (DateTime), holder, failed, text.

        Of runs in a row that had the same to say there is only the last.
        """
        return [
            {**Run(*run)._asdict(), "start": shown_date(run[0]), "stop": shown_date(run[1])} for run in self.log.runs
        ]

    @security.protected(ModifyPortalContent)
    def activeSense(self) -> Report:
        """Call its script, here and now, and return what it has to say; nothing is noted.

        Scripts of the product end the current transaction and begin others: commit before what is to stay.
        """
        return _as_report(scripts.run(scripts.script_of(self, self.active_sense_method_id)))

    @security.private
    def next_date(self, time: datetime) -> datetime | None:
        """When it is due, as it looks at a time; None: never.

        A clock that was wrong may have noted a beginning in the future: it would never be due again. It is due then.
        """
        if not self.isEnabled():
            return None
        begun = self.log.start or self.created
        return next_date(self._periodicity(), begun if begun <= time + SKEW else EPOCH)

    @security.private
    def claim(self, holder: str, time: datetime) -> bool:
        """In the current transaction begin a run; False if it is running already.

        A run that a process began and did not end, for the process ended first, is noted as one that failed.
        """
        begun, before = self.log.start, self.lease.holder
        if not self.lease.claim(holder, time):
            return False
        if begun is not None and before and not (self.log.runs and self._last_run().start == begun):
            self._note(Run(begun, time, before, True, "It did not finish: the process that ran it has ended."))
        self.log.start = time
        return True

    @security.private
    def finish(self, holder: str, time: datetime, report: Report) -> None:
        """In the current transaction note what a run had to say; its lease is to be released then."""
        self._note(Run(self.log.start or time, time, holder, report.failed, report.text))

    @security.private
    def recall(self) -> dict[str, Any]:
        """What was remembered last; empty at first."""
        return dict(self.log.memory)

    @security.private
    def remember(self, memory: dict[str, Any]) -> None:
        """Keep a dictionary of plain values for the next run."""
        self.log.memory = dict(memory)

    def _last_run(self) -> Run:
        return Run(*self.log.runs[0])

    def _note(self, run: Run) -> None:
        run = run._replace(text=run.text[:TEXT_LENGTH])
        others = self.log.runs
        if others and Run(*others[0])[3:] == run[3:]:
            others = others[1:]
        self.log.runs = (tuple(run), *others)[:RUNS_KEPT]

    def _periodicity(self) -> Periodicity:
        return Periodicity(
            start=self.periodicity_start_date,
            stop=self.periodicity_stop_date,
            minute=self.periodicity_minute_list,
            minute_frequency=self.periodicity_minute_frequency,
            hour=self.periodicity_hour_list,
            hour_frequency=self.periodicity_hour_frequency,
            day_frequency=self.periodicity_day_frequency,
            week_day=self.periodicity_week_day_list,
            week=self.periodicity_week_list,
            week_frequency=self.periodicity_week_frequency,
            month_day=self.periodicity_month_day_list,
            month=self.periodicity_month_list,
            month_frequency=self.periodicity_month_frequency,
        )


def checked_alarm(alarm: Any) -> Alarm:
    """The alarm that a script gives to a function of the product. NotAuthorised: the user may not run it."""
    if not isinstance(alarm, Alarm):
        raise BadInput("This is done by an alarm: call it from the script of one.")
    if not getSecurityManager().checkPermission(ModifyPortalContent, alarm):
        raise NotAuthorised(f"You may not run the alarm {alarm.getId()!r}.")
    return alarm


def _check_limits(name: str, value: Any) -> None:
    values = value if isinstance(value, (list, tuple, set, frozenset)) else (value,)
    if name in LIMITS:
        least, greatest = LIMITS[name]
        if any(isinstance(each, int) and not least <= each <= greatest for each in values):
            raise BadInput(f"{name} must be from {least} to {greatest}.")
    if name == "periodicity_week_day" and any(each not in (*WEEK_DAYS, None) for each in values):
        raise BadInput(f"{name} must be names of days: {', '.join(WEEK_DAYS)}.")


def _as_report(result: Any) -> Report:
    """What a script returned, as a report."""
    if isinstance(result, Report):
        return result
    return Report(failed=False, text="" if result is None else str(result))
