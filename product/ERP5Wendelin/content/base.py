"""Base of all documents: identity, properties, relations, dates, and what the catalogue and the workflows need.

State (public format): `id`, `reference`, `title`, `description` (text), `created`, `modified` (aware datetimes in UTC),
`categories` (tuple of relations, see `content.relation`), and an attribute for each property that a class declares (see
`content.accessors`), besides what Zope keeps on any document (`__ac_local_roles__`, `_owner`, `workflow_history`, and
one `_…_Permission` for each permission that a workflow manages).
"""

from __future__ import annotations

from datetime import datetime, timezone
from typing import Any, ClassVar

from AccessControl.SecurityInfo import ClassSecurityInfo
from DateTime import DateTime
from Products.CMFCore.PortalContent import PortalContent

from Products.ERP5Wendelin.content import relation
from Products.ERP5Wendelin.content.accessors import Setter, camel, checked, shown_date
from Products.ERP5Wendelin.content.declaration import declared
from Products.ERP5Wendelin.content.located import Located
from Products.ERP5Wendelin.content.query import words_of
from Products.ERP5Wendelin.errors import BadInput
from Products.ERP5Wendelin.permissions import ModifyPortalContent, View


def now() -> datetime:
    """The current time in UTC, to the second: the precision in which dates are shown and compared."""
    return datetime.now(timezone.utc).replace(microsecond=0)


@declared
class Base(Located, PortalContent):
    """A document of the site; subclasses set `portal_type` and `meta_type`, which are equal."""

    security = ClassSecurityInfo()
    security.declareObjectProtected(View)
    security.setDefaultAccess("deny")
    security.declarePrivate("created", "modified", "categories", "properties", "base_categories", "fixed", "temporary")
    # for Zope's screens
    security.declarePublic("meta_type", "zmi_icon")
    security.declareProtected(View, "title_or_id")

    portal_type = meta_type = "Base Document"

    properties: ClassVar[dict[str, str]] = {"reference": "text", "title": "text", "description": "text"}
    """Its properties, besides those of the classes above it: name -> kind (see `content.accessors`)."""
    base_categories: ClassVar[tuple[str, ...]] = ()
    """By what it is related to others, besides the base categories of the classes above it."""
    fixed: ClassVar[tuple[str, ...]] = ()
    """The properties that are set when it is made, and not changed later."""
    _setters: ClassVar[dict[str, Setter]]

    categories: tuple[str, ...] = ()
    temporary = False
    """Whether it is never stored."""

    def __init__(self, id: str, **properties: Any) -> None:
        self.id = id
        self.created = self.modified = now()
        self._assign(properties)

    def _assign(self, properties: dict[str, Any]) -> None:
        if "category_list" in properties:
            properties = properties.copy()
            properties |= self._by_base_category(properties.pop("category_list"))
        unknown = next((name for name in properties if name not in self._setters), None)
        if unknown is not None:
            raise self._no_property(unknown)
        values = {name: self._setters[name].check(value) for name, value in properties.items()}
        for name, value in values.items():
            self._setters[name].assign(self, value)

    def _no_property(self, name: str) -> BadInput:
        declared = (vars(cls) for cls in reversed(self.__class__.__mro__))
        names = [n for own in declared for n in (*own.get("properties", ()), *own.get("base_categories", ()))]
        own = ", ".join(n for n in dict.fromkeys(names) if n not in self.fixed)
        return BadInput(f"A {self.portal_type} has no property {name!r}. It has: {own}.")

    @security.protected(ModifyPortalContent)
    def edit(self, **properties: Any) -> None:
        """Set properties and relations, mark it modified and reindex it; nothing is changed if one can't be.

        The names are those of the setters: `title=…`, `use_value=…`, `aggregate_list=[…]`. BadInput: no such property,
        or its value is of another kind.
        """
        fixed = next((name for name in properties if name in self.fixed), None)
        if fixed is not None:
            raise self._no_property(fixed)
        self._assign(properties)
        self.reindexObject()

    @security.protected(View)
    def getProperty(self, name: str, default: Any = None) -> Any:
        """A property by its name, or what a relation leads to: `getProperty('use_list')` is `getUseList()`."""
        known = name in self._setters or name == "category_list"
        value = getattr(self, f"get{camel(name)}")() if known else None
        return default if value is None else value

    @security.protected(ModifyPortalContent)
    def setProperty(self, name: str, value: Any) -> None:
        """Set one property by its name; as `edit`."""
        self.edit(**{name: value})

    @security.protected(View)
    def getTitleOrId(self) -> str:
        """Its title, or else its id."""
        return self.getTitle() or self.getId()

    @security.protected(View)
    def getCategoryList(self) -> list[str]:
        """All that it is related to, each as 'base_category/path'."""
        return list(self.categories)

    @security.protected(ModifyPortalContent)
    def setCategoryList(self, category_list: list[str]) -> None:
        """Relate it to these, each 'base_category/path', and to nothing else. BadInput: no such base category."""
        self.edit(category_list=category_list)

    def _by_base_category(self, category_list: list[str]) -> dict[str, list[str]]:
        """The values for `edit` that relate a document to these and to nothing else."""
        named: dict[str, list[str]] = {f"{base}_list": [] for base in self._base_categories()}
        for text in checked("category_list", "lines", category_list):
            base, _, path = text.partition("/")
            named.setdefault(f"{base}_list", []).append(path)
        return named

    @security.protected(View)
    def isMemberOf(self, category: str) -> bool:
        """Whether it is in a category, as 'use/big_data', or in one within it; or related to 'aggregate/…'."""
        return category in relation.memberships(self)

    def _base_categories(self) -> list[str]:
        return [base for cls in reversed(self.__class__.__mro__) for base in vars(cls).get("base_categories", ())]

    @security.protected(View)
    def Title(self) -> str:
        """Its title, under the name that CMF calls."""
        return self.getTitle()

    @security.protected(View)
    def Description(self) -> str:
        """What it is about, under the name that CMF calls."""
        return self.getDescription()

    @security.protected(View)
    def getCreationDate(self) -> DateTime:
        """When it was made, UTC."""
        return shown_date(self.created)

    @security.protected(View)
    def getModificationDate(self) -> DateTime:
        """When it, or what it holds, last changed, UTC."""
        return shown_date(self.modified)

    @security.protected(View)
    def SearchableText(self) -> str:
        """What a search in the catalogue looks through."""
        return " ".join(filter(None, (self.getReference(), self.title, self.description)))

    @security.protected(View)
    def words(self) -> list[str]:
        """The words of its searchable text, as the catalogue compares them."""
        return words_of(self.SearchableText())

    @security.protected(View)
    def memberships(self) -> list[str]:
        """By which relations the catalogue finds it."""
        return relation.memberships(self)

    @security.protected(ModifyPortalContent)
    def reindexObjectSecurity(self, skip_self: bool = False) -> None:
        """Tell the catalogue who may view it now; CMF would look for documents below it, and there are none."""
        if not skip_self:
            self.reindexObject(idxs=self._cmf_security_indexes)

    @security.public
    def isTempObject(self) -> bool:
        """Whether it was made with `temp_object=True`: it is in memory alone, and nobody else finds it."""
        return self.temporary

    @security.protected(ModifyPortalContent)
    def reindexObject(self, idxs: Any = ()) -> None:
        """Tell the catalogue what has changed; all of it unless the names of indices are given."""
        if not self.temporary:
            super().reindexObject(list(idxs))

    @security.private
    def notifyModified(self) -> None:
        """Set the modification date; the catalogue calls it when the whole document is reindexed."""
        self.modified = now()
