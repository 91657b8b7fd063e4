"""The table from exception to status: one test for each row."""

from __future__ import annotations

import errno
import logging

import pytest
import zExceptions
from ZODB.POSException import ConflictError

from Products.ERP5Wendelin import errors
from Products.ERP5Wendelin.views import problem

ROWS = [
    (errors.BadInput("Bad."), 400, "Bad Request"),
    (errors.BadPath("Bad."), 400, "Bad Request"),
    (problem.WrongCredentials("Bad."), 401, "Unauthorized"),
    (errors.NotAuthorised("Bad."), 403, "Forbidden"),
    (errors.NotFound("Bad."), 404, "Not Found"),
    (problem.MethodNotAllowed("Bad.", "GET"), 405, "Method Not Allowed"),
    (errors.Conflict("Bad."), 409, "Conflict"),
    (errors.WrongOffset("Bad.", offset=3), 409, "Conflict"),
    (errors.PushConflict("Bad.", paths=["a"], version=2), 409, "Conflict"),
    (errors.WrongState("Bad.", state="draft"), 409, "Conflict"),
    (errors.Gone("Bad."), 410, "Gone"),
    (errors.PreconditionFailed("Bad."), 412, "Precondition Failed"),
    (errors.TooLarge("Bad."), 413, "Request Entity Too Large"),
    (problem.UnsupportedMediaType("Bad."), 415, "Unsupported Media Type"),
    (errors.RangeNotSatisfiable("Bad.", size=10), 416, "Requested Range Not Satisfiable"),
    (errors.Incomplete("Bad.", missing=["a"]), 422, "Unprocessable Entity"),
    (errors.DigestMismatch("Bad."), 422, "Unprocessable Entity"),
    (errors.ChecksumMismatch("Bad."), 460, "Checksum Mismatch"),
    (errors.StorageFull("Bad."), 507, "Insufficient Storage"),
    (errors.NotReady("Bad.", verified=7), 503, "Service Unavailable"),
]


@pytest.mark.parametrize(("error", "status", "title"), ROWS, ids=lambda value: type(value).__name__)
def test_error_of_ours_is_its_status_with_its_sentence_and_members(error, status, title):
    document = problem.problem_of(error, known=True).document()
    assert document == {"type": "about:blank", "title": title, "status": status, "detail": "Bad.", **error.extra}


def test_every_error_of_ours_has_a_row():
    ours = {kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, errors.WendelinError)}
    assert ours - {errors.WendelinError, errors.ScriptError} <= {type(error) for error, _, _ in ROWS}


def test_error_of_a_script_is_500_with_its_sentence_and_the_id_of_its_traceback_in_the_log(caplog):
    error = errors.ScriptError("x failed in line 3: KeyError: 'y'", script="x", line=3)
    document = problem.problem_of(error, known=True).document()
    assert document == {
        "type": "about:blank",
        "title": "Internal Server Error",
        "status": 500,
        "detail": f"x failed in line 3: KeyError: 'y'. The server's log has it as {document['error_id']}.",
        "script": "x",
        "line": 3,
        "error_id": document["error_id"],
    }
    assert f"unexpected error {document['error_id']}" in caplog.text


@pytest.mark.parametrize("error", [errors.NotAuthorised("No."), zExceptions.Unauthorized("No.")])
def test_missing_right_is_401_with_a_challenge_for_anonymous(error):
    found = problem.problem_of(error, known=False)
    assert found.status == 401
    assert found.headers == {"WWW-Authenticate": 'Basic realm="Wendelin", charset="UTF-8"'}


def test_what_zope_forbids_is_403():
    found = problem.problem_of(zExceptions.Unauthorized("Internals."), known=True)
    assert (found.status, found.detail) == (403, "You are not allowed to do this.")


def test_what_zope_does_not_find_is_404():
    found = problem.problem_of(zExceptions.NotFound("Internals."), known=True)
    assert (found.status, found.detail) == (404, "There is nothing at this address.")


def test_conflict_after_all_retries_is_503_and_says_when_to_come_back():
    found = problem.problem_of(ConflictError("database conflict error"), known=True)
    assert (found.status, found.headers) == (503, {"Retry-After": "1"})
    assert found.detail == (
        "Others were changing the same things at the same time, again and again. Send the request once more."
    )


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_full_disk_is_507(number):
    found = problem.problem_of(OSError(number, "No space left on device"), known=True)
    assert found.status == 507
    assert found.detail == "The server's disk is full; nothing of this request was kept. Tell its administrator."


def test_full_disk_that_a_script_met_is_507_and_no_defect_of_the_script():
    error = errors.ScriptError("x failed in line 3: OSError: [Errno 28] No space left on device", script="x", line=3)
    error.__cause__ = OSError(errno.ENOSPC, "No space left on device")
    found = problem.problem_of(error, known=True)
    assert found.status == 507
    assert found.detail == "The server's disk is full; nothing of this request was kept. Tell its administrator."


@pytest.mark.parametrize("error", [OSError(errno.EIO, "secret"), KeyError("secret"), errors.WendelinError("secret")])
def test_unexpected_error_is_500_with_an_id_that_the_log_has(error, caplog):
    with caplog.at_level(logging.ERROR):
        found = problem.problem_of(error, known=True)
    error_id = found.extra["error_id"]
    assert found.status == 500
    assert (
        found.detail
        == f"The server met an error it did not expect. Its log has it as {error_id}; tell its administrator."
    )
    assert error_id in caplog.text
    assert "secret" in caplog.text


def test_wrong_offset_has_the_right_one_in_a_header():
    assert problem.problem_of(errors.WrongOffset("Bad.", offset=3), known=True).headers == {"Upload-Offset": "3"}


def test_unsatisfiable_range_has_the_size_in_a_header():
    found = problem.problem_of(errors.RangeNotSatisfiable("Bad.", size=10), known=True)
    assert found.headers == {"Content-Range": "bytes */10"}


def test_wrong_method_has_the_right_ones_in_a_header():
    assert problem.problem_of(problem.MethodNotAllowed("Bad.", "GET, HEAD"), known=True).headers == {
        "Allow": "GET, HEAD"
    }
