from __future__ import annotations

import json
import math

import msgpack
import pytest

from Products.ERP5Wendelin.content.records import records
from Products.ERP5Wendelin.download import record_format
from Products.ERP5Wendelin.download.record_format import entry, line
from support.streams import NOON, batch_of, event

EVENT_TIME = msgpack.ExtType(0, b"\0\0\0\1\0\0\0\2")


def deep(levels):
    value = None
    for _ in range(levels):
        value = [value]
    return value


def test_entry_is_one_of_the_forward_protocol():
    assert entry(NOON + 5, {"a": [1, "é", b"\xff"]}) == event(NOON + 5, {"a": [1, "é", b"\xff"]})


@pytest.mark.parametrize("time", [-1, -(10**18), 2**32 * 10**9, 0, 2**32 * 10**9 - 1])
def test_every_time_is_read_again_as_it_was(time):
    assert [found.time for found in records([entry(time, {})], 0, "it")] == [time]


def test_line_is_json_with_the_time_to_the_nanosecond():
    assert line(NOON + 5, {"a": [1, "é", None]}) == (
        '{"time":"2026-11-22T12:00:00.000000005Z","record":{"a":[1,"é",null]}}\n'.encode()
    )


@pytest.mark.parametrize(
    ("value", "written"),
    [
        (float("nan"), None),
        ([float("inf"), 1.5], [None, 1.5]),
        (b"bytes", "bytes"),
        (EVENT_TIME, "1970-01-01T00:00:01.000000002Z"),
        (msgpack.ExtType(5, b"\xff\x00"), "ff00"),
        ({2: "a", None: "b", False: "c", b"d": "e"}, {"2": "a", "null": "b", "false": "c", "d": "e"}),
        ("\udcff", "\udcff"),
    ],
    ids=repr,
)
def test_what_json_has_not_is_replaced(value, written):
    assert json.loads(line(0, {"v": value}))["record"] == {"v": written}


@pytest.mark.parametrize("value", [2**64, -(2**63) - 1])
def test_integers_that_messagepack_has_not_are_floats(value):
    assert msgpack.unpackb(entry(NOON, {"v": value}), strict_map_key=False)[1] == {"v": float(value)}


@pytest.mark.parametrize(
    ("text", "record"),
    [
        (b'{"v": [1%b, -1%b]}' % (b"0" * 400, b"0" * 400), {"v": [math.inf, -math.inf]}),
        (b'{"half \\ud800": "a\\udfffb"}', {"half ?": "a?b"}),
    ],
)
def test_what_json_has_and_messagepack_has_not_is_replaced(text, record):
    [found] = records([text], 0, "it")
    assert msgpack.unpackb(entry(NOON, found.value), strict_map_key=False)[1] == record


@pytest.mark.parametrize("encode", [entry, line])
def test_what_is_nested_too_deeply_is_left_out(encode):
    levels = 0
    [found] = records([encode(NOON, {"v": deep(3_000)})], 0, "it")
    value = found.value["record"]["v"] if encode is line else found.value["v"]
    while value is not None:
        [value] = value
        levels += 1
    assert levels == record_format.DEPTH - 1


def test_what_is_no_utf_8_keeps_its_bytes():
    assert entry(NOON, {"v": "\udcff"})[-2:] == b"\xa1\xff"


def test_records_come_in_pieces(monkeypatch):
    monkeypatch.setattr(record_format, "PIECE_SIZE", 100)
    batches = [batch_of(*({"n": number} for number in range(10)))] * 4
    pieces = list(record_format.entries(batches))
    assert b"".join(pieces) == 4 * b"".join(entry(NOON + number, {"n": number}) for number in range(10))
    assert {len(piece) >= 100 for piece in pieces[:-1]} == {True}
    assert b"".join(record_format.lines(batches)) == 4 * b"".join(line(NOON + n, {"n": n}) for n in range(10))
