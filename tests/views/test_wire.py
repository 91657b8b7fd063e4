"""Values on the wire: written and read back exactly, or refused with the member's name."""

from __future__ import annotations

import json
from datetime import datetime, timezone
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from Products.ERP5Wendelin.errors import BadInput
from Products.ERP5Wendelin.views import wire

MTIMES = st.integers(-(2**63) + 1, 2**63 - 1)
BAD_MTIME = "mtime must be seconds since 1970 with at most nine decimals, between the years 1678 and 2262."


@given(MTIMES)
def test_mtime_as_a_json_number_comes_back_exactly(mtime_ns):
    text = wire.format_mtime(mtime_ns)
    assert wire.parse_mtime(json.loads(text, parse_float=Decimal)) == mtime_ns


@given(MTIMES)
def test_mtime_as_text_comes_back_exactly(mtime_ns):
    assert wire.parse_mtime_text(wire.format_mtime(mtime_ns)) == mtime_ns


@pytest.mark.parametrize(
    ("mtime_ns", "text"),
    [
        (0, "0"),
        (1700000000123456789, "1700000000.123456789"),
        (1700000000500000000, "1700000000.5"),
        (1700000000000000000, "1700000000"),
        (1, "0.000000001"),
        (-1, "-0.000000001"),
        (-1500000000, "-1.5"),
    ],
)
def test_mtime_has_as_many_decimals_as_it_takes(mtime_ns, text):
    assert wire.format_mtime(mtime_ns) == text


@pytest.mark.parametrize("text", ["1e999999999", "1E+19", "0.0000000001", "9223372037", "-9223372037", "1e-10", "0e99"])
def test_mtime_that_is_no_count_of_nanoseconds_is_refused(text):
    with pytest.raises(BadInput, match=BAD_MTIME):
        wire.parse_mtime(json.loads(text, parse_float=Decimal))


@pytest.mark.parametrize("text", ["", "yesterday", "1e9", "1.", ".5", "+1", "1.0000000001", "٣", "1700000000\n"])
def test_mtime_text_of_another_form_is_refused(text):
    with pytest.raises(BadInput, match=BAD_MTIME):
        wire.parse_mtime_text(text)


@given(st.binary(min_size=32, max_size=32))
def test_digest_comes_back(digest):
    assert wire.parse_digest(wire.format_digest(digest)) == digest


@pytest.mark.parametrize(
    "text",
    ["", "a" * 64, "md5:" + "a" * 32, "sha-256:" + "A" * 64, "sha-256:" + "a" * 63, "sha-256:" + "a" * 64 + "\n"],
)
def test_digest_of_another_form_is_refused(text):
    with pytest.raises(
        BadInput, match=r"^files\[3\].digest must be 'sha-256:' and 64 hexadecimal digits in lower case.$"
    ):
        wire.parse_digest(text, "files[3].digest")


def test_mode_that_git_does_not_know_is_refused():
    with pytest.raises(BadInput, match=r"^mode must be one of 100644, 100755, 120000, 040000.$"):
        wire.parse_mode("0644")


def test_dates_are_in_utc_to_the_second():
    date = datetime(2026, 11, 22, 10, 6, 0, 999, timezone.utc)
    assert wire.format_date(date) == "2026-11-22T10:06:00Z"
    assert wire.format_http_date(date) == "Sun, 22 Nov 2026 10:06:00 GMT"


@given(st.text(), st.integers(0, 2**63), st.binary(min_size=32, max_size=32), MTIMES)
def test_manifest_row_is_json(path, size, digest, mtime_ns):
    row = json.loads(wire.format_entry(path, size, digest, mtime_ns, "100644"), parse_float=Decimal)
    assert row == {
        "path": path,
        "size": size,
        "digest": wire.format_digest(digest),
        "mtime": Decimal(mtime_ns) / 10**9,
        "mode": "100644",
    }


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("scan 1.nii", 'attachment; filename="scan 1.nii"'),
        ('a"b', "attachment; filename=\"a_b\"; filename*=UTF-8''a%22b"),
        ("50%.txt", "attachment; filename=\"50_.txt\"; filename*=UTF-8''50%25.txt"),
        ("naïve €.txt", "attachment; filename=\"na_ve _.txt\"; filename*=UTF-8''na%C3%AFve%20%E2%82%AC.txt"),
    ],
)
def test_file_name_in_content_disposition_is_ascii_with_the_true_name_beside_it(name, value):
    assert wire.content_disposition(name) == value
