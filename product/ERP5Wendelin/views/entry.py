"""How a request of the API gets through Zope's publisher.

The publisher drops empty segments and `.`, follows `..`, answers 404 to segments such as `aq_self`, leaves PUT, PATCH
and DELETE to WebDAV, and reads a body that is or could be a form before anything else. A file in a data set may be
named `aq_self` or `PUT`, and a body may be 64 MiB of tar that curl calls a form. So `claim` takes everything behind
`/api/v1` out of the request as soon as it has begun; what is left is a GET of the view `api` of the site. Traversal,
authentication, transaction and retries stay the publisher's. The addresses that the original ebulk and agents know
begin at the portal, and are claimed in the same way.

Cookies are not looked at: credentials that a browser sends by itself let other sites' pages act for who visits them.
"""

from __future__ import annotations

import random
import re
import time
from typing import Any

from zExceptions import NotFound
from zope.component.hooks import clearSite
from zope.interface import alsoProvides
from ZPublisher.utils import basic_auth_decode

from Products.ERP5Wendelin.protocol import API_VERSION
from Products.ERP5Wendelin.views.answer import write
from Products.ERP5Wendelin.views.call import Call
from Products.ERP5Wendelin.views.dispatch import answer
from Products.ERP5Wendelin.views.guard import Page
from Products.ERP5Wendelin.views.interfaces import IApiRequest
from Products.ERP5Wendelin.views.routing import find_portal, split
from Products.ERP5Wendelin.views.target import TARGET, Target

BASE = re.compile(f"/api/{API_VERSION}(?=/|$)")
OVERRIDABLE = ("PATCH", "DELETE")
"""Methods that tus lets a POST stand for, where a firewall in between knows only GET and POST."""


def claim(event: Any) -> None:
    """Subscriber of IPubStart: mark a request of the API, and keep its path, method and query from the publisher."""
    request = event.request
    environ = request.environ
    path = environ.get("PATH_INFO", "")
    found = _place(path)
    if "/++skin++" in path[: None if found is None else found[0]]:  # the publisher would fail on it
        raise NotFound("There is nothing at this address.")
    if found is None:
        return
    start, end = found
    target = Target(
        _method(environ),
        split(path[end:]),
        environ.get("QUERY_STRING", ""),
        request._auth is not None,
        path=path,
        of_portal=start == end,
    )
    if not _is_readable(request._auth):
        request._auth = None
    request.set(TARGET, target)
    alsoProvides(request, IApiRequest)
    environ["PATH_INFO"] = f"{path[:start]}/@@api"
    environ["REQUEST_METHOD"] = "GET"
    environ["QUERY_STRING"] = ""
    environ.pop("HTTP_SOAPACTION", None)
    request.cookies.clear()
    request.delay_retry = lambda: time.sleep(random.uniform(0, pause_before(request.retry_count)))  # noqa: S311


def leave(event: Any) -> None:
    """Subscriber of IPubSuccess and IPubFailure: leave the site while its connection to the database is open.

    The publisher closes the connection first and then tells of the request's end, to whom the site knows: a site that
    had been taken out of the cache meanwhile can't be loaded any more, and the answer would be 500.
    """
    clearSite()


def drop_answer(event: Any) -> None:
    """Subscriber of IPubFailure: close the body of an answer that is not sent, since its request begins anew.

    It may hold a turn (`download.array_body`), and the response that has it would be kept until garbage is collected.
    """
    body = event.request.response.body
    if event.retry and hasattr(body, "close"):
        body.close()


def pause_before(retry_count: int) -> float:
    """The most seconds to wait before a request that met another's transaction is tried again.

    The publisher's own rule, 2**retry_count, reaches minutes.
    """
    return float(min(0.05 * 2**retry_count, 1))


def _place(path: str) -> tuple[int, int] | None:
    """Where the portal's path ends, and where that of a route begins; None if nothing of ours is asked for."""
    base = BASE.search(path)
    if base is not None:
        return base.span()
    start = find_portal(path)
    return None if start is None else (start, start)


def _method(environ: dict[str, Any]) -> str:
    method = str(environ["REQUEST_METHOD"]).upper()
    override = str(environ.get("HTTP_X_HTTP_METHOD_OVERRIDE", "")).upper()
    return override if method == "POST" and override in OVERRIDABLE else method


def _is_readable(authorization: str | None) -> bool:
    """Whether the publisher can read a header Authorization, which it does without expecting that it can't."""
    try:
        basic_auth_decode(authorization)
    except ValueError:
        return False
    return True


class Api(Page):
    """The API of the site: the one view that all its requests are published through."""

    def __call__(self) -> Any:
        """Answer the request."""
        call = Call(self.context, self.request)
        response = self.request.response
        write(answer(call), response, call.headers, head=call.method == "HEAD")
        return response
