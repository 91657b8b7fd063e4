"""Pushes: started, planned, stopped, cancelled, found again."""

from __future__ import annotations

import hashlib
import time

import pytest

EMPTY = f"sha-256:{hashlib.sha256().hexdigest()}"
BAD_DIGEST = "digest must be 'sha-256:' and 64 hexadecimal digits in lower case."
BAD_MTIME = "mtime must be seconds since 1970 with at most nine decimals, between the years 1678 and 2262."
DIGEST = f"sha-256:{hashlib.sha256(b'a').hexdigest()}"


@pytest.fixture
def ingestions(server) -> str:
    """Path of the ingestions of a fresh data set."""
    server.request("PUT", "/data-sets/brain")
    return "/data-sets/brain/ingestions"


@pytest.fixture
def push(server, ingestions) -> str:
    """URL of a push that has started."""
    return server.request("POST", ingestions, {"message": "first scans"}).headers["Location"]


def test_push_begins_with_what_it_is_told(server, ingestions):
    answer = server.request("POST", ingestions, {"message": "first scans"})
    data = answer.data
    assert answer.status == 201
    assert answer.headers["Location"] == f"{server.api}{ingestions}/{data['id']}"
    assert data.pop("created") <= data.pop("modified") < data.pop("expires")
    assert data == {
        "id": data["id"],
        "data_set": "brain",
        "state": "started",
        "base_version": 0,
        "message": "first scans",
        "author": "ada",
        "received": {"file_count": 0, "size": 0},
        "uploads": [],
        "result": None,
    }


@pytest.mark.parametrize(
    ("body", "status", "detail"),
    [
        ({"base_version": 7}, 404, "There is no version 7; the newest is 0."),
        ({"base_version": 2**62}, 404, f"There is no version {2**62}; the newest is 0."),
        ({"base_version": -1}, 400, "base_version must be a whole number from 0."),
        ({"base_version": "1"}, 400, "base_version must be a whole number."),
        ({"message": 1}, 400, "message must be text."),
    ],
)
def test_push_that_can_not_begin_says_why(server, ingestions, body, status, detail):
    answer = server.request("POST", ingestions, body)
    assert (answer.status, answer.data["detail"]) == (status, detail)


def test_plan_answers_what_is_missing(server, push):
    plan = {
        "files": [
            {"path": "a", "size": 1, "digest": DIGEST, "mtime": 1700000000.123456789, "mode": "100644"},
            {"path": "empty", "size": 0, "digest": EMPTY, "mtime": 1, "mode": "100755"},
        ],
        "removed": ["b"],
    }
    answer = server.request("POST", f"{push}/plan", plan)
    assert (answer.status, answer.data) == (200, {"missing": ["a"]})


def test_empty_plan_is_fine(server, push):
    assert server.request("POST", f"{push}/plan").data == {"missing": []}


def file(**changes) -> dict:
    return {"path": "a", "size": 1, "digest": DIGEST, "mtime": 1, "mode": "100644", **changes}


@pytest.mark.parametrize(
    ("plan", "status", "detail"),
    [
        ([], 400, "The body must be a JSON object."),
        ({"files": [file(path=None)]}, 400, "files[0].path is missing; it must be text."),
        ({"files": [file(), file(size="1")]}, 400, "files[1].size must be a whole number."),
        ({"files": [file(size=-1)]}, 400, "files[0].size must be a whole number from 0."),
        ({"files": [file(digest="md5:a")]}, 400, f"files[0].{BAD_DIGEST}"),
        ({"files": [file(mtime="1")]}, 400, "files[0].mtime must be a number."),
        ({"files": [file(mtime=True)]}, 400, "files[0].mtime must be a number."),
        ({"files": [file(mtime=1e300)]}, 400, f"files[0].{BAD_MTIME}"),
        ({"files": [file(mode="0644")]}, 400, "files[0].mode must be one of 100644, 100755, 120000, 040000."),
        ({"files": [file(path="../a")]}, 400, "The path '../a' has the segment '..', which no file can be named."),
        ({"files": [file(path="\ud800")]}, 400, "files[0].path is not valid Unicode."),
        ({"removed": ["/etc"]}, 400, "The path '/etc' begins with '/'; paths are relative to the data set."),
        ({"removed": [1]}, 400, "removed[0] must be text."),
        ({"removed": ["\ud800"]}, 400, "The path '\\ud800' is not valid Unicode."),
        ({"renamed": [{"from": "a"}]}, 400, "renamed[0].to is missing; it must be text."),
        ({"renamed": [{"from": "a", "to": "b"}]}, 400, "Version 0 of 'brain' has no file 'a' to rename."),
    ],
)
def test_plan_that_can_not_be_is_refused_naming_the_member(server, push, plan, status, detail):
    answer = server.request("POST", f"{push}/plan", plan)
    assert (answer.status, answer.data["detail"]) == (status, detail)


def test_plan_of_more_than_ten_thousand_files_is_413(server, push):
    answer = server.request("POST", f"{push}/plan", {"files": [{}] * 10_001})
    assert answer.status == 413
    assert answer.data["detail"] == "A plan may name at most 10000 files; this one has 10001. Send several."


def test_plan_of_ten_thousand_files_takes_no_longer_than_a_second_or_two(server, push):
    digests = (hashlib.sha256(str(i).encode()).hexdigest() for i in range(10_000))
    files = [file(path=f"scans/{i:05}.nii", digest=f"sha-256:{digest}") for i, digest in enumerate(digests)]
    began = time.monotonic()
    answer = server.request("POST", f"{push}/plan", {"files": files})
    assert len(answer.data["missing"]) == 10_000
    assert time.monotonic() - began < 5  # seconds; 1 on an idle machine


def test_stop_commits_and_is_the_same_when_repeated(server, push):
    server.request("POST", f"{push}/plan", {"files": [file(size=0, digest=EMPTY, mtime=1.5)]})
    result = {"version": 1, "added": 1, "modified": 0, "removed": 0}
    for _ in range(2):
        answer = server.request("POST", f"{push}/stop")
        assert (answer.status, answer.data) == (200, result)
    stopped = server.request("GET", push).data
    assert (stopped["state"], stopped["result"]) == ("stopped", result)
    assert server.request("GET", "/data-sets/brain").data["state"] == "validated"
    (row,) = server.request("GET", "/data-sets/brain/manifest").data["items"]
    assert row == {"path": "a", "size": 0, "digest": EMPTY, "mtime": 1.5, "mode": "100644"}


def test_stop_without_changes_makes_no_version(server, push):
    assert server.request("POST", f"{push}/stop").data == {"version": 0, "added": 0, "modified": 0, "removed": 0}
    assert server.request("GET", "/data-sets/brain/versions").data["items"] == []


def test_stop_before_all_has_arrived_is_422_with_what_is_missing(server, push):
    server.request("POST", f"{push}/plan", {"files": [file()]})
    answer = server.request("POST", f"{push}/stop")
    assert (answer.status, answer.data["missing"]) == (422, ["a"])
    assert answer.data["detail"] == "1 file is planned and not here yet, such as 'a'. Send them, then stop again."


def test_stop_over_what_another_push_changed_is_409_with_paths_and_version(server, ingestions):
    pushes = [server.request("POST", ingestions).headers["Location"] for _ in range(2)]
    for push, mode in zip(pushes, ["100644", "100755"], strict=True):
        server.request("POST", f"{push}/plan", {"files": [file(size=0, digest=EMPTY, mode=mode)]})
    assert server.request("POST", f"{pushes[0]}/stop").status == 200
    answer = server.request("POST", f"{pushes[1]}/stop")
    assert (answer.status, answer.data["paths"], answer.data["version"]) == (409, ["a"], 1)
    assert server.request("GET", "/data-sets/brain").data["version"] == 1


def test_stop_on_top_of_a_newer_version_commits_what_was_in_conflict(server, ingestions):
    pushes = [server.request("POST", ingestions).headers["Location"] for _ in range(2)]
    for push, mode in zip(pushes, ["100644", "100755"], strict=True):
        server.request("POST", f"{push}/plan", {"files": [file(size=0, digest=EMPTY, mode=mode)]})
    server.request("POST", f"{pushes[0]}/stop")
    assert server.request("POST", f"{pushes[1]}/stop", {"base_version": 0}).status == 409
    answer = server.request("POST", f"{pushes[1]}/stop", {"base_version": 1})
    assert (answer.status, answer.data) == (200, {"version": 2, "added": 0, "modified": 1, "removed": 0})
    assert server.request("GET", pushes[1]).data["base_version"] == 1
    assert server.request("POST", f"{pushes[1]}/stop", {"base_version": 0}).data == answer.data


@pytest.mark.parametrize(
    ("base_version", "status", "detail"),
    [
        (7, 404, "There is no version 7; the newest is 0."),
        (-1, 400, "base_version must be a whole number from 0."),
    ],
)
def test_stop_on_top_of_a_version_that_there_is_not_is_refused(server, push, base_version, status, detail):
    answer = server.request("POST", f"{push}/stop", {"base_version": base_version})
    assert (answer.status, answer.data["detail"]) == (status, detail)
    assert server.request("GET", push).data["state"] == "started"


def test_cancelled_push_leaves_nothing(server, push):
    assert server.request("DELETE", push).status == 204
    assert server.request("DELETE", push).status == 204
    assert server.request("GET", push).data["state"] == "cancelled"
    answer = server.request("POST", f"{push}/stop")
    assert (answer.status, answer.data["state"]) == (409, "cancelled")


def test_stopped_push_can_not_be_cancelled(server, push):
    server.request("POST", f"{push}/stop")
    answer = server.request("DELETE", push)
    assert (answer.status, answer.data["state"]) == (409, "stopped")


def test_pushes_of_others_are_seen_by_managers_only(server, ingestions, push):
    for user, seen in (("ada", True), ("eve", False), ("boss", True)):
        assert server.request("GET", push, user=user).status == (200 if seen else 404)
        listed = server.request("GET", f"{ingestions}?state=started", user=user).data["items"]
        assert len(listed) == seen
    answer = server.request("POST", f"{push}/stop", user="eve")
    identity = push.rpartition("/")[2]
    assert answer.status == 404
    assert answer.data["detail"] == (
        f"'brain' has no ingestion '{identity}' of yours. It may have expired: start another."
    )


def test_push_of_another_data_set_is_404(server, push):
    server.request("PUT", "/data-sets/heart")
    assert server.request("GET", push.replace("brain", "heart")).status == 404


def test_list_of_pushes_is_by_state_in_pages(server, ingestions, push):
    for _ in range(2):
        server.request("POST", ingestions)
    server.request("DELETE", push)
    first = server.request("GET", f"{ingestions}?state=started&limit=1").data
    second = server.request("GET", f"{ingestions}?state=started&limit=1&cursor={first['next']}").data
    assert {item["state"] for item in first["items"] + second["items"]} == {"started"}
    assert first["items"] != second["items"]
    assert second["next"] is None
    assert len(server.request("GET", ingestions).data["items"]) == 3


def test_list_of_an_unknown_state_is_400(server, ingestions):
    answer = server.request("GET", f"{ingestions}?state=lost")
    assert (answer.status, answer.data["detail"]) == (400, "state must be one of started, stopped, cancelled.")


@pytest.mark.parametrize(("user", "status"), [("dan", 403), (None, 401)])
def test_who_may_only_read_may_not_push(server, ingestions, push, user, status):
    server.request("POST", "/data-sets/brain/state", {"transition": "publish"})
    for method, path in [("POST", ingestions), ("GET", ingestions), ("GET", push), ("POST", f"{push}/stop")]:
        assert server.request(method, path, user=user).status == status


def test_versions_tell_what_each_push_changed(server, ingestions):
    for number, path in enumerate(["a", "b", "c"], 1):
        push = server.request("POST", ingestions, {"message": f"push {number}"}).headers["Location"]
        server.request("POST", f"{push}/plan", {"files": [file(path=path, size=0, digest=EMPTY)]})
        server.request("POST", f"{push}/stop")
    first = server.request("GET", "/data-sets/brain/versions?limit=2").data
    second = server.request("GET", f"/data-sets/brain/versions?limit=2&cursor={first['next']}").data
    versions = first["items"] + second["items"]
    assert [version["number"] for version in versions] == [3, 2, 1]
    assert second["next"] is None
    newest = versions[0]
    assert newest.pop("date").endswith("Z")
    assert newest == {
        "number": 3,
        "author": "ada",
        "message": "push 3",
        "added": 1,
        "modified": 0,
        "removed": 0,
        "size": 0,
        "file_count": 3,
    }
