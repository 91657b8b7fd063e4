"""`/streams`: what agents have sent, as a list, as bytes, and as records of a time."""

from __future__ import annotations

import io
import json
import threading
from contextlib import contextmanager
from urllib.parse import quote

import numpy
import pytest
import transaction

from Products.ERP5Wendelin.download import growth
from Products.ERP5Wendelin.storage.block import BLOCK_SIZE
from support.streams import NOON, SECOND, event, events

DATA = events(20)
STREAM = "/streams/sensor.product"


@contextmanager
def stream_of(server, reference="sensor.product", user="ada"):
    """The stream of a reference, made if there is none; what is done with it is committed."""
    with server.lake.open(user) as site:
        module = site.data_stream_module
        yield module.getDataStream(reference) or module.newContent(reference=reference, title=reference)
        transaction.commit()


def append(server, data, reference="sensor.product"):
    with stream_of(server, reference) as stream:
        stream.appendData(data)


@pytest.fixture
def url(server):
    append(server, DATA)
    return STREAM


def lines(answer):
    assert answer.status == 200, answer.body
    return [json.loads(line) for line in answer.body.splitlines()]


def numbers(answer):
    return [line["record"]["n"] for line in lines(answer)]


def test_all_bytes_come_with_where_they_begin(server, url):
    answer = server.request("GET", url)
    assert (answer.status, answer.body) == (200, DATA)
    names = ("Stream-Start", "Content-Type", "Accept-Ranges", "Content-Disposition", "X-Content-Type-Options")
    assert [answer.headers[name] for name in names] == [
        "0",
        "application/octet-stream",
        "bytes",
        'attachment; filename="sensor.product"',
        "nosniff",
    ]


def test_head_has_the_headers_and_no_body(server, url):
    head, get = (server.request(method, url) for method in ("HEAD", "GET"))
    assert (head.status, head.body) == (200, b"")
    assert head.headers["Content-Length"] == get.headers["Content-Length"] == str(len(DATA))
    assert head.headers["ETag"] == get.headers["ETag"]


def test_range_is_206_at_its_offset(server, url):
    answer = server.request("GET", url, headers={"Range": "bytes=10-19"})
    assert (answer.status, answer.body) == (206, DATA[10:20])
    assert answer.headers["Content-Range"] == f"bytes 10-19/{len(DATA)}"


def test_entity_tag_is_strong_and_changes_with_the_size(server, url):
    before = server.request("GET", url).headers["ETag"]
    assert server.request("GET", url, headers={"If-None-Match": before}).status == 304
    append(server, event(NOON, {}))
    after = server.request("GET", url, headers={"If-None-Match": before})
    assert (after.status, after.headers["ETag"] != before, before[0]) == (200, True, '"')


def test_stream_that_is_empty_has_no_bytes(server):
    with stream_of(server):
        pass
    answer = server.request("GET", STREAM)
    assert (answer.status, answer.body, answer.headers["Content-Length"]) == (200, b"", "0")
    assert lines(server.request("GET", f"{STREAM}?format=jsonl")) == []


def test_offsets_stay_when_the_head_is_dropped_and_416_says_where_it_starts(server):
    data = events(30_000, size=100)
    assert len(data) > BLOCK_SIZE
    append(server, data)
    with stream_of(server) as stream:
        assert stream.dropData(BLOCK_SIZE) == BLOCK_SIZE
    whole = server.request("GET", STREAM)
    assert (whole.status, whole.headers["Stream-Start"], whole.body) == (200, str(BLOCK_SIZE), data[BLOCK_SIZE:])
    last = server.request("GET", STREAM, headers={"Range": f"bytes={BLOCK_SIZE}-{BLOCK_SIZE + 9}"})
    assert (last.status, last.body) == (206, data[BLOCK_SIZE : BLOCK_SIZE + 10])
    suffix = server.request("GET", STREAM, headers={"Range": "bytes=-99999999"})
    assert suffix.headers["Content-Range"] == f"bytes {BLOCK_SIZE}-{len(data) - 1}/{len(data)}"
    dropped = server.request("GET", STREAM, headers={"Range": "bytes=0-"})
    assert (dropped.status, dropped.headers["Content-Range"]) == (416, f"bytes */{len(data)}")
    assert dropped.headers["Stream-Start"] == str(BLOCK_SIZE)
    assert dropped.data["detail"] == (
        f"The range begins at byte 0, which was dropped: the content begins at byte {BLOCK_SIZE} now."
    )
    kept = numbers(server.request("GET", f"{STREAM}?format=jsonl"))
    assert kept == list(range(kept[0], 30_000))
    assert len(kept) > 30_000 * (len(data) - 2 * BLOCK_SIZE) // len(data)


def test_records_of_a_time_come_as_lines_of_json(server, url):
    query = "format=jsonl&since=2026-11-22T12:00:05Z&until=2026-11-22T12:00:07%2B00:00"
    answer = server.request("GET", f"{url}?{query}")
    assert lines(answer) == [
        {"time": "2026-11-22T12:00:05.000000000Z", "record": {"n": 5}},
        {"time": "2026-11-22T12:00:06.000000000Z", "record": {"n": 6}},
    ]
    assert answer.headers["Content-Type"] == "application/x-ndjson"
    assert answer.headers["Content-Disposition"] == 'attachment; filename="sensor.product.jsonl"'


def test_records_of_a_time_come_as_entries_of_messagepack(server, url):
    since = NOON // SECOND + 18
    answer = server.request("GET", f"{url}?format=msgpack&since={since}.5")
    assert (answer.status, answer.body) == (200, event(NOON + 19 * SECOND, {"n": 19}))
    assert answer.headers["Content-Type"] == "application/msgpack"


@pytest.mark.parametrize(
    ("text", "first"),
    [
        ("2026-11-22T12:00:18Z", 18),
        ("2026-11-22t14:00:18.5+02:00", 19),  # an unescaped + is a space
        ("2026-11-22%2010:00:18-02:00", 18),
        (f"{NOON // SECOND + 17}.000000001", 18),
        ("", 0),
    ],
)
def test_times_are_seconds_or_rfc_3339(server, url, text, first):
    assert numbers(server.request("GET", f"{url}?format=jsonl&since={text}")) == list(range(first, 20))


@pytest.mark.parametrize("name", ["since", "until"])
@pytest.mark.parametrize("text", ["yesterday", "2026-11-22", "2026-11-22T12:00:00", "2026-13-01T00:00:00Z", "1e9"])
def test_other_times_are_400(server, url, name, text):
    answer = server.request("GET", f"{url}?format=jsonl&{name}={text}")
    assert (answer.status, answer.data["detail"]) == (
        400,
        f"{name} must be a time with its zone, such as 2026-11-22T19:40:00Z, or seconds since 1970; "
        "from the year 1678 to 2261.",
    )


def test_records_of_a_time_come_as_an_array_of_numpy(server, url):
    answer = server.request("GET", f"{url}?format=npy&since=2026-11-22T12:00:18Z")
    array = numpy.load(io.BytesIO(answer.body))
    assert array.tolist() == [(NOON + 18 * SECOND, 18), (NOON + 19 * SECOND, 19)]
    assert array.dtype == numpy.dtype([("time", "<M8[ns]"), ("n", "<i8")])
    assert answer.headers["Content-Type"] == "application/octet-stream"
    assert answer.headers["Content-Disposition"] == 'attachment; filename="sensor.product.npy"'


def test_records_that_no_array_is_for_are_refused(server, url):
    append(server, event(NOON, {str(number): 1 for number in range(1_001)}))
    answer = server.request("GET", f"{url}?format=npy")
    assert (answer.status, answer.data["detail"]) == (
        400,
        "The records have more than 1000 different keys, or too long ones. "
        "Ask for fewer records, or for format=jsonl or msgpack.",
    )


def test_other_formats_are_400(server, url):
    answer = server.request("GET", f"{url}?format=xml")
    assert (answer.status, answer.data["detail"]) == (
        400,
        "There is no format 'xml'. Formats are: raw, msgpack, jsonl, npy.",
    )


def test_bytes_of_a_time_are_400(server, url):
    answer = server.request("GET", f"{url}?since=1")
    assert (answer.status, answer.data["detail"]) == (
        400,
        "since and until choose records, not bytes: add format=msgpack, jsonl or npy.",
    )


def test_bytes_that_are_no_records_are_left_out_and_logged(server, url, caplog):
    bad = b"no record" * 1_000
    append(server, bad)
    append(server, events(10, first=20))
    caplog.clear()
    assert numbers(server.request("GET", f"{url}?format=jsonl")) == list(range(30))
    start = len(DATA)
    [message] = [message for message in caplog.messages if message.startswith("bytes ")]
    assert message == (
        f"bytes {start} to {start + len(bad)} were left out of an export: What begins at byte {start} of "
        "Data Stream 'sensor.product' is no record: none begins with 0x6e. What is before it can be read by itself."
    )


def test_list_has_the_streams_that_the_caller_may_see(server, url):
    append(server, b"", "other/é")
    with stream_of(server) as stream:
        stream.publish()
    everybody = server.request("GET", "/streams", user=None)
    assert [item["reference"] for item in everybody.data["items"]] == ["sensor.product"]
    answer = server.request("GET", "/streams")
    first, second = answer.data["items"]
    assert first == {
        "reference": "other/é",
        "title": "other/é",
        "state": "draft",
        "start": 0,
        "size": 0,
        "modified": first["modified"],
    }
    assert (second["state"], second["size"], answer.data["next"]) == ("published", len(DATA), None)
    assert len(second["modified"]) == len("2026-11-22T12:00:00Z")


def test_list_is_searched_and_comes_in_pages(server):
    for number in range(5):
        append(server, b"", f"turbine.{number}")
    append(server, b"", "weather")
    found, cursor = [], ""
    while cursor is not None:
        page = server.request("GET", f"/streams?search=turbine&state=draft&limit=2&cursor={cursor}").data
        found += [item["reference"] for item in page["items"]]
        cursor = page["next"]
    assert found == [f"turbine.{number}" for number in range(5)]
    assert server.request("GET", "/streams?state=published").data["items"] == []
    answer = server.request("GET", "/streams?state=lost")
    assert (answer.status, answer.data["detail"]) == (
        400,
        "There is no state 'lost'. States are: draft, validated, published, invalidated.",
    )


def test_of_several_streams_of_a_reference_the_one_in_use_is_answered_and_listed_once(server):
    with server.lake.open() as site:
        for state in ("invalidate", "validate", None):
            stream = site.data_stream_module.newContent(reference="sensor.product")
            stream.appendData(event(NOON, state))
            if state:
                stream.changeState("validate")
            if state == "invalidate":
                stream.changeState("invalidate")
        transaction.commit()
    assert lines(server.request("GET", f"{STREAM}?format=jsonl"))[0]["record"] == "validate"
    page = server.request("GET", "/streams?limit=1").data
    assert ([item["state"] for item in page["items"]], page["next"]) == (["validated"], None)


def test_reference_may_have_slashes(server):
    append(server, DATA, "plant/1 é")
    assert server.request("GET", f"/streams/{quote('plant/1 é')}").body == DATA
    assert server.request("GET", f"/streams/{quote('plant/1 é', safe='')}").body == DATA


def test_stream_that_the_caller_may_not_see_is_404_and_401_for_anonymous(server, url):
    unknown = server.request("GET", "/streams/unknown")
    assert (unknown.status, unknown.data["detail"]) == (
        404,
        "There is no stream 'unknown' that you may see. Check the spelling.",
    )
    anonymous = server.request("GET", url, user=None)
    assert (anonymous.status, anonymous.data["detail"]) == (
        401,
        "There is no public stream 'sensor.product'. Log in if you have an account.",
    )


def test_wait_answers_as_soon_as_there_are_bytes(server, url):
    answers = []
    thread = threading.Thread(
        target=lambda: answers.append(server.request("GET", f"{url}?wait=20", headers={"Range": f"bytes={len(DATA)}-"}))
    )
    thread.start()
    append(server, b"more")
    thread.join(30)
    assert [(answer.status, answer.body) for answer in answers] == [(206, b"more")]
    assert answers[0].headers["Content-Range"] == f"bytes {len(DATA)}-{len(DATA) + 3}/{len(DATA) + 4}"


def test_wait_is_204_where_nothing_came_and_416_behind_the_end(server, url):
    assert server.request("GET", f"{url}?wait=0", headers={"Range": f"bytes={len(DATA)}-"}).status == 204
    assert server.request("GET", f"{url}?wait=20", headers={"Range": f"bytes={len(DATA) + 1}-"}).status == 416
    assert server.request("GET", f"{url}?wait=20", headers={"Range": "bytes=0-"}).body == DATA
    answer = server.request("GET", f"{url}?wait=20")
    assert (answer.status, answer.data["detail"]) == (
        400,
        "wait takes a header Range: bytes=N-, where N is the offset to wait at.",
    )


def test_one_more_than_may_wait_is_answered_at_once(server, url):
    taken = 0
    while growth.WAITING.acquire(blocking=False):
        taken += 1
    try:
        assert server.request("GET", f"{url}?wait=20", headers={"Range": f"bytes={len(DATA)}-"}).status == 204
    finally:
        growth.WAITING.release(taken)
    assert taken == 6


def test_wait_at_a_stream_that_was_empty_has_its_first_bytes(server):
    with stream_of(server):
        pass
    answers = []
    thread = threading.Thread(
        target=lambda: answers.append(server.request("GET", f"{STREAM}?wait=20", headers={"Range": "bytes=0-"}))
    )
    thread.start()
    append(server, DATA)
    thread.join(30)
    assert [answer.body for answer in answers] == [DATA]
