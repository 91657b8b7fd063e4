from __future__ import annotations

import io

import msgpack
import numpy
import pytest

from Products.ERP5Wendelin.download import record_array
from Products.ERP5Wendelin.download.record_array import array_file
from Products.ERP5Wendelin.errors import BadInput, TooLarge
from support.streams import NOON, SECOND, batch_of

ELSEWHERE = "Ask for fewer records, or for format=jsonl or msgpack."
EVENT_TIME = msgpack.ExtType(0, b"\0\0\0\1\0\0\0\2")


def reading(*values):
    return lambda: iter([batch_of(*values)])


def load(*values):
    return numpy.load(io.BytesIO(b"".join(array_file(reading(*values)))))


def types(array):
    return {name: str(array.dtype[name]) for name in array.dtype.names}


def test_time_comes_first_to_the_nanosecond():
    array = load({"a": 1}, {"a": 2})
    assert array.dtype.names == ("time", "a")
    assert array["time"].tolist() == [NOON, NOON + 1]
    assert str(array["time"][1]) == "2026-11-22T12:00:00.000000001"


def test_each_key_whose_values_are_of_one_kind_has_a_field():
    array = load(
        {"i": 1, "f": 1, "b": True, "s": "é", "t": EVENT_TIME, "big": 2**63},
        {"i": -(2**63), "f": 0.5, "b": False, "s": "three", "t": msgpack.Timestamp(2, 3), "big": 1},
    )
    assert types(array) == {
        "time": "datetime64[ns]",
        "i": "int64",
        "f": "float64",
        "b": "bool",
        "s": "<U5",
        "t": "datetime64[ns]",
        "big": "float64",
    }
    assert array["i"].tolist() == [1, -(2**63)]
    assert array["f"].tolist() == [1.0, 0.5]
    assert array["b"].tolist() == [True, False]
    assert array["s"].tolist() == ["é", "three"]
    assert array["t"].tolist() == [SECOND + 2, 2 * SECOND + 3]
    assert array["big"].tolist() == [2.0**63, 1.0]


def test_what_a_record_has_not_is_nan_or_empty_or_nat():
    array = load({"i": 1, "f": 0.5, "b": True, "s": "x", "t": EVENT_TIME, "null": 1}, {"null": None}, {})
    assert types(array) | {"s": "text"} == {
        "time": "datetime64[ns]",
        **dict.fromkeys("ifb", "float64"),
        "s": "text",
        "t": "datetime64[ns]",
        "null": "float64",
    }
    for name in ("i", "f", "b", "null"):
        assert numpy.isnan(array[name]).tolist() == [False, True, True]
    assert array["s"].tolist() == ["x", "", ""]
    assert numpy.isnat(array["t"]).tolist() == [False, True, True]
    assert array["b"][0] == 1.0


def test_keys_of_what_is_nested_are_joined():
    array = load({"wind": {"speed": {"mean": 3.5}}, "": 1, b"bytes": 2, 7: 3, "time": 4, "wind.gust": 5})
    assert array.dtype.names == ("time", "wind.speed.mean", "_", "bytes", "7", "record.time", "wind.gust")
    assert array[0].tolist()[1:] == (3.5, 1, 2, 3, 4, 5)


def test_keys_with_other_values_have_no_field():
    values = [{"list": [1], "mixed": 1, "flag": True, "huge": 10**400, "kept": 1}]
    values.append({"list": [2], "mixed": "one", "flag": 1, "huge": 1, "kept": 2})
    assert load(*values).dtype.names == ("time", "kept")


def test_bytes_are_text_in_utf_8_as_lines_of_files_are_that_fluentd_sends():
    lines = load({"message": "é".encode()}, {"message": b"\xff no UTF-8"}, {"message": "text"}, {"message": None})[
        "message"
    ]
    assert lines.tolist() == ["é", "\udcff no UTF-8", "text", ""]


def test_record_that_is_no_map_is_in_a_field_of_its_own():
    assert load("one", "three")["record"].tolist() == ["one", "three"]


def test_no_records_are_an_empty_array():
    array = load()
    assert (array.shape, array.dtype.names) == ((0,), ("time",))


def test_names_that_are_not_latin_are_kept():
    array = load({"温度": 1, "\udcff": 2})
    assert array.dtype.names == ("time", "温度", "?")


def test_rows_come_in_pieces(monkeypatch):
    monkeypatch.setattr(record_array, "PIECE_SIZE", 64)
    pieces = list(array_file(reading(*({"n": number} for number in range(10)))))
    assert [len(piece) for piece in pieces[1:]] == [64, 64, 32]
    assert numpy.load(io.BytesIO(b"".join(pieces)))["n"].tolist() == list(range(10))


@pytest.mark.parametrize(
    ("values", "error", "message"),
    [
        (
            [{str(number): 1 for number in range(1_001)}],
            BadInput,
            "The records have more than 1000 different keys, or too long ones.",
        ),
        (
            [{"x" * 600_000: 1}, {"y" * 600_000: 1}],
            BadInput,
            "The records have more than 1000 different keys, or too long ones.",
        ),
        (
            [{f"a rather long name of a field {number}": 1 for number in range(500)}],
            BadInput,
            "The records have 500 different keys, too many for an array.",
        ),
        (
            [{"short": "x"}, {"long": "y" * 20_000}],
            TooLarge,
            "Each row would have 80012 bytes: the longest text, in 'long', has 20000 characters.",
        ),
    ],
    ids=["keys", "long keys", "names", "text"],
)
def test_records_that_no_array_is_for_are_refused_before_the_first_piece(values, error, message):
    with pytest.raises(error) as caught:
        next(array_file(reading(*values)))
    assert str(caught.value) == f"{message} {ELSEWHERE}"


def test_more_than_can_be_read_twice_are_refused(monkeypatch):
    monkeypatch.setattr(record_array, "BYTES_MAX", 15)
    with pytest.raises(TooLarge) as caught:
        next(array_file(reading(1, 2)))
    assert str(caught.value) == f"The records have more than 0 MiB. {ELSEWHERE}"
