"""Each method sends what the protocol says, page by page where there is much."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from ebulk.errors import EbulkError, NotFoundError, UsageError
from ebulk.model import DataSetInfo, FileEntry, Ingestion, StopResult
from ebulk.protocol import PLAN_LENGTH
from ebulk.remote.credentials import Bearer
from ebulk.remote.documents import User
from ebulk.remote.lake import Lake, file_path
from support.scripted_server import Answer, Request, document, problem, reply, scripted, scripted_server

DIGEST = "sha-256:" + "0" * 64
DATA_SET = {"reference": "brain", "title": "Brain", "state": "draft", "version": 2, "size": 7, "file_count": 1}
VERSION = {
    "number": 2,
    "date": "2026-11-22T10:06:00Z",
    "author": "ada",
    "message": "first",
    "added": 1,
    "modified": 0,
    "removed": 0,
    "size": 7,
    "file_count": 1,
}
INGESTION = {"data_set": "brain", "id": "i/1", "state": "started", "base_version": 2, "uploads": [], "result": None}
UNDER_WAY = Ingestion("brain", "i/1", "started", 2, (), None)


def item(path: str) -> dict[str, object]:
    return {"path": path, "size": 1, "digest": DIGEST, "mtime": 1, "mode": "100644"}


def asked(ask: Callable[[Lake], object], *answers: Answer) -> tuple[object, list[Request]]:
    """What a lake that gives these answers makes of a call, and the requests it got."""
    with scripted(*answers) as server:
        lake = Lake(server.url + "/", Bearer("t"), backoff=lambda failures: 0.0, stall_timeout=5.0)
        result = ask(lake)
        lake.close()
        return result, server.requests


def sent(request: Request) -> tuple[str, str, object]:
    return request.method, request.target, request.document if request.body else None


def test_service_must_be_a_lake():
    service = {"name": "wendelin", "api": "v1"}
    assert asked(Lake.service, document(service))[0] == service
    with pytest.raises(EbulkError, match="it answers JSON of something else"):
        asked(Lake.service, document({"name": "other"}))


def test_user_is_who_the_lake_takes_us_for():
    user, requests = asked(Lake.user, document({"name": "ada", "roles": ["Contributor"]}))
    assert user == User("ada", ("Contributor",))
    assert sent(requests[0]) == ("GET", "/user", None)


def test_token_is_created_and_removed():
    result, requests = asked(lambda lake: lake.create_token("laptop"), document({"id": "1", "token": "x"}, 201))
    assert result == ("1", "x")
    assert sent(requests[0]) == ("POST", "/tokens", {"title": "laptop"})
    assert sent(asked(lambda lake: lake.remove_token("1"), reply(204))[1][0]) == ("DELETE", "/tokens/1", None)


def test_data_set_is_read_and_created_by_its_quoted_reference():
    expected = DataSetInfo("brain", "Brain", "draft", 2, 7, 1)
    result, requests = asked(lambda lake: lake.data_set("über 50%"), document(DATA_SET))
    assert result == expected
    assert sent(requests[0]) == ("GET", "/data-sets/%C3%BCber%2050%25", None)
    for status in (200, 201):
        result, requests = asked(lambda lake: lake.create_data_set("brain", "Brain"), document(DATA_SET, status))
        assert result == expected
        assert sent(requests[0]) == ("PUT", "/data-sets/brain", {"title": "Brain"})


@pytest.mark.parametrize("reference", ["", ".", ".."])
def test_reference_that_would_be_another_url_is_a_usage_error(reference):
    with pytest.raises(UsageError) as raised:
        Lake("http://lake.example/erp5").data_set(reference)
    assert str(raised.value) == f"{reference!r} cannot be a name in a lake."


def test_path_of_a_file_is_quoted_by_segment():
    assert file_path("a/b", "c d/ä?.txt") == "/data-sets/a%2Fb/files/c%20d/%C3%A4%3F.txt"


def test_data_set_that_is_not_there_is_not_found():
    with pytest.raises(NotFoundError, match="There is no data set brain"):
        asked(lambda lake: lake.data_set("brain"), problem(404, "There is no data set brain."))


def test_versions_are_read_page_by_page():
    pages = document({"items": [VERSION], "next": "c&1"}), document({"items": [{**VERSION, "number": 1}], "next": None})
    result, requests = asked(lambda lake: [version.number for version in lake.versions("brain")], *pages)
    assert result == [2, 1]
    assert [request.target for request in requests] == [
        "/data-sets/brain/versions",
        "/data-sets/brain/versions?cursor=c%261",
    ]


def test_manifest_is_read_page_by_page_on_one_version():
    pages = (
        document({"version": 7, "items": [item("a"), item("b")], "next": "c"}),
        document({"version": 7, "items": [item("c")], "next": None}),
    )

    def ask(lake: Lake) -> object:
        version, entries = lake.manifest("brain", prefix="sub/ä")
        return version, [entry.path for entry in entries]

    result, requests = asked(ask, *pages)
    assert result == (7, ["a", "b", "c"])
    assert [request.target for request in requests] == [
        "/data-sets/brain/manifest?limit=10000&prefix=sub%2F%C3%A4",
        "/data-sets/brain/manifest?limit=10000&prefix=sub%2F%C3%A4&cursor=c",
    ]


def test_manifest_of_an_older_version_names_it():
    page = document({"version": 3, "items": [], "next": None})
    (version, _), requests = asked(lambda lake: lake.manifest("brain", 3), page)
    assert version == 3
    assert requests[0].target == "/data-sets/brain/manifest?limit=10000&version=3"


def test_list_whose_cursor_does_not_move_is_refused():
    with pytest.raises(EbulkError, match="a list without an end"):
        asked(lambda lake: list(lake.versions("brain")), document({"items": [], "next": "again"}))


def test_ingestion_starts_on_a_base_version_or_on_the_newest():
    result, requests = asked(lambda lake: lake.start_ingestion("brain", "scans", 2), document(INGESTION, 201))
    assert result == UNDER_WAY
    assert sent(requests[0]) == ("POST", "/data-sets/brain/ingestions", {"message": "scans", "base_version": 2})
    _, requests = asked(lambda lake: lake.start_ingestion("brain", "scans", None), document(INGESTION, 201))
    assert requests[0].document == {"message": "scans"}


def test_ingestion_is_read_stopped_and_cancelled():
    result, requests = asked(lambda lake: lake.ingestion("brain", "i/1"), document(INGESTION))
    assert result == UNDER_WAY
    assert sent(requests[0]) == ("GET", "/data-sets/brain/ingestions/i%2F1", None)
    stopped = document({"version": 3, "added": 1, "modified": 0, "removed": 2})
    result, requests = asked(lambda lake: lake.stop(UNDER_WAY), stopped)
    assert result == StopResult(3, 1, 0, 2)
    assert sent(requests[0]) == ("POST", "/data-sets/brain/ingestions/i%2F1/stop", None)
    _, requests = asked(lambda lake: lake.stop(UNDER_WAY, 2), stopped)
    assert sent(requests[0]) == ("POST", "/data-sets/brain/ingestions/i%2F1/stop", {"base_version": 2})
    _, requests = asked(lambda lake: lake.cancel(UNDER_WAY), reply(204))
    assert sent(requests[0]) == ("DELETE", "/data-sets/brain/ingestions/i%2F1", None)


def test_plan_sends_moves_before_files_with_exact_times():
    entry = FileEntry('q"ä', 5, DIGEST, 1_700_000_000_123_456_789, "100755")
    answers = document({"missing": []}), document({"missing": []}), document({"missing": ['q"ä']})
    result, requests = asked(lambda lake: lake.plan(UNDER_WAY, [entry], ["old"], [("from", "to")]), *answers)
    assert result == {'q"ä'}
    assert [request.target for request in requests] == ["/data-sets/brain/ingestions/i%2F1/plan"] * 3
    bodies = [json.loads(request.body, parse_float=str) for request in requests]
    assert bodies == [
        {"renamed": [{"from": "from", "to": "to"}]},
        {"removed": ["old"]},
        {"files": [{"path": 'q"ä', "size": 5, "digest": DIGEST, "mtime": "1700000000.123456789", "mode": "100755"}]},
    ]


def test_plan_of_many_files_goes_in_several_requests_of_which_all_missing_paths_count():
    files = [FileEntry(f"f{number}", 1, DIGEST, number) for number in range(2 * PLAN_LENGTH + 1)]

    def answer(request: Request) -> Answer:
        return document({"missing": [request.document["files"][0]["path"]]})

    with scripted_server(answer) as server:
        missing = Lake(server.url).plan(UNDER_WAY, files)
        assert [len(request.document["files"]) for request in server.requests] == [PLAN_LENGTH, PLAN_LENGTH, 1]
    assert missing == {"f0", f"f{PLAN_LENGTH}", f"f{2 * PLAN_LENGTH}"}


def test_plan_of_nothing_asks_nothing():
    result, requests = asked(lambda lake: lake.plan(UNDER_WAY, []), document({"missing": []}))
    assert (result, requests) == (set(), [])
