"""`ebulk arrays`."""

from __future__ import annotations

import argparse
from dataclasses import asdict
from typing import Any

from ebulk.cli.context import Context
from ebulk.cli.output import printable, size_text
from ebulk.model import ArrayInfo

LISTED = ("reference", "title", "state", "shape", "dtype", "size")
"""What a lake's list has of each."""


def run(arguments: argparse.Namespace, context: Context) -> int:
    """List arrays: reference, size, shape, dtype and title."""
    output = context.output
    found = context.lake(context.url()).arrays(arguments.search, arguments.state)
    if output.json:
        for array in found:
            output.document({name: value for name, value in asdict(array).items() if name in LISTED})
        return 0
    arrays = list(found)
    widths = [max((len(cell) for cell in cells), default=0) for cells in zip(*map(_cells, arrays), strict=True)]
    for array in arrays:
        reference, *others = _cells(array)
        title = array.title if array.title != array.reference else ""
        cells = [f"{reference:<{widths[0]}}", f"{size_text(array.size):>12}"]
        cells += [f"{cell:<{width}}" for cell, width in zip(others, widths[1:], strict=True)]
        output.line("  ".join([*cells, printable(title)]).rstrip())
    if not arrays:
        output.line("There are no such arrays that you may see.")
    return 0


def _cells(array: ArrayInfo) -> tuple[str, str, str]:
    shape = "no shape yet" if array.shape is None else str(array.shape)
    return printable(array.reference), shape, "" if array.shape is None else printable(dtype_text(array.dtype))


def dtype_text(dtype: Any) -> str:
    """A dtype as people read it: `<f8`, or `{n: <i4, rpm: <f8}` for records."""
    if not isinstance(dtype, list):
        return str(dtype)
    return "{" + ", ".join(_column(*column) for column in dtype if isinstance(column, list) and len(column) > 1) + "}"


def _column(name: Any, dtype: Any, shape: Any = "") -> str:
    return f"{name[-1] if isinstance(name, list) and name else name}: {dtype_text(dtype)}{shape}"
