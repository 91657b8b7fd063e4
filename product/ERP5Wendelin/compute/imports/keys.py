"""Keys: which of the arrays, datasets or columns of a file is meant; and the rows that columns make."""

from __future__ import annotations

import numpy

from Products.ERP5Wendelin.compute.imports.stored_file import StoredFile
from Products.ERP5Wendelin.errors import BadInput, TooLarge
from Products.ERP5Wendelin.protocol import KIB

SHOWN = 20
"""How many names a message lists."""

ROW_SIZE_MAX = 64 * KIB
"""Bytes of a row: a single long text makes all of them as long."""


def refuse_key(file: StoredFile, key: str) -> None:
    """BadInput where a key is given of a file that holds one array."""
    if key:
        raise BadInput(f"{file.name} holds one array, so there is no {key!r} to choose: leave the key out.")


def chosen(file: str, things: str, names: list[str], key: str) -> str:
    """The name that is meant by a key, or the only one there is. BadInput lists them."""
    if key in names:
        return key
    if not key and len(names) == 1:
        return names[0]
    listed = ", ".join(repr(name) for name in names[:SHOWN]) + (", …" if len(names) > SHOWN else "")
    problem = f"has no {key!r}" if key else f"holds {len(names)} {things}"
    raise BadInput(f"{file} {problem}. Choose one by its key: {listed or 'there is none'}.")


def chosen_columns(file: str, names: list[str], key: str) -> tuple[list[str], bool]:
    """The columns that a key names, all without one; and whether they make records, as they do but for a single key."""
    if len(set(names)) < len(names):
        raise BadInput(f"{file} has several columns of one name. Write them with names of their own.")
    if not key:
        if not names:
            raise BadInput(f"{file} has no columns.")
        return names, True
    if key in names:
        return [key], False
    return [chosen(file, "columns", names, part.strip()) for part in key.split(",")], True


def check_row_size(file: StoredFile, dtype: numpy.dtype) -> None:
    """TooLarge for records, or texts, that are longer than rows may be."""
    if dtype.itemsize > ROW_SIZE_MAX:
        longest = max(dtype.names or (), key=lambda name: dtype[name].itemsize, default="")
        raise TooLarge(
            f"Each row of {file.name} would have {dtype.itemsize} bytes, and at most {ROW_SIZE_MAX} are taken: a text "
            f"is so long{f' in the column {longest!r}' if longest else ''}. Choose other columns by the key."
        )
