"""Records as a NumPy structured array in a file (NEP 1), in the memory of a batch, however many there are.

The first field is `time`, datetime64[ns]; then there is one for each key whose values are all of one kind. Keys of what
is nested are joined by `.`; a record's own key `time` is `record.time`, and a record that is no map is in `record`.

========================  ===================================  =====================================
values                    field                                of a record that has none
========================  ===================================  =====================================
integers of 64 bits       int64                                NaN, and the field is float64
other numbers, too        float64                              NaN
true, false               bool                                 NaN, and the field is float64
text, bytes               Unicode, as long as the longest one  empty
EventTime, Timestamp      datetime64[ns]                       NaT
========================  ===================================  =====================================

null counts as absent. Keys with other values (lists, several kinds) have no field. Bytes are taken for UTF-8, since
fluentd sends the lines of a file as bytes unless it is told their encoding. What the fields are is known once all
records were read; so they are read twice. Values are looked at by columns, of records that have the same keys.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import compress
from types import NoneType
from typing import Any, NamedTuple

import msgpack
import numpy

from Products.ERP5Wendelin.content.npy import header_of
from Products.ERP5Wendelin.content.records import TIME_MIN, Batch, time_of
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

OTHER = "other"
"""The kind of values that have no field."""

TYPES = {"int": "<i8", "float": "<f8", "bool": "|b1", "time": "<M8[ns]"}
ABSENT = {"float": float("nan"), "time": TIME_MIN}

ELSEWHERE = "Ask for fewer records, or for format=jsonl or msgpack."


class Column(NamedTuple):
    """Values of one field, and in which rows they are."""

    name: str
    rows: Sequence[int]
    values: Sequence[Any]

    def pick(self, chosen: Sequence[bool]) -> Column:
        """Those of which a list says so."""
        return self._replace(rows=list(compress(self.rows, chosen)), values=list(compress(self.values, chosen)))


@dataclass
class Field:
    """What is known of the values of a key: their kind, how many there are, and the length of the longest text."""

    kind: str = ""
    count: int = 0
    length: int = 1

    def add(self, values: Sequence[Any]) -> None:
        """Take values into account."""
        kinds = kinds_of(values) | ({self.kind} if self.kind else set())
        self.kind = kinds.pop() if len(kinds) == 1 else "float" if kinds == {"int", "float"} else OTHER
        self.count += len(values)
        if self.kind == "text":
            self.length = max(self.length, *map(len, values))

    def complete(self, rows: int) -> None:
        """Say that there are so many rows: those without a value need one that says so."""
        if self.count < rows and self.kind in ("int", "bool"):
            self.kind = "float"

    @property
    def dtype(self) -> str:
        """The type of its elements."""
        return f"<U{self.length}" if self.kind == "text" else TYPES[self.kind]

    def elements(self, values: Sequence[Any]) -> numpy.ndarray:
        """Values as numpy has them."""
        if self.kind == "time":
            return numpy.array(list(map(time_of, values)), numpy.int64).view(self.dtype)
        return numpy.array(values, self.dtype)


def array_file(read: Callable[[], Iterator[Batch]]) -> Iterator[bytes]:
    """The file, in pieces; `read` gives the records, the same ones each time.

    BadInput, TooLarge, before the first piece: they have too many keys, too long texts, or are too many.
    """
    fields, rows = read_fields(read())
    dtype = numpy.dtype([("time", TYPES["time"]), *((name, field.dtype) for name, field in fields.items())])
    if dtype.itemsize > ROW_SIZE_MAX:
        longest = max(fields, key=lambda name: fields[name].length)
        raise TooLarge(
            f"Each row would have {dtype.itemsize} bytes: the longest text, in {longest!r}, has "
            f"{fields[longest].length} characters. {ELSEWHERE}"
        )
    yield header(dtype, rows)
    count = max(PIECE_SIZE // dtype.itemsize, 1)
    for batch in read():
        values = batch.values or []
        for start in range(0, len(values), count):
            piece = slice(start, start + count)
            yield _rows(batch.times[piece], values[piece], fields, dtype).tobytes()


def read_fields(batches: Iterator[Batch]) -> tuple[dict[str, Field], int]:
    """The fields that records have, and how many records there are."""
    fields: dict[str, Field] = {}
    rows = size = names = 0
    for batch in batches:
        rows += len(batch.times)
        size += int((batch.ends - batch.starts).sum())
        for name, _, values in columns(batch.values or ()):
            if name not in fields:
                fields[name] = Field()
                names += len(name)
            fields[name].add(values)
            if len(fields) > FIELDS_MAX or names > NAMES_SIZE_MAX:
                raise BadInput(f"The records have more than {FIELDS_MAX} different keys, or too long ones. {ELSEWHERE}")
        if size > BYTES_MAX:
            raise TooLarge(f"The records have more than {BYTES_MAX // MIB} MiB. {ELSEWHERE}")
    for field in fields.values():
        field.complete(rows)
    return {name: field for name, field in fields.items() if field.kind != OTHER}, rows


def kinds_of(values: Sequence[Any]) -> set[str]:
    """The kinds of values; of those that are all numbers, text or so the first, or the extremes, say it."""
    types = set(map(type, values))
    if types == {int}:
        values = (min(values), max(values))
    elif types in ({bool}, {float}, {str}):
        values = values[:1]
    return set(map(kind_of, values))


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


def columns(values: Sequence[Any]) -> Iterator[Column]:
    """The values that records have, some at a time; null is none."""
    records = [value if isinstance(value, dict) else {"record": value} for value in values]
    for column in _columns(range(len(records)), records, "", DEPTH):
        # "time" is the first field's
        yield column._replace(name="record.time") if column.name == "time" else column


def _columns(rows: Sequence[int], records: Sequence[dict[Any, Any]], prefix: str, depth: int) -> Iterator[Column]:
    for places in _alike(records):
        where = [rows[place] for place in places]
        table = zip(*(records[place].values() for place in places), strict=True)
        for key, values in zip(records[places[0]], table, strict=True):
            column = Column(prefix + _name(key), where, values)
            types = set(map(type, values))
            if dict in types and depth:
                nested = column.pick([type(value) is dict for value in values])
                yield from _columns(nested.rows, nested.values, f"{column.name}.", depth - 1)
                column = column.pick([type(value) is not dict for value in values])
            if bytes in types:
                column = column._replace(values=list(map(_without_bytes, column.values)))
            if NoneType in types:
                column = column.pick([value is not None for value in column.values])
            if column.values:
                yield column


def _without_bytes(value: Any) -> Any:
    return value.decode("utf-8", "surrogateescape") if isinstance(value, bytes) else value


def _alike(records: Sequence[dict[Any, Any]]) -> Iterator[list[int]]:
    """Where those records are that have the same keys in the same order."""
    alike: dict[tuple[Any, ...], list[int]] = {}
    for place, record in enumerate(records):
        alike.setdefault(tuple(record), []).append(place)
    for keys, places in alike.items():
        if set(map(type, keys)) <= {str}:
            yield places
        else:
            yield from ([place] for place in places)  # 1 and True are equal, and are not the same key


def _name(key: Any) -> str:
    text = key.decode("utf-8", "replace") if isinstance(key, bytes) else str(key)
    return text.encode("utf-8", "replace").decode() or "_"  # numpy has a name of its own for ''


def _rows(times: numpy.ndarray, values: list[Any], fields: dict[str, Field], dtype: numpy.dtype) -> numpy.ndarray:
    """Rows of records."""
    rows = numpy.zeros(len(values), dtype)
    rows["time"] = times
    for name, field in fields.items():
        if field.kind in ABSENT:
            rows[name] = ABSENT[field.kind]
    for name, places, column in columns(values):
        if name in fields:
            rows[name][places] = fields[name].elements(column)
    return rows


def header(dtype: numpy.dtype, rows: int) -> bytes:
    """What the file begins with. BadInput: it is too long."""
    written = header_of((rows,), dtype)
    if len(written) > HEADER_SIZE_MAX:
        raise BadInput(
            f"The records have {len(dtype.names or ()) - 1} different keys, too many for an array. {ELSEWHERE}"
        )
    return written
