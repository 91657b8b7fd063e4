"""Queries of the catalogue as ERP5 writes them: keywords in, conditions out.

================================================  ====================================================================
keyword                                           finds documents
================================================  ====================================================================
``portal_type``, ``reference``, ``title``,        with this value, or one of a list; '' or None: with none. A dict is
``validation_state``, ``simulation_state``,       passed on to ZCatalog: ``{'query': 'm', 'range': 'min'}``
``data_set``
``version``, ``id``                               the same, but each candidate is looked at: give ``portal_type`` too
``uid``, ``relative_url``                         with this relative URL, or one of a list
``parent_uid``, ``parent_relative_url``           directly in the document or module with this relative URL
``creation_date``, ``modification_date``          of this DateTime, or in a range: ``{'query': date, 'range': 'min'}``;
                                                  ranges are min (nlt), max (ngt), gt, lt and, with two dates, minmax
``BASE_uid``, ``BASE_relative_url``               related by a base category to this document or category, or to a
                                                  category within it
``BASE_reference``, ``BASE_title``,               related to a document with this value; each candidate is looked at
``BASE_portal_type``, ``BASE_id``
``SearchableText``                                with words that begin with each of these words
================================================  ====================================================================
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime, timezone
from operator import ge, gt, le, lt
from typing import Any

from DateTime import DateTime

from Products.ERP5Wendelin.errors import BadInput

FIELDS = ("portal_type", "reference", "title", "validation_state", "simulation_state", "data_set")
"""Indexed by their value. `data_set` is an ingestion's: the reference of the data set it pushes to."""

COLUMNS = ("portal_type", "reference", "title", "version", "created", "modified")
"""Kept in the catalogue, to be shown and compared without loading the document."""

DATES = {"creation_date": "created", "modification_date": "modified"}
"""Keyword -> column."""

RANGES: dict[str, Callable[[Any, Any], bool]] = {"min": ge, "nlt": ge, "max": le, "ngt": le, "gt": gt, "lt": lt}

RELATED = re.compile(r"(?P<base>[a-z_]+?)_(?P<what>uid|relative_url|reference|title|portal_type|id)")

SHARED = ("limit", "sort_on", "sort_order")
"""Keywords that are no conditions."""

LAST = "\U0010ffff"
"""The greatest character: follows every word with the same beginning."""


def words_of(text: str) -> list[str]:
    """The words of a text, as they are compared: runs of letters and digits, without case or accents."""
    plain = unicodedata.normalize("NFKD", text.casefold())
    return re.findall(r"[^\W_]+", "".join(c for c in plain if not unicodedata.combining(c)))


def prefixes(search: str) -> dict[str, Any]:
    """A query of the index `words` for documents with words that begin with each word of `search`."""
    return {"query": words_of(search) or [LAST], "operator": "and"}


def one_of(name: str, value: Any) -> frozenset[str]:
    """The texts that a condition asks for; '' stands for None. BadInput: there is something else among them."""
    wanted = value if isinstance(value, (list, tuple, set, frozenset)) else (value,)
    if not all(item is None or isinstance(item, str) for item in wanted):
        raise BadInput(f"portal_catalog: {name} must be text, or a list of texts.")
    return frozenset(item or "" for item in wanted)


def date_condition(name: str, value: Any) -> Callable[[datetime], bool]:
    """What a condition on a date asks for, as a function of a date."""
    if not isinstance(value, Mapping):
        date = _date(name, value)
        return lambda found: found == date
    query, range_ = value.get("query"), value.get("range")
    if range_ in ("minmax", "min:max") and isinstance(query, (list, tuple)) and len(query) == 2:
        first, last = (_date(name, date) for date in query)
        return lambda found: first <= found <= last
    if range_ in RANGES:
        date, compare = _date(name, query), RANGES[range_]
        return lambda found: compare(found, date)
    ranges = ", ".join((*RANGES, "minmax"))
    raise BadInput(f"portal_catalog: {name} takes a date, or {{'query': date, 'range': …}}; ranges are {ranges}.")


def _date(name: str, value: Any) -> datetime:
    if isinstance(value, DateTime):
        return value.toZone("UTC").asdatetime()
    if isinstance(value, datetime) and value.tzinfo:
        return value.astimezone(timezone.utc)
    raise BadInput(f"portal_catalog: {name} must be a DateTime, or a datetime with a time zone.")


def order_of(sort_on: Any, sort_order: Any = None) -> list[tuple[str, bool]]:
    """What to sort by, most important first: names of columns or fields, and whether greater ones come first."""
    if isinstance(sort_on, str):
        sort_on = [(sort_on, sort_order or "ascending")]
    order = []
    for item in sort_on or ():
        name, direction = (item, "ascending") if isinstance(item, str) else tuple(item)[:2]
        if name not in (*FIELDS, *COLUMNS, *DATES, "id", "uid", "relative_url"):
            raise BadInput(f"portal_catalog can't sort by {name!r}. It can by: {', '.join(sortable())}.")
        if direction.lower() not in ("ascending", "asc", "descending", "desc", "reverse"):
            raise BadInput(f"portal_catalog sorts 'ascending' or 'descending', not {direction!r}.")
        order.append((name, not direction.lower().startswith("asc")))
    return order


def sortable() -> Iterable[str]:
    """What results can be sorted by."""
    return dict.fromkeys((*FIELDS, "version", *DATES, "id", "relative_url"))


def limits(limit: Any) -> tuple[int, int | None]:
    """How many results to pass over, and how many to give at the most, of ERP5's `limit`: 10, [10] or [20, 10]."""
    numbers = [limit] if isinstance(limit, int) else list(limit or ())
    if not all(isinstance(number, int) and number >= 0 for number in numbers) or len(numbers) > 2:
        raise BadInput("portal_catalog: limit must be a number, or [how many to pass over, how many to give].")
    if not numbers:
        return 0, None
    return (0, numbers[0]) if len(numbers) == 1 else (numbers[0], numbers[1])
