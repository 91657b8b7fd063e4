"""The report at the end of a push or pull, for people and for programs."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict
from typing import Any

from ebulk.cli.output import Output, count_text, duration_text, size_text
from ebulk.local.index import Totals
from ebulk.local.names import shown
from ebulk.verbs.pull import PullReport
from ebulk.verbs.push import PushReport


def report_push(report: PushReport, seconds: float, output: Output) -> None:
    """What a push did."""
    output.document(_document(report, seconds))
    name = shown(report.reference)
    if not report.changed and not report.version:
        output.line(f"Nothing to push: {name} has no version yet, and there are no files here.")
        return
    if not report.changed:
        what = "what is staged" if report.unstaged else name
        output.line(f"Nothing to push: {what} is as in version {report.version} ({_totals(report.total)}).")
        _report_unstaged(report, output)
        return
    renamed = f" ({report.renamed:,} of them renamed)" if report.renamed else ""
    output.line(f"Pushed {name}: version {report.version}{', resumed' if report.resumed else ''}")
    output.line(
        f"  {report.new:,} new{renamed}, {report.modified:,} modified, {report.removed:,} removed,"
        f" {report.unchanged:,} unchanged"
    )
    if report.present.files:
        output.line(f"  already in the lake, not sent: {_totals(report.present)}")
    if report.reused:
        output.line(f"  taken over from the version before, not sent: {size_text(report.reused)}")
    output.line(
        f"  sent {size_text(report.sent.size)} in {count_text(report.sent.files)}, of {_totals(report.total)},"
        f" in {duration_text(seconds)}"
    )
    if report.others:
        output.line("  Somebody else pushed since your last pull: `ebulk pull` gets it.")
    _report_unstaged(report, output)


def _report_unstaged(report: PushReport, output: Output) -> None:
    if report.unstaged:
        output.line(f"  not staged, and so not pushed: {count_text(report.unstaged, 'change')} (see `ebulk status`)")


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
        facts = (
            (report.new, "new"),
            (report.modified, "modified"),
            (report.removed, "removed"),
            (report.moved, "renamed"),
            (report.unchanged, "unchanged"),
        )
        output.line(f"  {_list(facts)}")
        if report.reused:
            output.line(f"  taken over from the version before, not received: {size_text(report.reused)}")
        output.line(
            f"  received {size_text(report.received.size)} in {count_text(report.received.files)},"
            f" of {_totals(report.total)}, in {duration_text(seconds)}"
        )
    if report.adopted:
        output.line(f"  already here and the same: {count_text(report.adopted)}")
    if report.kept:
        output.line(f"  your changes are kept: {count_text(report.kept)} (see `ebulk status`)")


def _list(facts: Iterable[tuple[int, str]]) -> str:
    return ", ".join(f"{count:,} {word}" for count, word in facts)


def _totals(totals: Totals) -> str:
    return f"{count_text(totals.files)} with {size_text(totals.size)}"


def _document(report: PushReport | PullReport, seconds: float) -> dict[str, Any]:
    document = {
        name: value._asdict() if isinstance(value, Totals) else value
        for name, value in ((field, getattr(report, field)) for field in asdict(report))
    }
    return {**document, "changed": report.changed, "seconds": round(seconds, 3)}
