"""`/streams/{reference}` as Server-Sent Events: records as they arrive."""

from __future__ import annotations

import http.client
import json
import threading
from contextlib import closing, contextmanager

import pytest
import transaction

from Products.ERP5Wendelin.download import growth, tail
from Products.ERP5Wendelin.download.stored_stream import StoredStream
from Products.ERP5Wendelin.storage.block import BLOCK_SIZE
from support.http_server import basic
from support.site import PASSWORD
from support.streams import NOON, SECOND, event, events

PATH = "/erp5/api/v1/streams/log"
DATA = events(3)
TURNS = 6
CROWDED = {"retry": "5000"}
ENDS = [len(events(count)) for count in range(4)]


@contextmanager
def log_of(server):
    with server.lake.open() as site:
        module = site.data_stream_module
        yield module.getDataStream("log") or module.newContent(reference="log")
        transaction.commit()


def append(server, data):
    with log_of(server) as log:
        log.appendData(data)


def take_turns():
    """Take all turns to wait: whoever has one gives it back once its client is gone."""
    for _ in range(TURNS):
        assert growth.WAITING.acquire(timeout=growth.LONGEST)


@pytest.fixture(autouse=True)
def turns(server, monkeypatch):
    """Clients that are gone are noticed soon, and before the server stops."""
    monkeypatch.setattr(tail, "SIGN_OF_LIFE", 0.05)
    yield
    take_turns()
    growth.WAITING.release(TURNS)


@pytest.fixture
def brief(turns):
    """Answers that end with what is there, since nobody may wait."""
    take_turns()
    yield
    growth.WAITING.release(TURNS)


@contextmanager
def listening(server, query="", headers=None):
    """An answer whose events are read one by one."""
    connection = http.client.HTTPConnection(server.host, server.port, timeout=30)
    with closing(connection):
        sent = {"Accept": "text/event-stream", "Authorization": basic("ada", PASSWORD), **(headers or {})}
        connection.request("GET", PATH + query, headers=sent)
        answer = connection.getresponse()
        assert answer.status == 200, answer.read()
        yield answer


def read_event(answer):
    """The next event, as a dict of its fields; {} for a comment, None at the end."""
    fields = {}
    for line in iter(answer.readline, b""):
        if line == b"\n":
            return fields
        name, _, value = line.decode().rstrip("\n").partition(": ")
        if name.strip(":"):
            fields[name] = value
    return None


def read_all(server, query="", headers=None):
    with listening(server, query, headers) as answer:
        return [found for found in iter(lambda: read_event(answer), None) if found]


def record(number, end):
    data = {"time": f"2026-11-22T12:00:0{number}.000000000Z", "record": {"n": number}}
    return {"id": str(end), "data": json.dumps(data, separators=(",", ":"))}


def test_what_arrives_is_an_event_whose_id_is_where_it_ends(server):
    append(server, DATA)
    with listening(server) as answer:
        assert answer.headers["Content-Type"] == "text/event-stream; charset=utf-8"
        assert answer.headers["Cache-Control"] == "no-store"
        assert read_event(answer) == {"retry": "1000"}
        assert read_event(answer) == {"id": str(ENDS[3])}
        append(server, event(NOON + 3 * SECOND, {"n": 3}))
        found = next(found for found in iter(lambda: read_event(answer), None) if found)
        assert found == record(3, ENDS[3] + len(event(NOON, {"n": 3})))


@pytest.mark.usefixtures("brief")
@pytest.mark.parametrize(
    ("query", "headers"), [("", {"Last-Event-ID": str(ENDS[1])}), (f"?offset={ENDS[1]}", {})], ids=["header", "query"]
)
def test_who_has_events_gets_those_behind_them(server, query, headers):
    append(server, DATA)
    append(server, event(NOON, {"cut": "off"})[:-1])
    assert read_all(server, query, headers) == [CROWDED, record(1, ENDS[2]), record(2, ENDS[3])]
    assert read_all(server, headers={"Last-Event-ID": str(ENDS[3])}) == [CROWDED]


@pytest.mark.usefixtures("brief")
def test_events_of_a_time_come_with_how_far_the_others_went(server):
    append(server, DATA)
    found = read_all(server, f"?since={NOON // SECOND + 1}&until={NOON // SECOND + 2}")
    assert found == [CROWDED, record(1, ENDS[2]), {"id": str(ENDS[3])}]


@pytest.mark.usefixtures("brief")
def test_bytes_that_are_no_records_are_an_event_of_their_own(server):
    append(server, DATA)
    append(server, b"\xc1" * 5_000)
    append(server, events(1))
    gap, following = read_all(server, f"?offset={ENDS[3]}")[1:]
    assert (gap["event"], gap["id"]) == ("gap", str(ENDS[3] + 5_000))
    assert json.loads(gap["data"]) == {
        "start": ENDS[3],
        "end": ENDS[3] + 5_000,
        "reason": f"What begins at byte {ENDS[3]} of Data Stream 'log' is no record: none begins with 0xc1. "
        "What is before it can be read by itself.",
    }
    assert following == record(0, ENDS[3] + 5_000 + ENDS[1])


@pytest.mark.usefixtures("brief")
def test_bytes_that_were_dropped_are_a_gap(server):
    data = events(30_000, size=100)
    append(server, data)
    with log_of(server) as log:
        log.dropData(BLOCK_SIZE)
        start = log.getTimeIndex().beginning(BLOCK_SIZE)
    gap, following = read_all(server, "?offset=0")[1:3]
    assert json.loads(gap["data"]) == {
        "start": 0,
        "end": start,
        "reason": "these bytes were dropped, to keep the stream small",
    }
    assert (gap["id"], int(following["id"]) > start) == (str(start), True)


def test_answer_ends_where_bytes_are_dropped_before_it_has_read_them(server):
    append(server, events(1_000, size=4_096))
    with log_of(server) as log:
        answer = tail.Tail(StoredStream(server.lake.db, log), 0)
    assert next(answer) == b"retry: 1000\n\n"
    with log_of(server) as log:
        log.dropData(BLOCK_SIZE)
    assert list(answer) == []


@pytest.mark.usefixtures("brief")
def test_unknown_ids_are_refused(server):
    append(server, DATA)
    headers = {"Accept": "text/event-stream"}
    answer = server.request("GET", "/streams/log", headers={**headers, "Last-Event-ID": "x"})
    assert (answer.status, answer.data["detail"]) == (
        400,
        "Last-Event-ID must be the id of an event of this stream: an offset.",
    )
    answer = server.request("GET", "/streams/log?offset=1000", headers=headers)
    assert (answer.status, answer.data["detail"]) == (
        416,
        f"There is no byte 1000 yet: the stream has {ENDS[3]}. Ask without Last-Event-ID and offset.",
    )


@pytest.mark.usefixtures("brief")
def test_one_more_than_may_wait_has_what_is_there_and_is_told_to_come_later(server):
    append(server, DATA)
    assert read_all(server, "?offset=0") == [CROWDED, *(record(number, ENDS[number + 1]) for number in range(3))]


def test_who_goes_away_gives_its_turn_back(server):
    append(server, DATA)
    with listening(server) as answer:
        assert read_event(answer) == {"retry": "1000"}
        others = [growth.WAITING.acquire(blocking=False) for _ in range(TURNS)]
    assert growth.WAITING.acquire(timeout=growth.LONGEST / 2)
    growth.WAITING.release(TURNS)
    assert others == [True] * (TURNS - 1) + [False]


def test_answers_end_when_the_server_is_to_stop(server, monkeypatch):
    stopping = threading.Event()
    monkeypatch.setattr(growth, "STOPPING", stopping)
    monkeypatch.setattr(tail, "LONGEST", 24 * 3600)
    append(server, DATA)
    with listening(server) as answer:
        assert read_event(answer) == {"retry": "1000"}
        stopping.set()
        assert [found for found in iter(lambda: read_event(answer), None) if found] == [{"id": str(ENDS[3])}]


def test_head_takes_no_turn(server):
    append(server, DATA)
    answer = server.request("HEAD", "/streams/log", headers={"Accept": "text/event-stream"})
    assert (answer.status, answer.headers["Content-Type"], answer.body) == (
        200,
        "text/event-stream; charset=utf-8",
        b"",
    )
