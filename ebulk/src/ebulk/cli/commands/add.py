"""`ebulk add`, and what it shares with `ebulk remove` and `ebulk reset`."""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence
from pathlib import Path

from ebulk.cli.context import Context
from ebulk.cli.output import count_text
from ebulk.errors import UsageError
from ebulk.local import folder as folders
from ebulk.local.folder import Folder
from ebulk.local.selection import Selection, leading_part
from ebulk.verbs.stage import StageReport, add


def run(arguments: argparse.Namespace, context: Context) -> int:
    """Stage what changed."""
    if not arguments.paths and not arguments.all:
        raise UsageError(
            "Which paths?", "`ebulk add .` stages all that changed in this folder, `ebulk add --all` in the data set."
        )
    folder, selection = selected(arguments.paths, context)
    report = add(folder, selection)
    changes = [
        text
        for count, text in (
            (report.files, f"{count_text(report.files)} staged"),
            (report.removals, f"{count_text(report.removals, 'removal')} staged"),
            (report.unstaged, f"{count_text(report.unstaged, 'path')} without a change unstaged"),
        )
        if count
    ]
    tell(report, ", ".join(changes) or "Nothing has changed there", context)
    return 0


def selected(words: Sequence[str], context: Context) -> tuple[Folder, Selection]:
    """The data set folder that is worked in, or that the words lead into, and what they name; without words, all."""
    here = context.working_folder
    folder = folders.find(here)
    if folder is None and words:
        folder = folders.find(Path(os.path.normpath(here / leading_part(words[0]))))
    folder = folder or folders.find_here(here)
    return folder, Selection(folder.root, here, words) if words else Selection(folder.root, folder.root, ["."])


def tell(report: StageReport, done: str, context: Context) -> None:
    """What was done, and how much is staged now."""
    context.output.document(
        {
            "staged_files": report.files,
            "staged_removals": report.removals,
            "unstaged": report.unstaged,
            "staged": report.total,
        }
    )
    total = count_text(report.total, "path") if report.total else "nothing"
    context.output.line(f"{done}; staged now: {total}.")
