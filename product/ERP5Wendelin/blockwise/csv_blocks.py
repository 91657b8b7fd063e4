"""CSV of any size as arrays of records, some rows at a time (RFC 4180).

Fields may be quoted, with delimiters, line breaks and doubled quotes in them; a first line has the names of the
columns; text is UTF-8. What is missing (nothing, NA, N/A, null, None) is NaN among numbers and NaT among times;
integers and truth can't be missing, and to text it is text.

`csv_schema` looks at all rows for the dtype that they fit in: of each column bool, int64, float64, datetime64 of ISO
8601's times in UTC, or text as long as the longest. `iter_csv` takes that, or another one, or has it from the first
rows. What does not fit is refused, never cut: by line and byte, with what to do.
"""

from __future__ import annotations

import codecs
import csv
import re
from array import array
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import chain, islice
from typing import Any, ClassVar, NamedTuple

import numpy

from .. import errors
from ..protocol import MIB

FIELDS = 500_000
"""How many fields are in memory at once, as text, unless a number of rows is given: some 40 MB."""

TEXT_SIZE = 16 * MIB
"""Bytes of such text, where fields are long."""

NBYTES = 16 * MIB
"""Bytes of an array at the most, unless a number of rows is given."""

LINE_SIZE = 1 * MIB
"""Bytes of a line at the most: what has none that ends is no CSV, and would take all memory."""

MISSING = frozenset({"", "NA", "N/A", "n/a", "null", "NULL", "None"})

DELIMITERS = ",;\t|"
"""Those that are looked for in the first line."""

TIME = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}([ T][0-9]{2}:[0-9]{2}(:[0-9]{2}([.][0-9]{1,9})?)?)?Z?")
"""A time of ISO 8601, without a zone or in UTC."""

Row = tuple[list[str], int, int]
"""The fields of a row, and the line and byte where it begins."""

_TRUTH = {"true": True, "false": False}


def csv_schema(
    chunks: Iterable[Any], delimiter: str | None = None, *, header: bool = True, name: str = "The CSV"
) -> tuple[numpy.dtype, int]:
    """The dtype that all rows of a CSV fit in, and how many there are; arguments as of `iter_csv`."""
    table = _Table(_Lines(chunks, name), _checked(delimiter), header)
    guesses: list[_Guess] = []
    count = 0
    for block in table.blocks():
        guesses = guesses or [_Guess() for _ in table.names]
        count += len(block)
        for position, guess in enumerate(guesses):
            guess.see(block.column(position))
    if not count:
        raise errors.BadInput(f"{name} has no rows.")
    return _records(table.names, [guess.dtype for guess in guesses]), count


def iter_csv(
    chunks: Iterable[Any],
    rows: int | None = None,
    dtype: Any = None,
    delimiter: str | None = None,
    *,
    header: bool = True,
    name: str = "The CSV",
) -> Iterator[numpy.ndarray]:
    """Iterate over the rows of a CSV, whose bytes come in pieces, as arrays of records.

    All arrays but the last have `rows` records, if that is given. `dtype`: of records, which takes the columns of its
    names, or where these are others all columns in their order; or one for all columns. `delimiter`: of some, the one
    that the first line has most of, unless given. Without `header` columns are called f0, f1 and so on. `name`: what
    errors call it. BadInput: it is no CSV, or does not fit the dtype.
    """
    if rows is not None and rows < 1:
        raise errors.BadInput("Arrays have at least one row.")
    return _Table(_Lines(chunks, name), _checked(delimiter), header).arrays(rows, dtype)


def _checked(delimiter: str | None) -> str | None:
    if delimiter is not None and (len(delimiter) != 1 or delimiter in '"\r\n'):
        raise errors.BadInput(f"{delimiter!r} is no delimiter: give one character, such as ',' or ';'.")
    return delimiter


class _Lines:
    """The lines of bytes that come in pieces, as text; how many there were, and where they end."""

    def __init__(self, chunks: Iterable[Any], name: str) -> None:
        self.name = name
        self.count = 0
        self.offset = 0
        self._lines = self._split(chunks)

    def __iter__(self) -> _Lines:
        return self

    def __next__(self) -> str:
        line = next(self._lines)
        self.count += 1
        begin, self.offset = self.offset, self.offset + len(line)
        if len(line) > LINE_SIZE:
            raise self.error(f"has more than {LINE_SIZE} bytes", self.count, begin)
        if not begin:
            line = line.removeprefix(codecs.BOM_UTF8)
        try:
            return line.decode()
        except UnicodeDecodeError as error:
            raise self.error(
                f"is no UTF-8 at byte {begin + error.start}: convert it, with iconv for example", self.count, begin
            ) from error

    def error(self, reason: str, line: int, offset: int) -> errors.BadInput:
        """What to raise for a line that begins at an offset."""
        return errors.BadInput(
            f"{self.name}: line {line}, from byte {offset} on, {reason}.", csv_line=line, offset=offset
        )

    @staticmethod
    def _split(chunks: Iterable[Any]) -> Iterator[bytes]:
        rest = b""
        for chunk in chunks:
            lines = (rest + bytes(chunk)).splitlines(keepends=True)
            # a CR at the end may be half of a CRLF
            rest = lines.pop() if lines and (len(lines[-1]) > LINE_SIZE or not lines[-1].endswith(b"\n")) else b""
            yield from lines
            if len(rest) > LINE_SIZE:
                break
        if rest:
            yield rest


class _Block:
    """Rows, all fields of all of them in one list: a list for each row would have the garbage collector look at it."""

    def __init__(self, width: int) -> None:
        self.width = width
        self.texts: list[str] = []
        self.lines = array("q")
        self.offsets = array("q")
        """Where each row begins: its line and byte."""

    def __len__(self) -> int:
        return len(self.lines)

    def add(self, fields: list[str], line: int, offset: int) -> None:
        """Add a row."""
        self.texts += fields
        self.lines.append(line)
        self.offsets.append(offset)

    def column(self, position: int, begin: int = 0, end: int | None = None) -> list[str]:
        """The texts of a column, of the rows from `begin` up to `end`."""
        stop = None if end is None else end * self.width
        return self.texts[begin * self.width + position : stop : self.width]


class _Table:
    """The rows of a CSV; `names` of its columns, once the first was read."""

    def __init__(self, lines: _Lines, delimiter: str | None, header: bool) -> None:
        self.names: list[str] = []
        self._lines = lines
        self._delimiter = delimiter
        self._header = header

    def blocks(self, count: int | None = None) -> Iterator[_Block]:
        """So many rows at a time, or as many as memory is for, each with as many fields as there are names."""
        rows = self._rows()
        first = next(rows, None)
        if first is None:
            return
        if self._header:
            self.names = self._names_in(*first)
        else:
            self.names = [f"f{number}" for number in range(len(first[0]))]
            rows = chain([first], rows)
        most = count or max(FIELDS // len(self.names), 1)
        size = None if count else TEXT_SIZE
        while block := self._some(rows, most, size):
            yield block

    def _some(self, rows: Iterator[Row], count: int, size: int | None) -> _Block:
        """The next rows: so many, or of so many bytes, and one."""
        block = _Block(len(self.names))
        begin = self._lines.offset
        for fields, line, offset in islice(rows, count):
            if len(fields) != block.width:
                found = "1 field" if len(fields) == 1 else f"{len(fields)} fields"
                raise self._lines.error(f"has {found}, and there are {block.width} columns", line, offset)
            block.add(fields, line, offset)
            if size is not None and self._lines.offset - begin >= size:
                break
        return block

    def arrays(self, count: int | None, dtype: Any) -> Iterator[numpy.ndarray]:
        """The rows as arrays of records."""
        columns: list[_Column] = []
        for block in self.blocks(count):
            if not columns:
                columns = self._guessed(block) if dtype is None else self._given(numpy.dtype(dtype))
                record = _records([each.name for each in columns], [each.dtype for each in columns])
            step = count or max(NBYTES // max(record.itemsize, 1), 1)
            for begin in range(0, len(block), step):
                yield self._array(columns, record, block, begin, min(begin + step, len(block)))

    def _array(self, columns: list[_Column], record: numpy.dtype, block: _Block, begin: int, end: int) -> numpy.ndarray:
        result = numpy.empty(end - begin, record)
        for each in columns:
            texts = block.column(each.position, begin, end)
            try:
                result[each.name] = _convert(texts, each.dtype)
            except (ValueError, ArithmeticError):
                raise self._misfit(each, texts, block, begin) from None
        return result

    def _rows(self) -> Iterator[Row]:
        """The rows with fields: a line with nothing in it is none."""
        lines = self._lines
        first = next(lines, None)
        if first is None:
            return
        delimiter = self._delimiter or max(DELIMITERS, key=re.sub('"[^"]*"', "", first).count)
        reader = csv.reader(chain([first], lines), delimiter=delimiter, strict=True)
        line, offset = 1, 0
        try:
            for fields in reader:
                if fields:
                    yield fields, line, offset
                line, offset = lines.count + 1, lines.offset
        except csv.Error as error:
            raise lines.error(f"is no CSV: {error}", line, offset) from error

    def _names_in(self, fields: list[str], line: int, offset: int) -> list[str]:
        names = [name.strip() for name in fields]
        for name in names:
            if not name or names.count(name) > 1:
                raise self._lines.error(
                    f"has a column without a name, or two called {name!r}: give each column a name of its own",
                    line,
                    offset,
                )
        return names

    def _guessed(self, block: _Block) -> list[_Column]:
        columns = []
        for position, name in enumerate(self.names):
            guess = _Guess()
            guess.see(block.column(position))
            columns.append(_Column(position, name, guess.dtype, f"as the first {len(block)} rows are"))
        return columns

    def _given(self, dtype: numpy.dtype) -> list[_Column]:
        """The columns that a dtype names, or all of them in their order."""
        if not dtype.names:
            return [_Column(position, name, dtype, "as is asked for") for position, name in enumerate(self.names)]
        if set(dtype.names) <= set(self.names):
            positions = [self.names.index(name) for name in dtype.names]
        elif len(dtype.names) == len(self.names):
            positions = list(range(len(self.names)))
        else:
            raise errors.BadInput(
                f"{self._lines.name} has the columns {', '.join(self.names)}, and the dtype {', '.join(dtype.names)}."
            )
        return [
            _Column(position, name, dtype[name], "as is asked for")
            for position, name in zip(positions, dtype.names, strict=True)
        ]

    def _misfit(self, column: _Column, texts: list[str], block: _Block, begin: int) -> errors.BadInput:
        """What to raise for the first of the texts, of rows from `begin` on, that does not fit in a column."""
        row = next(number for number, text in enumerate(texts) if not _fits(text, column.dtype))
        shown = texts[row] if len(texts[row]) <= 40 else f"{texts[row][:40]}..."
        return self._lines.error(
            f"has {shown!r} in column {column.name!r}, which is no {column.dtype}, {column.reason}. Give a dtype that "
            "it fits in",
            block.lines[begin + row],
            block.offsets[begin + row],
        )


class _Column(NamedTuple):
    """A column that is read: which one, its name, its dtype and where that comes from."""

    position: int
    name: str
    dtype: numpy.dtype
    reason: str


def _records(names: Sequence[str], dtypes: Sequence[numpy.dtype]) -> numpy.dtype:
    return numpy.dtype(list(zip(names, dtypes, strict=True)))


class _Guess:
    """The dtype that all texts of a column fit in."""

    _WIDER: ClassVar[dict[str, str]] = {"?": "U", "q": "d", "d": "U", "M": "U"}

    def __init__(self) -> None:
        self._kind = ""
        self._longest = 1
        self._is_missing = False
        self._unit = numpy.dtype("M8[D]")

    def see(self, texts: Sequence[str]) -> None:
        """Take more texts into account."""
        self._longest = max(self._longest, *map(len, texts))
        present = [text for text in texts if text not in MISSING]
        self._is_missing = self._is_missing or len(present) < len(texts)
        if not present:
            return
        if self._kind:
            while not self._fits(present, self._kind):
                self._kind = self._WIDER[self._kind]
        else:
            self._kind = next(kind for kind in "?qdMU" if self._fits(present, kind))

    @property
    def dtype(self) -> numpy.dtype:
        """What fits all that was seen; text, if nothing was."""
        kind = self._kind
        if self._is_missing:
            kind = {"q": "d", "?": "U"}.get(kind, kind)
        if kind == "M":
            return self._unit
        return numpy.dtype(kind) if kind in ("?", "q", "d") else numpy.dtype(f"U{self._longest}")

    def _fits(self, texts: list[str], kind: str) -> bool:
        if kind == "U":
            return True
        try:
            values = _convert(texts, numpy.dtype(kind))
        except (ValueError, ArithmeticError):
            return False
        if kind == "M":
            self._unit = numpy.promote_types(self._unit, values.dtype)
        return True


def _convert(texts: Sequence[str], dtype: numpy.dtype) -> numpy.ndarray:
    """Texts as elements of a dtype. ValueError, ArithmeticError: one is none of them."""
    if dtype.kind not in _CONVERSIONS:
        raise errors.BadInput(f"CSV cannot be read as {dtype}: choose numbers, times, text or truth.")
    if dtype.kind in _NOTHING and not MISSING.isdisjoint(texts):
        result = numpy.full(len(texts), _NOTHING[dtype.kind], dtype)
        present = [position for position, text in enumerate(texts) if text not in MISSING]
        if present:
            result[present] = _CONVERSIONS[dtype.kind]([texts[position] for position in present], dtype)
        return result
    return _CONVERSIONS[dtype.kind](texts, dtype)


def _fits(text: str, dtype: numpy.dtype) -> bool:
    try:
        _convert([text], dtype)
    except (ValueError, ArithmeticError):
        return False
    return True


def _floats(texts: Sequence[str], dtype: numpy.dtype) -> numpy.ndarray:
    with numpy.errstate(over="raise"):
        return numpy.fromiter(map(float, _plain(texts)), float, len(texts)).astype(dtype, copy=False)


def _complex_numbers(texts: Sequence[str], dtype: numpy.dtype) -> numpy.ndarray:
    with numpy.errstate(over="raise"):
        return numpy.fromiter(map(complex, _plain(texts)), complex, len(texts)).astype(dtype, copy=False)


def _integers(texts: Sequence[str], dtype: numpy.dtype) -> numpy.ndarray:
    values = list(map(int, _plain(texts)))
    limits = numpy.iinfo("i8" if dtype.kind == "m" else dtype)
    if min(values) < limits.min or max(values) > limits.max:
        raise OverflowError
    return numpy.array(values, dtype)


def _plain(texts: Sequence[str]) -> Sequence[str]:
    """Texts of numbers, in which Python would take underscores."""
    if "_" in "".join(texts):
        raise ValueError
    return texts


def _truths(texts: Sequence[str], dtype: numpy.dtype) -> numpy.ndarray:
    try:
        return numpy.array([_TRUTH[text.lower()] for text in texts], dtype)
    except KeyError as error:
        raise ValueError from error


def _times(texts: Sequence[str], dtype: numpy.dtype) -> numpy.ndarray:
    if not all(map(TIME.fullmatch, texts)):
        raise ValueError
    return numpy.array([text.removesuffix("Z") for text in texts], dtype)


def _texts(texts: Sequence[str], dtype: numpy.dtype) -> numpy.ndarray:
    if max(map(len, texts)) > dtype.itemsize // 4:
        raise ValueError
    return numpy.array(texts, dtype)


def _bytes(texts: Sequence[str], dtype: numpy.dtype) -> numpy.ndarray:
    values = [text.encode() for text in texts]
    if max(map(len, values)) > dtype.itemsize:
        raise ValueError
    return numpy.array(values, dtype)


_CONVERSIONS: dict[str, Callable[[Sequence[str], numpy.dtype], numpy.ndarray]] = {
    "b": _truths,
    "i": _integers,
    "u": _integers,
    "f": _floats,
    "c": _complex_numbers,
    "M": _times,
    "m": _integers,
    "U": _texts,
    "S": _bytes,
}

_NOTHING: dict[str, Any] = {"f": numpy.nan, "c": numpy.nan, "M": "NaT", "m": "NaT"}
"""What is there where something is missing."""
