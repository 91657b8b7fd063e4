"""What is printed: sentences for people on the terminal, or lines of JSON for programs; errors on stderr."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from typing import Any

from ebulk.errors import ConflictError, EbulkError
from ebulk.local.names import shown

UNITS = ("bytes", "KiB", "MiB", "GiB", "TiB", "PiB")
STEP = 1024
MINUTE = 60
HOUR = 3600


class Output:
    """Where a command's results go; `json` and `quiet` as on the command line."""

    def __init__(self, *, json: bool, quiet: bool) -> None:
        self.json = json
        self.quiet = quiet

    def line(self, text: str) -> None:
        """A line for people."""
        if not self.json and not self.quiet:
            print(text)

    def document(self, document: Mapping[str, Any]) -> None:
        """A line for programs."""
        if self.json:
            print(json.dumps(document, ensure_ascii=False))

    def note(self, text: str) -> None:
        """What a person may want to know while a command runs, such as a retry: on stderr."""
        if not self.json and not self.quiet:
            print(f"ebulk: {text}", file=sys.stderr, flush=True)

    def error(self, error: EbulkError, exit_code: int | None = None) -> None:
        """What went wrong and what to do: on stderr, and for programs as JSON on stdout as well."""
        code = error.exit_code if exit_code is None else exit_code
        paths = {"paths": list(error.paths)} if isinstance(error, ConflictError) else {}
        self.document({"error": str(error), "hint": error.hint, "exit_code": code, **paths})
        print(f"ebulk: {error}", file=sys.stderr)
        if error.hint:
            print(f"       {error.hint}", file=sys.stderr)


def printable(text: str) -> str:
    """A text as a terminal may be given it: as it is, or quoted, with what it can't print escaped."""
    return text if text.isprintable() else shown(text)


def size_text(size: float) -> str:
    """A number of bytes as people read it: `3 bytes`, `1.4 GiB`."""
    unit = 0
    while size >= STEP and unit < len(UNITS) - 1:
        size /= STEP
        unit += 1
    if not unit:
        return "1 byte" if size == 1 else f"{size:.0f} bytes"
    return f"{size:.1f} {UNITS[unit]}"


def duration_text(seconds: float) -> str:
    """A duration as people read it: `2.1 s`, `3 min 5 s`, `2 h 7 min`."""
    if seconds < MINUTE:
        return f"{seconds:.1f} s"
    if seconds < HOUR:
        return f"{seconds // MINUTE:.0f} min {seconds % MINUTE:.0f} s"
    return f"{seconds // HOUR:.0f} h {seconds % HOUR // MINUTE:.0f} min"


def count_text(count: int, noun: str = "file") -> str:
    """`1 file`, `2,000 files`."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"
