"""The report at the end of a push or pull, for people and for programs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import Any

from ebulk.cli.output import Output, count_text, duration_text, size_text
from ebulk.local.index import Totals
from ebulk.local.names import shown
from ebulk.protocol import KIB, RAW
from ebulk.verbs.pull import PullReport
from ebulk.verbs.pull_array import ArrayReport
from ebulk.verbs.pull_stream import StreamReport
from ebulk.verbs.push import PushReport
from ebulk.verbs.push_array import ArrayPushReport

RATE_FROM = 256 * KIB
"""Bytes."""

Row = tuple[str, "int | None", "int | None"]
"""(what, how many files, how many bytes); None for what is not known or makes no sense."""


def report_push(report: PushReport, seconds: float, output: Output) -> None:
    """What a push did."""
    output.document(_document(report, seconds))
    name = shown(report.reference)
    if not report.changed and not report.version:
        output.line(f"Nothing to push: {name} has no version yet, and there are no files here.")
    elif not report.changed:
        what = "what is staged" if report.unstaged else name
        output.line(f"Nothing to push: {what} is as in version {report.version} ({_totals(report.total)}).")
    else:
        output.line(f"Pushed {name}: version {report.version}{', resumed' if report.resumed else ''}")
        _print_table(
            output,
            (
                ("new", report.new - report.renamed, None),
                ("modified", report.modified, None),
                ("renamed", report.renamed, None),
                ("removed", report.removed - report.renamed, None),
                ("already in the lake, not sent", *report.present),
                ("parts that the lake had, not sent", None, report.reused),
            ),
            (("sent", *report.sent), *_on_the_wire(report.sent, report.travelled), ("in the data set", *report.total)),
        )
        output.line(f"  {_duration(report.sent.size, seconds)}")
    if report.others:
        output.line("  Somebody else pushed since your last pull: `ebulk pull` gets it.")
    if report.unstaged:
        output.line(f"  not staged, and so not pushed: {count_text(report.unstaged, 'change')} (see `ebulk status`)")
    if report.left_out:
        output.line(f"  left out, as you asked: {count_text(report.left_out, 'change')}")


def report_pull(report: PullReport, seconds: float, output: Output) -> None:
    """What a pull did."""
    output.document(_document(report, seconds))
    name = shown(report.reference)
    if not report.version:
        output.line(f"Nothing to pull: nothing was pushed to {name} yet.")
    elif not report.changed:
        output.line(f"Nothing to pull: {name} is as in version {report.version} ({_totals(report.total)}).")
    else:
        output.line(f"Pulled {name}: version {report.version}")
        _print_table(
            output,
            (
                ("new", report.new, None),
                ("modified", report.modified, None),
                ("renamed", report.moved, None),
                ("removed", report.removed, None),
                ("parts that were here, not received", None, report.reused),
            ),
            (
                ("received", *report.received),
                *_on_the_wire(report.received, report.travelled),
                ("in the folder", *report.total),
            ),
        )
        output.line(f"  {_duration(report.received.size, seconds)}")
    if report.adopted:
        output.line(f"  already here and the same: {count_text(report.adopted)}")
    if report.left_out:
        output.line(f"  left out, as you asked: {count_text(report.left_out)}")
    if report.kept:
        output.line(f"  your changes are kept: {count_text(report.kept)} (see `ebulk status`)")


def report_stream(report: StreamReport, seconds: float, output: Output) -> None:
    """What a pull of a stream did."""
    output.document({**asdict(report), "changed": report.changed, "seconds": round(seconds, 3)})
    name, file = shown(report.reference), shown(report.file)
    if not report.changed:
        output.line(f"Nothing to pull: {file} has all that the lake has of {name} ({size_text(report.size)}).")
    elif report.format != RAW and not report.size:
        output.line(f"Pulled {name}: {file} is empty, since it has no records of that time")
    elif report.format != RAW:
        output.line(f"Pulled {name}: {file} has its records ({report.format}, {size_text(report.size)})")
    elif report.received == report.size:
        output.line(f"Pulled {name}: {file} has {size_text(report.size)}")
    else:
        output.line(f"Pulled {name}: {file} has {size_text(report.received)} more, {size_text(report.size)} in all")
    if report.start:
        output.line(f"  it begins at byte {report.start:,} of the stream: the lake does not keep what was before")
    if report.changed:
        output.line(f"  {_duration(report.received, seconds)}")


def report_array(report: ArrayReport, seconds: float, output: Output) -> None:
    """What a pull of an array did."""
    output.document({**asdict(report), "seconds": round(seconds, 3)})
    what = f"[{report.slice}]" if report.slice else ""
    output.line(f"Pulled {shown(report.reference)}{what}: {shown(report.file)} has {size_text(report.size)}")
    output.line(f"  {_duration(report.received, seconds)}")


def report_array_push(report: ArrayPushReport, seconds: float, output: Output) -> None:
    """What a push of an array did."""
    output.document({**asdict(report), "seconds": round(seconds, 3)})
    name, resumed = shown(report.reference), ", resumed" if report.resumed else ""
    what = f"{size_text(report.size)} more" if report.appended else size_text(report.size)
    output.line(f"Pushed {name}: {what}{resumed}; its shape is {report.shape}")
    output.line(f"  {_duration(report.size, seconds)}")


def _on_the_wire(content: Totals, travelled: int) -> Sequence[Row]:
    """What bytes took on the wire, where compression or an unreliable network made it another number."""
    differs = content.size >= RATE_FROM and not content.size * 0.9 <= travelled <= content.size * 1.1
    return (("on the wire", None, travelled),) if differs else ()


def _print_table(output: Output, facts: Sequence[Row], always: Sequence[Row]) -> None:
    """Rows in columns: the facts that are not zero, and those that are shown always."""
    rows = [row for row in facts if any(row[1:])] + list(always)
    for line in _table(rows):
        output.line(f"  {line}")


def _table(rows: Sequence[Row]) -> Iterator[str]:
    cells = [("", "files", "size")]
    cells += [(what, "" if n is None else f"{n:,}", "" if size is None else size_text(size)) for what, n, size in rows]
    widths = [max(len(row[column]) for row in cells) for column in range(3)]
    for what, files, size in cells:
        yield f"{what:<{widths[0]}}  {files:>{widths[1]}}  {size:>{widths[2]}}".rstrip()


def _duration(size: int, seconds: float) -> str:
    """`in 2.0 s (5.0 MiB/s)`; a rate where so much was transferred that it says something."""
    rate = f" ({size_text(size / seconds)}/s)" if size >= RATE_FROM else ""
    return f"in {duration_text(seconds)}{rate}"


def _totals(totals: Totals) -> str:
    return f"{count_text(totals.files)} with {size_text(totals.size)}"


def _document(report: PushReport | PullReport, seconds: float) -> dict[str, Any]:
    document = {
        name: value._asdict() if isinstance(value, Totals) else value
        for name, value in ((field, getattr(report, field)) for field in asdict(report))
    }
    return {**document, "changed": report.changed, "seconds": round(seconds, 3)}
