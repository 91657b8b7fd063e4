"""Data sets: made, found, renamed, published, invalidated, each by who may."""

from __future__ import annotations

from datetime import datetime, timezone

import pytest


def references(answer) -> list[str]:
    return [item["reference"] for item in answer.data["items"]]


def in_state(server, reference: str, transition: str | None) -> None:
    assert server.request("PUT", f"/data-sets/{reference}").status == 201
    if transition:
        server.request("POST", f"/data-sets/{reference}/state", {"transition": transition})


def test_new_data_set_is_a_draft_at_its_location(server):
    answer = server.request("PUT", "/data-sets/brain", {"title": "Brain", "description": "Scans of brains."})
    assert answer.status == 201
    assert answer.headers["Location"] == f"{server.api}/data-sets/brain"
    data = answer.data
    created = datetime.fromisoformat(data.pop("created").replace("Z", "+00:00"))
    assert abs((datetime.now(timezone.utc) - created).total_seconds()) < 60
    assert data.pop("modified")
    assert data == {
        "reference": "brain",
        "title": "Brain",
        "description": "Scans of brains.",
        "state": "draft",
        "version": 0,
        "size": 0,
        "file_count": 0,
    }


def test_putting_again_is_200_and_changes_nothing(server):
    made = server.request("PUT", "/data-sets/brain", {"title": "Brain"})
    again = server.request("PUT", "/data-sets/brain", {"title": "Other"}, user="eve")
    assert (again.status, again.data) == (200, made.data)


@pytest.mark.parametrize(
    ("reference", "detail"),
    [
        ("..", "The reference '..' is a name that folders keep for themselves."),
        ("a%00b", "The reference 'a\\x00b' has a control character."),
        ("e%CC%81", "The reference 'e\u0301' is not in Unicode normal form C (NFC)."),
        ("%20a", "The reference ' a' begins or ends with white space."),
        ("a" * 201, f"The reference '{'a' * 119}… is longer than 200 characters."),
    ],
)
def test_bad_reference_is_400_saying_why(server, reference, detail):
    answer = server.request("PUT", f"/data-sets/{reference}")
    assert (answer.status, answer.data["detail"]) == (400, detail)


def test_reference_taken_by_what_one_may_not_see_is_409(server):
    in_state(server, "brain", "invalidate")
    answer = server.request("PUT", "/data-sets/brain")
    assert answer.status == 409
    assert answer.data["detail"] == (
        "The reference 'brain' is taken, by a data set that you may not see. Choose another."
    )


def test_patch_changes_what_it_names(server):
    server.request("PUT", "/data-sets/brain", {"title": "Brain", "description": "Scans."})
    answer = server.request("PATCH", "/data-sets/brain", {"title": "Brains"})
    assert answer.status == 200
    assert (answer.data["title"], answer.data["description"]) == ("Brains", "Scans.")


def test_patch_of_a_wrong_type_is_400(server):
    server.request("PUT", "/data-sets/brain")
    answer = server.request("PATCH", "/data-sets/brain", {"title": ["Brains"]})
    assert (answer.status, answer.data["detail"]) == (400, "title must be text.")


@pytest.mark.parametrize(
    ("transition", "readers"),
    [
        (None, {"ada", "eve", "boss"}),
        ("validate", {"ada", "eve", "dan", "boss"}),
        ("publish", {"ada", "eve", "dan", "boss", None}),
        ("invalidate", {"boss"}),
    ],
)
def test_state_says_who_sees_it(server, transition, readers):
    in_state(server, "brain", transition)
    for user in ("ada", "eve", "dan", "boss", None):
        seen = user in readers
        status = 200 if seen else 404 if user else 401
        for path in ("", "/manifest", "/versions"):
            assert server.request("GET", f"/data-sets/brain{path}", user=user).status == status
        assert references(server.request("GET", "/data-sets", user=user)) == (["brain"] if seen else [])


def test_what_one_may_not_see_is_told_apart_from_nothing_by_nobody(server):
    in_state(server, "secret", None)
    for user in ("dan", None):
        hidden = server.request("GET", "/data-sets/secret", user=user)
        missing = server.request("GET", "/data-sets/absent", user=user)
        assert hidden.status == missing.status
        assert hidden.data["detail"].replace("secret", "absent") == missing.data["detail"]
    assert hidden.data["detail"] == "There is no public data set 'secret'. Log in if you have an account."


def test_unknown_data_set_is_404_that_says_what_to_do(server):
    answer = server.request("GET", "/data-sets/absent")
    assert answer.status == 404
    assert answer.data["detail"] == "There is no data set 'absent' that you may see. Check the spelling."


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("PATCH", "/data-sets/brain", {"title": "Brains"}),
        ("DELETE", "/data-sets/brain", None),
        ("POST", "/data-sets/brain/state", {"transition": "invalidate"}),
    ],
)
def test_downloader_may_not_change_anything(server, method, path, body):
    in_state(server, "brain", "publish")
    answer = server.request(method, path, body, user="dan")
    assert answer.status == 403
    assert answer.data["detail"] == "You may not do this: it takes the role of contributor or manager."
    assert server.request(method, path, body, user=None).status == 401


def test_downloader_may_not_make_a_data_set(server):
    answer = server.request("PUT", "/data-sets/brain", user="dan")
    assert answer.status == 403
    assert answer.data["detail"] == "You may not do this: it takes the role of contributor or manager."


def test_transition_that_there_is_not_from_here_is_409(server):
    in_state(server, "brain", "publish")
    answer = server.request("POST", "/data-sets/brain/state", {"transition": "publish"})
    assert (answer.status, answer.data["state"]) == (409, "published")
    assert answer.data["detail"] == (
        "Data Set 'brain' is published: it is not possible to publish it. Possible: invalidate, validate."
    )


@pytest.mark.parametrize("transition", ["cancel", "", "edit"])
def test_unknown_transition_is_400(server, transition):
    in_state(server, "brain", None)
    answer = server.request("POST", "/data-sets/brain/state", {"transition": transition})
    assert (answer.status, answer.data["detail"]) == (
        400,
        "transition must be one of validate, publish, invalidate.",
    )


def test_delete_invalidates_and_may_be_repeated(server):
    in_state(server, "brain", None)
    assert server.request("DELETE", "/data-sets/brain").status == 204
    assert server.request("DELETE", "/data-sets/brain").status == 404
    assert server.request("DELETE", "/data-sets/brain", user="boss").status == 204
    assert server.request("GET", "/data-sets/brain", user="boss").data["state"] == "invalidated"


def test_list_is_by_reference_in_pages(server):
    for reference in ("c", "a", "b"):
        in_state(server, reference, None)
    first = server.request("GET", "/data-sets?limit=2")
    assert references(first) == ["a", "b"]
    second = server.request("GET", f"/data-sets?limit=2&cursor={first.data['next']}")
    assert (references(second), second.data["next"]) == (["c"], None)


def test_list_is_searched_by_words_and_state(server):
    server.request("PUT", "/data-sets/a", {"title": "Brains of mice"})
    server.request("PUT", "/data-sets/b", {"title": "Hearts of mice"})
    in_state(server, "c", "publish")
    assert references(server.request("GET", "/data-sets?search=mice+brain")) == ["a"]
    assert references(server.request("GET", "/data-sets?state=published")) == ["c"]
    assert references(server.request("GET", "/data-sets?search=mice&state=published")) == []


def test_list_of_an_unknown_state_is_400(server):
    answer = server.request("GET", "/data-sets?state=lost")
    assert answer.status == 400
    assert answer.data["detail"] == ("There is no state 'lost'. States are: draft, validated, published, invalidated.")


def test_service_tells_the_limits(server):
    assert server.request("GET", "/", user=None).data == {
        "name": "wendelin",
        "api": "v1",
        "version": "0.1.0",
        "small_file_size": 262144,
        "bundle_size": 67108864,
        "plan_length": 10000,
        "content_encodings": ["zstd", "gzip", "deflate"],
    }
