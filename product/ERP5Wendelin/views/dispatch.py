"""From a request to the function that answers it: credentials, route, the object that the path names, permission.

What the caller may not see does not exist for them: 404, and 401 for anonymous, who may log in and try again.
"""

from __future__ import annotations

from typing import Any

from transaction.interfaces import TransientError

from Products.ERP5Wendelin.errors import NotAuthorised
from Products.ERP5Wendelin.protocol import CONTENT_ENCODINGS, TUS_VERSION
from Products.ERP5Wendelin.views import locate
from Products.ERP5Wendelin.views.access import is_known, may, roles_with
from Products.ERP5Wendelin.views.answer import Answer, no_content, to_answer
from Products.ERP5Wendelin.views.call import Call
from Products.ERP5Wendelin.views.coding import encoded_document
from Products.ERP5Wendelin.views.problem import WrongCredentials, problem_of
from Products.ERP5Wendelin.views.routing import Route, allow_header, allowed, choose, routes

SAFE = ("GET", "HEAD", "OPTIONS")


def answer(call: Call) -> Answer:
    """The answer to a request. What goes wrong is raised as a `Problem`, but for what the publisher is to try again."""
    call.headers["Accept-Encoding"] = ", ".join(CONTENT_ENCODINGS)  # RFC 7694: what requests to here may come in
    try:
        return encoded_document(call.header("Accept-Encoding"), to_answer(_answer(call)))
    except TransientError:
        raise
    except Exception as error:
        raise problem_of(error, is_known()) from error


def _answer(call: Call) -> Any:
    if call.header("Tus-Resumable") is not None:  # whoever speaks tus is answered in tus, errors too
        call.headers["Tus-Resumable"] = TUS_VERSION
    check_credentials(call)
    methods = allowed(call.segments, routes())
    if call.method == "OPTIONS" and "OPTIONS" not in methods:
        return no_content({"Allow": allow_header(methods)})
    route, call.names = choose(methods, call.method)
    check_origin(call)
    find_objects(call, route)
    check_permission(call, route)
    return route.handler(call)


def check_credentials(call: Call) -> None:
    """Refuse credentials that are nobody's, also where none are needed: who sends them believes to be somebody."""
    if call.has_credentials and not is_known():
        raise WrongCredentials("The user name and password, or the token, are wrong. Check them and try again.")


def check_origin(call: Call) -> None:
    """Refuse a change that another site's page asks for."""
    if call.method not in SAFE and call.is_asked_by_another_site:
        raise NotAuthorised("The page of another site asked for this change. Pages may change only their own site.")


def find_objects(call: Call, route: Route) -> None:
    """Find the data set and the ingestion that the path names, as far as the caller may see them."""
    if route.context == "site":
        return
    call.data_set = locate.data_set(call.site, call.names["reference"])
    if route.context == "ingestion":
        if not may(route.permission, call.data_set):
            return
        call.ingestion = locate.ingestion(call.site, call.data_set, call.names["ingestion"])


def check_permission(call: Call, route: Route) -> None:
    """Refuse who may see what the path names, and lacks the permission for this method."""
    context = call.site if route.context == "site" else call.data_set
    if may(route.permission, context):
        return
    if not is_known():
        raise NotAuthorised("Log in first: this takes a right that you do not have without an account.")
    raise NotAuthorised(
        f"You may not do this: it takes the role of {' or '.join(roles_with(route.permission, context))}."
    )
