"""Finding analyses, for lists of them."""

from __future__ import annotations

from typing import Any

from Products.ERP5Wendelin.errors import BadInput

STATES = ("planned", "started", "stopped", "delivered", "failed", "cancelled")
"""Values of `simulation_state` of analyses."""


def search_analyses(
    site: Any, search: str = "", state: str = "", after: tuple[str, str] = ("", ""), limit: int = 100
) -> list[Any]:
    """Analyses the current user may view, by reference and id: those behind `after`.

    `search` has words, or beginnings of words, of reference, title or description; all of them must be found.
    """
    query: dict[str, Any] = {"portal_type": "Data Analysis"}
    if state:
        if state not in STATES:
            raise BadInput(f"There is no state {state!r}. States are: {', '.join(STATES)}.")
        query["simulation_state"] = state
    if search.strip():
        query["SearchableText"] = search
    found = [(brain.reference or "", brain.id, brain) for brain in site.portal_catalog.searchResults(**query)]
    places = sorted((each for each in found if each[:2] > after), key=lambda each: each[:2])
    return [brain._unrestrictedGetObject() for _, _, brain in places[:limit]]
