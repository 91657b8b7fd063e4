"""The page at the address of the site itself: what this is, and how to get at it."""

from __future__ import annotations

from Products.ERP5Wendelin.protocol import API_VERSION
from Products.ERP5Wendelin.views.guard import Page

TEXT = """\
This is a data lake.

To push and pull data sets:  ebulk login {url}
For programs:                {url}/api/{version}/
"""


class Front(Page):
    """Plain text, for whoever opens the address that `wendelin serve` prints."""

    def __call__(self) -> str:
        self.request.response.setHeader("Content-Type", "text/plain; charset=utf-8")
        return TEXT.format(url=self.context.absolute_url(), version=API_VERSION)
