"""The ZCML directive `api:resource`: a method of a path, its function, and the permission it takes.

::

    <api:resource method="GET" path="/data-sets/{reference}/manifest" for="data_set" permission="View"
                  handler=".api.manifest.read" />
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from zope.component.zcml import utility
from zope.configuration.exceptions import ConfigurationError
from zope.configuration.fields import GlobalObject
from zope.interface import Interface
from zope.schema import Choice, TextLine

from Products.ERP5Wendelin import permissions
from Products.ERP5Wendelin.views.access import PUBLIC
from Products.ERP5Wendelin.views.interfaces import IRoute
from Products.ERP5Wendelin.views.routing import CONTEXTS, Route

PERMISSIONS = frozenset(
    value for name, value in vars(permissions).items() if isinstance(value, str) and not name.startswith("_")
)


class IResourceDirective(Interface):
    """Register a function as what answers a method of a path of the API."""

    method = Choice(title="HTTP method", values=("GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE"))
    path = TextLine(title="Path below /api/v1, with {placeholders}")
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
) -> None:
    """Handle the directive."""
    if permission != PUBLIC and permission not in PERMISSIONS:
        raise ConfigurationError(f"{method} {path}: permissions.py has no permission {permission!r}.")
    utility(context, IRoute, component=Route(method, path, for_, permission, handler), name=f"{method} {path}")
