"""From a request to the function that answers it: credentials, route, the object that the path names, permission.

What the caller may not see does not exist for them: 404, and 401 for anonymous, who may log in and try again.
"""

from __future__ import annotations

from typing import Any

from transaction.interfaces import TransientError

from Products.ERP5Wendelin.errors import NotAuthorised
from Products.ERP5Wendelin.permissions import View
from Products.ERP5Wendelin.protocol import CONTENT_ENCODINGS, TUS_VERSION
from Products.ERP5Wendelin.views import locate
from Products.ERP5Wendelin.views.access import is_known, may, roles_with
from Products.ERP5Wendelin.views.answer import Answer, no_content, to_answer
from Products.ERP5Wendelin.views.call import Call
from Products.ERP5Wendelin.views.coding import encoded_document
from Products.ERP5Wendelin.views.problem import WrongCredentials, problem_of
from Products.ERP5Wendelin.views.routing import Route, allow_header, allowed, choose, portal_routes, routes

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
    if not call.of_portal:
        check_credentials(call)
    methods = allowed(call.segments, portal_routes() if call.of_portal else routes())
    if call.method == "OPTIONS" and "OPTIONS" not in methods:
        return no_content({"Allow": allow_header(methods)})
    route, call.names = choose(methods, call.method)
    if route.refusal is not None and has_wrong_credentials(call):
        return route.refusal
    check_credentials(call)
    check_origin(call, route)
    find_objects(call, route)
    check_permission(call, route)
    note_change(call, route)
    return route.handler(call)


def has_wrong_credentials(call: Call) -> bool:
    """Whether a request has credentials that are nobody's."""
    return call.has_credentials and not is_known()


def check_credentials(call: Call) -> None:
    """Refuse credentials that are nobody's, also where none are needed: who sends them believes to be somebody."""
    if has_wrong_credentials(call):
        raise WrongCredentials("The user name and password, or the token, are wrong. Check them and try again.")


def check_origin(call: Call, route: Route) -> None:
    """Refuse a change that another site's page asks for, and one by GET from nobody, as a link in a page could be."""
    if may_change(call, route) and call.is_asked_by_another_site:
        raise NotAuthorised("The page of another site asked for this change. Pages may change only their own site.")
    if route.changes and not call.has_credentials:
        raise NotAuthorised("This changes something: send user name and password, in the header Authorization.")
    if route.changes and call.method in SAFE and call.is_linked_by_another_site:
        raise NotAuthorised("A link of another site asked for this change. Only pages of this site may.")


def may_change(call: Call, route: Route) -> bool:
    """Whether a request asks for a change, as far as its method and the ZCML say."""
    return call.method not in SAFE or route.changes


def note_change(call: Call, route: Route) -> None:
    """Tell the audit trail what is about to be changed; by who needs no more than to view it, that is nothing."""
    if may_change(call, route) and route.permission != View:
        asked_for = call.query.text("reference") if call.of_portal else ""
        call.change["reference"] = call.names.get("reference", asked_for)


def find_objects(call: Call, route: Route) -> None:
    """Find what the path names, as far as the caller may see it."""
    if route.context == "site":
        return
    if route.context == "policy":
        call.policy = locate.policy(call.site, call.names["policy"])
        return
    if route.context == "data_stream":
        call.data_stream = locate.data_stream(call.site, call.names["id"])
        return
    if route.context == "stream":
        call.data_stream = locate.stream(call.site, call.names["stream"])
        return
    if route.context == "array":
        call.data_array = locate.array(call.site, call.names["reference"])
        return
    if route.context == "indicator":
        call.indicator = locate.indicator(call.site, call.names["indicator"])
        return
    if route.context == "analysis":
        call.analysis = locate.analysis(call.site, call.names["analysis"])
        return
    call.data_set = locate.data_set(call.site, call.names["reference"])
    if route.context == "ingestion":
        if not may(route.permission, call.data_set):
            return
        call.ingestion = locate.ingestion(call.site, call.data_set, call.names["ingestion"])


def context_of(call: Call, route: Route) -> Any:
    """What the permission is checked on: pushing is a matter of the site, or of the data set that is pushed to."""
    if route.context in ("data_stream", "stream"):
        return call.data_stream
    if route.context == "array":
        return call.data_array
    if route.context == "analysis":
        return call.analysis
    if route.context == "indicator":
        return call.indicator
    return call.site if route.context in ("site", "policy") else call.data_set


def check_permission(call: Call, route: Route) -> None:
    """Refuse who may see what the path names, and lacks the permission for this method."""
    context = context_of(call, route)
    if may(route.permission, context):
        return
    if not is_known():
        raise NotAuthorised("Log in first: this takes a right that you do not have without an account.")
    raise NotAuthorised(
        f"You may not do this: it takes the role of {' or '.join(roles_with(route.permission, context))}."
    )
