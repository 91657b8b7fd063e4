"""`ebulk pull --array`, into a file or to standard output, and `ebulk push --array`."""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

from ebulk.cli.arguments import STDOUT
from ebulk.cli.context import Context
from ebulk.cli.progress import Hidden, make_display
from ebulk.cli.report import report_array, report_array_push
from ebulk.errors import UsageError
from ebulk.verbs.pull_array import copy_array, default_file, pull_array
from ebulk.verbs.push_array import push_file


def pull_slice(arguments: argparse.Namespace, context: Context) -> int:
    """Bring an array, or the slice of it that the options name."""
    reference, slice = arguments.array, arguments.slice or ""
    if arguments.output == STDOUT:
        return _print_slice(reference, slice, arguments.jobs, context)
    file = Path(arguments.output) if arguments.output else default_file(reference)
    started = time.monotonic()
    with make_display(context.output, "Receiving") as display:
        lake = context.lake(context.url(), display.note)
        report = pull_array(lake, reference, file, slice, jobs=arguments.jobs, observer=display)
    report_array(report, time.monotonic() - started, context.output)
    return 0


def push_npy(arguments: argparse.Namespace, context: Context) -> int:
    """Send a .npy file."""
    if arguments.folder is None:
        raise UsageError("Which file?", "`ebulk push --array ARRAY FILE.npy` sends one that numpy.save wrote.")
    started = time.monotonic()
    with make_display(context.output, "Sending") as display:
        lake = context.lake(context.url(), display.note)
        report = push_file(lake, arguments.array, Path(arguments.folder), append=arguments.append, observer=display)
    report_array_push(report, time.monotonic() - started, context.output)
    return 0


def _print_slice(reference: str, slice: str, jobs: int, context: Context) -> int:
    """Write it to standard output, with bars only where they are not in its way."""
    if context.output.json:
        raise UsageError("--json and --output - would both print.", "Leave out one of them.")
    display = Hidden() if sys.stdout.isatty() else make_display(context.output, "Receiving")
    with display:
        lake = context.lake(context.url(), display.note)
        copy_array(lake, reference, sys.stdout.buffer, slice, jobs=jobs, observer=display)
    return 0
