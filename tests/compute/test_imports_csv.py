"""CSV files made arrays of records, as pandas writes them; and those that are none."""

from __future__ import annotations

import io

import numpy
import pandas
import pytest
import transaction

from Products.ERP5Wendelin.blockwise import csv_blocks
from Products.ERP5Wendelin.compute.imports import csv_table
from Products.ERP5Wendelin.compute.imports.perform import choose, import_array
from Products.ERP5Wendelin.errors import BadInput, TooLarge
from support.array_files import elements, imported, incoming, pushed

FILE = r"'table.csv' \(version 1 of 'brain_mri'\)"


@pytest.fixture
def site(lake):
    with lake.open() as site:
        yield site


def read(site, text, key="", path="table.csv"):
    """What is imported of a text."""
    return imported(site, path, text.encode(), key).getArrayIndex(...)


def test_a_table_of_pandas_is_records_of_its_columns(site):
    names = ['a "quoted", one', "two\nlines", "é;ñ", ""]
    frame = pandas.DataFrame(
        {
            "id": range(1_000),
            "value": [None if number % 7 == 0 else number / 3 for number in range(1_000)],
            "count": [None if number == 500 else number for number in range(1_000)],
            "time": pandas.date_range("2026-05-01", periods=1_000, freq="min"),
            "day": pandas.Series(pandas.date_range("2026-05-01", periods=1_000)).where(lambda day: day.index != 3),
            "name": [names[number % 4] for number in range(1_000)],
            "good": [number % 2 == 0 for number in range(1_000)],
        }
    )
    found = read(site, frame.to_csv(index=False))
    assert found.dtype.names == tuple(frame)
    assert [found.dtype[name].kind for name in frame] == list("iffMMUb")
    for name in frame:
        expected = frame[name].to_numpy()
        assert numpy.array_equal(
            found[name], expected.astype(found[name].dtype), equal_nan=found[name].dtype.kind in "fM"
        )


@pytest.mark.parametrize(("path", "delimiter"), [("table.csv", ","), ("table.csv", ";"), ("table.tsv", "\t")])
def test_the_delimiter_is_that_of_the_first_line(site, path, delimiter):
    text = f"a{delimiter}b\r\n1{delimiter}2.5\r\n"
    assert read(site, text, path=path).tolist() == [(1, 2.5)]


def test_columns_are_chosen_by_their_names(site):
    text = "a,b,c\n1,1.5,x\n2,2.5,yy\n"
    assert read(site, text, "b").tolist() == [1.5, 2.5]
    found = read(site, text, "c, a")
    assert (found.dtype, found.tolist()) == ([("c", "U2"), ("a", "i8")], [("x", 1), ("yy", 2)])
    with pytest.raises(BadInput, match=r"has no 'z'\. Choose one by its key: 'a', 'b', 'c'\.$"):
        read(site, text, "a,z")


def test_reading_begins_anywhere(site, monkeypatch):
    monkeypatch.setattr(csv_blocks, "FIELDS", 140)
    text = pandas.DataFrame({"x": range(1_000), "y": range(1_000)}).to_csv(index=False).encode()
    with incoming(site, "table.csv", text) as found:
        assert max(len(piece) for piece in found.pieces(0)) == 70
        for start in (0, 1, 70, 555, 999, 1_000):
            assert elements(found, start)["y"].tolist() == list(range(start, 1_000))


def test_a_large_table_is_stored_in_slices_and_goes_on_where_it_was(site, monkeypatch):
    monkeypatch.setattr(csv_table, "READ_SIZE", 10_000)
    text = io.StringIO()
    pandas.DataFrame({"x": range(100_000), "y": numpy.linspace(0, 1, 100_000)}).to_csv(text, index=False)
    data_set = pushed(site, {"table.csv": text.getvalue().encode()})

    class Interrupted(Exception):
        pass

    def interrupt(done, total):
        assert total == 1_600_000
        if done:
            raise Interrupted

    with pytest.raises(Interrupted):
        import_array(choose(data_set, "table.csv"), on_progress=interrupt)
    transaction.abort()
    found = import_array(choose(data_set, "table.csv")).getArrayIndex(...)
    assert numpy.array_equal(found["x"], numpy.arange(100_000))
    assert numpy.array_equal(found["y"], numpy.linspace(0, 1, 100_000))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a,b\n1,2\n1\n", rf"^{FILE}: line 3, from byte 8 on, has 1 field, and there are 2 columns\.$"),
        ('a,b\n1,"2\n', rf"^{FILE}: line 2, from byte 4 on, is no CSV: unexpected end of data\.$"),
        ("a,a\n1,2\n", rf"^{FILE}: line 1, from byte 0 on, has a column without a name, or two called 'a'"),
        ("a,b\n", rf"^{FILE} has no rows\.$"),
        ("", rf"^{FILE} has no rows\.$"),
    ],
)
def test_what_is_no_table_is_refused(site, text, message):
    with pytest.raises(BadInput, match=message):
        read(site, text)
    assert not site.data_array_module._arrivals


def test_text_that_is_no_utf_8_is_refused(site):
    with pytest.raises(BadInput, match=rf"^{FILE}: line 2, from byte 2 on, is no UTF-8 at byte 2: convert it"):
        imported(site, "table.csv", b"a\n\xe9\n")


def test_a_long_text_that_makes_all_rows_long_is_refused(site):
    with pytest.raises(
        TooLarge,
        match=rf"^Each row of {FILE} would have 80008 bytes, and at most 65536 are taken: a text is so long in the "
        r"column 'b'\. Choose other columns by the key\.$",
    ):
        read(site, f"a,b\n1,x\n2,{'x' * 20_000}\n")


def test_lines_without_an_end_are_refused(site):
    with pytest.raises(BadInput, match=rf"^{FILE}: line 1, from byte 0 on, has more than 1048576 bytes\.$"):
        imported(site, "table.csv", bytes(2**21))
