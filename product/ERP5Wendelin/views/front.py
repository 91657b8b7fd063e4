"""The page at the address of the site, and its style: objects of the skins, which a business template brings.

A site that has no such objects has no page here.
"""

from __future__ import annotations

from typing import Any

from zExceptions import NotFound

from Products.ERP5Wendelin.content.scripts import find_script
from Products.ERP5Wendelin.protocol import API_VERSION
from Products.ERP5Wendelin.views.guard import Page

PAGE = "ERP5Site_viewFrontPage"
"""A page template; its options are the addresses `url` of the site, `api`, and `style`."""

STYLE = "erp5_wendelin_data_lake.css"
"""A file."""

HEADERS = {
    # text and style of our own: no scripts, nothing from elsewhere, in no other site's frame
    "Content-Security-Policy": "default-src 'none'; style-src 'self'; img-src 'self'; base-uri 'none';"
    " form-action 'none'; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}


class Front(Page):
    """The page, for whoever opens the address that `wendelin serve` prints."""

    def __call__(self) -> str:
        url = self.context.absolute_url()
        page = skin_object(self, PAGE, "text/html; charset=utf-8")
        return str(page(url=url, api=f"{url}/api/{API_VERSION}/", style=f"{url}/front.css"))


class Style(Page):
    """The style of the page."""

    def __call__(self) -> str:
        return bytes(skin_object(self, STYLE, "text/css; charset=utf-8").data).decode()


def skin_object(page: Page, id: str, content_type: str) -> Any:
    """An object of the skins, with the headers of the answer set. NotFound: there is none."""
    found = find_script(page.context, id)
    if found is None:
        raise NotFound("There is nothing at this address.")
    for name, value in {**HEADERS, "Content-Type": content_type}.items():
        page.request.response.setHeader(name, value)
    return found.__of__(page.context)
