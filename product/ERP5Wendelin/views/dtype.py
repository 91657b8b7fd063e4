"""Dtypes on the wire: as in the header of a .npy file, with lists where that has tuples, since JSON has none.

Text such as "<f8", or a list of columns, each `[name, dtype]` or `[name, dtype, shape]`; in place of a name
`[title, name]`, in place of a dtype's text columns again.
"""

from __future__ import annotations

from typing import Any

import numpy

from Products.ERP5Wendelin.content.npy import LARGEST, checked_dtype, header_of
from Products.ERP5Wendelin.errors import BadInput

DEPTH = 16
"""How deep columns may lie within columns."""


def parse_dtype(description: Any, name: str = "dtype") -> numpy.dtype:
    """The dtype that JSON describes. BadInput names the member that it was given as."""
    dtype = checked_dtype(description if isinstance(description, str) else _columns(description, name, DEPTH))
    size = len(header_of((), dtype))
    if size > LARGEST:  # it is in each list of arrays, and in what is sent by who uploads to one
        raise BadInput(
            f"{name} has columns that take {size} bytes in the header of a .npy file; at most {LARGEST} are taken. Let "
            "columns of one type be an axis."
        )
    return dtype


def _columns(description: Any, name: str, depth: int) -> list[tuple[Any, ...]]:
    if not isinstance(description, list) or not depth:
        raise BadInput(
            f'{name} must be text, as in "<f8", or a list of columns, as in [["t", "<M8[s]"], ["values", "<f4", [3]]].'
        )
    return [_column(column, f"{name}[{number}]", depth) for number, column in enumerate(description)]


def _column(column: Any, name: str, depth: int) -> tuple[Any, ...]:
    if not isinstance(column, list) or len(column) not in (2, 3):
        raise BadInput(f'{name} must be a column: ["name", dtype] or ["name", dtype, shape].')
    label, kind, *shape = column
    return (
        tuple(label) if isinstance(label, list) else label,
        kind if isinstance(kind, str) else _columns(kind, f"{name}[1]", depth - 1),
        *(tuple(each) if isinstance(each, list) else each for each in shape),
    )
