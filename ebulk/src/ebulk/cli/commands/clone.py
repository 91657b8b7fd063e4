"""`ebulk clone`, and what it shares with `ebulk pull`."""

from __future__ import annotations

import argparse
import time
from pathlib import Path

from ebulk.cli.context import Context
from ebulk.cli.progress import make_display
from ebulk.cli.report import report_pull
from ebulk.local.filter import Filter
from ebulk.local.folder import Folder
from ebulk.local.names import check_directory, check_reference
from ebulk.verbs.clone import prepare_clone
from ebulk.verbs.pull import pull


def run(arguments: argparse.Namespace, context: Context) -> int:
    """Pull a data set into a new folder."""
    return clone_into(arguments.data_set, Path(arguments.folder or arguments.data_set), arguments, context)


def clone_into(reference: str, path: Path, arguments: argparse.Namespace, context: Context) -> int:
    """Pull a data set into the folder `path`, which is made."""
    check_reference(reference)
    url = context.url()
    return pull_in(prepare_clone(context.lake(url), reference, path, arguments.number), arguments, context)


def pull_in(folder: Folder, arguments: argparse.Namespace, context: Context) -> int:
    """Bring a data set folder up to date."""
    url = context.url(folder)
    started = time.monotonic()
    with make_display(context.output, "Receiving") as display:
        lake = context.lake(url, display.note)
        report = pull(
            folder,
            lake,
            version=arguments.number,
            directory=check_directory(arguments.directory),
            filter=Filter(arguments.include, arguments.exclude),
            discard=arguments.discard_changes,
            jobs=arguments.jobs,
            observer=display,
        )
    folder.with_url(url)
    report_pull(report, time.monotonic() - started, context.output)
    return 0
