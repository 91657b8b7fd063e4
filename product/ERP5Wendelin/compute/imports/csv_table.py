"""CSV files: a table becomes an array of records, one field a column; `key` chooses columns, by commas.

With one column as the key it is an array of that column's values. The first line has the names of the columns. A file
is read twice, first for the dtype that all rows fit in; and an import that goes on reads up to where it was again, for
where a row begins is not known before.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy

from Products.ERP5Wendelin.blockwise.csv_blocks import csv_schema, iter_csv
from Products.ERP5Wendelin.compute.imports.incoming import Incoming, check_expansion
from Products.ERP5Wendelin.compute.imports.keys import check_row_size, chosen_columns
from Products.ERP5Wendelin.compute.imports.stored_file import StoredFile
from Products.ERP5Wendelin.protocol import MIB

READ_SIZE = MIB
"""Bytes that are read at a time."""


class Rows(Incoming):
    """The rows of a table, or the values of one column."""

    def __init__(self, file: StoredFile, rows: int, fields: numpy.dtype, is_table: bool) -> None:
        """`fields`: the dtype of records of the columns that are chosen."""
        super().__init__((rows,), fields if is_table else fields[0])
        self._file = file
        self._fields = fields

    def pieces(self, start: int) -> Iterator[numpy.ndarray]:
        position = 0
        for block in iter_csv(_chunks(self._file), dtype=self._fields, name=self._file.name):
            skipped = max(start - position, 0)
            position += len(block)
            if skipped < len(block):
                values = block if self.dtype.names else block[self._fields.names[0]]  # type: ignore[index]
                yield values[skipped:]


def open_csv(file: StoredFile, key: str) -> Incoming:
    """The table of a CSV file, or the columns of it that `key` names."""
    dtype, rows = csv_schema(_chunks(file), name=file.name)
    names, is_table = chosen_columns(file.name, list(dtype.names or ()), key)
    table = Rows(file, rows, numpy.dtype([(name, dtype[name]) for name in names]), is_table)
    check_row_size(file, table.dtype)
    check_expansion(file, table.nbytes)
    return table


def _chunks(file: StoredFile) -> Iterator[bytes]:
    """A file's bytes from its beginning."""
    file.seek(0)
    while chunk := file.read(READ_SIZE):
        yield chunk
