"""Base of all documents: identity, title, dates, and what the catalogue and the workflows need.

State (public format): `id`, `reference`, `title`, `description` (text), `created`, `modified` (aware datetimes in UTC),
besides what Zope keeps on any document (`__ac_local_roles__`, `_owner`, `workflow_history`, and one `_…_Permission` for
each permission that a workflow manages).
"""

from __future__ import annotations

from datetime import datetime, timezone
from typing import Any

from AccessControl.SecurityInfo import ClassSecurityInfo
from Products.CMFCore.PortalContent import PortalContent

from Products.ERP5Wendelin.content.catalogue import words_of
from Products.ERP5Wendelin.content.declaration import declared
from Products.ERP5Wendelin.errors import BadInput
from Products.ERP5Wendelin.permissions import ModifyPortalContent, View


def now() -> datetime:
    """The current time in UTC, to the second: the precision in which dates are shown and compared."""
    return datetime.now(timezone.utc).replace(microsecond=0)


@declared
class Base(PortalContent):
    """A document of the site; subclasses set `portal_type` and `meta_type`, which are equal."""

    security = ClassSecurityInfo()
    security.declareObjectProtected(View)
    security.setDefaultAccess("deny")
    security.declarePrivate("created", "modified")

    portal_type = meta_type = "Base Document"
    editable = ("title", "description")
    """The properties that `edit` takes."""

    reference = ""
    title = ""
    description = ""

    def __init__(self, id: str, reference: str = "", title: str = "", description: str = "") -> None:
        self.id = id
        self.reference = reference
        self.title = title
        self.description = description
        self.created = self.modified = now()

    @security.protected(View)
    def getPortalType(self) -> str:
        """Its type, as in 'Data Set'."""
        return self.portal_type

    @security.protected(View)
    def getReference(self) -> str:
        """The name users know it by."""
        return self.reference

    @security.protected(View)
    def getTitle(self) -> str:
        """Its title, for people."""
        return self.title

    Title = getTitle
    security.declareProtected(View, "Title")

    @security.protected(View)
    def getDescription(self) -> str:
        """What it is about, as text."""
        return self.description

    Description = getDescription
    security.declareProtected(View, "Description")

    @security.protected(View)
    def getCreationDate(self) -> datetime:
        """When it was made, UTC."""
        return self.created

    @security.protected(View)
    def getModificationDate(self) -> datetime:
        """When it, or what it holds, last changed, UTC."""
        return self.modified

    @security.protected(View)
    def SearchableText(self) -> str:
        """What a search in the catalogue looks through."""
        return " ".join(filter(None, (self.getReference(), self.title, self.description)))

    @security.protected(View)
    def words(self) -> list[str]:
        """The words of its searchable text, as the catalogue compares them."""
        return words_of(self.SearchableText())

    @security.protected(ModifyPortalContent)
    def edit(self, **properties: Any) -> None:
        """Set properties, mark it modified and reindex it. BadInput: no such property, or a value is not text."""
        for name, value in properties.items():
            if name not in self.editable:
                raise BadInput(f"A {self.portal_type} has no property {name!r}. It has: {', '.join(self.editable)}.")
            if not isinstance(value, str):
                raise BadInput(f"{name} must be text.")
        for name, value in properties.items():
            setattr(self, name, value)
        self.reindexObject()

    @security.protected(ModifyPortalContent)
    def reindexObjectSecurity(self, skip_self: bool = False) -> None:
        """Tell the catalogue who may view it now; CMF would look for documents below it, and there are none."""
        if not skip_self:
            self.reindexObject(idxs=self._cmf_security_indexes)

    @security.private
    def notifyModified(self) -> None:
        """Set the modification date; the catalogue calls it when the whole document is reindexed."""
        self.modified = now()
