"""What lines say of the part of an array that they show: an index or columns, and a dtype, as text.

They are written as in Python, and read as plain data: nothing is evaluated.
"""

from __future__ import annotations

import ast
from typing import Any

import numpy

from Products.ERP5Wendelin.errors import BadInput
from Products.ERP5Wendelin.storage.array_index import Index, parse
from Products.ERP5Wendelin.storage.array_shape import checked_dtype

LONGEST = 10_000
"""Characters of an expression."""


def selection_of(expression: str) -> Index | str | list[str]:
    """A basic index (`0:100, ::2`), the name of a column (`'x'`), or those of several (`['x', 'y']`).

    BadInput: it is none of them.
    """
    if expression.strip()[:1] not in ("'", '"', "["):
        return parse(expression)
    names = _literal(expression)
    if isinstance(names, str):
        return names
    if isinstance(names, (list, tuple)) and names and all(isinstance(name, str) for name in names):
        return list(names)
    raise BadInput(f"{expression[:100]!r} names no columns: write 'x' for one, ['x', 'y'] for several.")


def dtype_of(expression: str) -> numpy.dtype | None:
    """A dtype as NumPy writes it (`<f8`, `float64`, `[('x', '<f8'), ('y', '<i4')]`); None for no text."""
    expression = expression.strip()
    if not expression:
        return None
    return checked_dtype(_literal(expression) if expression.startswith("[") else expression)


def _literal(expression: str) -> Any:
    if len(expression) <= LONGEST:
        try:
            return ast.literal_eval(expression.strip())
        except (ValueError, SyntaxError, TypeError, RecursionError, MemoryError):
            pass
    raise BadInput(f"{expression[:100]!r} can't be read: write names and dtypes as texts and lists of them.")
