"""The lake's JSON becomes values; whatever does not fit is refused with its name."""

from __future__ import annotations

import json

import pytest

from ebulk.errors import EbulkError
from ebulk.model import ArrayInfo, FileEntry, Ingestion, Record, StopResult, StreamInfo, Upload
from ebulk.remote import documents

DIGEST = "sha-256:" + "0f" * 32
ENTRY = {"path": "a/b", "size": 3, "digest": DIGEST, "mtime": 1.5, "mode": "100644"}
INGESTION = {"data_set": "brain", "id": "i1", "state": "started", "base_version": 2, "uploads": [], "result": None}


def parsed(value: object) -> object:
    """As `Reply.json` parses it."""
    return json.loads(json.dumps(value), parse_float=str)


def test_manifest_item_becomes_an_entry_with_its_exact_time():
    text = json.dumps(ENTRY).replace("1.5", "1700000000.123456789")
    entry = documents.entry(json.loads(text, parse_float=str))
    assert entry == FileEntry("a/b", 3, DIGEST, 1_700_000_000_123_456_789, "100644")


def test_whole_and_negative_times_are_taken():
    assert documents.entry(parsed({**ENTRY, "mtime": 1_700_000_000})).mtime_ns == 1_700_000_000_000_000_000
    assert documents.entry(parsed({**ENTRY, "mtime": -0.25})).mtime_ns == -250_000_000


@pytest.mark.parametrize(
    ("member", "value", "message"),
    [
        ("path", None, "'path' is None"),
        ("size", "3", "'size' is '3'"),
        ("size", True, "'size' is True"),
        ("size", -1, "'size' is -1"),
        ("digest", "sha-256:../../../etc/passwd", "'sha-256:../../../etc/passwd' is no sha-256 digest"),
        ("digest", "md5:" + "0" * 64, f"'md5:{'0' * 64}' is no sha-256 digest"),
        ("mtime", "today", "'today' is no time"),
        ("mtime", None, "None is no time"),
        ("mode", 100644, "'mode' is 100644"),
    ],
)
def test_entry_that_does_not_fit_is_refused_with_the_reason(member, value, message):
    with pytest.raises(EbulkError) as raised:
        documents.entry(parsed({**ENTRY, member: value}))
    assert str(raised.value) == f"The lake's answer cannot be understood: {message}."


@pytest.mark.parametrize("number", ["1e999999999", "NaN", "Infinity", "1e16"])
def test_time_that_would_be_a_gigantic_integer_is_refused(number):
    with pytest.raises(EbulkError, match="is no time"):
        documents.entry({**ENTRY, "mtime": number})


def test_ingestion_has_its_uploads_and_its_result():
    upload = {"id": "u", "location": "/u", "path": "p", "offset": 5, "length": 9, "digest": None}
    result = {"version": 3, "added": 1, "modified": 2, "removed": 0}
    assert documents.ingestion({**INGESTION, "uploads": [upload], "result": result}) == Ingestion(
        "brain", "i1", "started", 2, (Upload("/u", "p", 5, 9, None),), StopResult(3, 1, 2, 0)
    )
    assert documents.ingestion(INGESTION).result is None


def test_answer_that_is_no_object_is_refused():
    with pytest.raises(EbulkError, match="'reference' is None"):
        documents.data_set([1, 2])


def test_user_has_name_and_roles():
    assert documents.user({"name": "ada", "roles": ["Contributor"]}) == documents.User("ada", ("Contributor",))


STREAM = {"reference": "wind", "title": "", "state": "draft", "size": 9, "start": 4, "modified": None}


def test_item_of_the_streams_becomes_a_value():
    assert documents.stream(STREAM) == StreamInfo("wind", "", "draft", 9, 4, None)
    assert documents.stream({**STREAM, "modified": "2026-11-22T19:40:00Z"}).modified == "2026-11-22T19:40:00Z"
    with pytest.raises(EbulkError, match="cannot be understood: 'start' is -1"):
        documents.stream({**STREAM, "start": -1})


def test_line_becomes_a_record_with_its_exact_time():
    line = b'{"time":"2026-11-22T19:40:00.123456789Z","record":{"rpm":12.5}}'
    assert documents.record(line) == Record(1_795_376_400_123_456_789, {"rpm": 12.5})


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("{", "'{' is no record"),
        ("[]", "'time' is None"),
        ('{"time":"noon","record":1}', """'{"time":"noon","record":1}' is no record"""),
        ('{"time":"2026-11-22T19:40:00Z"}', """'{"time":"2026-11-22T19:40:00Z"}' is no record"""),
        ("[" * 100_000, f"'{'[' * 99} is no record"),
    ],
)
def test_line_that_is_no_record_is_refused_with_it(line, message):
    with pytest.raises(EbulkError) as raised:
        documents.record(line)
    assert str(raised.value) == f"The lake's answer cannot be understood: {message}."


def test_gap_becomes_a_sentence():
    text = '{"start": 1280, "end": 2048, "reason": "they are no records"}'
    assert documents.gap(text) == "Bytes 1,280 to 2,048 of the stream are left out: they are no records."


ARRAY = {"reference": "x", "title": "X", "state": "draft", "shape": [3, 0], "dtype": "<f8", "size": 0}


def test_an_array_has_what_its_list_says_and_more_of_its_description():
    assert documents.array(parsed(ARRAY)) == ArrayInfo("x", "X", "draft", (3, 0), "<f8", 0)
    described = {**ARRAY, "dtype": [["n", "<i4"]], "description": "D", "names": ["n"], "snapshot": "0f"}
    assert documents.array(parsed(described)) == ArrayInfo(
        "x", "X", "draft", (3, 0), [["n", "<i4"]], 0, "D", ("n",), "0f"
    )


def test_an_array_may_have_no_shape_yet():
    info = documents.array(parsed({**ARRAY, "shape": None, "dtype": None}))
    assert (info.shape, info.dtype) == (None, None)


@pytest.mark.parametrize(
    ("member", "value", "message"),
    [
        ("reference", None, "'reference' is None"),
        ("shape", [], "'shape' is []"),
        ("shape", [-1], "'shape' is [-1]"),
        ("shape", [True], "'shape' is [True]"),
        ("shape", ["3"], "'shape' is ['3']"),
        ("shape", 3, "'shape' is 3"),
        ("dtype", 8, "'dtype' is 8"),
        ("dtype", None, "'dtype' is None"),
        ("size", -8, "'size' is -8"),
        ("names", "n", "'names' is 'n'"),
        ("snapshot", 1, "'snapshot' is 1"),
    ],
)
def test_an_array_that_does_not_fit_is_refused_with_the_reason(member, value, message):
    with pytest.raises(EbulkError) as raised:
        documents.array(parsed({**ARRAY, member: value}))
    assert str(raised.value) == f"The lake's answer cannot be understood: {message}."
