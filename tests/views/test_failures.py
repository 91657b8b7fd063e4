"""What goes wrong in the middle: conflicts, full disks, defects. The whole response is the problem."""

from __future__ import annotations

import errno
import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import transaction
from ZODB.POSException import ConflictError
from zope.component import getGlobalSiteManager
from ZPublisher.HTTPRequest import HTTPRequest

from Products.ERP5Wendelin.views.answer import Answer
from Products.ERP5Wendelin.views.interfaces import IRoute
from Products.ERP5Wendelin.views.routing import Route

ANSWERED = Answer(b"half of it", 201, {"ETag": '"a"', "Content-Type": "text/plain", "Location": "http://example.org/"})


@contextmanager
def route(handler: Callable[[Any], Any], method: str = "GET") -> Iterator[None]:
    """Let a function answer `/fails`."""
    components = getGlobalSiteManager()
    failing = Route(method, "/fails", "site", "zope.Public", handler)
    components.registerUtility(failing, IRoute, "fails")
    try:
        yield
    finally:
        components.unregisterUtility(failing, IRoute, "fails")


def raises(error: Exception) -> Callable[[], None]:
    def fail() -> None:
        raise error

    return fail


def when_called(error: Exception) -> Callable[[Any], Any]:
    return lambda call: raises(error)()


def at_commit(error: Exception) -> Callable[[Any], Any]:
    def handler(call: Any) -> Answer:
        transaction.get().addBeforeCommitHook(raises(error))
        return ANSWERED

    return handler


@pytest.mark.parametrize("when", [when_called, at_commit])
def test_conflict_that_does_not_end_is_503(server, when, monkeypatch):
    monkeypatch.setattr(HTTPRequest, "retry_max_count", 1)
    with route(when(ConflictError("database conflict error"))):
        answer = server.request("GET", "/fails")
    assert (answer.status, answer.reason, answer.headers["Retry-After"]) == (503, "Service Unavailable", "1")
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert (answer.headers["ETag"], answer.headers["Location"]) == (None, None)
    assert answer.data["detail"] == (
        "Others were changing the same things at the same time, again and again. Send the request once more."
    )


def test_conflict_that_ends_is_not_seen(server):
    seen = []

    def handler(call: Any) -> Any:
        seen.append(call.body.json())
        if len(seen) < 3:
            raise ConflictError("database conflict error")
        return seen

    with route(handler, "POST"):
        answer = server.request("POST", "/fails", {"title": "whole"})
    assert (answer.status, answer.data) == (200, [{"title": "whole"}] * 3)


@pytest.mark.parametrize("when", [when_called, at_commit])
def test_full_disk_is_507_and_logged(server, when, caplog):
    with route(when(OSError(errno.ENOSPC, "No space left on device"))):
        answer = server.request("GET", "/fails")
    assert (answer.status, answer.reason) == (507, "Insufficient Storage")
    assert (
        answer.data["detail"] == "The server's disk is full; nothing of this request was kept. Tell its administrator."
    )
    assert "a request found no room in the storage: [Errno 28] No space left on device" in caplog.messages


@pytest.mark.parametrize("when", [when_called, at_commit])
def test_defect_is_500_without_what_only_the_log_may_have(server, when, caplog):
    with route(when(KeyError("secret"))), caplog.at_level(logging.ERROR):
        answer = server.request("GET", "/fails")
    assert (answer.status, answer.headers["ETag"]) == (500, None)
    assert answer.data["error_id"] in caplog.text
    assert b"secret" not in answer.body
    assert "secret" in caplog.text


def test_what_failed_leaves_nothing(server):
    def handler(call: Any) -> None:
        call.site.data_set_module.newDataSet("half")
        raise KeyError

    with route(handler):
        assert server.request("GET", "/fails").status == 500
    assert server.request("GET", "/data-sets/half").status == 404


def test_stream_is_closed_when_the_commit_fails(server):
    closed = []

    class Stream:
        def close(self) -> None:
            closed.append(True)

    def handler(call: Any) -> None:
        call.site.REQUEST.response.body = Stream()
        raise KeyError

    with route(handler):
        assert server.request("GET", "/fails").status == 500
    assert closed == [True]
