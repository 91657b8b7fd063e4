"""`wendelin run`: a script with the site at hand, which goes on where it was after whatever has ended it.

What a script changes is committed at its end, unless it fails; one that asks `batch` for what it goes over
(`compute.batch`) has it committed on the way.
"""

from __future__ import annotations

import argparse
import logging
import os
import shlex
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NoReturn

from Products.ERP5Wendelin.compute.batch import Batch
from Products.ERP5Wendelin.compute.loop import Status
from Products.ERP5Wendelin.content.progress_indicator import FAILED, INTERRUPTED
from Products.ERP5Wendelin.portal.instance import find, opened
from Products.ERP5Wendelin.portal.interruption import Interrupted, interruptible
from Products.ERP5Wendelin.portal.memory_limit import Exceeded, check_limit, limit_memory
from Products.ERP5Wendelin.portal.progress_line import ProgressLine
from Products.ERP5Wendelin.portal.session import NAMES, Session
from Products.ERP5Wendelin.portal.size import size
from Products.ERP5Wendelin.protocol import MIB

DESCRIPTION = f"""\
Run a Python script with the site of DIR at hand. What it changes is committed
at its end; if it fails, nothing is. Bound are:

{NAMES}
  batch             for what takes long: batch.iterate(source) gives the blocks
                    of an array or a stream, commits now and then, and goes on
                    behind the last commit when the script is run again

  wendelin run /srv/lake mean.py readings
  wendelin run --memory-limit 512M --user ada /srv/lake report.py --all

Options of `wendelin run` stand before SCRIPT; what follows it is the script's.
docs/scripts.rst says more."""

EXTRAS = {
    "dask": "dask",
    "distributed": "dask",
    "xarray": "xarray",
    "zarr": "zarr",
    "h5py": "hdf5",
    "pyarrow": "parquet",
    "nibabel": "nifti",
}
"""Module -> the extra of erp5-wendelin that installs it."""

FLUSH_SECONDS = 1.0
"""How long what a script has printed may take to get out when its process is ended."""


def add_parser(subparsers: Any) -> None:
    parser = subparsers.add_parser(
        "run",
        usage="%(prog)s [-h] [--name NAME] [--from-start] [--memory-limit SIZE] [--user NAME] DIR SCRIPT [ARGS...]",
        help="run a script with the site at hand, restartable",
        description=DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--name", metavar="NAME", help="what its progress is kept as (default: the script's name and arguments)"
    )
    parser.add_argument("--from-start", action="store_true", help="forget what an interrupted run has done")
    parser.add_argument(
        "--memory-limit",
        metavar="SIZE",
        type=size,
        help="the most memory it may take, such as 512M or 4G; more ends it",
    )
    parser.add_argument(
        "--user", metavar="NAME", help="act as this user where the site asks who it is (default: one who may all)"
    )
    parser.add_argument("directory", metavar="DIR", help="the instance")
    parser.add_argument("script", metavar="SCRIPT", help="a file of Python code")
    rest = parser.add_argument("arguments", metavar="ARGS", nargs=argparse.REMAINDER, help="the script's, in sys.argv")
    rest.required = False  # there need be none, but argparse would name them among what is missing
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> None:
    instance = find(arguments.directory)
    script = Path(arguments.script)
    source = script.read_bytes()
    name = arguments.name or shlex.join([script.name, *arguments.arguments])
    logging.getLogger("ZODB.Connection").disabled = True  # what it has to say comes as an exception as well
    with opened(instance) as app:
        session = Session(app, arguments.debug)
        if arguments.user is not None:
            session.act_as(arguments.user)
        line = ProgressLine(sys.stderr)
        batch = Batch(
            session.site, name, origin=str(script.resolve()), from_start=arguments.from_start, observe=line.show
        )
        ScriptRun(session, batch, line, arguments.memory_limit).run(source, arguments.script, arguments.arguments)


class ScriptRun:
    """A script that runs, and how it ends."""

    def __init__(self, session: Session, batch: Batch, line: ProgressLine, limit: int | None) -> None:
        self.session = session
        self.batch = batch
        self.line = line
        self.limit = limit

    def run(self, source: bytes, name: str, arguments: list[str]) -> None:
        """Run it, and commit what it has changed. SystemExit: it has failed, was interrupted, or asked for that.

        BadInput, Conflict: a limit of memory in which it can't even begin.
        """
        if self.limit is not None:
            check_limit(self.limit)
        self.session.names |= {"batch": self.batch, "__file__": name}
        try:
            with self._surroundings(name, arguments):
                self._execute(source, name)
                self.batch.finish()
        except Interrupted as error:
            self.line.clear()
            self._end(INTERRUPTED, "interrupted", error.exit_code)
        except Exception as error:
            self.line.clear()
            text = self.session.traceback_of(error, name)
            print(text, end="", file=sys.stderr)
            self._end(FAILED, self._reason(error), 1, text)
        self.line.finish()

    @contextmanager
    def _surroundings(self, name: str, arguments: list[str]) -> Iterator[None]:
        """What a script finds as if Python ran it; and what watches over it."""
        before = sys.argv, sys.path
        sys.argv = [name, *arguments]
        sys.path = [str(Path(name).resolve().parent), *sys.path]
        try:
            with ExitStack() as stack:
                stack.enter_context(interruptible(lambda: self.batch.is_committing))
                if self.limit is not None:
                    stack.enter_context(limit_memory(self.limit, self._exceeded))
                stack.enter_context(self.line.above(sys.stdout, sys.stderr))
                yield
        finally:
            sys.argv, sys.path = before

    def _execute(self, source: bytes, name: str) -> None:
        """Run it to its end; exit() is one, unless it says that it has failed."""
        try:
            self.session.execute(source, name)
        except SystemExit as error:
            if error.code not in (None, 0):
                self.line.clear()
                self.batch.stop(FAILED, f"It ended with {error.code!r}.")
                raise

    def _end(self, state: str, reason: str, code: int, text: str = "") -> NoReturn:
        """Say why it ended, and where; note that, drop what is not committed, and leave with an exit code."""
        message = f"{reason}{where(self.batch.status())}"
        self.batch.stop(state, f"{text}{message}")
        print(f"wendelin: {message}", file=sys.stderr)
        sys.exit(code)

    def _reason(self, error: Exception) -> str:
        """What to say of an error, besides its traceback."""
        if isinstance(error, MemoryError) and self.limit is not None:
            return f"the script needed more memory than --memory-limit allows, {self.limit // MIB} MiB"
        if isinstance(error, ModuleNotFoundError) and error.name and not is_there(error.name):
            return (
                f"{error.name.partition('.')[0]} is not installed, {imported_at(error)}: {how_to_install(error.name)}"
            )
        return "the script has failed"

    def _exceeded(self, exceeded: Exceeded) -> None:
        """End the process: mapped arrays take more memory than it may. Called in a thread of its own."""
        flushing = threading.Thread(target=sys.stdout.flush, daemon=True)
        flushing.start()
        flushing.join(FLUSH_SECONDS)
        self.line.clear()
        message = f"wendelin: the script was ended{where(self.batch.status())} {exceeded}\n"
        os.write(sys.stderr.fileno(), message.encode())
        os._exit(1)


def where(status: Status | None) -> str:
    """The end of a sentence about a script: which block it was given last, and where it goes on."""
    if status is None:
        return "."
    block = f"{status.unit} {status.start:,} to {status.stop:,} of {status.total:,} of {status.source}"
    last = (
        f"; its last block was {block}" if status.stop > status.start else f" before its first block of {status.source}"
    )
    if not status.saved:
        return f"{last}. Nothing of this loop is kept: run it again to begin there."
    kept = f"What it did before {status.unit.removesuffix('s')} {status.saved:,} is kept"
    return f"{last}. {kept}: run it again to go on there."


def is_there(module: str) -> bool:
    """Whether a module's package is installed."""
    return find_spec(module.partition(".")[0]) is not None


def imported_at(error: ModuleNotFoundError) -> str:
    """Where a module was imported: the last line that is not Python's own machinery."""
    place, frames = "", error.__traceback__
    while frames is not None:
        code = frames.tb_frame.f_code
        if not code.co_filename.startswith("<frozen importlib"):
            place = f"{code.co_filename} imports it in line {frames.tb_lineno}"
        frames = frames.tb_next
    return place


def how_to_install(module: str) -> str:
    """A command that installs the package of a module where this Python finds it.

    Environments that uv has made, such as that of `make environment`, have no pip before it is asked for.
    """
    package = module.partition(".")[0]
    what = f"'erp5-wendelin[{EXTRAS[package]}]'" if package in EXTRAS else package
    pip = "" if is_there("pip") else f"{sys.executable} -m ensurepip && "
    return f"{pip}{sys.executable} -m pip install {what} installs it"
