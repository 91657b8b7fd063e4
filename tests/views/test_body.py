"""Bodies: streams of known length, JSON of bounded size, and members by type."""

from __future__ import annotations

import io
from decimal import Decimal

import pytest

from Products.ERP5Wendelin.errors import BadInput, TooLarge
from Products.ERP5Wendelin.views import body
from Products.ERP5Wendelin.views.body import Body
from Products.ERP5Wendelin.views.members import Members


def test_stream_ends_where_the_body_ends():
    source = io.BytesIO(b"body and the next request")
    stream = Body(source, 4)
    assert (stream.read(3), stream.read(), stream.read(5)) == (b"bod", b"y", b"")
    assert source.read() == b" and the next request"


def test_stream_without_a_length_ends_with_its_source():
    assert Body(io.BytesIO(b"chunked"), None).read() == b"chunked"


def test_stream_can_be_read_by_what_wants_a_file():
    assert io.BufferedReader(Body(io.BytesIO(b"0123456789"), 8)).read(100) == b"01234567"


def test_stream_can_be_read_twice():
    stream = Body(io.BytesIO(b"body and the next request"), 4)
    assert stream.read(2) == b"bo"
    assert (stream.tell(), stream.seek(1), stream.tell()) == (2, 1, 1)
    assert stream.read() == b"ody"
    with pytest.raises(io.UnsupportedOperation, match=r"^a body is read from its start$"):
        stream.seek(0, io.SEEK_END)


def test_empty_body_is_an_empty_object():
    assert Body(io.BytesIO(), 0).json() == {}


def test_numbers_with_decimals_are_exact():
    assert Body(io.BytesIO(b'{"mtime": 1700000000.123456789}'), None).json() == {
        "mtime": Decimal("1700000000.123456789")
    }


@pytest.mark.parametrize("length", [6, None])
def test_json_above_the_limit_is_413(monkeypatch, length):
    monkeypatch.setattr(body, "JSON_SIZE", 5)
    with pytest.raises(TooLarge, match=r"^A JSON document may have at most 0 MiB. Send less at a time.$"):
        Body(io.BytesIO(b"[1234]"), length).json()


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b'{"a": 1,\n "b" 2}', r"^The body is not JSON: Expecting ':' delimiter at line 2, column 6.$"),
        (b"\xff", r"^The body is not UTF-8: byte 0 cannot be decoded.$"),
        (b"[NaN]", r"^The body is not JSON: NaN is not a number there.$"),
        (b"[" * 100_000, r"^The body is nested too deeply.$"),
        (b"1" * 5000, "^The body has a number with thousands of digits.$"),
    ],
)
def test_malformed_json_is_400_saying_where(data, message):
    with pytest.raises(BadInput, match=message):
        body.parse_json(data)


def test_members_of_other_names_are_ignored_and_null_counts_as_absent():
    members = Members({"title": "a", "colour": "red", "message": None})
    assert members.text("title") == "a"
    assert members.text("message", "none") == "none"
    assert "message" not in members


def test_lines_and_tabulators_of_a_text_are_kept():
    assert Members({"title": "a\tb\r\nc 👩\u200d🔬"}).text("title") == "a\tb\r\nc 👩\u200d🔬"


@pytest.mark.parametrize(
    ("data", "read", "message"),
    [
        ([], lambda m: m, "^The body must be a JSON object.$"),
        ({}, lambda m: m.text("title"), "^title is missing; it must be text.$"),
        ({"title": 1}, lambda m: m.text("title"), "^title must be text.$"),
        ({"title": "\ud800"}, lambda m: m.text("title"), "^title is not valid Unicode.$"),
        ({"title": "a\x1b[2Jb"}, lambda m: m.text("title"), "^title has a control character.$"),
        ({"title": "a\x00"}, lambda m: m.text("title"), "^title has a control character.$"),
        ({"title": "\x9b2J"}, lambda m: m.text("title"), "^title has a control character.$"),
        ({"size": "1"}, lambda m: m.size("size"), "^size must be a whole number.$"),
        ({"size": True}, lambda m: m.size("size"), "^size must be a whole number.$"),
        ({"size": -1}, lambda m: m.size("size"), "^size must be a whole number from 0.$"),
        ({"size": 2**63}, lambda m: m.size("size"), "^size must be a whole number from 0.$"),
        ({"files": {}}, lambda m: m.objects("files"), "^files must be a list.$"),
        ({"files": [{}, 1]}, lambda m: m.objects("files"), r"^files\[1\] must be a JSON object.$"),
        ({"files": [{"path": 1}]}, lambda m: m.objects("files")[0].text("path"), r"^files\[0\].path must be text.$"),
        ({"removed": ["a", 1]}, lambda m: m.texts("removed"), r"^removed\[1\] must be text.$"),
    ],
)
def test_wrong_type_is_400_naming_the_member(data, read, message):
    with pytest.raises(BadInput, match=message):
        read(Members(data))


def test_text_of_ten_thousand_characters_and_more_is_413():
    with pytest.raises(TooLarge, match=r"^message may have at most 10000 characters.$"):
        Members({"message": "a" * 10_001}).text("message")
