import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ebulk.errors import EbulkError
from ebulk.remote import lines as module
from ebulk.remote.lines import Event, events, lines, read_pieces


@given(st.lists(st.binary(max_size=5)))
def test_lines_are_the_same_however_bytes_are_cut(pieces):
    assert list(lines(pieces)) == [line.rstrip(b"\n") for line in io.BytesIO(b"".join(pieces))]


def test_a_line_is_there_as_soon_as_its_end_is():
    def pieces():
        yield b"first\nsec"
        yield b"ond\n"
        raise AssertionError("asked for more than it needs")

    found = lines(pieces())
    assert (next(found), next(found)) == (b"first", b"second")


def test_a_line_without_an_end_is_refused_in_time(monkeypatch):
    monkeypatch.setattr(module, "LINE_SIZE", 1 << 20)
    taken = []

    def endless():
        while True:
            taken.append(1)
            yield bytes(64 * 1024)

    with pytest.raises(EbulkError) as caught:
        next(lines(endless()))
    assert str(caught.value) == "The lake sends a line of more than 1 MiB."
    assert caught.value.hint == "Nobody can read that: tell who runs it."
    assert len(taken) == 17


def test_pieces_are_read_up_to_the_end():
    assert b"".join(read_pieces(io.BytesIO(bytes(100_000)).read)) == bytes(100_000)


def test_events_are_read_as_browsers_do():
    body = (
        b": a comment\n"
        b"retry: 1500\n"
        b"id: 7\n\n"
        b"id: 8\r\ndata: one\r\n\r\n"
        b"data:two\ndata: lines\nevent: other\n\n"
        b"retry: soon\n\n"
        b"id\ndata\n\n"
        b"\n\n"
        b"id: 9\ndata: cut off"
    )
    assert list(events(body.split(b"\n"))) == [
        Event(id="7", retry=1500),
        Event(id="8", data="one"),
        Event(data="two\nlines", kind="other"),
        Event(id="", data=""),
    ]


def test_an_id_that_no_header_may_have_is_none():
    assert list(events([b"id: a\0b", b"data: x", b""])) == [Event(data="x")]
