"""Documents by their references, of some portal types; several may have the same one, a new one in place of an old one.

A reference stands for the document that is in use and that the current user may view; where there is none, for one that
is not in use, since its data can still be read; of several for the newest.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Any

from Products.CMFCore.interfaces import ICatalogTool
from zope.component import getUtility

from Products.ERP5Wendelin.content.query import prefixes
from Products.ERP5Wendelin.content.state import IN_USE, checked_state


def found_by_reference(portal_type: str | Sequence[str], reference: str) -> Any:
    """The document that a reference stands for, wrapped; None if there is none that the current user may view."""
    found = getUtility(ICatalogTool).searchResults(portal_type=portal_type, reference=reference)
    documents = [brain._unrestrictedGetObject() for brain in found]
    return max(documents, key=lambda each: (each.getValidationState() in IN_USE, each.created), default=None)


def search_by_reference(portal_type: str | Sequence[str], search: str, state: str, after: str, limit: int) -> list[Any]:
    """What the references greater than `after` stand for, in their order, `limit` at the most.

    `search` has words, or beginnings of words, of reference, title or description; all of them must be found.
    """
    query: dict[str, Any] = {"portal_type": portal_type}
    if state:
        query["validation_state"] = checked_state(state)
    if search.strip():
        query["words"] = prefixes(search)
    found = (found_by_reference(portal_type, reference) for reference in _references(query, after, limit + 1))
    # of several documents of a reference the one that it stands for may have another state
    return list(islice((each for each in found if state in ("", each.getValidationState())), limit))


def _references(query: dict[str, Any], after: str, size: int) -> Iterator[str]:
    """The references greater than `after` of what a query finds, in their order, each once; `size` looked up at a time.

    Of documents that are not in use there may be many with the same one.
    """
    while True:
        brains = getUtility(ICatalogTool).searchResults(
            **query, reference={"query": after, "range": "min"}, sort_on="reference", sort_limit=size
        )
        found = [brain.reference for brain in brains[:size]]
        references = [reference for reference in dict.fromkeys(found) if reference != after]
        yield from references
        if len(found) < size:
            return
        if references:
            after = references[-1]
        else:
            size *= 2
