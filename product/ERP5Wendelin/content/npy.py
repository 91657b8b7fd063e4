"""Headers of .npy files (NEP 1): written for an array that is sent, read from one that somebody sends.

A file is a magic text, a version, the length of the header, the header, which is a Python dictionary, and the elements.
NumPy's own reader trusts who wrote the file: it unpickles objects, and takes the memory that a header asks for. Here a
header is a text of bounded length that is parsed, never evaluated, and says no more than how many bytes are to follow.
"""

from __future__ import annotations

import ast
import math
from typing import Any, NamedTuple, Protocol

import numpy

from Products.ERP5Wendelin.errors import BadInput
from Products.ERP5Wendelin.protocol import KIB
from Products.ERP5Wendelin.storage.array_shape import MOST_AXES

MAGIC = numpy.lib.format.MAGIC_PREFIX
ALIGNMENT = 64
"""The elements begin at a multiple of so many bytes, so that a file can be mapped."""

LENGTH_SIZES = {b"\x01\x00": 2, b"\x02\x00": 4, b"\x03\x00": 4}
"""Version -> bytes of the header's length. In version 3 the header is UTF-8, in the others Latin-1."""

LARGEST = 64 * KIB
"""Bytes of a header: what version 1.0 can have, and some thousand columns."""

_KEYS = {"descr", "fortran_order", "shape"}


class Source(Protocol):
    """What a file is read from."""

    def read(self, size: int, /) -> bytes:
        """Up to `size` bytes; none at the end."""


class Header(NamedTuple):
    """What a file's header says, and its size in bytes, all before the elements."""

    shape: tuple[int, ...]
    dtype: numpy.dtype
    fortran_order: bool
    size: int

    @property
    def nbytes(self) -> int:
        """How many bytes of elements are to follow."""
        return math.prod(self.shape) * self.dtype.itemsize


def header_of(shape: tuple[int, ...], dtype: numpy.dtype) -> bytes:
    """What the file of an array in C order begins with.

    In version 1.0 if it can be, which all programs read; in 3.0 where a name is not Latin-1, or there are many.
    """
    text = str({"descr": descr_of(dtype), "fortran_order": False, "shape": shape})
    version = (
        b"\x01\x00" if all(character < "\u0100" for character in text) and len(text) < LARGEST - 256 else b"\x03\x00"
    )
    encoded = text.encode(_encoding(version))
    before = len(MAGIC) + len(version) + LENGTH_SIZES[version]
    padded = encoded + b" " * (-(before + len(encoded) + 1) % ALIGNMENT) + b"\n"
    return MAGIC + version + len(padded).to_bytes(LENGTH_SIZES[version], "little") + padded


def descr_of(dtype: numpy.dtype) -> Any:
    """A dtype as a header has it: text such as '<f8', or a list of columns (`numpy.dtype.descr`).

    BadInput for one whose columns overlap, for which there is no such list.
    """
    try:
        return dtype.str if dtype.names is None else dtype.descr
    except ValueError:
        raise BadInput(
            f"The columns of {dtype} overlap, or are in no order, which no .npy file can have: select one of them."
        ) from None


def read_header(source: Source) -> Header:
    """Read a file up to its first element. BadInput: it is no such file, or one that is not taken."""
    start = _read(source, len(MAGIC) + 2)
    magic, version = start[:-2], start[-2:]
    if magic != MAGIC:
        raise BadInput(f"This is no .npy file: it begins with {magic!r}, not with {MAGIC!r}. Write it with numpy.save.")
    if version not in LENGTH_SIZES:
        raise BadInput(f"The .npy file has version {version[0]}.{version[1]}; known are 1.0, 2.0 and 3.0.")
    length = int.from_bytes(_read(source, LENGTH_SIZES[version]), "little")
    if length > LARGEST:
        raise BadInput(f"The header of the .npy file has {length} bytes; at most {LARGEST} are taken.")
    text = _read(source, length)
    shape, dtype, fortran_order = _parsed(text, _encoding(version))
    return Header(shape, dtype, fortran_order, len(start) + LENGTH_SIZES[version] + length)


def checked_dtype(description: Any) -> numpy.dtype:
    """The dtype that a description stands for, as `descr_of` gives them. BadInput: there is none, or not of values."""
    try:
        dtype: numpy.dtype = numpy.lib.format.descr_to_dtype(description)
    except Exception as error:  # numpy raises errors of many classes
        raise BadInput(
            f"{_shown(description)} is no dtype: {error}. Write it as in '<f8' or 'datetime64[ns]'."
        ) from None
    if dtype.hasobject:
        raise BadInput(
            f"The dtype {_shown(description)} has objects, which would be pickles: they are not taken. "
            "Choose a dtype of fixed size, such as float64 or S20."
        )
    if dtype.subdtype is not None:
        raise BadInput(
            f"The dtype {_shown(description)} is of sub-arrays: write their lengths at the end of the shape."
        )
    return dtype


def _parsed(text: bytes, encoding: str) -> tuple[tuple[int, ...], numpy.dtype, bool]:
    try:
        values = ast.literal_eval(text.decode(encoding))
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
        raise BadInput("The header of the .npy file is no Python dictionary of values.") from None
    if not isinstance(values, dict) or values.keys() != _KEYS:
        raise BadInput(f"The header of the .npy file must have the keys {', '.join(sorted(_KEYS))}, and no others.")
    shape, fortran_order = values["shape"], values["fortran_order"]
    if not isinstance(shape, tuple) or not all(type(length) is int and length >= 0 for length in shape):
        raise BadInput(f"The .npy file's shape {_shown(shape)} is none: it must be a tuple of whole numbers from 0.")
    # or else to write down how many bytes these are might take more digits than Python writes
    if len(shape) > MOST_AXES or max(shape, default=0) >= 2**63:
        raise BadInput(
            f"The .npy file's shape {_shown(shape)} is none: no array has more than {MOST_AXES} axes, or an axis that "
            "63 bits can't count."
        )
    if not isinstance(fortran_order, bool):
        raise BadInput("The .npy file's fortran_order must be True or False.")
    return shape, checked_dtype(values["descr"]), fortran_order


def _read(source: Source, size: int) -> bytes:
    """So many bytes; BadInput where the file ends before."""
    data = b""
    while len(data) < size and (more := source.read(size - len(data))):
        data += more
    if len(data) < size:
        raise BadInput("The .npy file ends within its header: it was cut off, or is none.")
    return data


def _encoding(version: bytes) -> str:
    return "utf-8" if version == b"\x03\x00" else "latin-1"


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 100 else f"{text[:100]}…"
