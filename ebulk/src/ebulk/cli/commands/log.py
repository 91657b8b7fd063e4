"""`ebulk log`."""

from __future__ import annotations

import argparse
from dataclasses import asdict
from itertools import islice

from ebulk.cli.context import Context
from ebulk.cli.output import count_text, size_text


def run(arguments: argparse.Namespace, context: Context) -> int:
    """Show the versions of a data set."""
    folder = context.folder(arguments.folder)
    output = context.output
    versions = context.lake(context.url(folder)).versions(folder.reference)
    for version in islice(versions, arguments.number):
        output.document(asdict(version))
        output.line(f"version {version.number}  {version.date}  {version.author}")
        output.line(
            f"  {version.added:,} new, {version.modified:,} modified, {version.removed:,} removed;"
            f" {count_text(version.file_count)} with {size_text(version.size)}"
        )
        for line in version.message.splitlines():
            output.line(f"  {line}")
    return 0
