"""`ebulk reset`."""

from __future__ import annotations

import argparse

from ebulk.cli.commands.add import selected, tell
from ebulk.cli.context import Context
from ebulk.cli.output import count_text
from ebulk.verbs.stage import reset


def run(arguments: argparse.Namespace, context: Context) -> int:
    """Unstage paths; the files stay as they are."""
    folder, selection = selected(arguments.paths, context)
    report = reset(folder, selection)
    tell(report, f"{count_text(report.unstaged, 'path')} unstaged", context)
    return 0
