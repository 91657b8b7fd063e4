"""RFC 9110 evaluated: ranges and preconditions, as tables."""

import pytest

from Products.ERP5Wendelin.download import ranges
from Products.ERP5Wendelin.errors import PreconditionFailed, RangeNotSatisfiable

ETAG = '"sha-256:aa"'
OTHER = '"sha-256:bb"'


@pytest.mark.parametrize(
    ("field", "size", "bounds"),
    [
        ("bytes=0-0", 10, (0, 1)),
        ("bytes=0-9", 10, (0, 10)),
        ("bytes=0-99", 10, (0, 10)),
        ("bytes=9-", 10, (9, 10)),
        ("bytes=0-", 10, (0, 10)),
        ("bytes=-3", 10, (7, 10)),
        ("bytes=-99", 10, (0, 10)),
        ("Bytes = 2-3", 10, (2, 4)),
        ("bytes=,2-3 ,", 10, (2, 4)),
        ("bytes=0-99999999999999999999999999999999", 10, (0, 10)),
        ("bytes=000000000000000000000000000000001-2", 10, (1, 3)),
        ("bytes=0-1,3-4", 10, None),
        ("bytes=3-2", 10, None),
        ("bytes=-", 10, None),
        ("bytes=", 10, None),
        ("bytes", 10, None),
        ("bytes=a-b", 10, None),
        ("bytes=1-2-3", 10, None),
        ("bytes=+1-2", 10, None),
        ("bytes=\u0661-\u0662", 10, None),
        ("items=0-1", 10, None),
        ("bytes=-5", 0, None),
    ],
)
def test_a_single_range_is_that_range_and_anything_else_is_the_whole(field, size, bounds):
    assert ranges.parse_range(field, size) == bounds


@pytest.mark.parametrize(
    ("field", "size"),
    [
        ("bytes=10-", 10),
        ("bytes=10-20", 10),
        ("bytes=-0", 10),
        ("bytes=0-", 0),
        ("bytes=0-0", 0),
        (f"bytes={'9' * 5000}-", 10),
    ],
)
def test_a_range_behind_the_end_is_refused_with_the_size(field, size):
    with pytest.raises(RangeNotSatisfiable, match=rf"begins behind the end: the content has {size} bytes") as caught:
        ranges.parse_range(field, size)
    assert caught.value.extra == {"size": size}


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({}, (200, 0, 10)),
        ({"byte_range": "bytes=2-4"}, (206, 2, 5)),
        ({"byte_range": "bytes=2-4", "method": "HEAD"}, (200, 0, 10)),
        ({"byte_range": "bytes=2-4", "if_range": ETAG}, (206, 2, 5)),
        ({"byte_range": "bytes=2-4", "if_range": OTHER}, (200, 0, 10)),
        ({"byte_range": "bytes=2-4", "if_range": f"W/{ETAG}"}, (200, 0, 10)),
        ({"byte_range": "bytes=2-4", "if_range": "Sun, 22 Nov 2026 10:00:00 GMT"}, (200, 0, 10)),
        ({"byte_range": "bytes=99-", "if_range": OTHER}, (200, 0, 10)),
        ({"if_none_match": ETAG}, (304, 0, 0)),
        ({"if_none_match": ETAG, "method": "HEAD"}, (304, 0, 0)),
        ({"if_none_match": f"W/{ETAG}"}, (304, 0, 0)),
        ({"if_none_match": f"{OTHER}, {ETAG}"}, (304, 0, 0)),
        ({"if_none_match": f"{OTHER},W/{ETAG}", "byte_range": "bytes=2-4"}, (304, 0, 0)),
        ({"if_none_match": "*"}, (304, 0, 0)),
        ({"if_none_match": OTHER, "byte_range": "bytes=2-4"}, (206, 2, 5)),
        ({"if_none_match": "garbage"}, (200, 0, 10)),
        ({"if_match": ETAG}, (200, 0, 10)),
        ({"if_match": f"{OTHER}, {ETAG}", "byte_range": "bytes=-1"}, (206, 9, 10)),
        ({"if_match": " * "}, (200, 0, 10)),
        ({"if_match": ETAG, "if_none_match": ETAG}, (304, 0, 0)),
    ],
)
def test_preconditions_and_ranges_select(fields, expected):
    selection = ranges.select(ETAG, 10, **fields)
    assert (selection.status, selection.start, selection.stop) == expected
    assert selection.length == expected[2] - expected[1]


@pytest.mark.parametrize("field", [OTHER, f"W/{ETAG}", "", "garbage"])
def test_if_match_without_the_strong_tag_is_refused(field):
    with pytest.raises(PreconditionFailed, match="not what If-Match names any more"):
        ranges.select(ETAG, 10, if_match=field)


def test_only_a_part_has_a_content_range():
    assert ranges.select(ETAG, 10, byte_range="bytes=2-4").content_range == "bytes 2-4/10"
    assert ranges.select(ETAG, 10).content_range is None
