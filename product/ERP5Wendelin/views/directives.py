"""The ZCML directives `api:resource`: a method of a path, its function, and the permission it takes; and `api:script`:
methods of `{portal}/NAME`, which the skin script of that name answers.

::

    <api:resource method="GET" path="/data-sets/{reference}/manifest" for="data_set" permission="View"
                  handler=".api.manifest.read" />
    <api:script method="GET POST" name="ERP5Site_renameIngestion" permission="Wendelin: Push Data" changes="yes" />
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from zope.component.zcml import utility
from zope.configuration.exceptions import ConfigurationError
from zope.configuration.fields import Bool, GlobalObject, Tokens
from zope.interface import Interface
from zope.schema import Choice, TextLine

from Products.ERP5Wendelin import permissions
from Products.ERP5Wendelin.views.access import PUBLIC
from Products.ERP5Wendelin.views.erp5.script import Script
from Products.ERP5Wendelin.views.interfaces import IPortalRoute, IRoute
from Products.ERP5Wendelin.views.routing import CONTEXTS, Route

PERMISSIONS = frozenset(
    value for name, value in vars(permissions).items() if isinstance(value, str) and not name.startswith("_")
)


METHODS = ("GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE")


class IResourceDirective(Interface):
    """Register a function as what answers a method of a path of the API."""

    method = Choice(title="HTTP method", values=METHODS)
    path = TextLine(title="Path below /api/v1, with {placeholders}")
    of_portal = Bool(title="Whether the path is below the portal instead", required=False)
    for_ = Choice(title="What the permission is checked on", values=CONTEXTS)
    permission = TextLine(title="Name of the permission, as permissions.py has it, or zope.Public")
    handler = GlobalObject(title="Function of a Call")


def resource(
    context: Any,
    method: str,
    path: str,
    for_: str,
    permission: str,
    handler: Callable[[Any], Any],
    of_portal: bool = False,
) -> None:
    """Handle the directive."""
    _register(context, IPortalRoute if of_portal else IRoute, Route(method, path, for_, permission, handler))


class IScriptDirective(Interface):
    """Let a skin script answer methods of its name at the portal."""

    method = Tokens(title="HTTP methods", value_type=Choice(values=METHODS))
    name = TextLine(title="Name of the script, as of its URL")
    permission = TextLine(title="Name of the permission on the site, as permissions.py has it, or zope.Public")
    changes = Bool(title="Whether it changes something, with whatever method", required=False)
    refusal = GlobalObject(title="What wrong credentials are answered, instead of 401", required=False)


def script(
    context: Any, method: list[str], name: str, permission: str, changes: bool = False, refusal: Any = None
) -> None:
    """Handle the directive."""
    for each in method:
        route = Route(each, f"/{name}", "site", permission, Script(name), changes, head=False, refusal=refusal)
        _register(context, IPortalRoute, route)


def _register(context: Any, interface: Any, route: Route) -> None:
    name = f"{route.method} {route.path}"
    if route.permission != PUBLIC and route.permission not in PERMISSIONS:
        raise ConfigurationError(f"{name}: permissions.py has no permission {route.permission!r}.")
    utility(context, interface, component=route, name=name)
