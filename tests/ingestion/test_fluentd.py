from __future__ import annotations

import msgpack
import pytest

from Products.ERP5Wendelin.ingestion.fluentd import contents


def chunk(*records):
    return b"".join(msgpack.packb(record) for record in records)


def test_texts_and_bytes_are_taken_as_they_are():
    assert contents(chunk([0, "a\n"], [1.5, "ü"], [2, b"\0\xff"])) == b"a\n\xc3\xbc\0\xff"


def test_anything_else_is_a_line_of_json():
    assert contents(chunk([0, {"a": [1, None, "ü"]}], [1, 7])) == b'{"a": [1, null, "\xc3\xbc"]}\n7\n'


def test_bytes_within_a_record_become_text():
    assert contents(chunk([0, {"a": b"x\xff"}])) == b'{"a": "x\xef\xbf\xbd"}\n'


@pytest.mark.parametrize("time", [msgpack.ExtType(0, bytes(8)), msgpack.Timestamp(1)])
def test_time_may_be_of_any_kind_that_agents_send(time):
    assert contents(chunk([time, "a"])) == b"a"


def test_text_that_is_not_utf_8_keeps_its_bytes():
    assert contents(b"\x92\x00\xa2a\xff") == b"a\xff"


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"plain text\n",
        chunk([0, "a"])[:-1],
        chunk([0, "a"], [1]),
        chunk([[0, 1], [2, 3]]),
        chunk({"a": 1}),
        b"\xc1",
    ],
)
def test_chunk_that_is_not_made_of_records_is_taken_unchanged(data):
    assert contents(data) == data
