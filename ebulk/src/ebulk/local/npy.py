"""Headers of .npy files (NumPy's `numpy.lib.format`, versions 1 to 3), without NumPy.

A file is the magic bytes, a version, the header's length, and the header: a Python literal of a dict with the dtype
(`descr`), the order and the shape; then the elements. Who only sends and cuts files needs no more than that.
"""

from __future__ import annotations

import ast
import os
import re
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any, BinaryIO

from ebulk.errors import EbulkError

MAGIC = b"\x93NUMPY"
ALIGNMENT = 64
"""The elements begin at a multiple of so many bytes."""

LENGTH_SIZES = {1: 2, 2: 4, 3: 4}
"""Bytes of the header's length, by the version."""

HEADER_SIZE = 1 << 20
"""The longest header that is read, in bytes: one of 10,000 columns has about 300 KB."""

NUMPY_HINT = "Write it by numpy.save."

_TYPE = re.compile(r"[<>|=]?([biufcmMSaUV])(\d{1,9})(?:\[[^\]]*\])?", re.ASCII)
_UCS4 = 4


@dataclass(frozen=True, slots=True)
class Header:
    """What a file says of its array."""

    descr: Any
    """The dtype: text as `"<f8"`, or a list of columns."""
    fortran_order: bool
    shape: tuple[int, ...]
    offset: int
    """Bytes in front of the elements."""
    itemsize: int
    """Bytes of an element."""

    @property
    def nbytes(self) -> int:
        """Bytes of the elements."""
        return prod(self.shape) * self.itemsize


def make_header(descr: Any, shape: tuple[int, ...]) -> bytes:
    """What comes in front of the elements of an array in C order."""
    text = f"{{'descr': {descr!r}, 'fortran_order': False, 'shape': {shape!r}, }}"
    encoded, version = (text.encode("latin-1"), 1) if _is_latin(text) else (text.encode(), 3)
    if version == 1 and len(encoded) + ALIGNMENT > 0xFFFF:
        version = 2
    start = len(MAGIC) + 2 + LENGTH_SIZES[version]
    padded = encoded + b" " * (-(start + len(encoded) + 1) % ALIGNMENT) + b"\n"
    return MAGIC + bytes([version, 0]) + len(padded).to_bytes(LENGTH_SIZES[version], "little") + padded


def read_header(path: Path) -> Header:
    """What a file says, which is no shorter than that. EbulkError when it is none that an array can be made of."""
    with open(path, "rb") as file:
        header = _read(file, path)
        size = os.fstat(file.fileno()).st_size
    if size != header.offset + header.nbytes:
        raise EbulkError(
            f"{path} has {size:,} bytes, but by its header an array of shape {header.shape} in "
            f"{header.offset + header.nbytes:,}.",
            "It was not written to its end, or has something behind it. " + NUMPY_HINT,
        )
    return header


def _read(file: BinaryIO, path: Path) -> Header:
    start = file.read(len(MAGIC) + 2)
    version = start[len(MAGIC)] if len(start) == len(MAGIC) + 2 else 0
    if not start.startswith(MAGIC) or version not in LENGTH_SIZES:
        raise EbulkError(f"{path} is no .npy file of a version from 1 to 3.", NUMPY_HINT)
    length = int.from_bytes(file.read(LENGTH_SIZES[version]), "little")
    encoded = file.read(length) if length <= HEADER_SIZE else b""
    try:
        literal = ast.literal_eval(encoded.decode("utf-8" if version > 2 else "latin-1"))
        descr, fortran_order, shape = literal["descr"], literal["fortran_order"], literal["shape"]
        if not isinstance(fortran_order, bool) or not all(type(length) is int and length >= 0 for length in shape):
            raise ValueError(shape)
    except (ValueError, SyntaxError, TypeError, KeyError, RecursionError, MemoryError):
        raise EbulkError(f"The header of {path} cannot be understood.", NUMPY_HINT) from None
    try:
        has_objects = _has_objects(descr)
        itemsize = 0 if has_objects else _itemsize(descr)
    except (ValueError, TypeError, IndexError, RecursionError):
        raise EbulkError(f"The dtype in the header of {path} cannot be understood.", NUMPY_HINT) from None
    if has_objects:
        raise EbulkError(
            f"{path} has objects, which are Python's pickles: no lake takes those.",
            "Convert them to numbers, or to text of a fixed length by astype('U20'), and save that.",
        )
    return Header(descr, fortran_order, tuple(shape), file.tell(), itemsize)


def _has_objects(descr: Any) -> bool:
    if isinstance(descr, str):
        return descr.lstrip("<>|=").startswith("O")
    return isinstance(descr, list | tuple) and any(_has_objects(part) for part in _types(descr))


def _types(descr: list[Any] | tuple[Any, ...]) -> list[Any]:
    """The dtypes within one of columns (a list), or of arrays as elements (a pair)."""
    return [column[1] for column in descr] if isinstance(descr, list) else list(descr[:1])


def _itemsize(descr: Any) -> int:
    """Bytes of an element. ValueError or TypeError for what is no dtype of a file."""
    if isinstance(descr, list):
        return sum(_itemsize(column[1]) * prod(column[2] if len(column) > 2 else ()) for column in descr)
    if isinstance(descr, tuple):
        base, shape = descr
        return _itemsize(base) * prod(shape)
    found = _TYPE.fullmatch(descr)
    if found is None:
        raise ValueError(descr)
    return int(found[2]) * (_UCS4 if found[1] == "U" else 1)


def _is_latin(text: str) -> bool:
    return all(ord(letter) < 256 for letter in text)
