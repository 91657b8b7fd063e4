"""A body in memory is a file like any other."""

from __future__ import annotations

import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from Products.ERP5Wendelin.portal.request_body import MemoryBody, Room


def body_of(*pieces: bytes) -> MemoryBody:
    body = MemoryBody(sum(map(len, pieces)), Room(1000))
    for piece in pieces:
        body.append(piece)
    return body


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("read"), st.integers(-1, 40)),
        st.tuples(st.just("seek"), st.integers(0, 40)),
        st.tuples(st.just("readline"), st.integers(-1, 40)),
    )
)


@given(st.lists(st.binary(min_size=1, max_size=9).map(lambda data: data + b"\n"), max_size=6), STEPS)
def test_it_reads_as_the_same_bytes_in_one_piece_would(pieces, steps):
    body, expected = body_of(*pieces), io.BytesIO(b"".join(pieces))
    for name, value in steps:
        assert getattr(body, name)(value) == getattr(expected, name)(value)
        assert body.tell() == expected.tell()


@pytest.mark.parametrize(("whence", "offset", "position"), [(io.SEEK_CUR, 2, 5), (io.SEEK_END, -1, 6), (0, 4, 4)])
def test_it_is_sought_from_where_one_says(whence, offset, position):
    body = body_of(b"abcd", b"efg")
    body.read(3)
    assert body.seek(offset, whence) == body.tell() == position


def test_its_size_is_what_was_received_so_far():
    body = MemoryBody(10, Room(10))
    body.append(b"abc")
    assert len(body) == 3
    assert body.getfile().readinto(bytearray(5)) == 3


def test_memory_is_given_back_once():
    room = Room(10)
    assert room.take(10)
    assert not room.take(1)
    body = MemoryBody(10, room)
    body.append(b"0123456789")
    body.close()
    body.close()
    assert room.left == 10
