"""`ebulk push`."""

from __future__ import annotations

import argparse
import time

from ebulk.cli.array import push_npy
from ebulk.cli.context import Context
from ebulk.cli.kind import Kind, kind_of
from ebulk.cli.progress import make_display
from ebulk.cli.report import report_push
from ebulk.local.filter import Filter
from ebulk.local.names import check_directory
from ebulk.model import ALL, STAGED, Scope
from ebulk.verbs.push import push


def run(arguments: argparse.Namespace, context: Context) -> int:
    """Push a folder, or an array."""
    if kind_of(arguments) is Kind.ARRAY:
        return push_npy(arguments, context)
    folder = context.folder(arguments.folder)
    url = context.url(folder)
    started = time.monotonic()
    with make_display(context.output, "Sending") as display:
        lake = context.lake(url, display.note)
        report = push(
            folder,
            lake,
            message=arguments.message,
            scope=_scope(arguments),
            filter=Filter(arguments.include, arguments.exclude),
            restart=arguments.restart,
            jobs=arguments.jobs,
            observer=display,
        )
    folder.with_url(url)
    report_push(report, time.monotonic() - started, context.output)
    return 0


def _scope(arguments: argparse.Namespace) -> Scope:
    """What is staged, unless a folder or everything is asked for."""
    directory = check_directory(arguments.directory)
    return Scope(directory) if directory else ALL if arguments.all or arguments.directory else STAGED
