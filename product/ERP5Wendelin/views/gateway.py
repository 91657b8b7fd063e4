"""What stands between a WSGI server and Zope's publisher.

The publisher lets exceptions such as NotFound out where no view answers, and fails at once on a path that is not
UTF-8.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from typing import Any

from ZPublisher.httpexceptions import HTTPExceptionHandler

from Products.ERP5Wendelin.errors import BadInput
from Products.ERP5Wendelin.views.problem import MEDIA_TYPE, problem_of

StartResponse = Callable[..., Any]
Application = Callable[[dict[str, Any], StartResponse], Iterable[bytes]]


def gateway(publisher: Application) -> Application:
    """The application to serve, around Zope's."""
    zope = HTTPExceptionHandler(publisher)

    def application(environ: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
        try:
            environ.get("PATH_INFO", "").encode("latin-1").decode("utf-8")
        except UnicodeDecodeError:
            return refuse_path(start_response)
        body: Iterable[bytes] = zope(environ, start_response)
        return body

    return application


def refuse_path(start_response: StartResponse) -> Iterable[bytes]:
    """400: the path of the URL is not UTF-8."""
    problem = problem_of(
        BadInput("The path of the URL is not UTF-8. Percent-encode each segment in UTF-8."), known=False
    )
    body = json.dumps(problem.document()).encode()
    start_response("400 Bad Request", [("Content-Type", MEDIA_TYPE), ("Content-Length", str(len(body)))])
    return [body]
