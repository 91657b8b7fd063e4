"""`ebulk streams`."""

from __future__ import annotations

import argparse
from dataclasses import asdict

from ebulk.cli.context import Context
from ebulk.cli.output import printable, size_text

NEVER = "never"


def run(arguments: argparse.Namespace, context: Context) -> int:
    """List streams: reference, bytes that are kept, when some came last, and title."""
    output = context.output
    found = context.lake(context.url()).streams(arguments.search, arguments.state)
    if output.json:
        for stream in found:
            output.document(asdict(stream))
        return 0
    streams = list(found)
    width = max((len(stream.reference) for stream in streams), default=0)
    for stream in streams:
        title = stream.title if stream.title != stream.reference else ""
        kept = size_text(stream.size - stream.start)
        line = f"{printable(stream.reference):<{width}}  {kept:>12}  {stream.modified or NEVER:<20}  {printable(title)}"
        output.line(line.rstrip())
    if not streams:
        output.line("There are no such streams that you may see.")
    return 0
