"""Where messages end: the same for any pieces in which their bytes arrive, and for any bytes."""

from __future__ import annotations

import re
import struct
from itertools import pairwise

import msgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st

from Products.ERP5Wendelin.ingestion.forward.framing import HEAD_SIZE, Framing, NotForward
from Products.ERP5Wendelin.protocol import MIB
from support.forward import entries, event

LIMIT = MIB

OPTIONS = st.dictionaries(
    st.sampled_from(["chunk", "size", "compressed", "x"]), st.text(max_size=40) | st.integers(0, 9)
)
RECORDS = st.dictionaries(st.text(max_size=9), st.text(max_size=40) | st.integers(0, 2**40) | st.binary(max_size=9))
TAGS = st.text(max_size=300)
BODIES = st.integers(0, 200).map(entries)


def packed(*values: object) -> bytes:
    data: bytes = msgpack.packb(values)
    return data


MESSAGES = st.one_of(
    st.just(b"\xc0"),
    st.builds(packed, TAGS, st.integers(0, 2**32), RECORDS),
    st.builds(packed, TAGS, st.integers(0, 2**32), RECORDS, OPTIONS),
    st.builds(packed, TAGS, st.lists(st.tuples(st.integers(0, 2**32), RECORDS)), OPTIONS),
    st.builds(packed, TAGS, BODIES),
    st.builds(packed, TAGS, BODIES, OPTIONS),
    # as a string of 32 bits of length, which is what fluentd sends
    st.builds(
        lambda tag, body: b"\x92" + msgpack.packb(tag) + b"\xdb" + struct.pack(">I", len(body)) + body, TAGS, BODIES
    ),
    st.builds(packed, st.just("PING"), *[st.text(max_size=128)] * 5),
)


def framed(pieces: list[bytes], limit: int = LIMIT) -> tuple[list[bytes], str, int]:
    """The messages in pieces of bytes, what is wrong with the bytes behind them, and how many are held."""
    framing = Framing(limit)
    messages = []
    for piece in pieces:
        try:
            for message in framing.feed(piece):
                messages.append(bytes(message))
        except NotForward as error:
            return messages, str(error), 0
    return messages, "", framing.held


def cut(data: bytes, places: list[int]) -> list[bytes]:
    bounds = sorted({0, len(data), *(place % (len(data) + 1) for place in places)})
    return [data[start:end] for start, end in pairwise(bounds)]


@given(st.lists(MESSAGES, max_size=6), st.lists(st.integers(0, 2**20), max_size=20))
def test_any_cut_of_the_bytes_gives_the_same_messages(messages, places):
    data = b"".join(messages) + b"\x93\xa3tag"
    assert framed(cut(data, places)) == (messages, "", 5)


@given(st.lists(MESSAGES, max_size=3))
def test_one_byte_at_a_time_gives_the_same_messages(messages):
    data = b"".join(messages)
    assert framed([data[i : i + 1] for i in range(len(data))]) == (messages, "", 0)


@given(st.binary(max_size=300), st.lists(st.integers(0, 2**10), max_size=10))
def test_any_bytes_give_the_same_messages_and_the_same_refusal_however_they_are_cut(data, places):
    assert framed(cut(data, places)) == framed([data] if data else [])


@pytest.mark.parametrize("header", [b"\x92\xa1t", b"\x93\xd9\x01t", b"\x93\xda\x00\x01t", b"\x92\xc4\x01t"])
@pytest.mark.parametrize("length", [b"\xdb\x00\x01\x00\x00", b"\xc6\x00\x01\x00\x00"])
def test_entries_are_counted_until_they_are_there(header, length):
    framing = Framing(LIMIT)
    assert not list(framing.feed(header + length + b"\x01" * 100))
    assert not list(framing.feed(b"\x01" * 60_000))
    assert framing.held == len(header + length) + 60_100
    (message,) = framing.feed(b"\x01" * (65_536 - 60_100) + (b"\x80" if header[0] == 0x93 else b""))
    assert len(message) == len(header + length) + 65_536 + (header[0] == 0x93)
    assert framing.held == 0


@pytest.mark.parametrize("first", [b"\xdb", b"\xc6"])
def test_a_length_over_the_limit_is_refused_before_its_bytes_come(first):
    assert framed([b"\x93\xa3tag" + first + b"\xff\xff\xff\xff"]) == (
        [],
        "it sent a message of 4294967305 bytes or more, and 1048576 is the most that is taken: "
        "set its chunk_limit_size to less, or raise --max-message",
        0,
    )


@pytest.mark.parametrize(
    "first", [b"\xdd\xff\xff\xff\xff", b"\x92\xa1t\xdd\xff\xff\xff\xff", b"\x93\xa1t\x01\xdf\xff\xff\xff\xff"]
)
def test_a_length_of_elements_costs_nothing_before_they_come(first):
    messages, error, held = framed([first + b"\x01" * 1000])
    assert (messages, error, held) == ([], "", len(first) + 1000)


def test_a_message_over_the_limit_is_refused_once_that_is_known():
    data = b"\x92\xa1t\xdd\xff\xff\xff\xff" + b"\x01" * LIMIT
    messages, error, _ = framed(cut(data, list(range(0, len(data), 1000))))
    assert not messages
    assert re.fullmatch(
        r"it sent a message of 104\d{4} bytes or more, and 1048576 is the most that is taken: .*", error
    )


@pytest.mark.parametrize("nest", [b"\x91", b"\x81\x01", b"\xdd\0\0\0\1"])
def test_nesting_without_end_is_refused(nest):
    assert framed([event(1), nest * 2000]) == (
        [event(1)],
        "it sent what is not MessagePack: it is nested too deeply",
        0,
    )


def test_a_byte_that_begins_no_value_is_refused_behind_the_messages_before_it():
    assert framed([event(1) + event(2) + b"\x92\xc1"]) == (
        [event(1), event(2)],
        "it sent what is not MessagePack: no value begins like that",
        0,
    )


def test_a_tag_longer_than_what_is_looked_through_comes_through():
    message = packed("t" * 2 * HEAD_SIZE, entries(1000), {"chunk": "c"})
    assert framed(cut(message, list(range(0, len(message), 777)))) == ([message], "", 0)
