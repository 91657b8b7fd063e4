"""What goes wrong on the wire becomes an error with its exit code, and a sentence that says what to do."""

from __future__ import annotations

import json

import pytest

from ebulk.errors import (
    ConflictError,
    DiskFullError,
    EbulkError,
    IntegrityError,
    NetworkError,
    NotAuthorisedError,
    NotFoundError,
)
from ebulk.remote.credentials import Basic, Bearer, Credentials
from ebulk.remote.failure import TransientError, from_reply, retry_after

URL = "http://lake.example/erp5"
LOGIN = f"Log in with `ebulk login {URL}`."
TOKEN = Bearer("t")
PAGE = {"Content-Type": "text/html; charset=utf-8"}
PROBLEM = {"Content-Type": "application/problem+json"}


def error_for(
    status: int, detail: str | None = None, credentials: Credentials | None = TOKEN, **members: object
) -> EbulkError:
    """What an answer becomes: the lake's problem document with this detail, or somebody's page."""
    if detail is None:
        return from_reply(status, PAGE, b"<html>", url=URL, credentials=credentials, now=0)
    body = json.dumps({"status": status, "detail": detail, **members}).encode()
    return from_reply(status, PROBLEM, body, url=URL, credentials=credentials, now=0)


@pytest.mark.parametrize(
    ("status", "kind", "message", "hint"),
    [
        (400, EbulkError, "Said.", ""),
        (401, NotAuthorisedError, f"The lake at {URL} does not know your token any more.", LOGIN),
        (403, NotAuthorisedError, "Said.", "Ask who runs the lake, or log in as somebody who may."),
        (404, NotFoundError, "Said.", ""),
        (405, EbulkError, "Said.", ""),
        (409, ConflictError, "Said.", ""),
        (410, NotFoundError, "Said.", ""),
        (413, EbulkError, "Said.", ""),
        (422, IntegrityError, "Said.", "Push again: the file may have changed, or the network altered it."),
        (460, IntegrityError, "Said.", "Push again: the file may have changed, or the network altered it."),
        (500, EbulkError, f"The lake at {URL} failed: Said.", "Its log says why; ask who runs it."),
        (507, DiskFullError, "Said.", "Ask who runs the lake to make room, then run the same command again."),
        (429, TransientError, "Said.", "Run the same command again: it goes on where it stopped."),
        (503, TransientError, "Said.", "Run the same command again: it goes on where it stopped."),
    ],
)
def test_problem_of_the_lake_is_shown_as_the_error_of_its_status(status, kind, message, hint):
    error = error_for(status, "Said.")
    assert (type(error), str(error), error.hint) == (kind, message, hint)


@pytest.mark.parametrize(
    ("status", "kind", "message"),
    [
        (200, EbulkError, f"There is no data lake at {URL}: it answers HTTP 200 with text/html."),
        (401, NotAuthorisedError, f"{URL} asks for a password, but not as a lake does."),
        (404, EbulkError, f"There is no data lake at {URL}: it answers HTTP 404 with text/html."),
        (407, NotAuthorisedError, "The HTTP proxy asks for a password."),
        (413, EbulkError, f"A proxy in front of {URL} refuses requests of this size (HTTP 413)."),
        (500, EbulkError, f"The lake at {URL} failed: HTTP 500."),
        (502, TransientError, f"The lake at {URL} is not ready (HTTP 502)."),
        (507, DiskFullError, f"The disk of the lake at {URL} is full."),
    ],
)
def test_page_of_somebody_else_is_told_from_an_answer_of_the_lake(status, kind, message):
    error = error_for(status)
    assert (type(error), str(error)) == (kind, message)
    assert error.hint


def test_nobody_is_asked_to_log_in_at_401_and_told_of_it_at_404():
    unauthorised = error_for(401, "There is no public data set 'a'.", credentials=None)
    assert str(unauthorised) == "There is no public data set 'a'."
    assert unauthorised.hint == LOGIN
    assert error_for(404, "No such data set.", credentials=None).hint == f"If it is not public: {LOGIN}"


def test_wrong_password_names_the_user_and_not_the_password():
    error = error_for(401, "Wrong.", credentials=Basic("ada", "geheim"))
    assert str(error) == f"The lake at {URL} has no user 'ada' with this password."
    assert error.hint == "Check both; whoever runs the lake can let you in."


def test_conflict_names_the_paths():
    error = error_for(409, "Somebody pushed the same files.", paths=["a", "b/c"])
    assert isinstance(error, ConflictError)
    assert error.paths == ("a", "b/c")


def test_missing_content_is_no_integrity_error_and_names_the_first_paths():
    error = error_for(422, "Content is missing.", missing=["a", "b", "c", "d", "e"])
    assert type(error) is EbulkError
    assert str(error) == "Content is missing. (a, b, c and 2 more)"
    assert error.hint == "Push again: it sends what is missing."
    assert str(error_for(422, "Missing.", missing=["a"])) == "Missing. (a)"


def test_redirect_names_its_target_and_is_not_followed():
    headers = {"Location": "https://lake.example/erp5/api/v1/"}
    error = from_reply(301, headers, b"", url=URL, credentials=None, now=0)
    assert str(error) == (
        f"{URL} redirects to https://lake.example/erp5/api/v1/, which is not followed: "
        "it would be given your credentials."
    )
    assert error.hint == "If that is where the lake is, log in there."


def test_transient_error_is_a_network_error_with_exit_code_4():
    error = error_for(503, "Later.")
    assert isinstance(error, NetworkError)
    assert error.exit_code == 4


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        (None, None),
        ("120", 120.0),
        ("Thu, 01 Jan 1970 00:01:30 GMT", 90.0 - 30.0),
        ("Thu, 01 Jan 1970 00:00:10 GMT", 0.0),
        ("soon", None),
        ("-5", None),
    ],
)
def test_retry_after_is_seconds_or_a_date(value, seconds):
    assert retry_after(value, now=30.0) == seconds


def test_broken_problem_document_is_not_the_lakes():
    error = from_reply(404, PROBLEM, b'{"detail": ', url=URL, credentials=None, now=0)
    assert str(error) == f"There is no data lake at {URL}: it answers HTTP 404 with application/problem+json."
