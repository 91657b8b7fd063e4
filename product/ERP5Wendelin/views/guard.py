"""Which URLs are answered: those that the ZCML names. All others that Zope has are for managers.

Zope publishes methods of every object that a path leads to: here some hundreds of URLs, from `manage_main` and
`PROPFIND` to `title_and_id`, each with a check of its own or none. So once the publisher has found what a URL leads to,
and who asks, the guard lets through a `Page`, and anything else only to who may use Zope's management screens. Those
know no protection against other sites' pages, so that nothing is let through that such a page has asked for.
"""

from __future__ import annotations

from typing import Any

from AccessControl.SecurityManagement import getSecurityManager
from Products.Five.browser import BrowserView
from zExceptions import Forbidden, NotFound, Unauthorized
from zope.component.hooks import getSite

from Products.ERP5Wendelin.permissions import ViewManagementScreens
from Products.ERP5Wendelin.views.access import is_asked_by_another_site, is_known


class Page(BrowserView):
    """Base of the views that the ZCML names, with the permission that each takes."""


def check(event: Any) -> None:
    """Subscriber of IPubAfterTraversal: refuse what is neither a page nor asked for by a manager."""
    request = event.request
    published = request["PUBLISHED"]
    if isinstance(getattr(published, "__self__", published), Page):
        return
    if not is_known():
        raise Unauthorized  # which the site turns into a question for name and password
    # Where no site is on the way, the root itself. Nothing closer: whoever made a document is its owner.
    context = getSite() or request["PARENTS"][-1]
    if not getSecurityManager().checkPermission(ViewManagementScreens, context):
        raise NotFound("There is nothing at this address.")
    if is_asked_by_another_site(request.environ, context.absolute_url()):
        raise Forbidden("The page of another site asked for this. Only pages of this site may.")
