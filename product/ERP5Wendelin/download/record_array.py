"""Records as a NumPy structured array in a file (NEP 1), in the memory of a piece, however many there are.

The first field is `time`, datetime64[ns]; then there is one for each key whose values are all of one kind. Keys of what
is nested are joined by `.`; a record's own key `time` is `record.time`, and a record that is no map is in `record`.

========================  ===================================  =====================================
values                    field                                of a record that has none
========================  ===================================  =====================================
integers of 64 bits       int64                                NaN, and the field is float64
other numbers, too        float64                              NaN
true, false               bool                                 NaN, and the field is float64
text                      Unicode, as long as the longest one  empty
EventTime, Timestamp      datetime64[ns]                       NaT
========================  ===================================  =====================================

null counts as absent. Keys with other values (lists, bytes, several kinds) have no field. What the fields are is known
once all records were read; so they are read twice.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any

import msgpack
import numpy

from Products.ERP5Wendelin.content.records import TIME_MIN, time_of
from Products.ERP5Wendelin.content.timed_records import Found
from Products.ERP5Wendelin.download.record_format import PIECE_SIZE
from Products.ERP5Wendelin.errors import BadInput, TooLarge
from Products.ERP5Wendelin.protocol import KIB, MIB

BYTES_MAX = 512 * MIB
"""Of a stream: the first reading takes half a minute for them, during which there is no answer yet."""

FIELDS_MAX = 1_000
NAMES_SIZE_MAX = MIB
"""Characters of all keys together: each record may bring others."""

ROW_SIZE_MAX = 64 * KIB
HEADER_SIZE_MAX = 10_000
"""What numpy.load takes by itself."""

DEPTH = 32
ALIGNMENT = 64

OTHER = "other"
"""The kind of values that have no field."""

TYPES = {"int": "<i8", "float": "<f8", "bool": "|b1", "time": "<M8[ns]"}
ABSENT: dict[str, Any] = {"text": "", "float": float("nan"), "time": TIME_MIN}

ELSEWHERE = "Ask for fewer records, or for format=jsonl or msgpack."


@dataclass
class Field:
    """What is known of the values of a key: their kind, how many there are, and the length of the longest text."""

    kind: str = ""
    count: int = 0
    length: int = 1

    def add(self, value: Any) -> None:
        """Take a value into account."""
        kind = kind_of(value)
        if self.kind != kind:
            self.kind = kind if not self.kind else "float" if {self.kind, kind} == {"int", "float"} else OTHER
        self.count += 1
        if kind == "text":
            self.length = max(self.length, len(value))

    def complete(self, rows: int) -> None:
        """Say that there are so many rows: those without a value need one that says so."""
        if self.count < rows and self.kind in ("int", "bool"):
            self.kind = "float"

    @property
    def dtype(self) -> str:
        """The type of its elements."""
        return f"<U{self.length}" if self.kind == "text" else TYPES[self.kind]

    def element(self, value: Any) -> Any:
        """A value as numpy takes it; None: there is none."""
        if value is None:
            return ABSENT[self.kind]
        if self.kind == "time":
            return time_of(value)
        return float(value) if self.kind == "float" else value


def array_file(read: Callable[[], Iterator[Found]]) -> Iterator[bytes]:
    """The file, in pieces; `read` gives the records, the same ones each time.

    BadInput, TooLarge, before the first piece: they have too many keys, too long texts, or are too many.
    """
    fields, rows = read_fields(read())
    dtype = numpy.dtype([("time", "<M8[ns]"), *((name, field.dtype) for name, field in fields.items())])
    if dtype.itemsize > ROW_SIZE_MAX:
        longest = max(fields, key=lambda name: fields[name].length)
        raise TooLarge(
            f"Each row would have {dtype.itemsize} bytes: the longest text, in {longest!r}, has "
            f"{fields[longest].length} characters. {ELSEWHERE}"
        )
    yield header(dtype, rows)
    found = read()
    count = max(PIECE_SIZE // dtype.itemsize, 1)
    while piece := [_row(record, fields) for record in islice(found, count)]:
        yield numpy.array(piece, dtype).tobytes()


def read_fields(found: Iterator[Found]) -> tuple[dict[str, Field], int]:
    """The fields that records have, and how many records there are."""
    fields: dict[str, Field] = {}
    rows = size = names = 0
    for record in found:
        rows += 1
        size += record.end - record.start
        for name, value in values_of(record.value):
            if name not in fields:
                fields[name] = Field()
                names += len(name)
            fields[name].add(value)
        if len(fields) > FIELDS_MAX or names > NAMES_SIZE_MAX:
            raise BadInput(f"The records have more than {FIELDS_MAX} different keys, or too long ones. {ELSEWHERE}")
        if size > BYTES_MAX:
            raise TooLarge(f"The records have more than {BYTES_MAX // MIB} MiB. {ELSEWHERE}")
    for field in fields.values():
        field.complete(rows)
    return {name: field for name, field in fields.items() if field.kind != OTHER}, rows


def kind_of(value: Any) -> str:
    """The kind of a value."""
    if isinstance(value, bool):
        return "bool"
    if isinstance(value, int):
        return "int" if -(2**63) <= value < 2**63 else "float" if abs(value) < 2**1023 else OTHER
    if isinstance(value, float):
        return "float"
    if isinstance(value, str):
        return "text"
    if isinstance(value, msgpack.ExtType | msgpack.Timestamp) and time_of(value) is not None:
        return "time"
    return OTHER


def values_of(record: Any) -> Iterator[tuple[str, Any]]:
    """The values that a record has, by the names of their fields."""
    if not isinstance(record, dict):
        record = {"record": record}
    for name, value in _nested(record, "", DEPTH):
        if value is not None:
            yield "record.time" if name == "time" else name, value


def _nested(record: dict[Any, Any], prefix: str, depth: int) -> Iterator[tuple[str, Any]]:
    for key, value in record.items():
        text = key.decode("utf-8", "replace") if isinstance(key, bytes) else str(key)
        name = prefix + (text.encode("utf-8", "replace").decode() or "_")  # numpy has a name of its own for ''
        if isinstance(value, dict) and depth:
            yield from _nested(value, f"{name}.", depth - 1)
        else:
            yield name, value


def _row(found: Found, fields: dict[str, Field]) -> tuple[Any, ...]:
    values = dict(values_of(found.value))
    return (found.time, *(field.element(values.get(name)) for name, field in fields.items()))


def header(dtype: numpy.dtype, rows: int) -> bytes:
    """What the file begins with; in version 1.0, or in 3.0 where names are not Latin-1. BadInput: it is too long."""
    described = {"descr": numpy.lib.format.dtype_to_descr(dtype), "fortran_order": False, "shape": (rows,)}
    text = str(described)
    version, encoding, length_size = (b"\x01\x00", "latin-1", 2) if _is_latin(text) else (b"\x03\x00", "utf-8", 4)
    encoded = text.encode(encoding)
    if len(encoded) > HEADER_SIZE_MAX - ALIGNMENT:
        raise BadInput(
            f"The records have {len(dtype.names or ()) - 1} different keys, too many for an array. {ELSEWHERE}"
        )
    before = len(numpy.lib.format.MAGIC_PREFIX) + len(version) + length_size
    padded = encoded + b" " * (-(before + len(encoded) + 1) % ALIGNMENT) + b"\n"
    return numpy.lib.format.MAGIC_PREFIX + version + len(padded).to_bytes(length_size, "little") + padded


def _is_latin(text: str) -> bool:
    return all(character < "\u0100" for character in text)
