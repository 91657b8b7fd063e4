"""`ebulk diff`."""

from __future__ import annotations

import argparse

from ebulk.cli.context import Context
from ebulk.cli.output import Output, count_text, size_text
from ebulk.errors import UsageError
from ebulk.local.changes import Change
from ebulk.local.names import shown
from ebulk.verbs.diff import DiffReport, diff_folder, diff_versions

PATH_WIDTH = 60
"""The most columns that paths take before the sizes behind them are no longer in line."""


def run(arguments: argparse.Namespace, context: Context) -> int:
    """Show what differs between versions, or between the folder and its version."""
    name, old, new = _words(arguments)
    folder = context.folder(name)
    if old is None:
        difference = diff_folder(folder)
    else:
        difference = diff_versions(context.lake(context.url(folder)), folder.reference, old, new)
    with difference as report:
        if context.output.json:
            _print_documents(report, context.output)
        else:
            _print_lines(report, context.output, stat=arguments.stat)
    return 0


def _words(arguments: argparse.Namespace) -> tuple[str | None, int | None, int | None]:
    """Folder and versions: the folder may be left out, and a number is a version."""
    words = [word for word in (arguments.folder, arguments.old, arguments.new) if word is not None]
    name = None if not words or words[0].isdecimal() else words.pop(0)
    if len(words) > 2:
        raise UsageError("A difference is between two versions.", "`ebulk diff FOLDER V1 V2` names them.")
    numbers = [_version(word) for word in words]
    return name, numbers[0] if numbers else None, numbers[1] if len(numbers) > 1 else None


def _version(word: str) -> int:
    if not word.isdecimal() or not int(word):
        raise UsageError(f"{word!r} is no version.", "Versions are numbers from 1 up; `ebulk log` shows them.")
    return int(word)


def _print_documents(report: DiffReport, output: Output) -> None:
    for change in report.changes:
        output.document(change._asdict())
    went, came = report.changes.sizes()
    output.document(
        {
            "reference": report.reference,
            "old_version": report.old_version,
            "new_version": report.new_version,
            **report.changes.counts(),
            "bytes_removed": went,
            "bytes_added": came,
        }
    )


def _print_lines(report: DiffReport, output: Output, *, stat: bool) -> None:
    width = min(report.changes.widest() + len(" => "), PATH_WIDTH)
    for change in report.changes:
        output.line(_stat_line(change, width) if stat else f"{change.kind:<10}{_name(change, '->')}{_sizes(change)}")
    counts = report.changes.counts()
    went, came = report.changes.sizes()
    if not any(counts.values()):
        here = "this folder" if report.new_version is None else f"version {report.new_version}"
        output.line(f"Nothing differs between version {report.old_version} and {here}.")
        return
    kinds = ", ".join(f"{count:,} {kind}" for kind, count in counts.items() if count)
    output.line(f" {count_text(sum(counts.values()))} changed ({kinds}), +{size_text(came)}, -{size_text(went)}")


def _stat_line(change: Change, width: int) -> str:
    name = f" {_name(change, '=>'):<{width}} | "
    if change.kind == "renamed":
        return f"{name}{size_text(change.new_size or 0)}"
    if change.kind == "mode":
        return f"{name}mode {change.old_mode} -> {change.new_mode}"
    return f"{name}{size_text(change.old_size or 0)} -> {size_text(change.new_size or 0)}"


def _sizes(change: Change) -> str:
    if change.kind == "mode":
        return f" ({change.old_mode} -> {change.new_mode})"
    if change.kind == "modified":
        return f" ({size_text(change.old_size or 0)} -> {size_text(change.new_size or 0)})"
    return f" ({size_text((change.old_size if change.new_size is None else change.new_size) or 0)})"


def _name(change: Change, arrow: str) -> str:
    return f"{_plain(change.source)} {arrow} {_plain(change.path)}" if change.source else _plain(change.path)


def _plain(path: str) -> str:
    return path if path.isprintable() else shown(path)
