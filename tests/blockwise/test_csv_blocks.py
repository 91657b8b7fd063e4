"""CSV as arrays of records, whatever pieces its bytes come in."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from typing import Any

import numpy
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from Products.ERP5Wendelin import errors
from Products.ERP5Wendelin.blockwise import csv_blocks
from Products.ERP5Wendelin.blockwise.csv_blocks import LINE_SIZE, csv_schema, iter_csv

SENSORS = b"""time,sensor,value,ok,count
2026-01-01,"hall, north",1.5,true,3
2026-01-01T00:00:00.5Z,"says ""hot\""
and more",NA,false,4
"""
SENSORS_DTYPE = [("time", "M8[ms]"), ("sensor", "U18"), ("value", "f8"), ("ok", "?"), ("count", "i8")]


def pieces(data: bytes, size: int) -> Iterator[bytes]:
    return (data[begin : begin + size] for begin in range(0, len(data), size))


def read(data: bytes, **options: Any) -> list[tuple[Any, ...]]:
    return [tuple(row.tolist()) for array in iter_csv([data], **options) for row in array]


@pytest.mark.parametrize("size", [1, 2, 7, 1000])
@pytest.mark.parametrize("end", [b"\n", b"\r\n", b"\r"])
def test_quoted_fields_missing_values_and_times_are_read_in_any_pieces(size: int, end: bytes) -> None:
    data = SENSORS.replace(b"\n", end)
    dtype, rows = csv_schema(pieces(data, size))
    assert (dtype, rows) == (numpy.dtype([*SENSORS_DTYPE[:1], ("sensor", f"U{18 + len(end)}"), *SENSORS_DTYPE[2:]]), 2)
    (array,) = iter_csv(pieces(data, size))
    assert array["time"].tolist() == numpy.array(["2026-01-01", "2026-01-01T00:00:00.5"], "M8[ms]").tolist()
    assert array["sensor"].tolist() == ["hall, north", f'says "hot"{end.decode()}and more']
    numpy.testing.assert_equal(array["value"], [1.5, numpy.nan])
    assert array["ok"].tolist() == [True, False]
    assert array["count"].tolist() == [3, 4]
    assert array.dtype == dtype


@settings(max_examples=50)
@given(
    st.lists(
        st.lists(st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=100), min_size=2, max_size=2),
        min_size=1,
    ),
    st.integers(1, 30),
    st.sampled_from(",;\t"),
)
def test_text_that_pythons_csv_writes_comes_back(rows: list[list[str]], size: int, delimiter: str) -> None:
    written = io.StringIO()
    csv.writer(written, delimiter=delimiter).writerows([["a", "b"], *rows])
    data = written.getvalue().encode()
    found = list(iter_csv(pieces(data, size), dtype="U200", delimiter=delimiter))
    # NumPy's text has no zeros at its end, of which there are none
    assert [list(row) for array in found for row in array.tolist()] == rows


@pytest.mark.parametrize("rows", [1, 3, 10, 11])
def test_arrays_have_as_many_rows_as_are_asked_for(rows: int) -> None:
    data = b"a\n" + b"".join(b"%d\n" % number for number in range(10))
    found = list(iter_csv([data], rows))
    assert [len(each) for each in found[:-1]] == [rows] * (len(found) - 1)
    assert numpy.concatenate(found)["a"].tolist() == list(range(10))


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_the_delimiter_is_that_of_the_first_line(delimiter: str) -> None:
    data = f'"a,;b"{delimiter}c{delimiter}d\n1{delimiter}2{delimiter}3\n'.encode()
    assert next(iter_csv([data])).dtype.names == ("a,;b", "c", "d")


def test_other_delimiters_and_files_without_names_are_read_too() -> None:
    assert read(b"1:2.5\n3:4\n", delimiter=":", header=False) == [(1, 2.5), (3, 4)]
    assert next(iter_csv([b"1:2\n"], delimiter=":", header=False)).dtype.names == ("f0", "f1")
    assert next(iter_csv([b"\xef\xbb\xbfa,b\n1,2\n\n"])).dtype.names == ("a", "b")


def test_a_dtype_selects_columns_by_name_or_takes_all_in_their_order() -> None:
    data = b"a,b,c\n1,2,3\n"
    assert read(data, dtype=[("c", "f4"), ("a", "i2")]) == [(3, 1)]
    assert read(data, dtype=[("x", "f4"), ("y", "i2"), ("z", "S1")]) == [(1, 2, b"3")]
    assert read(data, dtype="u1") == [(1, 2, 3)]
    assert read(b"a\n3j\n\n", dtype="c16") == [(3j,)]
    assert read(b"a\n5\n", dtype="m8[s]")[0][0].total_seconds() == 5


@pytest.mark.parametrize(
    ("texts", "dtype"),
    [
        (["1", "-3"], "i8"),
        (["1", ""], "f8"),
        (["1", "2.5", "nan", "1e3"], "f8"),
        (["1", str(2**70)], "f8"),
        (["1", "x"], "U1"),
        (["1", "2.5", "long"], "U4"),
        (["true", "False"], "?"),
        (["true", ""], "U4"),
        (["true", "1"], "U4"),
        (["2026-01-01", "2026-01-02T03:04:05"], "M8[s]"),
        (["2026-01-01T00:00:00.123456", "", "2026-01-01"], "M8[us]"),
        (["2026-01-01", "yesterday"], "U10"),
        (["", ""], "U1"),
        (["1_000", "2"], "U5"),
    ],
)
def test_a_column_has_the_dtype_that_all_its_texts_fit_in(
    texts: list[str], dtype: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = "\n".join(["a,b", *(f"{text},0" for text in texts), ""]).encode()
    found, rows = csv_schema([data])
    assert (found["a"], rows) == (numpy.dtype(dtype), len(texts))
    assert len(numpy.concatenate(list(iter_csv([data], 1, found)))) == rows
    monkeypatch.setattr(csv_blocks, "FIELDS", 1)  # each row is looked at by itself
    assert csv_schema([data])[0]["a"] == found["a"]


@pytest.mark.parametrize(
    ("data", "options", "message"),
    [
        (b"a\n1\nx\n", {"dtype": "f8"}, "The CSV: line 3, from byte 4 on, has 'x' in column 'a', which is no "
         "float64, as is asked for. Give a dtype that it fits in."),
        (b"a\n1\n\n2\nx\n", {"rows": 1}, "The CSV: line 5, from byte 7 on, has 'x' in column 'a', which is "
         "no int64, as the first 1 rows are. Give a dtype that it fits in."),
        (b'a,b\n"x\ny",1\n"z\n",\n', {"dtype": "S3,i4"}, "The CSV: line 4, from byte 12 on, has '' in column 'f1', "
         "which is no int32, as is asked for. Give a dtype that it fits in."),
        (b"a\n300\n", {"dtype": "u1"}, "line 2, from byte 2 on, has '300' in column 'a', which is no uint8"),
        (b"a\n-1\n", {"dtype": "u1"}, "has '-1' in column 'a', which is no uint8"),
        (b"a\n1e300\n", {"dtype": "f4"}, "has '1e300' in column 'a', which is no float32"),
        (b"a\nabc\n", {"dtype": "S2"}, "has 'abc' in column 'a', which is no |S2"),
        (b"a\nabc\n", {"dtype": "U2"}, "has 'abc' in column 'a', which is no <U2"),
        (b"a\n1_0\n", {"dtype": "i4"}, "has '1_0' in column 'a', which is no int32"),
        (b"a\nyes\n", {"dtype": "?"}, "has 'yes' in column 'a', which is no bool"),
        (b"a\n2026-13-01\n", {"dtype": "M8[s]"}, "has '2026-13-01' in column 'a', which is no datetime64[s]"),
        (b"a\n" + b"x" * 50 + b"\n", {"dtype": "f8"}, f"has '{'x' * 40}...' in column 'a'"),
        (b"a\n1\n", {"dtype": "V8"}, "CSV cannot be read as |V8: choose numbers, times, text or truth."),
        (b"a,b\n1,2\n3\n", {}, "The CSV: line 3, from byte 8 on, has 1 field, and there are 2 columns."),
        (b"a,b\n1,2,3\n", {}, "The CSV: line 2, from byte 4 on, has 3 fields, and there are 2 columns."),
        (b"a,\n1,2\n", {}, "line 1, from byte 0 on, has a column without a name, or two called '': give each"),
        (b"a,a\n1,2\n", {}, "has a column without a name, or two called 'a': give each column a name of its own."),
        (b'a\n"x" y\n', {}, "The CSV: line 2, from byte 2 on, is no CSV: ',' expected after '\"'."),
        (b'a\n"x\n', {}, "The CSV: line 2, from byte 2 on, is no CSV: unexpected end of data."),
        (b'a\n1\n"' + b"x\n" * 100_000, {}, "line 3, from byte 4 on, is no CSV: field larger than"),
        (b"a\n" + b"x" * (LINE_SIZE + 1), {}, "The CSV: line 2, from byte 2 on, has more than 1048576 bytes."),
        (b"a\n\xff\n", {}, "line 2, from byte 2 on, is no UTF-8 at byte 2: convert it, with iconv for example."),
        (b"a\nx\0\n", {}, "The CSV: line 2, from byte 2 on, is no CSV: line contains NUL."),
        (b"a,b\n", {"dtype": "f8,f8,f8"}, None),
        (b"a,b\n1,2\n", {"dtype": "f8,f8,f8"}, "The CSV has the columns a, b, and the dtype f0, f1, f2."),
        (b"", {"delimiter": ",,"}, "',,' is no delimiter: give one character, such as ',' or ';'."),
        (b"", {"rows": 0}, "Arrays have at least one row."),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_refused_with_its_line_and_byte(
    data: bytes, options: dict[str, Any], message: str | None
) -> None:
    if message is None:
        assert list(iter_csv([data], **options)) == []
        return
    with pytest.raises(errors.BadInput) as caught:
        list(iter_csv([data], **options))
    assert message in str(caught.value)


def test_an_error_has_the_line_and_the_offset_for_programs() -> None:
    with pytest.raises(errors.BadInput) as caught:
        list(iter_csv([b"a\n1\nx\n"], dtype="f8", name="x.csv"))
    assert caught.value.extra == {"csv_line": 3, "offset": 4}
    assert str(caught.value).startswith("x.csv: line 3")


def test_no_rows_have_no_schema() -> None:
    assert list(iter_csv([])) == list(iter_csv([b"a,b\n"])) == []
    with pytest.raises(errors.BadInput, match=r"^x.csv has no rows.$"):
        csv_schema([b"a,b\n"], name="x.csv")


def test_rows_are_read_as_their_bytes_come() -> None:
    given: list[int] = []

    def chunks() -> Iterator[bytes]:
        yield b"a,b\n"
        for number in range(100):
            given.append(number)
            yield b"%d,0.5\n" % number * 100

    next(iter_csv(chunks(), 1000))
    assert len(given) < 13


def test_long_texts_make_arrays_of_fewer_rows() -> None:
    data = b"a\n" + b"x\n" * 99 + b"y" * 100_000 + b"\n"
    found = list(iter_csv([data]))
    assert max(each.nbytes for each in found) <= 16 * 2**20
    assert sum(map(len, found)) == 100


def test_long_lines_are_in_memory_a_few_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(csv_blocks, "TEXT_SIZE", 1000)
    data = b"a\n" + (b"x" * 400 + b"\n") * 10
    assert [len(each) for each in iter_csv([data])] == [3, 3, 3, 1]
    assert csv_schema([data]) == (numpy.dtype([("a", "U400")]), 10)
