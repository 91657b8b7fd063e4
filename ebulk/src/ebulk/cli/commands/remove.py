"""`ebulk remove`."""

from __future__ import annotations

import argparse

from ebulk.cli.commands.add import selected, tell
from ebulk.cli.context import Context
from ebulk.cli.output import count_text
from ebulk.verbs.stage import remove


def run(arguments: argparse.Namespace, context: Context) -> int:
    """Remove files, and stage that they are."""
    folder, selection = selected(arguments.paths, context)
    report = remove(folder, selection, cached=arguments.cached, recursive=arguments.recursive, force=arguments.force)
    tell(report, f"{count_text(report.removals, 'removal')} staged", context)
    return 0
