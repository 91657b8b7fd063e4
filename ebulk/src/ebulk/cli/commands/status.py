"""`ebulk status`."""

from __future__ import annotations

import argparse

from ebulk.cli.context import Context
from ebulk.cli.output import Output, count_text, size_text
from ebulk.local.names import check_directory, shown
from ebulk.verbs.status import StatusReport, status


def run(arguments: argparse.Namespace, context: Context) -> int:
    """Show what changed in a folder."""
    report = status(context.folder(arguments.folder), directory=check_directory(arguments.directory))
    if context.output.json:
        _print_documents(report, context.output)
    else:
        _print_lines(report, context.output)
    return 0


def _print_documents(report: StatusReport, output: Output) -> None:
    for kind, paths in (("new", report.new), ("modified", report.modified), ("removed", report.removed)):
        for path in paths:
            output.document({"kind": kind, "path": path})
    for source, target in report.renamed:
        output.document({"kind": "renamed", "path": target, "from": source})
    for problem in report.problems:
        output.document({"kind": "problem", "path": problem.path, "reason": problem.reason})
    output.document(
        {
            "reference": report.reference,
            "version": report.version,
            "new": len(report.new),
            "modified": len(report.modified),
            "removed": len(report.removed),
            "renamed": len(report.renamed),
            "problems": len(report.problems),
            "unchanged": report.unchanged + report.touched,
            "files": report.total.files,
            "size": report.total.size,
            "changed": report.changed,
            "interrupted": report.interrupted,
        }
    )


def _print_lines(report: StatusReport, output: Output) -> None:
    version = f"version {report.version}" if report.version else "not pushed or pulled yet"
    output.line(
        f"Data set {shown(report.reference)}, {version}: {count_text(report.total.files)} with"
        f" {size_text(report.total.size)}"
    )
    for kind, paths in (("new", report.new), ("modified", report.modified), ("removed", report.removed)):
        for path in paths:
            output.line(f"  {kind:<10}{_plain(path)}")
    for source, target in report.renamed:
        output.line(f"  renamed   {_plain(source)} -> {_plain(target)}")
    for problem in report.problems:
        output.line(f"  problem   {shown(problem.path)} {problem.reason}")
    if not report.changed and not report.problems:
        output.line("Nothing changed since then." if report.version else "Nothing to push.")
    if report.interrupted:
        output.line("A push was broken off: `ebulk push` goes on.")


def _plain(path: str) -> str:
    return path if path.isprintable() else shown(path)
