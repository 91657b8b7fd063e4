"""A worker: looks for analyses that are due, and has them run, several at once, each in a process.

::

    SharedDatabase ── look ── due analyses ──> AnalysisProcess 1, 2, … jobs
          └────── notes why a process has ended       └── claim · run · commit

The worker itself runs no script. It makes the analyses that are missing, and knows of each process what it runs: one
that is ended by its script is replaced, and why is noted with the analysis. Several workers may share a database, on
one machine or on many: the claim of an analysis decides which process runs it (`compute.execute`).

New data is noticed by looking: once a second, or less often where a look takes so long that it would be more than a
tenth of the time. Where nothing was committed since the last look, that costs nothing.
"""

from __future__ import annotations

import logging
import multiprocessing
import threading
import time
from collections.abc import Callable
from multiprocessing.connection import wait
from typing import Any, NamedTuple

import transaction
from transaction.interfaces import TransientError
from ZODB import DB

from Products.ERP5Wendelin.blockwise.snapshot import Snapshot
from Products.ERP5Wendelin.compute.create import create_analyses
from Products.ERP5Wendelin.compute.execute import Outcome, is_due, note_end, planned_analyses
from Products.ERP5Wendelin.compute.workers import announce, retire
from Products.ERP5Wendelin.content.base import now
from Products.ERP5Wendelin.content.relation import find
from Products.ERP5Wendelin.content.site import opened_site
from Products.ERP5Wendelin.errors import Conflict, WendelinError
from Products.ERP5Wendelin.portal.analysis_process import AnalysisProcess, Ran, Settings
from Products.ERP5Wendelin.portal.shared_database import SharedDatabase
from Products.ERP5Wendelin.storage.lease import RENEWAL
from Products.ERP5Wendelin.storage.process import this_process
from Products.ERP5Wendelin.storage.transaction import is_lost

INTERVAL = 1.0
"""Seconds between two looks at what is due."""

SHARE = 0.1
"""Of the time that looking may take."""

LONGEST = 20.0
"""Seconds after which it looks though nothing was committed: dates come, and claims expire."""

START_ATTEMPTS = 3
"""How many processes in a row may end before they are ready."""

logger = logging.getLogger("wendelin.worker")


class Totals(NamedTuple):
    """What came of all that was run."""

    done: int
    failed: int


class Worker:
    """Has analyses run until it is stopped, or, if `once`, until none is due."""

    def __init__(self, database: SharedDatabase, settings: Settings, jobs: int, say: Callable[[str], None]) -> None:
        self._database = database
        self._settings = settings
        self._jobs = jobs
        self._say = say
        self._stopping = threading.Event()
        self._woken, self._waker = multiprocessing.Pipe(duplex=False)
        self._is_once = False
        self._processes: list[AnalysisProcess] = []
        self._starts_failed = 0
        self._due: list[str] = []
        self._seen: bytes | None = None
        """The last transaction that a look at what is due has seen."""
        self._looked = self._next_look = 0.0
        self._announced = -RENEWAL.total_seconds()
        self._given: dict[str, int] = {}
        """URL -> when it was given to a process, counted: who has waited for longest is next."""
        self._count = 0
        self._done = self._failed = 0

    def stop(self) -> None:
        """End once the steps that run are done. Called by handlers of signals."""
        self._stopping.set()
        self._waker.send(None)

    def run(self, once: bool = False) -> Totals:
        """Have analyses run; what came of it. WendelinError: processes that run analyses can't be started."""
        self._is_once = once
        try:
            if not once:  # the first analysis is to wait for no start
                self._start_process()
            while not self._stopping.is_set() and not (once and self._is_done()):
                self._announce()
                self._look()
                self._give()
                self._receive(max(0.0, self._next_look - time.monotonic()))
        finally:
            self._end()
        return Totals(self._done, self._failed)

    def _on_site(self, function: Callable[[Any], None]) -> None:
        """Call a function with the site, on a connection and in transactions of its own; later, if that is impossible.

        It met the commit of another, or the database is out of reach, as when its server is started anew.
        """

        def call(database: DB) -> None:
            with opened_site(database) as site:
                function(site)

        try:
            self._database.run(call)
        except Exception as error:
            if not (isinstance(error, (TransientError, Conflict)) or is_lost(error)):
                raise
            level = logging.INFO if isinstance(error, TransientError) else logging.WARNING
            logger.log(level, "tried again in a moment: %s: %s", type(error).__name__, error)

    def _announce(self) -> None:
        """Let alarms know that analyses are run by workers."""
        if time.monotonic() >= self._announced + RENEWAL.total_seconds():
            self._announced = time.monotonic()
            self._on_site(lambda site: announce(site, this_process()))

    def _look(self) -> None:
        """See what is due, if it is time to, and anything may have changed."""
        begun = time.monotonic()
        if begun < self._next_look:
            return
        self._on_site(self._look_at)
        taken = time.monotonic() - begun
        self._next_look = begun + taken + max(INTERVAL, taken / SHARE)

    def _look_at(self, site: Any) -> None:
        transaction.begin()
        seen = Snapshot.of(site._p_jar).tid
        if seen == self._seen and time.monotonic() < self._looked + LONGEST:
            return
        created = create_analyses(site, lambda: not self._stopping.is_set())
        for url in created.made:
            self._say(f"made {url}")
        for problem in created.problems:
            logger.warning("%s", problem)
        transaction.begin()
        running = {process.url for process in self._processes}
        planned = planned_analyses(site)
        self._given = {url: self._given[url] for url in planned if url in self._given}
        due = [url for url in planned if url not in running and is_due(find(site, url), now())]
        self._due = sorted(due, key=lambda url: self._given.get(url, 0))
        self._seen, self._looked = seen, time.monotonic()

    def _is_done(self) -> bool:
        """Whether nothing is due, and nothing runs."""
        return self._seen is not None and not self._due and all(each.url is None for each in self._processes)

    def _give(self) -> None:
        """Give each process that has nothing to do an analysis that is due; start processes where there are too few."""
        for process in self._processes:
            if self._due and process.takes_more and process.url is None:
                url = self._due.pop(0)
                self._count += 1
                self._given[url] = self._count
                process.give(url)
        free = sum(process.is_free for process in self._processes)
        if len(self._due) > free and len(self._processes) < self._jobs and not self._stopping.is_set():
            self._start_process()

    def _start_process(self) -> None:
        self._processes.append(AnalysisProcess(self._settings))

    def _receive(self, timeout: float) -> None:
        """Wait for what processes have to say, for so many seconds at most, and deal with it."""
        by_connection = {process.connection: process for process in self._processes}
        for connection in wait([*by_connection, self._woken], timeout):
            if connection is self._woken:
                self._woken.recv()
                continue
            process = by_connection[connection]  # type: ignore[index]
            try:
                ran = process.receive()
            except EOFError:
                self._replace(process)
                continue
            if process.holder:
                self._starts_failed = 0
            if ran is not None:
                self._note(ran)

    def _note(self, ran: Ran) -> None:
        """Say what came of an analysis, and look again: its script may have more to do, or have given others some."""
        self._look_again(0.0 if self._is_once else INTERVAL)
        if ran.outcome is Outcome.DONE:
            self._done += 1
            self._say(f"ran {ran.url} {ran.title} in {ran.seconds:.1f} s")
        elif ran.outcome is Outcome.FAILED:
            self._failed += 1
            self._say(f"failed {ran.url} {ran.title} after {ran.seconds:.1f} s: {ran.failure}")

    def _look_again(self, seconds: float) -> None:
        self._seen = None
        self._next_look = min(self._next_look, time.monotonic() + seconds)

    def _replace(self, process: AnalysisProcess) -> None:
        """Note why a process has ended, and start another in its place if it was the last one."""
        self._processes.remove(process)
        reason, url = process.reason(), process.url
        if url is not None:
            self._failed += 1
            self._say(f"failed {url}: {reason}")
            self._on_site(lambda site: note_end(site, url, process.holder, reason))
            self._look_again(0.0)
        elif not process.holder:
            self._starts_failed += 1
            is_certain = process.ending is not None and process.ending.is_certain
            if is_certain or self._starts_failed >= START_ATTEMPTS:
                raise WendelinError(f"No process that runs analyses can be started. {reason}")
        if not self._processes and not self._stopping.is_set() and not self._is_once:
            self._start_process()

    def _end(self) -> None:
        """Have all processes end after their present steps."""
        self._stopping.set()
        for process in self._processes:
            process.end()
        while self._processes:
            self._receive(INTERVAL)
            # they may be guests of this process, or it may have to take the place of their host
            self._on_site(lambda site: None)
        self._database.hurry()
        self._on_site(lambda site: retire(site, this_process()))
