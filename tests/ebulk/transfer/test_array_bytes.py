"""Bytes of arrays from servers that answer what no lake would; sound ones and broken networks are in verbs."""

import pytest

from ebulk.errors import EbulkError, NotFoundError
from ebulk.remote.arrays import ArrayPart, OutsideError
from ebulk.remote.lake import Lake
from ebulk.transfer import array_bytes
from ebulk.transfer.array_bytes import ArrayBytes
from support.scripted_server import Answer, problem, reply, scripted, scripted_server

DATA = bytes(range(250))
PART = ArrayPart("x", "0:5", "raw")


@pytest.fixture(autouse=True)
def small_pieces(monkeypatch):
    monkeypatch.setattr(array_bytes, "PIECE_SIZE", 100)


def lake_of(server):
    return Lake(server.url, backoff=lambda failures: 0.0)


def received(server, **options):
    lake = lake_of(server)
    try:
        return b"".join(ArrayBytes(lake, PART, **options).pieces())
    finally:
        lake.close()


def asked(request):
    first, _, last = request.headers["range"].removeprefix("bytes=").partition("-")
    return int(first), int(last) + 1


def ranged(request, data=DATA, state="s1"):
    """As a lake answers."""
    start, stop = asked(request)
    body = data[start:stop]
    headers = {"Content_Range": f"bytes {start}-{start + len(body) - 1}/{len(data)}", "Array_Snapshot": state}
    return reply(206, body, **headers)


def test_all_pieces_are_of_the_state_that_the_first_answer_is_of():
    with scripted_server(ranged) as server:
        assert received(server) == DATA
        first, *others = server.requests
    assert first.target == "/arrays/x/data?format=raw&slice=0%3A5"
    assert {request.target for request in others} == {"/arrays/x/data?format=raw&slice=0%3A5&snapshot=s1"}
    assert sorted(map(asked, server.requests)) == [(0, 100), (100, 200), (200, 250)]


def test_what_is_small_and_known_takes_one_request():
    with scripted_server(lambda request: ranged(request, DATA[:90])) as server:
        assert received(server, total=90) == DATA[:90]
        assert len(server.requests) == 1


def test_of_no_bytes_none_are_asked_for():
    with scripted_server(ranged) as server:
        assert received(server, total=0) == b""
        assert server.requests == []


def test_a_part_begins_where_it_is_asked_to_and_ends_there():
    with scripted_server(ranged) as server:
        assert received(server, start=30, stop=240, total=250) == DATA[30:240]
        assert received(server, start=240, total=250) == DATA[240:]
        assert received(server, start=30) == DATA[30:]
        assert received(server, start=250, total=250) == b""


def test_a_proxy_that_knows_no_ranges_costs_time_only():
    with scripted(reply(200, DATA, Array_Snapshot="s1")) as server:
        assert received(server) == DATA


def test_what_was_brought_before_a_break_is_not_asked_for_again():
    answers = []

    def answer(request):
        whole = ranged(request)
        answers.append(asked(request))
        return Answer(whole.data[:-30], "close") if len(answers) == 1 else whole

    with scripted_server(answer) as server:
        assert received(server) == DATA
    assert answers[:2] == [(0, 100), (70, 100)]


def test_behind_the_end_there_is_nothing_and_further_behind_it_is_an_error():
    with scripted(reply(416, b"", Content_Range="bytes */250")) as server:
        assert received(server, start=250) == b""
        with pytest.raises(OutsideError) as caught:
            received(server, start=251)
    assert str(caught.value) == "The lake has 250 bytes of this part of the array 'x', and none from byte 251 on."
    assert caught.value.hint == "Ask for all of it anew."


@pytest.mark.parametrize(("size", "state"), [(251, "s1"), (250, "s2")])
def test_another_length_or_state_in_between_is_an_error(size, state):
    def answer(request):
        return ranged(request, bytes(size), state) if asked(request)[0] else ranged(request)

    with scripted_server(answer) as server, pytest.raises(EbulkError) as caught:
        received(server)
    assert str(caught.value) == (
        f"The lake has {size} bytes of the array 'x' in the state {state}, where 250 in the state s1 were to come."
    )


@pytest.mark.parametrize(
    "answer",
    [
        reply(206, DATA, Content_Range="bytes 0-/250"),
        reply(206, DATA, Content_Range="bytes */250"),
        reply(206, DATA),
        reply(416, b""),
        Answer(b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n\r\nhello", "close"),
    ],
)
def test_an_answer_without_a_length_is_no_lakes(answer):
    with scripted(answer) as server, pytest.raises(EbulkError, match="without a length"):
        received(server)


def test_what_a_lake_refuses_is_told_in_its_words():
    refusal = problem(410, "The array is not known any more as it was.")
    with scripted(refusal) as server, pytest.raises(NotFoundError, match=r"^The array is not known any more as it was"):
        received(server)
