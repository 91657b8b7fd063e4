"""Base Type: what a site knows of a portal type: its class, and what documents of it may contain.

State (public format): FactoryTypeInformation's, and `type_class` (a name in `portal_types.DOCUMENT_CLASSES`).
"""

from __future__ import annotations

from typing import Any

from AccessControl.SecurityInfo import ClassSecurityInfo
from Products.CMFCore.TypesTool import FactoryTypeInformation

from Products.ERP5Wendelin.content.declaration import declared
from Products.ERP5Wendelin.content.portal_types import DOCUMENT_CLASSES
from Products.ERP5Wendelin.errors import BadInput


@declared
class BaseType(FactoryTypeInformation):
    """A portal type, as the tool `portal_types` has it."""

    security = ClassSecurityInfo()

    meta_type = "ERP5 Base Type"
    type_class = ""

    _properties = (
        *FactoryTypeInformation._properties,
        {"id": "type_class", "type": "string", "mode": "w", "label": "Class"},
    )

    def __init__(
        self, id: str, type_class: str, title: str = "", allowed_content_types: tuple[str, ...] = (), **properties: Any
    ) -> None:
        properties = {"global_allow": False, "filter_content_types": True} | properties
        super().__init__(id, title=title or id, allowed_content_types=tuple(allowed_content_types), **properties)
        self.type_class = type_class
        self.content_meta_type = getattr(DOCUMENT_CLASSES.get(type_class), "meta_type", "")

    @security.private
    def documentClass(self) -> type:
        """The class of its documents. BadInput: there is none of the name."""
        cls = DOCUMENT_CLASSES.get(self.type_class)
        if cls is None:
            raise BadInput(
                f"Documents of portal type {self.getId()!r} can't be made: there is no class {self.type_class!r}. "
                f"There are: {', '.join(DOCUMENT_CLASSES)}."
            )
        return cls

    @security.public
    def isConstructionAllowed(self, container: Any) -> bool:
        """Never by CMF's forms: documents are made by `newContent`."""
        return False
