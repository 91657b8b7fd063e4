"""The tab "Customize" of a script in the management screens: a copy of it in the layer `custom`, to be changed."""

from __future__ import annotations

from html import escape

from zExceptions import Forbidden
from zope.component.hooks import getSite

from Products.ERP5Wendelin.content.scripts import customise
from Products.ERP5Wendelin.views.access import is_asked_by_another_site
from Products.ERP5Wendelin.views.guard import Page

FORM = """\
<!DOCTYPE html>
<title>Customize {id}</title>
<h1>Customize {id}</h1>
<p>A copy in portal_skins/custom is what the site will use. This one stays as the business template has brought it, and
upgrades of the template change it as before.</p>
<form method="post" action="{url}/customise"><button type="submit">Customize</button></form>
"""


class Customise(Page):
    """Asks on GET, copies on POST, and leads to the copy."""

    def __call__(self) -> str:
        """A form, or nothing and a redirection."""
        if self.request.method != "POST":
            self.request.response.setHeader("Content-Type", "text/html; charset=utf-8")
            return FORM.format(id=escape(self.context.getId()), url=escape(self.context.absolute_url()))
        site = getSite()
        if is_asked_by_another_site(self.request.environ, site.absolute_url()):
            raise Forbidden("The page of another site asked for this. Only pages of this site may.")
        self.request.response.redirect(f"{customise(site, self.context).absolute_url()}/manage_main")
        return ""
