"""Bundles over HTTP, and many clients at once: nobody sees an error."""

from __future__ import annotations

import hashlib
from concurrent.futures import ThreadPoolExecutor

import pytest
from ZPublisher.HTTPRequest import HTTPRequest

from support.push import TUS, metadata, push, tar

CLIENTS = 8


@pytest.fixture
def location(server) -> str:
    """URL of a push that has started."""
    server.request("PUT", "/data-sets/brain")
    return server.request("POST", "/data-sets/brain/ingestions").headers["Location"]


def digest(content: bytes) -> str:
    return f"sha-256:{hashlib.sha256(content).hexdigest()}"


def in_parallel(function, count: int = CLIENTS) -> list:
    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(function, range(count)))


@pytest.mark.parametrize(
    "media_type", ["application/x-tar", "application/x-www-form-urlencoded", "multipart/form-data"]
)
def test_bundle_tells_what_it_received_whatever_its_type_says(server, location, media_type):
    answer = server.request("POST", f"{location}/bundle", tar({"a": b"1", "b/c": b""}), {"Content-Type": media_type})
    assert answer.status == 200
    assert answer.data == {
        "received": [
            {"path": "a", "size": 1, "digest": digest(b"1")},
            {"path": "b/c", "size": 0, "digest": digest(b"")},
        ]
    }


def test_bundle_with_other_content_than_planned_is_422_and_leaves_nothing(server, location):
    planned = {"path": "b", "size": 1, "digest": digest(b"b"), "mtime": 1}
    server.request("POST", f"{location}/plan", {"files": [planned]})
    answer = server.request("POST", f"{location}/bundle", tar({"a": b"a", "b": b"x"}))
    assert (answer.status, answer.data["paths"]) == (422, ["b"])
    assert answer.data["detail"] == (
        "'b' is not what was planned: it has other content. If the file has changed, plan it again."
    )
    assert server.request("GET", location).data["received"] == {"file_count": 0, "size": 0}


@pytest.mark.parametrize("path", ["../a", "/a", "a\\b"])
def test_bundle_with_a_path_that_no_file_can_have_is_400(server, location, path):
    assert server.request("POST", f"{location}/bundle", tar({path: b"a"})).status == 400


def test_clients_that_push_into_one_data_set_at_once_all_succeed(server):
    server.request("PUT", "/data-sets/brain")
    results = in_parallel(
        lambda i: push(server, "brain", {f"{i}/{n}": b"%d %d" % (i, n) for n in range(20)}, f"push {i}")
    )
    assert sorted(result["version"] for result in results) == list(range(1, CLIENTS + 1))
    assert server.request("GET", "/data-sets/brain").data["file_count"] == CLIENTS * 20


def test_pushes_that_start_and_end_at_once_do_not_meet_in_the_catalogue(server, monkeypatch):
    tried_again = []
    retry = HTTPRequest.retry
    monkeypatch.setattr(HTTPRequest, "retry", lambda request: (tried_again.append(request), retry(request))[1])
    server.request("PUT", "/data-sets/brain")

    def work(i: int) -> None:
        for n in range(5):
            push(server, "brain", {f"{i}/{n}": b"%d" % n}, "")
            location = server.request("POST", "/data-sets/brain/ingestions").headers["Location"]
            assert server.request("DELETE", location).status == 204
            assert server.request("PUT", f"/data-sets/{i}-{n}", {"title": "T"}).status == 201
            assert server.request("PATCH", f"/data-sets/{i}-{n}", {"title": "U"}).status == 200
            assert server.request("POST", f"/data-sets/{i}-{n}/state", {"transition": "publish"}).status == 200
            assert server.request("DELETE", f"/data-sets/{i}-{n}").status == 204

    in_parallel(work)
    assert tried_again == []


def test_requests_of_one_push_at_once_all_succeed(server, location):
    content = b"0123456789" * 100

    def send(i: int) -> list[int]:
        creation = {**TUS, "Upload-Length": str(len(content)), "Upload-Metadata": metadata(path=f"large/{i}")}
        answers = [
            server.request("POST", f"{location}/bundle", tar({f"small/{i}": b"%d" % i})),
            server.request("POST", f"{location}/uploads", content, creation),
            server.request("POST", f"{location}/plan", {"removed": [f"old/{i}"]}),
        ]
        return [answer.status for answer in answers]

    assert in_parallel(send) == [[200, 201, 200]] * CLIENTS
    assert server.request("GET", location).data["received"]["file_count"] == 2 * CLIENTS
    assert server.request("POST", f"{location}/stop").data["added"] == 2 * CLIENTS


def test_data_set_made_by_many_at_once_is_made_once(server):
    statuses = in_parallel(lambda i: server.request("PUT", "/data-sets/brain").status)
    assert sorted(statuses) == [200] * (CLIENTS - 1) + [201]


def test_data_sets_and_tokens_made_at_once_are_all_made(server):
    def make(i: int) -> list[int]:
        made = server.request("PUT", f"/data-sets/{i}"), server.request("POST", "/tokens", {"title": str(i)})
        return [answer.status for answer in made]

    assert in_parallel(make) == [[201, 201]] * CLIENTS


def test_stops_of_one_push_at_once_give_one_answer(server, location):
    server.request("POST", f"{location}/bundle", tar({"a": b"a"}))
    answers = in_parallel(lambda i: server.request("POST", f"{location}/stop").data, 4)
    assert answers == [{"version": 1, "added": 1, "modified": 0, "removed": 0}] * 4
