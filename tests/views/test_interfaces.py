"""What the views provide, they provide as their interfaces say."""

from __future__ import annotations

from zope.interface.verify import verifyObject

from Products.ERP5Wendelin.views.interfaces import IRoute
from Products.ERP5Wendelin.views.routing import Route


def test_route_provides_its_interface():
    assert verifyObject(IRoute, Route("GET", "/", "site", "View", print))
