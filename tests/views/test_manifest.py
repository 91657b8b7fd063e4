"""Which files a version has: pages, prefixes, versions, exact times, and speed."""

from __future__ import annotations

import json
import time
from decimal import Decimal

import pytest
import transaction
from BTrees.OOBTree import OOBTree

from Products.ERP5Wendelin.content.base import now
from Products.ERP5Wendelin.content.entry import Entry
from support.push import push

BAD_CURSOR = "The cursor is not one that this list gave. Pass what `next` had, unchanged, or begin without one."
MANIFEST = "/data-sets/brain/manifest"


def paths(answer) -> list[str]:
    return [row["path"] for row in answer.data["items"]]


def test_rows_tell_all_of_a_file_exactly(server):
    push(server, "brain", {"a": b"a"})
    data = json.loads(server.request("GET", MANIFEST).body, parse_float=Decimal)
    (row,) = data.pop("items")
    assert data == {"version": 1, "next": None}
    assert row["digest"] == "sha-256:ca978112ca1bbdcafac231b39a23dc4da786eff8147c4e72b9807785afee48bb"
    assert (row["path"], row["size"], row["mode"]) == ("a", 1, "100644")
    assert abs(row["mtime"] - Decimal("1700000000.123456789")) < Decimal("0.000001")  # tarfile writes a float


def test_new_data_set_has_no_files(server):
    server.request("PUT", "/data-sets/brain")
    assert server.request("GET", MANIFEST).data == {"version": 0, "items": [], "next": None}


def test_rows_come_by_code_points_in_pages(server):
    push(server, "brain", dict.fromkeys(["b", "a/b", "a.b", "é", "脳", "Z"], b""))
    found, cursor = [], ""
    while cursor is not None:
        answer = server.request("GET", f"{MANIFEST}?limit=4&cursor={cursor}")
        found += paths(answer)
        cursor = answer.data["next"]
    assert found == ["Z", "a.b", "a/b", "b", "é", "脳"]


def test_prefix_is_one_of_the_text(server):
    push(server, "brain", dict.fromkeys(["a", "ab/c", "ab/d", "b"], b""))
    assert paths(server.request("GET", f"{MANIFEST}?prefix=ab")) == ["ab/c", "ab/d"]
    assert paths(server.request("GET", f"{MANIFEST}?prefix=ab/d")) == ["ab/d"]
    first = server.request("GET", f"{MANIFEST}?prefix=ab&limit=1")
    second = server.request("GET", f"{MANIFEST}?prefix=ab&limit=1&cursor={first.data['next']}")
    assert (paths(second), second.data["next"]) == (["ab/d"], None)


def test_cursor_stays_on_the_version_of_the_first_page(server):
    push(server, "brain", dict.fromkeys("abc", b""))
    first = server.request("GET", f"{MANIFEST}?limit=2")
    push(server, "brain", {"d": b""})
    second = server.request("GET", f"{MANIFEST}?limit=2&cursor={first.data['next']}")
    assert (second.data["version"], paths(second)) == (1, ["c"])
    assert paths(server.request("GET", f"{MANIFEST}?version=1")) == ["a", "b", "c"]
    assert paths(server.request("GET", MANIFEST)) == ["a", "b", "c", "d"]


@pytest.mark.parametrize(
    ("query", "status", "detail"),
    [
        ("version=2", 404, "There is no version 2; the newest is 1."),
        ("version=x", 400, "version must be a whole number from 1 to 2147483647."),
        ("version=99999999999", 400, "version must be a whole number from 1 to 2147483647."),
        ("limit=10001", 400, "limit must be a whole number from 1 to 10000."),
        ("cursor=x", 400, BAD_CURSOR),
    ],
)
def test_manifest_that_there_is_not_says_why(server, query, status, detail):
    push(server, "brain", {"a": b""})
    answer = server.request("GET", f"{MANIFEST}?{query}")
    assert (answer.status, answer.data["detail"]) == (status, detail)


def test_ten_thousand_rows_are_made_in_a_fraction_of_a_second(server, lake):
    with lake.open() as site:
        data_set = site.data_set_module.newDataSet("brain")
        entries = OOBTree()
        for i in range(10_000):
            entries[f"scans/{i:06}.nii"] = tuple(Entry(None, 0, 0, bytes(32), 1700000000123456789 + i, "100644"))
        data_set.commit(entries, (), "ada", "", now())
        transaction.commit()
    server.request("GET", f"{MANIFEST}?limit=1")
    began = time.monotonic()
    answer = server.request("GET", f"{MANIFEST}?limit=10000")
    elapsed = time.monotonic() - began
    assert len(answer.data["items"]) == 10_000
    assert elapsed < 1  # 0.06 s on an idle machine
