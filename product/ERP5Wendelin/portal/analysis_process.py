"""A process that runs analyses for a worker, one after the other; and what the worker has in hand of it.

::

    worker ── "data_analysis_module/…" ──> process        run this one, if it is still due
           <────────────── Ran ───────────                what came of it
           ───────────── None ───────────>                end, after the present step

A script may take all memory, or meet a fault of a library that ends its process; neither is to end others. So each
analysis is run in a process that does nothing else. It lives on for the next one, since a start takes two seconds.

It is always a guest of whoever has the database open, where that is a file: a process that may be killed at any moment
must not be the host of others. It ends with the worker, by Linux's parent-death signal, so that nothing it claimed is
held by a process that nobody looks after.
"""

from __future__ import annotations

import contextlib
import ctypes
import logging
import multiprocessing
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import NamedTuple

import transaction
import Zope2
from transaction.interfaces import TransientError

from Products.ERP5Wendelin.compute.execute import Outcome, execute, release
from Products.ERP5Wendelin.content.relation import find as find_document
from Products.ERP5Wendelin.content.site import opened_site
from Products.ERP5Wendelin.errors import BadInput, ScriptError, WendelinError
from Products.ERP5Wendelin.portal import instance as instances
from Products.ERP5Wendelin.portal.memory_limit import Exceeded, limit_memory
from Products.ERP5Wendelin.portal.serve import log_to
from Products.ERP5Wendelin.portal.shared_storage import Role, opening
from Products.ERP5Wendelin.storage.process import this_process

LOG = "worker.log"

TURN = 60.0
"""Seconds after which a script that wants to be called again and again lets others have their turn."""

START_WAIT = 60.0
"""Seconds to wait for a host of the database: another one may be about to take its place."""

_PR_SET_PDEATHSIG = 1
"""Of prctl(2)."""

SIGNALS = {
    signal.SIGSEGV: "it touched memory that is not its own, which is a fault of a library, or of what it was given",
    signal.SIGBUS: "it touched memory that is not there, as when a mapped file was cut short",
    signal.SIGKILL: "by somebody, or by the system, which does so when memory runs out: see --memory-limit",
}
"""What it means that a process was ended by a signal."""

logger = logging.getLogger("wendelin.worker")


class Ready(NamedTuple):
    """It has opened the database."""

    holder: str


class Ran(NamedTuple):
    """It has run an analysis."""

    url: str
    outcome: Outcome
    seconds: float
    title: str
    failure: str
    """In a line, if its script failed."""
    is_last: bool
    """Whether it takes no other."""


class Ending(NamedTuple):
    """It is about to end before it is ready, or in the middle of a script, and says why."""

    reason: str
    is_certain: bool = False
    """Whether another one would end in the same way."""


@dataclass(frozen=True)
class Settings:
    """How processes are started."""

    directory: str
    """The instance's."""
    is_guest: bool
    """Whether the database is a file that another process has open."""
    memory_limit: int | None = None
    """Bytes."""


class AnalysisProcess:
    """What a worker has in hand of one process."""

    def __init__(self, settings: Settings, target: Callable[..., None] | None = None) -> None:
        """Start it; `target` is what it does, `run_analyses` unless given."""
        context = multiprocessing.get_context("spawn")  # a fork would share the connections to the database
        self.connection, theirs = context.Pipe()
        self.process = context.Process(target=target or run_analyses, args=(theirs, settings, os.getpid()), daemon=True)
        self.process.start()
        theirs.close()
        self.holder = ""
        """Its name, as the holder of what it claims, once it is ready."""
        self.url: str | None = None
        """Of the analysis that it runs."""
        self.takes_more = False
        """Whether it can be given an analysis once it runs none."""
        self.ending: Ending | None = None

    @property
    def is_free(self) -> bool:
        """Whether it can be given an analysis now, or once it is ready."""
        return self.url is None and (self.takes_more or not self.holder)

    def give(self, url: str) -> None:
        """Have it run an analysis."""
        self.url = url
        with contextlib.suppress(OSError):  # it has ended: its end is seen next
            self.connection.send(url)

    def end(self) -> None:
        """Have it end after the present step."""
        with contextlib.suppress(OSError):
            self.connection.send(None)

    def receive(self) -> Ran | None:
        """What came of the analysis that it ran. EOFError: it has ended; see `reason`."""
        try:
            message = self.connection.recv()
        except ConnectionError as error:
            raise EOFError from error
        if isinstance(message, Ready):
            self.holder, self.takes_more = message.holder, True
        elif isinstance(message, Ending):
            self.ending = message
        elif isinstance(message, Ran):
            self.url, self.takes_more = None, not message.is_last
            return message
        return None

    def reason(self) -> str:
        """Why it has ended."""
        self.process.join()
        code = self.process.exitcode or 0
        if self.ending is not None:
            return self.ending.reason
        if code < 0:
            number = signal.Signals(-code)
            meaning = SIGNALS.get(number, number.name)
            return f"Its process was ended by {number.name}: {meaning}."
        return f"Its process ended with exit code {code}: see {LOG}."


def run_analyses(connection: Connection, settings: Settings, worker: int) -> None:
    """Run the analyses that come by a connection, until None does; `worker` is the process at its other end."""
    end_with(worker)
    for each in (signal.SIGTERM, signal.SIGINT):  # both come to the whole group: the worker says what is to be done
        signal.signal(each, signal.SIG_IGN)
    instance = instances.find(settings.directory)
    os.umask(0o077)
    log_to(instance, LOG)
    try:
        with opening(Role.GUEST if settings.is_guest else Role.EITHER, START_WAIT):
            instances.start_zope(instance)
        try:
            with memory_limited(connection, settings.memory_limit):
                run_given(connection)
        finally:
            Zope2.DB.close()
    except WendelinError as error:
        connection.send(Ending(str(error), isinstance(error, BadInput)))
        sys.exit(1)


def run_given(connection: Connection) -> None:
    """Run what is given, one after the other."""
    connection.send(Ready(this_process()))
    while (url := connection.recv()) is not None:
        ran = run_analysis(connection, url)
        connection.send(ran)
        if ran.is_last:
            break


def end_with(worker: int) -> None:
    """Let this process be killed when the worker ends, however that does."""
    with contextlib.suppress(AttributeError):  # not Linux: it ends when it next asks the worker
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != worker:  # it had ended before
        os._exit(1)


@contextlib.contextmanager
def memory_limited(connection: Connection, limit: int | None) -> Iterator[None]:
    """Enforce a limit of memory, if there is one; what is over it ends the process, having said so."""

    def exceeded(what: Exceeded) -> None:
        connection.send(Ending(f"{what} What it did since its last commit is not kept."))
        os._exit(1)

    with contextlib.ExitStack() as stack:
        if limit is not None:
            stack.enter_context(limit_memory(limit, exceeded))
        yield


def run_analysis(connection: Connection, url: str) -> Ran:
    """Run an analysis, for a turn, unless the worker has something else to say."""
    begun = time.monotonic()
    outcome, title, failure = Outcome.CONFLICT, "", ""
    with contextlib.suppress(TransientError), opened_site(Zope2.DB) as site:
        outcome = execute(site, url, lambda: time.monotonic() < begun + TURN and not connection.poll())
        if outcome is Outcome.CONFLICT:
            release(site, url, this_process())
        transaction.begin()
        analysis = find_document(site, url)
        if analysis is not None:
            title = f"{analysis.getTitle()} ({analysis.getReference()})"
            failure = analysis.failure if outcome is Outcome.FAILED else ""
    if failure:
        logger.warning("%s failed: %s", url, failure)
    problem = failure.rpartition("\n")[2]
    if problem.startswith(ScriptError.__module__):
        problem = problem.partition(": ")[2]  # our own errors are sentences
    # what such a process has allocated is in pieces: the next analysis gets one of its own
    return Ran(url, outcome, time.monotonic() - begun, title, problem, is_last="MemoryError" in problem)
