"""`ebulk pull --stream`: into a file, or to standard output."""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

from ebulk.cli.arguments import STDOUT, stream_format
from ebulk.cli.context import Context
from ebulk.cli.progress import Hidden, make_display
from ebulk.cli.report import report_stream
from ebulk.errors import UsageError
from ebulk.verbs.pull_stream import Part, copy_stream, default_file, pull_stream
from ebulk.verbs.times import nanoseconds_of


def nanoseconds(text: str | None) -> int | None:
    """A time as an option has it, in nanoseconds since the epoch; None where it is not given."""
    return None if text is None else nanoseconds_of(text, time.time())


def pull_part(arguments: argparse.Namespace, context: Context) -> int:
    """Bring a stream, or the part of it that the options name."""
    part = Part(arguments.stream, stream_format(arguments), nanoseconds(arguments.since), nanoseconds(arguments.until))
    if arguments.output == STDOUT:
        return _print_part(part, context)
    file = Path(arguments.output) if arguments.output else default_file(part)
    started = time.monotonic()
    with make_display(context.output, "Receiving") as display:
        lake = context.lake(context.url(), display.note)
        report = pull_stream(part, lake, file, discard=arguments.discard_changes, observer=display)
    report_stream(report, time.monotonic() - started, context.output)
    return 0


def _print_part(part: Part, context: Context) -> int:
    """Write it to standard output, with bars only where they are not in its way."""
    if context.output.json:
        raise UsageError("--json and --output - would both print.", "Leave out one of them.")
    display = Hidden() if sys.stdout.isatty() else make_display(context.output, "Receiving")
    with display:
        copy_stream(part, context.lake(context.url(), display.note), sys.stdout.buffer, display)
    return 0
