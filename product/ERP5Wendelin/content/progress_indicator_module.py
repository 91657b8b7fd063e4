"""The module of Progress Indicators."""

from __future__ import annotations

from typing import Any

from AccessControl.SecurityInfo import ClassSecurityInfo

from Products.ERP5Wendelin.content.by_reference import found_by_reference, search_by_reference
from Products.ERP5Wendelin.content.declaration import declared
from Products.ERP5Wendelin.content.module import Module
from Products.ERP5Wendelin.content.progress_indicator import (
    DONE,
    FAILED,
    INTERRUPTED,
    RUNNING,
    ProgressIndicator,
)
from Products.ERP5Wendelin.errors import BadInput, NotFound
from Products.ERP5Wendelin.permissions import AccessContentsInformation

ID = "progress_indicator_module"

STATES = (RUNNING, DONE, FAILED, INTERRUPTED)


@declared
class ProgressIndicatorModule(Module):
    """The folder of all Progress Indicators."""

    security = ClassSecurityInfo()

    portal_type = meta_type = "Progress Indicator Module"
    _document_classes = (ProgressIndicator,)

    @security.protected(AccessContentsInformation)
    def getProgressIndicator(self, reference: str) -> Any:
        """The indicator of a reference, wrapped, that the current user may view; None if there is none."""
        return found_by_reference(ProgressIndicator.portal_type, reference)

    @security.protected(AccessContentsInformation)
    def searchProgressIndicators(
        self, search: str = "", state: str = "", after: str = "", limit: int = 100
    ) -> list[ProgressIndicator]:
        """What `getProgressIndicator` finds of the references greater than `after`, in their order.

        `state` is one of their progress. `search` has words, or beginnings of words, of reference, title or
        description; all of them must be found. BadInput: there is no such state.
        """
        if state and state not in STATES:
            raise BadInput(f"There is no state {state!r}. States are: {', '.join(STATES)}.")
        found: list[ProgressIndicator] = []
        while True:
            page = search_by_reference(ProgressIndicator.portal_type, search, "", after, limit)
            found += [each for each in page if state in ("", each.getProgressState())]
            if len(page) < limit or len(found) >= limit:
                return found[:limit]
            after = page[-1].getReference()


def indicators_of(site: Any) -> Any:
    """The module of a site. NotFound: the site was made by an earlier release, and has none yet."""
    module = site._getOb(ID, None)
    if module is None:
        raise NotFound(
            f"This site has no {ID}, in which batches keep how far they are: it comes with `wendelin bt5 upgrade DIR`."
        )
    return module
