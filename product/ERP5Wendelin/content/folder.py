"""Containers of documents: what can be made in them, and the documents that contain documents.

Which portal types a container takes is what the tool `portal_types` says of its own portal type: a business template
brings both. A Folder keeps what it contains as its attributes, in order: it is for lines, of which there are a few.

State of Folder (public format): that of `content.base`, `_objects` (OFS.ObjectManager's), its contents by their ids.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterable
from typing import Any

from AccessControl.SecurityInfo import ClassSecurityInfo
from AccessControl.SecurityManagement import getSecurityManager
from Acquisition import aq_base
from OFS.ObjectManager import ObjectManager
from Products.CMFCore.interfaces import ICatalogTool, ITypesTool
from zExceptions import BadRequest
from zope.component import getUtility
from zope.event import notify
from zope.lifecycleevent import ObjectCreatedEvent

from Products.ERP5Wendelin.content.accessors import of_type
from Products.ERP5Wendelin.content.base import Base
from Products.ERP5Wendelin.content.declaration import declared
from Products.ERP5Wendelin.content.located import Located
from Products.ERP5Wendelin.errors import BadInput, Conflict
from Products.ERP5Wendelin.permissions import AccessContentsInformation, ModifyPortalContent, View

_REQUIRED: Any = object()


def new_id() -> str:
    """An id that nobody else has: 64 random bits, in hexadecimal."""
    return secrets.token_hex(8)


def add_document(container: Any, cls: type, portal_type: str, id: str, properties: dict[str, Any]) -> Any:
    """Make a document of a class, put it into a container and return it, wrapped; see `Container.newContent`."""
    if container._getOb(id, None) is not None:
        raise Conflict(f"There is a {id!r} in {container.getRelativeUrl()} already.")
    document = cls(id, **properties)
    if document.portal_type != portal_type:
        document.portal_type = portal_type
    notify(ObjectCreatedEvent(document))
    try:
        container._setObject(id, document)
    except BadRequest as error:
        raise BadInput(f"{id!r} can't be an id: {error}") from None
    return container._getOb(id)


def new_temporary(container: Any, cls: type, portal_type: str, id: str, properties: dict[str, Any]) -> Any:
    """Make a document that looks as if it were in a container, wrapped, and is stored nowhere; its maker owns it."""
    document = cls(id, **properties)
    document.temporary = True
    if document.portal_type != portal_type:
        document.portal_type = portal_type
    user = getSecurityManager().getUser().getId()
    if user is not None:
        document.manage_setLocalRoles(user, ["Owner"])
    return document.__of__(container)


@declared
class Container(Located):
    """Mixed into what contains documents and finds them by `_getOb`."""

    security = ClassSecurityInfo()

    @security.protected(ModifyPortalContent)
    def newContent(
        self, portal_type: str | None = None, id: str | None = None, temp_object: bool = False, **properties: Any
    ) -> Any:
        """Make a document in it and return it, wrapped.

        Without a portal type it is of the first one that the container takes. A `temp_object` is in memory only.
        BadInput: a portal type that it does not take, a bad id, or what `edit` would not take either. Conflict: there
        is something of that id.
        """
        info = getUtility(ITypesTool).getTypeInfo(self._content_type(portal_type))
        if temp_object:
            return new_temporary(self, self._class_of(info), info.getId(), id or self._new_id(), properties)
        if getattr(aq_base(self), "temporary", False):
            raise BadInput("A temporary document can't contain others, unless they are temporary as well.")
        return add_document(self, self._class_of(info), info.getId(), id or self._new_id(), properties)

    def _class_of(self, info: Any) -> type:
        return info.documentClass()

    def _new_id(self) -> str:
        return new_id()

    def _content_type(self, portal_type: str | None) -> str:
        """The portal type of a new document; BadInput says what is possible."""
        types = getUtility(ITypesTool)
        info = types.getTypeInfo(self.getPortalType())
        allowed = [name for name in (info.allowed_content_types if info else ()) if types.getTypeInfo(name)]
        if portal_type is None and allowed:
            return str(allowed[0])
        if portal_type in allowed:
            return str(portal_type)
        where = self.getRelativeUrl()
        if not allowed:
            raise BadInput(
                f"{where} holds no documents: the business template that says which is not installed, or of an earlier "
                "release. See `wendelin bt5 list DIR`."
            )
        raise BadInput(f"{where} holds {' and '.join(allowed)} documents, not {portal_type!r}.")

    def _verifyObjectPaste(self, object: Any, validate_src: int = 1) -> None:
        """Refuse what Zope's screens offer, copies, other ids and imports, since others know a document by its id."""
        raise BadInput("Documents can't be copied, moved, renamed or imported. Make another one, by newContent.")

    @security.protected(View)
    def contentValues(self, portal_type: str | Iterable[str] | None = None) -> list[Any]:
        """The documents in it that the current user may view, of all portal types, of one or of several."""
        may = getSecurityManager().checkPermission
        return [document for document in of_type(self.objectValues(), portal_type) if may(View, document)]

    @security.protected(View)
    def searchFolder(self, **kw: Any) -> Any:
        """Search the documents directly in it; the catalogue takes the conditions (`content.query`)."""
        return getUtility(ICatalogTool).searchResults(parent_uid=self.getUid(), **kw)


@declared
class FewContents(Container, ObjectManager):
    """Mixed into what contains a few documents: as its attributes, in order."""

    security = ClassSecurityInfo()

    def _getOb(self, id: str, default: Any = _REQUIRED) -> Any:
        found = super()._getOb(id, None)
        if hasattr(aq_base(found), "getId"):  # other attributes are no contents
            return found
        if default is _REQUIRED:
            raise AttributeError(id)
        return default

    @security.protected(AccessContentsInformation)
    def objectValues(self, spec: Any = None, portal_type: str | Iterable[str] | None = None) -> list[Any]:
        """What it contains, in the order in which it was made; of a portal type, or of several, if that is given."""
        return list(of_type(super().objectValues(spec), portal_type))


@declared
class Folder(FewContents, Base):
    """A document that contains documents, such as lines."""

    security = ClassSecurityInfo()
    security.declarePublic("cb_dataValid", "has_order_support")  # for Zope's screen of its contents

    manage_options = ObjectManager.manage_options + Base.manage_options

    _objects: tuple[dict[str, str], ...] = ()

    def _new_id(self) -> str:
        """ERP5 numbers lines."""
        taken = [int(id) for id in self.objectIds() if id.isdecimal()]
        return str(max(taken, default=0) + 1)

    @security.protected(ModifyPortalContent)
    def reindexObjectSecurity(self, skip_self: bool = False) -> None:
        """Tell the catalogue who may view it and what it contains, now that its state is another."""
        super().reindexObjectSecurity(skip_self)
        for document in self.objectValues():
            document.reindexObject(idxs=[*self._cmf_security_indexes, "validation_state", "simulation_state"])
