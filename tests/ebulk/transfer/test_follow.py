"""Following a stream of a real server, and of one whose answers a test writes."""

import itertools
import json
import threading
from contextlib import contextmanager

import pytest

from ebulk.errors import EbulkError, NetworkError, NotFoundError
from ebulk.remote.credentials import Basic
from ebulk.remote.lake import Lake
from ebulk.transfer.stream_records import follow
from support.agent import T0, entries, send
from support.faults import Fault, faulty_network
from support.lake import PASSWORD
from support.scripted_server import problem, reply, scripted, scripted_server
from support.shell import DEADLINE
from support.streams import SECOND


@pytest.fixture
def tag(request):
    """A stream of its own for each test."""
    return request.node.name


def told_nothing(message):
    raise AssertionError(message)


@contextmanager
def following(lake, tag, since=None, tell=told_nothing):
    """What `follow` gives, in a session that ends by itself if nothing comes."""
    with lake.session(1) as session:
        late = threading.Timer(DEADLINE, session.stop)
        late.start()
        try:
            yield follow(session, tag, since, tell)
        finally:
            late.cancel()


def numbers(followed, count):
    return [json.loads(line)["record"]["n"] for line in itertools.islice(followed, count)]


def events(*numbers, first=1):
    """An answer with events whose ids count from `first` on; after it the next request may come at once."""
    lines = "".join(
        f'id: {id}\ndata: {{"time": "2026-11-22T19:40:00Z", "record": {{"n": {n}}}}}\n\n'
        for id, n in enumerate(numbers, first)
    )
    return reply(200, f"retry: 0\n\n{lines}".encode(), "text/event-stream")


def test_what_arrives_from_now_on_comes(lake, served, tag):
    send(served.url, tag, entries(3))
    seen = threading.Event()

    def keep_sending():
        for number in itertools.count(3):
            send(served.url, tag, entries(1, first=number))
            if seen.wait(0.05):
                return

    sender = threading.Thread(target=keep_sending)
    sender.start()
    try:
        with following(lake, tag) as followed:
            first, *others = numbers(followed, 3)
    finally:
        seen.set()
        sender.join()
    assert first >= 3
    assert others == [first + 1, first + 2]


def test_what_is_there_since_a_time_comes_and_then_what_arrives(lake, served, tag):
    send(served.url, tag, entries(10))
    with following(lake, tag, T0 + 7 * SECOND) as followed:
        assert numbers(followed, 3) == [7, 8, 9]
        send(served.url, tag, entries(2, first=10))
        assert numbers(followed, 2) == [10, 11]


def test_each_record_comes_once_through_broken_connections(served, tag):
    send(served.url, tag, entries(2000))
    with faulty_network(served.address) as network:
        network.faults.extend([Fault("down", 20_000, "reset"), Fault("down", 30_000, "close")] * 2)
        lake = Lake(f"http://{network.address}/erp5", Basic("ada", PASSWORD), backoff=lambda failures: 0)
        with following(lake, tag, T0) as followed:
            assert numbers(followed, 2000) == list(range(2000))
            send(served.url, tag, entries(1, first=2000))
            assert numbers(followed, 1) == [2000]
        assert len(network.broken) == 4


def test_the_next_request_says_behind_which_event_it_goes_on():
    first = reply(200, b"retry: 0\n\nid: 100\n\n", "text/event-stream")
    answers = [first, events(1, 2, first=107), events(), events(3)]
    with scripted_server(lambda request: answers.pop(0)) as server, following(Lake(server.url), "a/b") as followed:
        assert numbers(followed, 3) == [1, 2, 3]
    assert [request.target for request in server.requests] == ["/streams/a%2Fb"] * 4
    assert [request.headers.get("last-event-id") for request in server.requests] == [None, "100", "108", "108"]
    assert {request.headers["accept"] for request in server.requests} == {"text/event-stream"}


def test_a_time_is_asked_for_again_with_where_it_goes_on():
    answers = [events(), events(1), events(2)]
    with (
        scripted_server(lambda request: answers.pop(0)) as server,
        following(Lake(server.url), "a", T0 + 5) as followed,
    ):
        assert numbers(followed, 2) == [1, 2]
    assert [request.target for request in server.requests] == ["/streams/a?since=1795376400.000000005"] * 3
    assert [request.headers.get("last-event-id") for request in server.requests] == [None, None, "1"]


def test_bytes_that_are_no_records_are_told_of(lake, served, tag):
    send(served.url, tag, b"\xc1" * 5000)
    send(served.url, tag, entries(1))
    told = []
    with following(lake, tag, T0, told.append) as followed:
        assert numbers(followed, 1) == [0]
    assert [message.partition(":")[0] for message in told] == ["Bytes 0 to 5,000 of the stream are left out"]


@pytest.mark.parametrize("data", ["x", "[]", '{"start": 1, "end": "2", "reason": ""}'])
def test_a_lake_of_another_version_is_told_as_that(data):
    answer = reply(200, f"event: gap\ndata: {data}\n\n".encode(), "text/event-stream")
    with (
        scripted(answer) as server,
        following(Lake(server.url), "a") as followed,
        pytest.raises(EbulkError, match="The lake's answer cannot be understood: ") as caught,
    ):
        next(followed)
    assert caught.value.hint.startswith("Lake and ebulk may be of different versions")


def test_a_lake_that_is_away_is_asked_again_and_given_up_in_the_end():
    answers = [problem(503, "Busy."), events(1), problem(404, "It is gone.")]
    with (
        scripted_server(lambda request: answers.pop(0)) as server,
        following(Lake(server.url, backoff=lambda failures: 0), "a") as followed,
    ):
        assert numbers(followed, 1) == [1]
        with pytest.raises(NotFoundError, match="It is gone"):
            next(followed)
    with (
        scripted(problem(503, "Busy.")) as server,
        following(Lake(server.url, retry_max_time=0), "a") as followed,
        pytest.raises(NetworkError, match="Busy"),
    ):
        next(followed)


def test_what_are_no_events_is_no_lakes():
    with (
        scripted(reply(200, b"<html>")) as server,
        following(Lake(server.url), "a") as followed,
        pytest.raises(EbulkError) as caught,
    ):
        next(followed)
    assert str(caught.value) == f"There is no data lake at {server.url}: it answers HTTP 200 with text/html."
