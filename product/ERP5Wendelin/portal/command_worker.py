"""`wendelin worker`: run analyses that are due, several at once, beside the server or on other machines."""

from __future__ import annotations

import argparse
import logging
import os
from typing import Any

import Zope2

from Products.ERP5Wendelin.errors import WendelinError
from Products.ERP5Wendelin.portal.analysis_process import LOG, Settings
from Products.ERP5Wendelin.portal.instance import Instance, find, start_zope
from Products.ERP5Wendelin.portal.serve import log_to, stop_on_signal
from Products.ERP5Wendelin.portal.shared_database import SharedDatabase
from Products.ERP5Wendelin.portal.size import size
from Products.ERP5Wendelin.portal.worker import Totals, Worker

JOBS_MAX = 256

DESCRIPTION = """\
Make the Data Analyses that are missing, and run those that are due: new ones,
those whose streams have grown, and those that are to be tried again. Prints
`ready`, and then a line for each.

  wendelin worker /srv/lake
  wendelin worker /srv/lake --jobs 4 --memory-limit 2G
  wendelin worker /srv/lake --once       until nothing is due; exit code 1 if
                                         one failed

Each runs in a process of its own. Any number of workers may share a lake, with
or without `wendelin serve`, on one machine, or on several where the database
is not a file: an analysis is run by one of them at a time. If one is killed
another takes over what it had begun, from its last commit.

SIGTERM or Ctrl-C ends it once the steps that run are done. A second one ends
it at once: what these did is not kept, and done again by the next worker.

What happens is written to DIR/log/worker.log, warnings to standard error as
well. SIZEs are written like 512M or 2G.
"""

logger = logging.getLogger("wendelin.worker")


def add_parser(subparsers: Any) -> None:
    parser = subparsers.add_parser(
        "worker",
        help="run analyses that are due",
        description=DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("directory", metavar="DIR", help="the instance")
    parser.add_argument(
        "--jobs", metavar="N", type=count, default=processors(), help="analyses to run at once; a processor each"
    )
    parser.add_argument("--once", action="store_true", help="end when nothing is due, rather than wait for more")
    parser.add_argument(
        "--memory-limit",
        metavar="SIZE",
        type=size,
        help="the most memory a process may take: a script that takes more fails",
    )
    parser.set_defaults(run=run)


def processors() -> int:
    """How many processors this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def count(text: str) -> int:
    """A number of processes; another text is wrong usage."""
    if not (text.isascii() and text.isdecimal() and 1 <= int(text[:9]) <= JOBS_MAX):
        raise argparse.ArgumentTypeError(f"{text} is no number from 1 to {JOBS_MAX}")
    return int(text)


def run(arguments: argparse.Namespace) -> None:
    totals = work(find(arguments.directory), arguments.jobs, arguments.once, arguments.memory_limit)
    if arguments.once and totals.failed:
        raise WendelinError(
            f"Runs of analyses that failed: {totals.failed}, that did not: {totals.done}. "
            f"The tracebacks are in {LOG}, and with the analyses."
        )


def work(instance: Instance, jobs: int, once: bool, memory_limit: int | None) -> Totals:
    """Run analyses until a signal asks to stop, or, if `once`, until none is due; what came of it."""
    os.umask(0o077)
    log_to(instance, LOG)
    start_zope(instance)
    try:
        database = SharedDatabase(instance)
    except BaseException:
        Zope2.DB.close()
        raise
    try:
        settings = Settings(str(instance.directory), database.is_file, memory_limit)
        worker = Worker(database, settings, jobs, say)
        stop_on_signal(worker.stop)
        say(f"ready to run {jobs} at once")
        return worker.run(once)
    finally:
        database.close()
        logger.info("stopped")


def say(text: str) -> None:
    """Print a line, and log it."""
    logger.info("%s", text)
    print(text, flush=True)
