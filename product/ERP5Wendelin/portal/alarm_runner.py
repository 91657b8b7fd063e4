"""Running alarms: one of them, by hand; and all that are due, in a thread of `wendelin serve`.

Each process that serves has such a thread. They compete for the lease of `portal_alarms`; who has it runs the alarms,
one after the other, and the others look again after a while. A process that ends gives the lease back. If it is killed
the lease expires; another then goes on, and an alarm that was running is noted as one that failed.

Alarms run as the system user, on a connection and in transactions of the thread's own, so that no request waits for
them, but for the moments in which they write to the catalogue (see `ingestion.locks`). Those of the product end soon
once the server was asked to stop; a script that does not is cut off when the process ends.
"""

from __future__ import annotations

import logging
import os
import socket
import threading
import traceback
from collections.abc import Callable
from typing import Any

import transaction
from transaction.interfaces import TransientError
from ZODB import DB

from Products.ERP5Wendelin.alarms.budget import interruptible
from Products.ERP5Wendelin.content.alarm import Alarm, Report
from Products.ERP5Wendelin.content.site import opened_site
from Products.ERP5Wendelin.errors import Conflict, NotFound, WendelinError
from Products.ERP5Wendelin.storage.lease import DURATION, RENEWAL, Clock, LeaseKeeper, utc_now

TOOL = "portal_alarms"

INTERVAL = 20.0
"""Seconds between two looks at what is due: dates are minutes."""

ATTEMPTS = 5
"""How often an alarm is run that meets the commits of others."""

logger = logging.getLogger("wendelin.alarms")


class _LeaseLost(Conflict):
    """Another process has taken the alarm over."""


def process_name() -> str:
    """A name for this process that no other has, on whatever machine."""
    return f"{socket.gethostname()}:{os.getpid()}:{os.urandom(4).hex()}"


def find_alarm(site: Any, id: str) -> Alarm:
    """The alarm of an id. NotFound names those there are."""
    tool = alarm_tool(site)
    alarm = tool._getOb(id, None)
    if not isinstance(alarm, Alarm):
        ids = ", ".join(sorted(each.getId() for each in tool.objectValues(portal_type="Alarm"))) or "none"
        raise NotFound(f"There is no alarm {id!r}. There are: {ids}.")
    return alarm


def alarm_tool(site: Any) -> Any:
    """The tool of alarms. NotFound: no business template has brought it."""
    tool = site._getOb(TOOL, None)
    if tool is None:
        raise NotFound("This site has no alarms: the business template erp5_wendelin, which brings them, is missing.")
    return tool


def run_alarm(site: Any, id: str, holder: str, clock: Clock = utc_now) -> Report:
    """Run an alarm on this thread's connection, in transactions of its own, and return what it had to say.

    NotFound: there is none of this id. Conflict: it is running already, or another process has it by now.
    """
    if not _committed(lambda: find_alarm(site, id).claim(holder, clock())):
        raise Conflict(f"The alarm {id!r} is running already. Wait until it is done.")
    return _run_claimed(site, id, holder, clock, lambda: False)


def run_alarm_if_due(site: Any, id: str, holder: str, clock: Clock, stopping: Callable[[], bool]) -> None:
    """The same, unless it is not due any more, or is running already; it ends soon once `stopping()`."""

    def claim() -> bool:
        alarm, time = find_alarm(site, id), clock()
        due = alarm.next_date(time)
        return due is not None and due <= time and alarm.claim(holder, time)

    if _committed(claim):
        _run_claimed(site, id, holder, clock, stopping)


def _run_claimed(site: Any, id: str, holder: str, clock: Clock, stopping: Callable[[], bool]) -> Report:
    """Run an alarm whose lease this process has claimed, and which it keeps until the end."""
    keeper = LeaseKeeper(site._p_jar.db(), find_alarm(site, id).lease._p_oid, holder, clock)
    with keeper, interruptible(lambda: stopping() or keeper.lost):
        report = _sensed(site, id, holder, clock)
    # not with the report: a renewal while the script ran would conflict, and the script be run again
    _committed(lambda: find_alarm(site, id).lease.release(holder))
    return report


def _sensed(site: Any, id: str, holder: str, clock: Clock) -> Report:
    """Call an alarm's script, and note what it said or how it failed."""

    def held() -> Alarm:
        alarm = find_alarm(site, id)
        if alarm.lease.holder != holder:
            raise _LeaseLost(
                f"The alarm {id!r} was taken over by another process, since this one did not renew its lease in time: "
                "what it did last was not kept."
            )
        return alarm

    def sense() -> Report:
        report = held().activeSense()
        held().finish(holder, clock(), report)
        return report

    try:
        report = _committed(sense)
    except _LeaseLost:
        raise
    except Exception as error:
        report = Report(failed=True, text=_explained(error))
        logger.error("the alarm %s failed: %s", id, report.text)
        _committed(lambda: held().finish(holder, clock(), report))
    else:
        logger.log(logging.WARNING if report.failed else logging.DEBUG, "the alarm %s: %s", id, report.text)
    return report


def _explained(error: Exception) -> str:
    """What somebody needs to know of an error: for one of ours its text, which says what to do."""
    if isinstance(error, WendelinError) and error.__cause__ is None:
        return str(error)
    return "".join(traceback.format_exception(type(error), error, error.__traceback__)).strip()


def _committed(function: Callable[[], Any]) -> Any:
    """Call a function in a transaction of this thread, again if it meets the commits of others; its result."""
    for attempt in transaction.manager.attempts(ATTEMPTS):
        with attempt:
            result = function()
    return result


class AlarmRunner:
    """Runs the alarms of a database that are due, in a thread, until it is stopped."""

    def __init__(self, database: DB, holder: str | None = None, clock: Clock = utc_now) -> None:
        self._database = database
        self._holder = holder or process_name()
        self._clock = clock
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._work, name="alarms", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """Let it end soon; `join` waits for that."""
        self._stopping.set()

    def join(self, timeout: float) -> bool:
        """Wait until it has ended; False if it hasn't in so many seconds."""
        self._thread.join(max(timeout, 0.0))
        return not self._thread.is_alive()

    def _work(self) -> None:
        while not self._stopping.is_set():
            self._protected(self.turn)
            self._stopping.wait(INTERVAL)
        self._protected(self.release)

    def _protected(self, function: Callable[[], None]) -> None:
        try:
            function()
        except TransientError:  # another process was quicker
            logger.info("alarms: met another process, which goes on")
        except Exception:  # a database out of reach is there again later; the server goes on meanwhile
            logger.exception("alarms could not be run")

    def turn(self) -> None:
        """Run what is due, if it is this process that runs alarms, or may begin to."""
        with opened_site(self._database) as site:
            tool = site._getOb(TOOL, None)
            if tool is None or not self._may(tool):
                return
            due = tool.due_ids(self._clock())
            if not due:
                return
            with LeaseKeeper(self._database, tool.lease._p_oid, self._holder, self._clock) as keeper:
                for id in due:
                    if self._stopping.is_set() or keeper.lost:
                        return
                    run_alarm_if_due(site, id, self._holder, self._clock, self._stopping.is_set)

    def release(self) -> None:
        """Let another process run the alarms."""
        with opened_site(self._database) as site:
            tool = site._getOb(TOOL, None)
            if tool is not None:
                _committed(lambda: tool.lease.release(self._holder))

    def _may(self, tool: Any) -> bool:
        """Whether this process has the lease, claimed or renewed if it is time to; a commit only then."""
        lease, time = tool.lease, self._clock()
        if lease.is_held_by(self._holder, time) and lease.expires - time > DURATION - RENEWAL:
            return True
        with transaction.manager:
            return bool(lease.claim(self._holder, self._clock()))
