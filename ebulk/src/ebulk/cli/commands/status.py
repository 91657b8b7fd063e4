"""`ebulk status`."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from typing import Any

from ebulk.cli.context import Context
from ebulk.cli.output import Output, count_text, size_text
from ebulk.cli.progress import make_counter
from ebulk.local.filter import Filter
from ebulk.local.names import check_directory, shown
from ebulk.verbs.status import Changes, StatusReport, status

LISTED_FILES = 10
"""Of a new folder with more files than these only the folder is shown."""


def run(arguments: argparse.Namespace, context: Context) -> int:
    """Show what changed in a folder."""
    with make_counter(context.output) as display:
        report = status(
            context.folder(arguments.folder),
            directory=check_directory(arguments.directory),
            filter=Filter(arguments.include, arguments.exclude),
            observer=display,
        )
    if context.output.json:
        _print_documents(report, context.output)
    else:
        _print_lines(report, context.output)
    return 0


def _print_documents(report: StatusReport, output: Output) -> None:
    for changes in (report.staged, report.unstaged):
        staged = changes is report.staged
        for kind, path, source in _each(changes):
            document = {"kind": kind, "path": path, "staged": staged}
            output.document({**document, "from": source} if source else document)
    for problem in report.problems:
        output.document({"kind": "problem", "path": problem.path, "reason": problem.reason})
    output.document(
        {
            "reference": report.reference,
            "version": report.version,
            "staged": _counts(report.staged),
            "unstaged": _counts(report.unstaged),
            "problems": len(report.problems),
            "unchanged": report.unchanged + report.touched,
            "files": report.total.files,
            "size": report.total.size,
            "changed": report.changed,
            "interrupted": report.interrupted,
        }
    )


def _counts(changes: Changes) -> dict[str, Any]:
    return {
        "new": len(changes.new),
        "modified": len(changes.modified),
        "removed": len(changes.removed),
        "renamed": len(changes.renamed),
    }


def _print_lines(report: StatusReport, output: Output) -> None:
    parts = "only parts of it pulled yet" if report.unchanged else "not pushed or pulled yet"
    version = f"version {report.version}" if report.version else parts
    output.line(
        f"Data set {shown(report.reference)}, {version}: {count_text(report.total.files)} with"
        f" {size_text(report.total.size)}"
    )
    if report.staged.count:
        output.line("Staged (`ebulk push` sends it, `ebulk reset` unstages it):")
        _print_changes(report.staged, output)
    if report.unstaged.count:
        output.line(f"Not staged ({_way_on(report)}):")
        _print_changes(report.unstaged, output)
    if report.problems:
        output.line("Not to be pushed as it is:")
        for problem in report.problems:
            output.line(f"  problem   {shown(problem.path)} {problem.reason}")
    if not report.changed and not report.problems:
        output.line("Nothing changed since then." if report.version else "Nothing to push.")
    if report.interrupted:
        output.line("A push was broken off: the same command as then goes on.")


def _way_on(report: StatusReport) -> str:
    if report.staged.count:
        return "`ebulk add PATH…` stages it"
    if not report.version:
        return "`ebulk push` sends all of it, since it is the first"
    return "`ebulk add PATH…` stages it, `ebulk push --all` sends all of it"


def _print_changes(changes: Changes, output: Output) -> None:
    folders = {folder: count for folder, count in changes.new_folders if count > LISTED_FILES}
    shown_folder = ""
    for kind, path, source in _each(changes):
        if kind == "new" and shown_folder and path.startswith(shown_folder):
            continue
        folder = next((folder for folder in _folders_around(path) if folder in folders), "") if kind == "new" else ""
        if folder:
            shown_folder = f"{folder}/"
            output.line(f"  new       {_plain(folder)}/ ({count_text(folders[folder])})")
        elif source:
            output.line(f"  {kind:<10}{_plain(source)} -> {_plain(path)}")
        else:
            output.line(f"  {kind:<10}{_plain(path)}")


def _each(changes: Changes) -> Iterator[tuple[str, str, str]]:
    """(kind, path, where it was before if it was renamed)."""
    for kind, paths in (("new", changes.new), ("modified", changes.modified), ("removed", changes.removed)):
        for path in paths:
            yield kind, path, ""
    for source, target in changes.renamed:
        yield "renamed", target, source


def _folders_around(path: str) -> Iterator[str]:
    """From the outermost one."""
    position = path.find("/")
    while position >= 0:
        yield path[:position]
        position = path.find("/", position + 1)


def _plain(path: str) -> str:
    return path if path.isprintable() else shown(path)
