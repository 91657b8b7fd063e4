"""Lists in pages: `{"items": [...], "next": cursor or null}`.

A cursor is where the last page ended, in JSON and base64url: the key of its last item, not a count, so that what is
added or removed meanwhile neither repeats nor hides an item. Callers are to treat it as opaque.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterable
from itertools import islice
from typing import Any, TypeVar

from Products.ERP5Wendelin.errors import BadInput
from Products.ERP5Wendelin.protocol import LIST_LIMIT, LIST_LIMIT_MAX
from Products.ERP5Wendelin.views.query import Query

T = TypeVar("T")

NUMBER_MAX = 2**31 - 1
"""The largest number of a version: a key of an IOBTree."""


def limit_of(query: Query) -> int:
    """How many items the caller asks for."""
    return query.integer("limit", LIST_LIMIT, LIST_LIMIT_MAX) or LIST_LIMIT


def encode_cursor(*position: Any) -> str:
    """A cursor for a position of texts and integers."""
    text = json.dumps(position, ensure_ascii=False, separators=(",", ":"))
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def decode_cursor(query: Query, *types: type) -> tuple[Any, ...] | None:
    """The position that the caller's cursor stands for, None without one; BadInput if it is none of ours."""
    cursor = query.text("cursor")
    if not cursor:
        return None
    try:
        padded = cursor + "=" * (-len(cursor) % 4)
        position = json.loads(base64.b64decode(padded.encode("ascii"), altchars=b"-_", validate=True))
    except (ValueError, RecursionError) as error:
        raise _bad_cursor() from error
    if not isinstance(position, list) or [type(part) for part in position] != list(types):
        raise _bad_cursor()
    if not all(isinstance(part, str) or 0 <= part <= NUMBER_MAX for part in position):
        raise _bad_cursor()
    return tuple(position)


def version_of(query: Query) -> int | None:
    """The version of a data set that the caller asks for, None for the newest."""
    return query.integer("version", maximum=NUMBER_MAX)


def _bad_cursor() -> BadInput:
    return BadInput("The cursor is not one that this list gave. Pass what `next` had, unchanged, or begin without one.")


def take(items: Iterable[T], limit: int) -> tuple[list[T], bool]:
    """The first `limit` items, and whether there are more."""
    taken = list(islice(items, limit + 1))
    return taken[:limit], len(taken) > limit


def page(items: Iterable[T], limit: int, describe: Callable[[T], Any], key: Callable[[T], Any]) -> dict[str, Any]:
    """One page as plain data; `key` gives the position of an item."""
    taken, more = take(items, limit)
    cursor = encode_cursor(key(taken[-1])) if more else None
    return {"items": [describe(item) for item in taken], "next": cursor}


def page_by_reference(query: Query, search: Callable[..., Any], describe: Callable[[Any], Any]) -> dict[str, Any]:
    """One page of the documents that a module's search finds, by reference, for the query's `search` and `state`."""
    limit = limit_of(query)
    (after,) = decode_cursor(query, str) or ("",)
    found = search(search=query.text("search"), state=query.text("state"), after=after, limit=limit + 1)
    return page(found, limit, describe, lambda document: document.getReference())
