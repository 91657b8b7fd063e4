"""What analyses read, and how much of it there is: more of it makes an analysis due."""

from __future__ import annotations

from typing import Any

from Acquisition import aq_base

from Products.ERP5Wendelin.content.relation import find, paths
from Products.ERP5Wendelin.errors import Conflict


def documents(line: Any) -> dict[str, Any]:
    """What a line leads to, by relative URL, whoever asks."""
    found = {url: find(line.getPortalObject(), url) for url in paths(line, "aggregate")}
    return {url: document for url, document in found.items() if document is not None}


def size_of(document: Any) -> int | None:
    """How many bytes, or buckets, a document has; 0: it is to become an array. None: it is not of a kind that grows."""
    if not hasattr(aq_base(document), "getSize"):
        return None
    try:
        return int(document.getSize())
    except Conflict:
        return 0
