"""The audit trail of requests: who changed what, once it is committed, and who was refused.

A change is a request of the API that may change something and did not fail, or any other, such as one of the management
screens, that stored something. Of a refused login no name is told but that of a user the lake has: people type
passwords where their names belong.
"""

from __future__ import annotations

from http import HTTPStatus
from typing import Any
from urllib.parse import quote

import transaction
from zExceptions import HTTPException
from zope.component.hooks import getSite
from ZPublisher.utils import basic_auth_decode

from Products.ERP5Wendelin.event_log import log_audit
from Products.ERP5Wendelin.views.access import is_known, user_id
from Products.ERP5Wendelin.views.problem import Problem
from Products.ERP5Wendelin.views.target import TARGET, Target

CHANGE = "wendelin.change"
"""Key in a request that is not the API's: whether it stores something."""


def note_change(event: Any) -> None:
    """Subscriber of IPubBeforeCommit: see whether a request that is not the API's stores something."""
    # A connection joins the transaction with the first object that is changed.
    event.request.set(CHANGE, bool(transaction.get()._resources))


def tell_success(event: Any) -> None:
    """Subscriber of IPubSuccess, and so after the commit."""
    request = event.request
    target: Target | None = request.get(TARGET)
    code = request.response.getStatus()
    if _has_credentials(request) and not is_known():  # answered in a 200, to a client that reads nothing else
        _tell("login_refused", request, code, _claimed_user(request))
    elif target is None:
        if request.get(CHANGE) and is_known():  # the first request of all makes a record of Zope's own
            _tell("change", request, code, user_id())
    elif target.change:
        _tell("change", request, code, user_id(), **target.change)


def tell_failure(event: Any) -> None:
    """Subscriber of IPubFailure, after the transaction is aborted; to come before the site is left."""
    if event.retry:
        return
    request, code = event.request, _status(event.exc_info[1])
    if code == HTTPStatus.UNAUTHORIZED and _has_credentials(request):
        _tell("login_refused", request, code, _claimed_user(request))
    elif code == HTTPStatus.FORBIDDEN:
        _tell("access_denied", request, code, user_id())


def _tell(event: str, request: Any, code: int, user: str | None, **more: str) -> None:
    environ, target = request.environ, request.get(TARGET)
    method = environ["REQUEST_METHOD"] if target is None else target.method
    path = environ.get("PATH_INFO", "") if target is None else target.path
    fields = {
        "user": user,
        "host": environ.get("REMOTE_ADDR", ""),
        "method": method,
        "path": quote(path.encode("latin-1", "replace"), safe="/%:@!$&'()*+,;=~"),
        "code": int(code),
    }
    log_audit(event, {name: value for name, value in {**fields, **more}.items() if value not in (None, "")})


def _status(error: BaseException) -> int:
    if isinstance(error, Problem):
        return error.status
    return int(error.getStatus() if isinstance(error, HTTPException) else HTTPStatus.INTERNAL_SERVER_ERROR)


def _has_credentials(request: Any) -> bool:
    """Whether a request has a header Authorization, also one that can't be read."""
    target = request.get(TARGET)
    return request._auth is not None if target is None else target.has_credentials


def _claimed_user(request: Any) -> str | None:
    """The user whose password was wrong; None for a name that nobody has, and for a token."""
    name, _ = basic_auth_decode(request._auth or "") or ("", "")
    site = getSite()
    known = name and site is not None and site.acl_users.getUserById(name) is not None
    return name if known else None
