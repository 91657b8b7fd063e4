"""Parquet files: a table becomes an array of records, one field a column; `key` chooses columns, by commas.

With one column as the key it is an array of that column's values. Read row group by row group, in batches.

============================  =============================  ====================================
values                        field                          null
============================  =============================  ====================================
integers, floats              the same                       NaN; integers with nulls are float64
true, false                   bool                           NaN, and the field is float64
decimal numbers               float64                        NaN
timestamps, dates             datetime64 of the same unit    NaT
times, durations              timedelta64 of the same unit   NaT
text, binary                  U, S, as long as the longest   empty
============================  =============================  ====================================

Integers beyond 2**53 lose digits as float64. How long texts are, and whether integers and truths have nulls, is found
by reading those columns once before.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy

from Products.ERP5Wendelin.compute.extras import load
from Products.ERP5Wendelin.compute.imports.incoming import PIECE_SIZE, Incoming, check_expansion
from Products.ERP5Wendelin.compute.imports.keys import check_row_size, chosen_columns
from Products.ERP5Wendelin.compute.imports.stored_file import StoredFile
from Products.ERP5Wendelin.errors import BadInput, TooLarge
from Products.ERP5Wendelin.protocol import KIB, MIB

COLUMN_CHUNK_MAX = 512 * MIB
"""Bytes of a column in a row group, uncompressed."""

BUFFER_SIZE = MIB
"""Bytes of a column that are read at a time: the rest of it is not kept in memory."""

ROWS = 64 * KIB
"""The most rows of a batch."""


class Column(NamedTuple):
    """A column, and the dtype of its field."""

    name: str
    type: Any
    dtype: numpy.dtype


class Rows(Incoming):
    """The rows of a table, or the values of one column."""

    def __init__(self, parquet: Any, columns: list[Column], is_table: bool) -> None:
        fields = [(column.name or "_", column.dtype) for column in columns]
        super().__init__((parquet.metadata.num_rows,), numpy.dtype(fields) if is_table else columns[0].dtype)
        self._parquet = parquet
        self._columns = columns

    def pieces(self, start: int) -> Iterator[numpy.ndarray]:
        first = 0
        names = [column.name for column in self._columns]
        count = max(min(ROWS, PIECE_SIZE // self.dtype.itemsize), 1)
        for group in range(self._parquet.num_row_groups):
            length = self._parquet.metadata.row_group(group).num_rows
            position, first = first, first + length
            if first <= start:
                continue
            for batch in self._parquet.iter_batches(batch_size=count, row_groups=[group], columns=names):
                skipped = max(start - position, 0)
                position += batch.num_rows
                if skipped < batch.num_rows:
                    yield self._elements(batch.slice(skipped))

    def _elements(self, batch: Any) -> numpy.ndarray:
        result = numpy.zeros(batch.num_rows, self.dtype)
        for column, values in zip(self._columns, batch.columns, strict=True):
            target = result if self.dtype.names is None else result[column.name or "_"]
            target[...] = _values(values, column)
        return result


def open_parquet(file: StoredFile, key: str) -> Incoming:
    """The table of a Parquet file, or the columns of it that `key` names."""
    pq = load("pyarrow.parquet", "parquet", "Parquet files are")
    with file.understood_as("parquet"):
        parquet = pq.ParquetFile(file, pre_buffer=False, buffer_size=BUFFER_SIZE, page_checksum_verification=True)
        schema = parquet.schema_arrow
        names, is_table = chosen_columns(file.name, schema.names, key)
        _check_row_groups(parquet.metadata, file.name)
        columns = [_column(parquet, name, schema.field(name).type, file.name) for name in names]
        rows = Rows(parquet, columns, is_table)
    check_row_size(file, rows.dtype)
    check_expansion(file, rows.nbytes)
    return rows


def _check_row_groups(metadata: Any, name: str) -> None:
    for group in range(metadata.num_row_groups):
        row_group = metadata.row_group(group)
        for number in range(row_group.num_columns):
            size = row_group.column(number).total_uncompressed_size
            if size > COLUMN_CHUNK_MAX:
                raise TooLarge(
                    f"{name} has a row group with {size} bytes in one column; at most {COLUMN_CHUNK_MAX} are taken. "
                    "Write it with smaller row groups."
                )


def _column(parquet: Any, name: str, type: Any, file: str) -> Column:
    """A column with its field's dtype."""
    types = load("pyarrow", "parquet", "Parquet files are").types
    if types.is_dictionary(type):
        type = type.value_type
    if types.is_string(type) or types.is_large_string(type):
        return Column(name, type, numpy.dtype(f"U{_longest(parquet, name, 'utf8_length')}"))
    if types.is_binary(type) or types.is_large_binary(type):
        return Column(name, type, numpy.dtype(f"S{_longest(parquet, name, 'binary_length')}"))
    if types.is_fixed_size_binary(type) and not types.is_decimal(type):
        return Column(name, type, numpy.dtype(f"V{type.byte_width}"))
    if types.is_integer(type) or types.is_boolean(type):
        dtype = numpy.dtype("f8") if _has_nulls(parquet, name) else numpy.dtype(type.to_pandas_dtype())
        return Column(name, type, dtype)
    if types.is_floating(type):
        return Column(name, type, numpy.dtype(type.to_pandas_dtype()))
    if types.is_decimal(type):
        return Column(name, type, numpy.dtype("f8"))
    if types.is_date(type):
        return Column(name, type, numpy.dtype("M8[D]" if types.is_date32(type) else "M8[ms]"))
    if types.is_timestamp(type):
        return Column(name, type, numpy.dtype(f"M8[{type.unit}]"))
    if types.is_time(type) or types.is_duration(type):
        return Column(name, type, numpy.dtype(f"m8[{type.unit}]"))
    raise BadInput(
        f"The column {name!r} of {file} has values of type {type}, which no array can have. Choose others by the key."
    )


def _batches(parquet: Any, name: str) -> Iterator[Any]:
    """The values of a column, decoded."""
    for batch in parquet.iter_batches(batch_size=ROWS, columns=[name]):
        yield _decoded(batch.columns[0])


def _decoded(values: Any) -> Any:
    return values.dictionary_decode() if hasattr(values, "dictionary_decode") else values


def _longest(parquet: Any, name: str, length: str) -> int:
    compute = load("pyarrow.compute", "parquet", "Parquet files are")
    lengths = (compute.max(getattr(compute, length)(values)).as_py() for values in _batches(parquet, name))
    return max((each for each in lengths if each), default=1)


def _has_nulls(parquet: Any, name: str) -> bool:
    """Whether a column has nulls. The file's statistics are not asked: pyarrow ends the process if they are broken."""
    if not parquet.schema_arrow.field(name).nullable:
        return False
    return any(values.null_count for values in _batches(parquet, name))


def _values(values: Any, column: Column) -> numpy.ndarray:
    """Values of a column as its field has them."""
    values = _decoded(values)
    kind = column.dtype.kind
    if kind in "USV":
        empty = b"" if kind != "U" else ""
        return values.fill_null(bytes(column.dtype.itemsize) if kind == "V" else empty).to_numpy(zero_copy_only=False)
    if kind == "m":
        values = values.cast("int64") if str(column.type).startswith(("time64", "duration")) else values.cast("int32")
        return _with_nat(values).view(column.dtype)
    if kind == "f" and str(column.type).startswith(("decimal", "bool")):
        return values.cast("float64").to_numpy(zero_copy_only=False)
    return values.to_numpy(zero_copy_only=False)


def _with_nat(values: Any) -> numpy.ndarray:
    """Integers of 64 bits, nulls as NumPy writes NaT."""
    return values.cast("int64").fill_null(numpy.iinfo("i8").min).to_numpy(zero_copy_only=False)
