"""Lists in pages."""

from __future__ import annotations

import base64
from urllib.parse import quote

import pytest

from Products.ERP5Wendelin.errors import BadInput
from Products.ERP5Wendelin.views.paging import decode_cursor, encode_cursor, limit_of, page, version_of
from Products.ERP5Wendelin.views.query import Query

BAD_CURSOR = "^The cursor is not one that this list gave. Pass what `next` had, unchanged, or begin without one.$"


def query(cursor: str) -> Query:
    return Query(f"cursor={quote(cursor)}")


def test_cursor_gives_the_position_back():
    assert decode_cursor(query(encode_cursor(3, "naïve/€.txt")), int, str) == (3, "naïve/€.txt")


def test_without_a_cursor_there_is_no_position():
    assert decode_cursor(Query(""), str) is None


@pytest.mark.parametrize(
    "cursor",
    [
        "x",
        "no base64!",
        "é".encode().decode("latin-1"),
        encode_cursor("a", 3),
        encode_cursor(3),
        encode_cursor(True, "a"),
        encode_cursor(-1, "a"),
        encode_cursor(2**31, "a"),
        base64.urlsafe_b64encode(b"[" * 5000).decode(),
        base64.urlsafe_b64encode(b"\xff\xff\xff").decode(),
    ],
)
def test_cursor_of_someone_else_is_refused(cursor):
    with pytest.raises(BadInput, match=BAD_CURSOR):
        decode_cursor(query(cursor), int, str)


def test_page_has_a_cursor_only_when_there_is_more():
    assert page(iter("abc"), 3, str.upper, str) == {"items": ["A", "B", "C"], "next": None}
    assert page(iter("abcd"), 3, str.upper, str) == {"items": ["A", "B", "C"], "next": encode_cursor("c")}


def test_limit_is_100_unless_given():
    assert limit_of(Query("")) == 100
    assert limit_of(Query("limit=10000")) == 10_000


def test_limit_above_ten_thousand_is_refused():
    with pytest.raises(BadInput, match=r"^limit must be a whole number from 1 to 10000.$"):
        limit_of(Query("limit=10001"))


def test_version_that_no_tree_could_hold_is_refused():
    with pytest.raises(BadInput, match=r"^version must be a whole number from 1 to 2147483647.$"):
        version_of(Query("version=2147483648"))
