"""Errors as responses: RFC 9457, and the one table from exception to status.

An error is raised, never returned, so that the publisher aborts the transaction; it then asks for the exception's view,
which is `ProblemView`. `dispatch` wraps what it raises in a `Problem` first: the publisher replaces an exception whose
class is named as one of zExceptions, such as NotFound, and what it knew would be lost.
"""

from __future__ import annotations

import json
import logging
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any

import zExceptions
from Products.Five.browser import BrowserView
from transaction.interfaces import TransientError

from Products.ERP5Wendelin import errors
from Products.ERP5Wendelin.storage.transaction import is_full
from Products.ERP5Wendelin.views.access import is_known
from Products.ERP5Wendelin.views.target import TARGET, Target

logger = logging.getLogger(__name__)

MEDIA_TYPE = "application/problem+json"
CHALLENGE = 'Basic realm="Wendelin", charset="UTF-8"'
"""Sent with each 401. Bearer isn't named beside it: some clients know only the first challenge they are sent."""


class WrongCredentials(errors.NotAuthorised):
    """An Authorization header that is nobody's."""


class MethodNotAllowed(errors.WendelinError):
    """A path that has other methods; `allow` is the value of the header Allow."""

    def __init__(self, detail: str, allow: str) -> None:
        super().__init__(detail)
        self.allow = allow


class UnsupportedMediaType(errors.WendelinError):
    """A body of a type that is not taken here."""


STATUSES: tuple[tuple[type[BaseException], int], ...] = (
    (errors.BadInput, 400),
    (WrongCredentials, 401),
    (errors.NotAuthorised, 403),
    (zExceptions.Unauthorized, 403),
    (errors.Gone, 410),
    (errors.NotFound, 404),
    (zExceptions.NotFound, 404),
    (MethodNotAllowed, 405),
    (errors.Conflict, 409),
    (errors.PreconditionFailed, 412),
    (errors.TooLarge, 413),
    (UnsupportedMediaType, 415),
    (errors.RangeNotSatisfiable, 416),
    (errors.Incomplete, 422),
    (errors.ChecksumMismatch, 460),
    (errors.DigestMismatch, 422),
    (errors.StorageFull, 507),
    (errors.NotReady, 503),
    (TransientError, 503),
)
"""First match wins. 403 is 401 for who is not known yet; a storage without room is 507; all else is 500."""

TITLES = {460: "Checksum Mismatch"}
"""Of statuses that are not in HTTP's registry."""

RETRY_AFTER = "1"


@dataclass(eq=False)
class Problem(Exception):
    """A problem document and the headers that go with it."""

    status: int
    detail: str
    extra: Mapping[str, Any] = field(default_factory=dict)
    headers: dict[str, str] = field(default_factory=dict)

    def document(self) -> dict[str, Any]:
        """The members of RFC 9457, then those that the error adds."""
        return {
            "type": "about:blank",
            "title": title_of(self.status),
            "status": self.status,
            "detail": self.detail,
            **self.extra,
        }


def title_of(status: int) -> str:
    """The status in words."""
    return TITLES.get(status) or HTTPStatus(status).phrase


def problem_of(error: BaseException, known: bool) -> Problem:
    """What to answer to an error; `known`: whether who asks has authenticated."""
    if isinstance(error, Problem):
        return error
    status = status_of(error)
    if status == HTTPStatus.FORBIDDEN and not known:
        status = HTTPStatus.UNAUTHORIZED
    if status == HTTPStatus.INTERNAL_SERVER_ERROR:
        return unexpected(error)
    if status == HTTPStatus.INSUFFICIENT_STORAGE:  # which is the administrator's to mend
        logger.warning("a request found no room in the storage: %s", error.__cause__ or error)
    return Problem(int(status), detail_of(error), getattr(error, "extra", {}), headers_of(error, status))


def status_of(error: BaseException) -> int:
    """The table, applied."""
    for kind, status in STATUSES:
        if isinstance(error, kind):
            return status
    if is_full(error):
        return HTTPStatus.INSUFFICIENT_STORAGE
    return HTTPStatus.INTERNAL_SERVER_ERROR


def detail_of(error: BaseException) -> str:
    """A sentence for a person: that of the error, where it is one of ours and no defect."""
    if isinstance(error, errors.WendelinError) and not isinstance(error, errors.ScriptError):
        return str(error)
    if isinstance(error, TransientError):
        return "Others were changing the same things at the same time, again and again. Send the request once more."
    if is_full(error):
        return "The server's disk is full; nothing of this request was kept. Tell its administrator."
    if isinstance(error, zExceptions.Unauthorized):
        return "You are not allowed to do this."
    return "There is nothing at this address."


def headers_of(error: BaseException, status: int) -> dict[str, str]:
    """The headers that HTTP wants beside a status."""
    if status == HTTPStatus.UNAUTHORIZED:
        return {"WWW-Authenticate": CHALLENGE}
    if status == HTTPStatus.SERVICE_UNAVAILABLE:
        return {"Retry-After": RETRY_AFTER}
    if isinstance(error, MethodNotAllowed):
        return {"Allow": error.allow}
    if isinstance(error, errors.RangeNotSatisfiable) and "size" in error.extra:
        return {"Content-Range": f"bytes */{error.extra['size']}"}
    if isinstance(error, errors.WrongOffset) and "offset" in error.extra:
        return {"Upload-Offset": str(error.extra["offset"])}
    return {}


def unexpected(error: BaseException) -> Problem:
    """A defect of ours: logged with a traceback under an id, of which alone the user is told.

    Of a defect of the site's scripts, which its own administrators repair, the user is told where it is.
    """
    error_id = uuid.uuid4().hex
    logger.error("unexpected error %s", error_id, exc_info=error)
    if isinstance(error, errors.ScriptError):
        detail = f"{error}. The server's log has it as {error_id}."
    else:
        detail = f"The server met an error it did not expect. Its log has it as {error_id}; tell its administrator."
    return Problem(int(HTTPStatus.INTERNAL_SERVER_ERROR), detail, {**getattr(error, "extra", {}), "error_id": error_id})


class ProblemView(BrowserView):
    """`index.html` of an exception that a request of the API met: the whole response, whatever was in it before."""

    def __call__(self) -> bytes:
        """Set status and headers; return the problem document, or nothing to HEAD."""
        problem = problem_of(self.context, is_known())
        response = self.request.response
        if hasattr(response.body, "close"):
            response.body.close()
        response.body, response._streaming = b"", 0
        response.headers.clear()
        response.status, response.errmsg = problem.status, title_of(problem.status)
        body = json.dumps(problem.document(), ensure_ascii=False).encode("utf-8", "backslashreplace")
        headers = {"Content-Type": MEDIA_TYPE, "Content-Length": str(len(body)), "Cache-Control": "no-store"}
        target: Target = self.request[TARGET]
        for name, value in {**headers, **target.headers, **problem.headers}.items():
            response.setHeader(name, value)
        return b"" if target.method == "HEAD" else body
