"""Which bytes a conditional or partial request gets: RFC 9110, sections 13 (preconditions) and 14 (ranges).

Pure functions over header texts. The validator is always a strong entity tag, made of the content's digest; so a date
in If-Range, which could hide two changes within a second, never matches, and the whole is sent. Several ranges,
a malformed one, or another unit are answered with the whole, as section 14.2 allows.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from Products.ERP5Wendelin.errors import PreconditionFailed, RangeNotSatisfiable

OK = 200
PARTIAL_CONTENT = 206
NOT_MODIFIED = 304

_ENTITY_TAG = re.compile(r'(W/)?("[^"]*")')
_BYTE_RANGE = re.compile(r"([0-9]*)-([0-9]*)")
_DIGITS_MAX = 19
"""More digits than those of 2**63 - 1: a position behind the end of any content."""


@dataclass(frozen=True)
class Selection:
    """What to answer: `status` 200, 206 or 304, and the bytes from `start` up to `stop` (none of them with 304)."""

    status: int
    start: int
    stop: int
    size: int

    @property
    def length(self) -> int:
        """Bytes the body has."""
        return self.stop - self.start

    @property
    def content_range(self) -> str | None:
        """The Content-Range field of a 206, None for other statuses."""
        if self.status != PARTIAL_CONTENT:
            return None
        return f"bytes {self.start}-{self.stop - 1}/{self.size}"


def select(
    etag: str,
    size: int,
    *,
    first: int = 0,
    method: str = "GET",
    byte_range: str | None = None,
    if_range: str | None = None,
    if_match: str | None = None,
    if_none_match: str | None = None,
) -> Selection:
    """What a GET or HEAD gets of a content of `size` bytes, whose strong entity tag is `etag` (quotes included).

    Of a content whose head was dropped the bytes from `first` on are there, at their old places. The order is that of
    section 13.2.2. PreconditionFailed (412) when If-Match does not hold; RangeNotSatisfiable (416), with `size` in its
    `extra`, when the range begins where there are no bytes.
    """
    if if_match is not None and not matches(if_match, etag, weak=False):
        raise PreconditionFailed("The content is not what If-Match names any more. Read it again without If-Match.")
    if if_none_match is not None and matches(if_none_match, etag, weak=True):
        return Selection(NOT_MODIFIED, 0, 0, size)
    whole = Selection(OK, first, size, size)
    if method != "GET" or byte_range is None:
        return whole
    if if_range is not None and if_range.strip() != etag:
        return whole
    bounds = parse_range(byte_range, size, first)
    return whole if bounds is None else Selection(PARTIAL_CONTENT, *bounds, size)


def matches(field: str, etag: str, *, weak: bool) -> bool:
    """Whether a list of entity tags, or `*`, has `etag`; by weak comparison (8.8.3.2) a tag marked W/ counts."""
    if field.strip() == "*":
        return True
    return any(tag == etag and (weak or not mark) for mark, tag in _ENTITY_TAG.findall(field))


def parse_range(field: str, size: int, kept: int = 0) -> tuple[int, int] | None:
    """Start and stop of the one range that a Range field names; None where the whole is to be sent.

    RangeNotSatisfiable: it begins behind the end, or before the first byte that is kept.
    """
    unit, _, ranges = field.partition("=")
    specs = [spec.strip() for spec in ranges.split(",") if spec.strip()]
    found = _BYTE_RANGE.fullmatch(specs[0]) if unit.strip().lower() == "bytes" and len(specs) == 1 else None
    if found is None or found.group() == "-":
        return None
    first, last = found.groups()
    if not first:
        return _suffix(_position(last), size, kept)
    start = _position(first)
    stop = _position(last) + 1 if last else size
    if last and stop <= start:
        return None
    if start >= size:
        raise _unsatisfiable(size)
    if start < kept:
        raise RangeNotSatisfiable(
            f"The range begins at byte {start}, which was dropped: the content begins at byte {kept} now.", size=size
        )
    return start, min(stop, size)


def _suffix(length: int, size: int, kept: int) -> tuple[int, int] | None:
    """The last `length` bytes; of an empty content there is no range to name in Content-Range, so the whole is sent."""
    if not length:
        raise _unsatisfiable(size)
    return (max(size - length, kept), size) if size > kept else None


def _position(digits: str) -> int:
    digits = digits.lstrip("0")
    return int(digits or "0") if len(digits) <= _DIGITS_MAX else 10**_DIGITS_MAX


def _unsatisfiable(size: int) -> RangeNotSatisfiable:
    return RangeNotSatisfiable(f"The range begins behind the end: the content has {size} bytes.", size=size)
