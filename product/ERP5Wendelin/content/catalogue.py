"""The catalogue: which indexes it has, how words are found in it, and searches as ERP5 writes them (`content.query`).

Words are looked up by their beginning, all of them: `search=brain` finds brain_mri, `search=mri bra` too. ZCTextIndex
would do that as well, but numbers its words one after the other, so that any two additions at the same time
conflict. Here two additions change the same key only if both bring the same new word.

For the same reason there are few indexes, and what a document does not have is in none: ids, parents and relative URLs
are read from the paths that the catalogue has anyway, and results are sorted by columns, which are one record for each
document.

State (public format): ZCatalog's.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import reduce
from itertools import islice
from typing import Any

from AccessControl.SecurityInfo import ClassSecurityInfo
from AccessControl.SecurityManagement import getSecurityManager
from AccessControl.users import UnrestrictedUser
from Acquisition import aq_base, aq_inner, aq_parent
from BTrees.IIBTree import IISet, IITreeSet, intersection, multiunion, union
from Products.CMFCore.CatalogTool import CatalogTool as CMFCatalogTool
from Products.CMFCore.CatalogTool import IndexableObjectWrapper
from Products.CMFCore.indexing import processQueue
from Products.PluginIndexes.FieldIndex.FieldIndex import FieldIndex
from Products.PluginIndexes.KeywordIndex.KeywordIndex import KeywordIndex
from Products.ZCatalog.query import IndexQuery
from Products.ZCatalog.ZCatalog import ZCatalog
from ZTUtils.Lazy import LazyMap

from Products.ERP5Wendelin.content.brain import Brain
from Products.ERP5Wendelin.content.declaration import declared
from Products.ERP5Wendelin.content.query import (
    COLUMNS,
    DATES,
    FIELDS,
    LAST,
    RELATED,
    SHARED,
    date_condition,
    limits,
    one_of,
    order_of,
    prefixes,
)
from Products.ERP5Wendelin.content.relation import CATEGORIES, is_document
from Products.ERP5Wendelin.errors import BadInput
from Products.ERP5Wendelin.permissions import View, ViewManagementScreens

ALLOWED = "allowedRolesAndUsers"
"""The index of who may view a document."""

SEARCHED = (
    "reference",
    "title",
    "data_set",
    "words",
    "portal_type",
    "validation_state",
    "simulation_state",
    ALLOWED,
)
"""The indexes of a query, in the order in which they are searched: what leaves little first."""

UNFILTERED = (
    "getAllBrains",
    "getIndexDataForRID",
    "getIndexDataForUID",
    "getMetadataForRID",
    "getMetadataForUID",
    "getobject",
    "getpath",
    "getrid",
    "index_objects",
    "resolve_path",
    "resolve_url",
    "search",
    "searchAll",
    "uniqueValuesFor",
)
"""ZCatalog's own methods that tell of all documents, whoever asks: its management screens need them."""

Filter = Callable[[int], bool]
"""Whether the document of a record id is to be found."""


@declared
class WordIndex(KeywordIndex):
    """An index of a document's words, found by how they begin. State: that of KeywordIndex."""

    security = ClassSecurityInfo()

    meta_type = "Wendelin Word Index"
    query_options = ("query", "operator")

    @security.private
    def query_index(self, record: Any, resultset: Any = None) -> Any:
        """The documents that have, for each of the keys, a word that begins with it."""
        found = (multiunion([_as_set(rows) for rows in self._index.values(key, key + LAST)]) for key in record.keys)
        return reduce(intersection, found, resultset)


class Indexable(IndexableObjectWrapper):
    """A document as the catalogue sees it: its own values, none acquired from what it is in, and None for no value."""

    def __init__(self, document: Any, catalogue: Any) -> None:
        super().__init__(document, catalogue)
        self._document = document

    @property
    def reference(self) -> str | None:
        return self._document.getReference() or None

    @property
    def title(self) -> str | None:
        return self._document.getTitle() or None

    @property
    def validation_state(self) -> str | None:
        return self._state("getValidationState")

    @property
    def simulation_state(self) -> str | None:
        return self._state("getSimulationState")

    def _state(self, method: str) -> str | None:
        get = getattr(aq_base(self._document), method, None)
        return getattr(self._document, method)() or None if get is not None else None

    @property
    def version(self) -> str | None:
        return getattr(aq_base(self._document), "version", None) or None

    @property
    def data_set(self) -> str | None:
        return getattr(aq_base(self._document), "data_set", None) or None


@declared
class CatalogTool(CMFCatalogTool):
    """`portal_catalog`: `portal_catalog(portal_type=…, …)` finds what the current user may view."""

    security = ClassSecurityInfo()
    security.declareProtected(ViewManagementScreens, *UNFILTERED)

    meta_type = "ERP5 Catalog"

    @security.protected(View)
    def searchResults(self, REQUEST: Any = None, **kw: Any) -> Any:
        """The documents that meet all conditions and that the current user may view, as brains; see `content.query`.

        `sort_on` is a name, or a list of names and of (name, 'descending'); `limit` a number, or [how many to pass
        over, how many to give]. BadInput: there is no such keyword, or it takes another value. A query with
        `sort_limit` is left to ZCatalog, which sorts by walking the index it is given.
        """
        if "sort_limit" in kw:
            unknown = [name for name in kw if name not in (*FIELDS, "words", "sort_on", "sort_order", "sort_limit")]
            if unknown:
                raise _unknown(unknown[0])
            return super().searchResults(REQUEST, **kw)
        allowed = self._listAllowedRolesAndUsers(getSecurityManager().getUser())
        return self._find(kw, frozenset(allowed))

    __call__ = searchResults

    @security.private
    def unrestrictedSearchResults(self, REQUEST: Any = None, **kw: Any) -> Any:
        """As `searchResults`, whoever may view them."""
        return self._find(kw, None)

    @security.protected(View)
    def getResultValue(self, **kw: Any) -> Any:
        """The first document of a search, or None."""
        return next((value for value in (brain.getObject() for brain in self.searchResults(**kw)) if value), None)

    @security.protected(View)
    def countResults(self, **kw: Any) -> list[list[int]]:
        """How many documents a search finds, as ERP5 gives it: `countResults(…)[0][0]`."""
        return [[len(self.searchResults(**kw))]]

    @security.private
    def catalog_object(
        self, obj: Any, uid: Any = None, idxs: Any = None, update_metadata: Any = 1, pghandler: Any = None
    ) -> None:
        """Index a document; the catalogue's own machinery calls it."""
        ZCatalog.catalog_object(self, Indexable(obj, self), uid, idxs, update_metadata, pghandler)

    def _listAllowedRolesAndUsers(self, user: Any) -> list[str]:
        """Who may view what is found; whoever is above all rights finds what a Manager does."""
        allowed = super()._listAllowedRolesAndUsers(user)
        return [*allowed, "Manager"] if isinstance(aq_base(user), UnrestrictedUser) else allowed

    # finding

    def _find(self, kw: dict[str, Any], allowed: frozenset[str] | None) -> Any:
        """What meets all conditions, and may be viewed by one of the allowed roles and users; None: by anybody."""
        processQueue()
        first, count = limits(kw.get("limit"))
        order = order_of(kw.get("sort_on"), kw.get("sort_order"))
        found = self._matching(kw, allowed)
        if order:
            found = iter(self._sorted(found, order))
        rows = list(islice(found, first, None if count is None else first + count))
        return LazyMap(lambda rid: Brain(self, rid), rows)

    def _matching(self, kw: dict[str, Any], allowed: frozenset[str] | None) -> Iterator[int]:
        indexed: dict[str, Any] = {} if allowed is None else {ALLOWED: sorted(allowed)}
        filters: list[Filter] = []
        found: Any = None
        for name, value in kw.items():
            if name in SHARED:
                continue
            rows = self._rows_of(name, value)
            if rows is not None:
                found = intersection(found, rows)
            elif name == "SearchableText":
                if not isinstance(value, str):
                    raise BadInput("portal_catalog: SearchableText must be text.")
                indexed["words"] = prefixes(value)
            elif name in FIELDS and not _has_none(value):
                indexed[name] = self._checked(name, value)
            else:
                filters.append(self._filter(name, value, allowed))
        for name in sorted(indexed, key=SEARCHED.index):
            found = intersection(found, self._indexed(name, indexed, found))
        rids = self._catalog.data.keys() if found is None else found
        return (rid for rid in rids if all(keeps(rid) for keeps in filters))

    def _checked(self, name: str, value: Any) -> Any:
        """A condition on an index: ZCatalog's own, or texts."""
        return value if isinstance(value, dict) else sorted(one_of(name, value))

    def _indexed(self, name: str, query: dict[str, Any], within: Any) -> Any:
        index = self._catalog.getIndex(name)
        try:
            record = IndexQuery(query, name, index.query_options, index.operators, index.useOperator)
            return index.query_index(record, within) if record.keys else IISet()
        except (TypeError, ValueError) as error:
            raise BadInput(f"portal_catalog: {name} does not take {query[name]!r}: {error}") from error

    def _rows_of(self, name: str, value: Any) -> Any:
        """The record ids that a condition on relative URLs or on relations leaves, or None if it is none of these."""
        if name in ("uid", "relative_url"):
            rids = (self.getrid(self._path(url)) for url in one_of(name, value))
            return IISet(sorted(rid for rid in rids if rid is not None))
        if name in ("parent_uid", "parent_relative_url"):
            return reduce(union, (self._children(url) for url in one_of(name, value)), IISet())
        match = RELATED.fullmatch(name)
        if match is None or match["what"] not in ("uid", "relative_url") or not self._is_base(match["base"]):
            return None
        base = match["base"]
        keys = [url if url.startswith(base + "/") else f"{base}/{url}" for url in one_of(name, value)]
        return self._indexed("memberships", {"memberships": keys}, None)

    def _children(self, url: str) -> Any:
        start = self._path(url) + "/"
        paths = self._catalog.uids.items(start, start + LAST)
        return IISet(sorted(rid for path, rid in paths if "/" not in path[len(start) :]))

    def _filter(self, name: str, value: Any, allowed: frozenset[str] | None) -> Filter:
        """A condition that is looked at document by document."""
        if name in DATES:
            meets = date_condition(name, value)
            return lambda rid: meets(self.value_of(rid, DATES[name]))
        match = RELATED.fullmatch(name)
        if match is not None and self._is_base(match["base"]):
            wanted, what, prefix = one_of(name, value), match["what"], match["base"] + "/"
            return lambda rid: any(self.value_of(to, what) in wanted for to in self._related(rid, prefix, allowed))
        if name not in ("id", "version", *FIELDS):
            raise _unknown(name)
        asked = one_of(name, value)
        return lambda rid: (self.value_of(rid, name) or "") in asked

    def _related(self, rid: int, prefix: str, allowed: frozenset[str] | None) -> Iterator[int]:
        """The record ids of what a document is related to by a base category, as far as that may be viewed."""
        viewers = self._catalog.getIndex(ALLOWED)
        for key in self._catalog.getIndex("memberships").getEntryForObject(rid, ()):
            if key.startswith(prefix):
                path = key[len(prefix) :]
                to = self.getrid(self._path(path if is_document(path) else key))
                if to is not None and (allowed is None or not allowed.isdisjoint(viewers.getEntryForObject(to, ()))):
                    yield to

    def _is_base(self, name: str) -> bool:
        categories = getattr(aq_parent(aq_inner(self)), "portal_categories", None)
        return categories is not None and categories.hasObject(name)

    def _path(self, url: str) -> str:
        """The path from the root of the database that a relative URL stands for."""
        within = () if is_document(url) else (CATEGORIES,)
        return "/".join((*aq_parent(aq_inner(self)).getPhysicalPath(), *within, url))

    def _sorted(self, rids: Iterable[int], order: list[tuple[str, bool]]) -> list[int]:
        found = list(rids)
        for name, descending in reversed(order):
            column = DATES.get(name, name)
            found.sort(key=lambda rid: _sort_key(self.value_of(rid, column)), reverse=descending)
        return found

    @security.private
    def value_of(self, rid: int, name: str) -> Any:
        """What the catalogue knows of a document, without loading it: a column, a field, or of its path; or None."""
        if name in ("id", "uid", "relative_url"):
            url = "/".join(self.getpath(rid).split("/")[len(aq_parent(aq_inner(self)).getPhysicalPath()) :])
            return url.rpartition("/")[2] if name == "id" else url.removeprefix(CATEGORIES + "/")
        if name in COLUMNS:
            value = self._catalog.data[rid][self._catalog.schema[name]]
            return value or None
        return self._catalog.getIndex(name).getEntryForObject(rid, None)


def install(catalog: CatalogTool) -> None:
    """Give a new catalogue its indexes and columns."""
    for name in FIELDS:
        catalog.addIndex(name, FieldIndex(name))
    catalog.addIndex(ALLOWED, KeywordIndex(ALLOWED))
    catalog.addIndex("memberships", KeywordIndex("memberships"))
    catalog.addIndex("words", WordIndex("words"))
    for name in COLUMNS:
        catalog.addColumn(name)


def _unknown(name: str) -> BadInput:
    return BadInput(f"portal_catalog has no index {name!r}. See docs/erp5.rst for those that it has.")


def _has_none(value: Any) -> bool:
    wanted = value if isinstance(value, (list, tuple, set, frozenset)) else (value,)
    return any(item is None or item == "" for item in wanted)


def _sort_key(value: Any) -> tuple[bool, Any]:
    return (value is not None, value)


def _as_set(rows: Any) -> IISet | IITreeSet:
    return IISet((rows,)) if isinstance(rows, int) else rows
