"""Our errors in Zope's management screens: their sentence, where Zope would say no more than "internal error"."""

from __future__ import annotations

from Products.Five.browser import BrowserView

from Products.ERP5Wendelin.views.problem import status_of


class ErrorPage(BrowserView):
    """`index.html` of an error of ours that a request met that isn't one of the API."""

    def __call__(self) -> str:
        """Set the status; return the text."""
        self.request.response.setStatus(int(status_of(self.context)))
        self.request.response.setHeader("Content-Type", "text/plain; charset=utf-8")
        return f"{self.context}\n"
