"""What the publisher and the API tell each other by."""

from __future__ import annotations

from zope.interface import Attribute, Interface
from zope.publisher.interfaces.browser import IDefaultBrowserLayer


class IApiRequest(IDefaultBrowserLayer):
    """Marks a request of the API: only such a request finds the view `api`, and has its errors answered as problems."""


class IRoute(Interface):
    """One line of the ZCML: a method of a path; a utility."""

    method = Attribute("HTTP method, in upper case.")
    path = Attribute(
        "Template below `/api/v1`: `/data-sets/{reference}`; a last `{path*}` takes all segments that are left."
    )
    context = Attribute("What the permission is checked on, one of `routing.CONTEXTS`.")
    permission = Attribute("Name of the permission, or 'zope.Public'.")
    handler = Attribute("Function of a `call.Call` that returns plain data or an `answer.Answer`.")
    changes = Attribute("Whether it changes something though it is a GET.")


class IPortalRoute(Interface):
    """As IRoute, of a path that begins at the portal and not at `/api/v1`: an address that ERP5's clients know."""
