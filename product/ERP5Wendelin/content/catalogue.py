"""The catalogue: which indexes it has, and how words are found in it.

Words are looked up by their beginning, all of them: `search=brain` finds brain_mri, `search=mri bra` too. ZCTextIndex
would do that as well, but numbers its words one after the other, so that any two additions at the same time
conflict. Here two additions change the same key only if both bring the same new word.
"""

from __future__ import annotations

import re
import unicodedata
from functools import reduce
from typing import Any

from AccessControl.SecurityInfo import ClassSecurityInfo
from BTrees.IIBTree import IISet, IITreeSet, intersection, multiunion
from Products.CMFCore.CatalogTool import CatalogTool
from Products.PluginIndexes.FieldIndex.FieldIndex import FieldIndex
from Products.PluginIndexes.KeywordIndex.KeywordIndex import KeywordIndex

from Products.ERP5Wendelin.content.declaration import declared

FIELDS = ("portal_type", "reference", "validation_state", "simulation_state", "data_set")
"""Indexed by their value. `data_set` is an ingestion's: the reference of the data set it pushes to."""

COLUMNS = ("portal_type", "reference", "modified")
"""Kept in the catalogue, to be shown without loading the document."""

LAST = "\U0010ffff"
"""The greatest character: follows every word with the same beginning."""


def words_of(text: str) -> list[str]:
    """The words of a text, as they are compared: runs of letters and digits, without case or accents."""
    plain = unicodedata.normalize("NFKD", text.casefold())
    return re.findall(r"[^\W_]+", "".join(c for c in plain if not unicodedata.combining(c)))


def prefixes(search: str) -> dict[str, Any]:
    """A query of the index `words` for documents with words that begin with each word of `search`."""
    return {"query": words_of(search) or [LAST], "operator": "and"}


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


def install(catalog: CatalogTool) -> None:
    """Give a new catalogue its indexes and columns."""
    for name in FIELDS:
        catalog.addIndex(name, FieldIndex(name))
    catalog.addIndex("allowedRolesAndUsers", KeywordIndex("allowedRolesAndUsers"))
    catalog.addIndex("words", WordIndex("words"))
    for name in COLUMNS:
        catalog.addColumn(name)


def _as_set(rows: Any) -> IISet | IITreeSet:
    return IISet((rows,)) if isinstance(rows, int) else rows
