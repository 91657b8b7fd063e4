"""Parquet files made arrays of records, as pyarrow and pandas write them."""

from __future__ import annotations

import datetime
import decimal
import io
import sys

import numpy
import pandas
import pyarrow
import pyarrow.parquet
import pytest

from Products.ERP5Wendelin.compute.imports import parquet
from Products.ERP5Wendelin.errors import BadInput, TooLarge
from support.array_files import elements, imported, incoming

FILE = r"'table.parquet' \(version 1 of 'brain_mri'\)"


@pytest.fixture
def site(lake):
    with lake.open() as site:
        yield site


def written(table, **options):
    """A Parquet file of a table."""
    target = io.BytesIO()
    pyarrow.parquet.write_table(table, target, **options)
    return target.getvalue()


def read(site, table, key="", **options):
    """What is imported of a table."""
    table = table if isinstance(table, pyarrow.Table) else pyarrow.table(table)
    return imported(site, "table.parquet", written(table, **options), key).getArrayIndex(...)


def test_a_table_of_pandas_is_records_of_its_columns(site):
    frame = pandas.DataFrame(
        {
            "id": numpy.arange(1_000, dtype="u4"),
            "value": numpy.linspace(0, 1, 1_000),
            "time": pandas.date_range("2026-05-01", periods=1_000, freq="s"),
            "name": [f"é{number}" for number in range(1_000)],
            "kind": pandas.Categorical(["a", "bc"] * 500),
        }
    )
    target = io.BytesIO()
    frame.to_parquet(target, index=False, row_group_size=300)
    found = imported(site, "table.parquet", target.getvalue()).getArrayIndex(...)
    assert found.dtype == [("id", "u4"), ("value", "f8"), ("time", "M8[ns]"), ("name", "U4"), ("kind", "U2")]
    for name in frame:
        assert found[name].tolist() == frame[name].to_numpy().tolist()


SECOND = datetime.datetime(2026, 5, 1, 12, 30, 15)
NONE = None

COLUMNS = {
    "int8": (pyarrow.array([1, -2], "int8"), "i1", [1, -2]),
    "uint64": (pyarrow.array([2**64 - 1, 0], "uint64"), "u8", [2**64 - 1, 0]),
    "int with nulls": (pyarrow.array([1, NONE], "int32"), "f8", [1, numpy.nan]),
    "half": (pyarrow.array(numpy.array([1.5, 2], "f2")), "f2", [1.5, 2]),
    "float with nulls": (pyarrow.array([1.5, NONE], "float32"), "f4", [1.5, numpy.nan]),
    "bool": (pyarrow.array([True, False]), "?", [True, False]),
    "bool with nulls": (pyarrow.array([True, NONE]), "f8", [1, numpy.nan]),
    "decimal": (pyarrow.array([decimal.Decimal("1.25"), NONE]), "f8", [1.25, numpy.nan]),
    "seconds": (pyarrow.array([SECOND, NONE], pyarrow.timestamp("s")), "M8[ms]", [SECOND, "NaT"]),
    "of a zone": (pyarrow.array([SECOND, NONE], pyarrow.timestamp("us", "Asia/Tokyo")), "M8[us]", [SECOND, "NaT"]),
    "date": (pyarrow.array([SECOND.date(), NONE]), "M8[D]", [SECOND.date(), "NaT"]),
    "date64": (pyarrow.array([SECOND.date(), NONE], "date64"), "M8[D]", [SECOND.date(), "NaT"]),
    "time32": (pyarrow.array([1_000, NONE], pyarrow.time32("ms")), "m8[ms]", [1_000, "NaT"]),
    "time64": (pyarrow.array([1_000, NONE], pyarrow.time64("us")), "m8[us]", [1_000, "NaT"]),
    "duration": (pyarrow.array([7, NONE], pyarrow.duration("ns")), "m8[ns]", [7, "NaT"]),
    "text": (pyarrow.array(["é", NONE, "abc"]), "U3", ["é", "", "abc"]),
    "large text": (pyarrow.array(["é", "abc"], "large_string"), "U3", ["é", "abc"]),
    "no text": (pyarrow.array([NONE, ""], "string"), "U1", ["", ""]),
    "binary": (pyarrow.array([b"\xff\x00a", NONE]), "S3", [b"\xff\x00a", b""]),
    "fixed": (pyarrow.array([b"ab", NONE], pyarrow.binary(2)), "V2", [b"ab", b"\0\0"]),
}


@pytest.mark.parametrize("kind", COLUMNS)
def test_values_of_any_kind_become_those_of_numpy(site, kind):
    column, dtype, values = COLUMNS[kind]
    found = read(site, {"x": column}, "x")
    assert found.dtype == dtype
    assert numpy.array_equal(found, numpy.array(values, dtype), equal_nan=found.dtype.kind in "fmM")


def test_nulls_are_found_wherever_they_are(site):
    fields = [("n", pyarrow.int64()), ("m", pyarrow.int64()), ("b", pyarrow.bool_())]
    schema = pyarrow.schema([*fields, pyarrow.field("required", pyarrow.int32(), nullable=False)])
    rows = {"n": [1, 2, None], "m": [1, 2, 3], "b": [None, True, False], "required": [1, 2, 3]}
    found = read(site, pyarrow.table(rows, schema), row_group_size=2)
    assert found.dtype == [("n", "f8"), ("m", "i8"), ("b", "f8"), ("required", "i4")]
    assert found["m"].tolist() == [1, 2, 3]
    assert found["n"].tolist()[:2] == [1, 2]


def test_columns_are_chosen_by_their_names(site):
    table = {"a": [1, 2], "b": [1.5, 2.5], "c,d": ["x", "y"]}
    assert read(site, table, "b").tolist() == [1.5, 2.5]
    assert read(site, table, "c,d").tolist() == ["x", "y"]
    found = read(site, table, "b, a")
    assert (found.dtype.names, found.tolist()) == (("b", "a"), [(1.5, 1), (2.5, 2)])
    with pytest.raises(BadInput, match=r"has no 'z'\. Choose one by its key: 'a', 'b', 'c,d'\.$"):
        read(site, table, "a,z")


def test_reading_begins_in_any_row_group(site, monkeypatch):
    monkeypatch.setattr(parquet, "ROWS", 70)
    content = written(pyarrow.table({"x": range(1_000), "t": [str(n) for n in range(1_000)]}), row_group_size=300)
    with incoming(site, "table.parquet", content) as found:
        assert max(len(piece) for piece in found.pieces(0)) <= 70
        for start in (0, 1, 299, 300, 650, 999, 1_000):
            assert elements(found, start)["x"].tolist() == list(range(start, 1_000))


def test_a_table_without_rows_is_an_array_without_elements(site):
    found = read(site, {"x": pyarrow.array([], "int64"), "t": pyarrow.array([], "string")})
    assert (found.shape, found.dtype) == ((0,), [("x", "i8"), ("t", "U1")])


def test_what_can_be_no_array_is_refused(site):
    with pytest.raises(
        BadInput,
        match=rf"^The column 'x' of {FILE} has values of type list<\w+: int64>, which no array can have\. Choose "
        r"others by the key\.$",
    ):
        read(site, {"x": [[1, 2], [3]], "y": [1, 2]})
    assert read(site, {"x": [[1, 2], [3]], "y": [1, 2]}, "y").tolist() == [1, 2]
    twice = pyarrow.table([pyarrow.array([1]), pyarrow.array([2])], names=["x", "x"])
    with pytest.raises(BadInput, match=r"has several columns of one name\. Write them with names of their own\.$"):
        imported(site, "table.parquet", written(twice))
    with pytest.raises(BadInput, match=r"has no columns\.$"):
        imported(site, "table.parquet", written(pyarrow.table({})))


def test_a_long_text_that_makes_all_rows_long_is_refused(site):
    table = {"x": [1, 2], "t": ["", "x" * 20_000]}
    for key, size, where in (("", 80_008, " in the column 't'"), ("t", 80_000, "")):
        with pytest.raises(
            TooLarge,
            match=rf"^Each row of 'table\.parquet' .* would have {size} bytes, and at most 65536 are taken: a text is "
            rf"so long{where}\. Choose other columns by the key\.$",
        ):
            read(site, table, key)


def test_row_groups_that_are_too_large_are_refused(site, monkeypatch):
    monkeypatch.setattr(parquet, "COLUMN_CHUNK_MAX", 1_000)
    with pytest.raises(
        TooLarge,
        match=rf"^{FILE} has a row group with \d+ bytes in one column; at most 1000 are taken\. Write it with smaller "
        r"row groups\.$",
    ):
        read(site, {"x": range(10_000)})


def test_a_file_that_is_broken_is_refused(site):
    content = bytearray(written(pyarrow.table({"x": numpy.arange(100_000)}), write_page_checksum=True))
    content[50_000] ^= 1
    with pytest.raises(BadInput, match=rf"^{FILE} cannot be read as parquet: .*CRC checksum verification failed"):
        imported(site, "table.parquet", bytes(content))
    with pytest.raises(BadInput, match=r"cannot be read as parquet: .*magic bytes not found"):
        imported(site, "table.parquet", b"no such format")
    assert not site.data_array_module._arrivals


def test_a_page_that_takes_more_memory_than_there_is_is_refused(site, monkeypatch):
    content = written(pyarrow.table({"x": [1, 2]}))

    def iter_batches(self, **options):
        raise pyarrow.ArrowMemoryError("malloc of size 2147483648 failed")

    monkeypatch.setattr(pyarrow.parquet.ParquetFile, "iter_batches", iter_batches)
    with pytest.raises(
        TooLarge,
        match=rf"^{FILE} cannot be read as parquet in the memory that there is: malloc of size 2147483648 failed\. "
        r"Write it in smaller parts\.$",
    ):
        imported(site, "table.parquet", content)


def test_a_package_that_is_missing_is_named(site, monkeypatch):
    content = written(pyarrow.table({"x": [1]}))
    monkeypatch.setitem(sys.modules, "pyarrow.parquet", None)
    with pytest.raises(
        BadInput,
        match=r"^Parquet files are handled by pyarrow, which cannot be loaded here: .*\. "
        r"Install erp5-wendelin\[parquet\]\.$",
    ):
        imported(site, "table.parquet", content)
