"""The audit trail: what was changed is told once it is committed, and who was refused; never a secret."""

from __future__ import annotations

import logging
import queue
from collections.abc import Iterator
from typing import Any

import pytest
from ZODB.POSException import ConflictError

from Products.ERP5Wendelin.event_log import AUDIT
from Products.ERP5Wendelin.storage.stream import ByteStream
from support.http_server import Server, basic
from support.site import PASSWORD

HOST = "127.0.0.1"
TIMEOUT = 60


class Trail(logging.Handler):
    """Keeps what the audit log is told."""

    def __init__(self) -> None:
        super().__init__()
        self._events: queue.Queue[dict[str, Any]] = queue.Queue()

    def emit(self, record: logging.LogRecord) -> None:
        self._events.put(dict(record.fields))

    def next(self) -> dict[str, Any]:
        """The next event; it is told before the request is answered."""
        return self._events.get_nowait()

    def is_all(self) -> bool:
        return self._events.empty()


@pytest.fixture
def trail() -> Iterator[Trail]:
    handler = Trail()
    AUDIT.addHandler(handler)
    yield handler
    AUDIT.removeHandler(handler)


def test_change_is_told_with_who_made_it_and_what_it_is(server: Server, trail: Trail) -> None:
    assert server.request("PUT", "/data-sets/a%20b?secret=1", {"title": "A"}).status == 201
    assert trail.next() == {
        "event": "change",
        "user": "ada",
        "host": HOST,
        "method": "PUT",
        "path": "/erp5/api/v1/data-sets/a%20b",
        "code": 201,
        "reference": "a b",
    }
    assert trail.is_all()


def test_change_that_names_what_it_is_of_in_the_query_is_told_with_that(server: Server, trail: Trail) -> None:
    url = f"{server.portal}/portal_ingestion_policies/default/ingest?reference=sensor.one&password=x"
    assert server.request("POST", url, b"\x92\x01\x80").status == 204
    event = trail.next()
    assert (event["event"], event["reference"], event["code"]) == ("change", "sensor.one", 204)
    assert event["path"] == "/erp5/portal_ingestion_policies/default/ingest"
    assert trail.is_all()


def test_what_only_reads_is_not_told(server: Server, trail: Trail) -> None:
    server.request("PUT", "/data-sets/brain")
    trail.next()
    assert server.request("GET", "/data-sets").status == 200
    assert server.request("OPTIONS", "/data-sets/brain").status == 204
    assert server.request("POST", "/data-sets/brain/archive", {"paths": []}).status == 200
    assert server.request("GET", f"{server.portal}/manage_main", user="boss").status == 200
    assert trail.is_all()


def test_what_fails_is_not_told_as_a_change(server: Server, trail: Trail) -> None:
    assert server.request("PUT", "/data-sets/brain", {"title": 5}).status == 400
    assert server.request("PATCH", "/data-sets/nothing", {"title": "A"}).status == 404
    assert trail.is_all()


def test_change_that_meets_another_is_told_once(server: Server, trail: Trail, monkeypatch: pytest.MonkeyPatch) -> None:
    url = f"{server.portal}/portal_ingestion_policies/default/ingest?reference=sensor.one"
    assert server.request("POST", url, b"\x92\x01\x80").status == 204
    trail.next()
    append, failures = ByteStream.append, [ConflictError()]

    def meet(*arguments: Any, **options: Any) -> int:
        if failures:
            raise failures.pop()
        return append(*arguments, **options)

    monkeypatch.setattr(ByteStream, "append", meet)
    assert server.request("POST", url, b"\x92\x01\x80").status == 204
    assert not failures
    assert trail.next()["event"] == "change"
    assert trail.is_all()


def test_change_by_a_management_screen_is_told(server: Server, trail: Trail) -> None:
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    body = b"title=Our+lake&description=&manage_editProperties:method=OK"
    assert server.request("POST", server.portal, body, headers, user="boss").status == 200
    event = trail.next()
    assert (event["event"], event["user"], event["method"], event["path"]) == ("change", "boss", "POST", "/erp5")
    assert trail.is_all()


def test_wrong_password_is_told_with_the_name_of_the_user(server: Server, trail: Trail) -> None:
    headers = {"Authorization": basic("ada", "not it")}
    assert server.request("GET", "/data-sets", headers=headers, user=None).status == 401
    assert trail.next() == {
        "event": "login_refused",
        "user": "ada",
        "host": HOST,
        "method": "GET",
        "path": "/erp5/api/v1/data-sets",
        "code": 401,
    }
    assert trail.is_all()


@pytest.mark.parametrize(
    "credentials", [basic("correct horse", "ada"), "Bearer wendelin_secret", "Basic !", "Digest username=ada", "\xff"]
)
def test_login_of_nobody_is_told_without_the_name_that_was_given(
    server: Server, trail: Trail, credentials: str
) -> None:
    assert server.request("GET", "/user", headers={"Authorization": credentials}, user=None).status == 401
    event = trail.next()
    assert event == {
        "event": "login_refused",
        "host": HOST,
        "method": "GET",
        "path": "/erp5/api/v1/user",
        "code": 401,
    }
    assert trail.is_all()


def test_login_that_is_refused_in_a_200_is_told(server: Server, trail: Trail) -> None:
    url = f"{server.portal}/ERP5Site_getDataStreamList"
    assert server.request("GET", url, headers={"Authorization": basic("ada", "not it")}, user=None).status == 200
    event = trail.next()
    assert (event["event"], event["user"], event["code"]) == ("login_refused", "ada", 200)
    assert trail.is_all()


def test_wrong_password_at_a_management_screen_is_told(server: Server, trail: Trail) -> None:
    url = f"{server.portal}/manage_main"
    assert server.request("GET", url, headers={"Authorization": basic("boss", "not it")}, user=None).status == 401
    event = trail.next()
    assert (event["event"], event["user"], event["path"]) == ("login_refused", "boss", "/erp5/manage_main")
    assert trail.is_all()


def test_nobody_who_is_asked_to_log_in_is_not_told(server: Server, trail: Trail) -> None:
    assert server.request("GET", "/user", user=None).status == 401
    assert server.request("GET", f"{server.portal}/manage_main", user=None).status == 401
    assert trail.is_all()


def test_change_that_lacks_a_right_is_told_as_denied(server: Server, trail: Trail) -> None:
    assert server.request("PUT", "/data-sets/brain", user="dan").status == 403
    event = trail.next()
    assert (event["event"], event["user"], event["code"]) == ("access_denied", "dan", 403)
    assert trail.is_all()


def test_token_is_in_no_event(server: Server, trail: Trail) -> None:
    made = server.request("POST", "/tokens", {"title": "laptop"})
    secret = made.data["token"]
    assert server.request("PUT", f"/data-sets/brain?token={secret}", token=secret).status == 201
    told = [trail.next(), trail.next()]
    assert [event["path"] for event in told] == ["/erp5/api/v1/tokens", "/erp5/api/v1/data-sets/brain"]
    assert secret not in str(told)
    assert PASSWORD not in str(told)
    assert trail.is_all()
