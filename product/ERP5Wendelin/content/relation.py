"""Relations between documents: what a document's categories say, and the documents and categories they lead to.

A document keeps its relations as text, `base_category/path`: `aggregate/data_stream_module/ID` leads to a document,
`use/big_data/ingestion` to a category of the tool `portal_categories`. So what a relation leads to can be removed, or
made later, without the document being touched; a relation that leads nowhere is passed over.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from AccessControl.SecurityManagement import getSecurityManager
from Acquisition import aq_base

from Products.ERP5Wendelin.errors import BadInput
from Products.ERP5Wendelin.permissions import View

CATEGORIES = "portal_categories"


def paths(document: Any, base: str) -> list[str]:
    """What a document is related to by a base category, in order: paths without the base category's name."""
    prefix = base + "/"
    return [text[len(prefix) :] for text in document.categories if text.startswith(prefix)]


def relate(document: Any, base: str, related: Iterable[str]) -> None:
    """Relate a document by a base category to these paths, each once and in this order, and to nothing else."""
    prefix = base + "/"
    others = [text for text in document.categories if not text.startswith(prefix)]
    document.categories = (*others, *(dict.fromkeys(prefix + path for path in related)))


def path_of(base: str, value: Any) -> str:
    """The path by which a relation leads to a document or category, given itself or its relative URL."""
    url = value if isinstance(value, str) else getattr(value, "getRelativeUrl", lambda: None)()
    if not isinstance(url, str):
        raise BadInput(f"{base} must be a document, a category, or the relative URL of one.")
    path = url.removeprefix(base + "/").strip("/")
    if any(part in ("", ".", "..") for part in path.split("/")):
        raise BadInput(f"{base} {url!r} is no relative URL, such as 'data_stream_module/ID' or 'big_data/ingestion'.")
    return path


def is_document(path: str) -> bool:
    """Whether a path begins with a module or a tool, and so leads to a document; otherwise, to a category."""
    first = path.partition("/")[0]
    return first.endswith("_module") or first.startswith("portal_")


def values(document: Any, base: str) -> Iterator[Any]:
    """What a document is related to by a base category, in order: what exists and the current user may view."""
    may = getSecurityManager().checkPermission
    site = document.getPortalObject()
    for path in paths(document, base):
        value = find(site, path if is_document(path) else f"{CATEGORIES}/{base}/{path}")
        if value is not None and may(View, value):
            yield value


def find(site: Any, path: str) -> Any:
    """The document or category at a path from the site, whoever asks; None if there is none."""
    found = site
    for id in path.split("/"):
        # a container's own contents, by its own way to find them: neither attributes nor what is acquired
        get = getattr(aq_base(found), "_getOb", None)
        found = found._getOb(id, None) if get is not None else None
        if not hasattr(aq_base(found), "getRelativeUrl"):
            return None
    return found


def first(document: Any, base: str) -> Any:
    """The first that a document is related to by a base category, whoever asks; None if there is none."""
    path = next(iter(paths(document, base)), None)
    return None if path is None else find(document.getPortalObject(), path)


def memberships(document: Any) -> list[str]:
    """By which relations the catalogue finds a document; being in a category is being in those it is in, too."""
    found = set(document.categories)
    for text in document.categories:
        base, _, path = text.partition("/")
        if not is_document(path):
            parts = path.split("/")
            found.update(f"{base}/{'/'.join(parts[:end])}" for end in range(1, len(parts)))
    return sorted(found)
