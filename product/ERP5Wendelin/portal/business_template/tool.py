"""`portal_templates`: which business templates a site has, and what each brought as it was installed.

The documents change nothing on the site by themselves: `install` does, and keeps them true.

State (public format). TemplateTool: that of OFS.Folder. BusinessTemplate: Base's, where `id` and `title` are the name
of the template, and

* `version`, `license`, `change_log`: text; `provision_list`, `maintainer_list`, `copyright_list`: tuples of text
* `dependency_list`: tuple of (name, operator, version)
* `_items`: a PersistentMapping from (kind, path) to (data, brought), in the order of their installation. The data is
  the template's, the base of every later comparison. `brought`: without a template the object would not be there.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from AccessControl.SecurityInfo import ClassSecurityInfo
from OFS.Folder import Folder
from persistent.mapping import PersistentMapping
from Products.CMFCore.utils import UniqueObject

from Products.ERP5Wendelin.content.base import Base, now
from Products.ERP5Wendelin.content.declaration import declared
from Products.ERP5Wendelin.permissions import View, ViewManagementScreens
from Products.ERP5Wendelin.portal.business_template.change import Key
from Products.ERP5Wendelin.portal.business_template.template import Data, Dependency, Metadata

TOOL = "portal_templates"

TEXTS = ("version", "description", "license", "change_log")
LISTS = ("provision_list", "maintainer_list", "copyright_list")


class InstalledItem(NamedTuple):
    """An object of an installed template."""

    data: Data
    """As the template has it."""

    brought: bool
    """Without a template it would not be there: it was not, before the first one that has it."""


@declared
class BusinessTemplate(Base):
    """An installed business template."""

    security = ClassSecurityInfo()
    security.declarePrivate("dependency_list", *LISTS)

    portal_type = meta_type = "Business Template"

    version = license = change_log = ""
    dependency_list: tuple[tuple[str, str, str], ...] = ()
    provision_list: tuple[str, ...] = ()
    maintainer_list: tuple[str, ...] = ()
    copyright_list: tuple[str, ...] = ()

    def __init__(self, id: str) -> None:
        super().__init__(id, title=id)
        self._items = PersistentMapping()

    @security.protected(View)
    def getVersion(self) -> str:
        """Which version of it is installed."""
        return self.version

    @security.protected(View)
    def getLicense(self) -> str:
        """Under which terms it may be used."""
        return self.license

    @security.protected(View)
    def getChangeLog(self) -> str:
        """What its authors say of its changes."""
        return self.change_log

    @security.protected(View)
    def getDependencyList(self) -> list[str]:
        """The templates it needs, as in 'erp5_wendelin (>= 1.0)'."""
        return [str(Dependency(*parts)) for parts in self.dependency_list]

    @security.protected(View)
    def getProvisionList(self) -> list[str]:
        """The names it stands for, besides its own."""
        return list(self.provision_list)

    @security.protected(View)
    def getMaintainerList(self) -> list[str]:
        """Who looks after it."""
        return list(self.maintainer_list)

    @security.protected(View)
    def getCopyrightList(self) -> list[str]:
        """Whose work it is."""
        return list(self.copyright_list)

    @security.protected(View)
    def getInstallationState(self) -> str:
        """'installed': a template has a document for as long as it is installed."""
        return "installed"

    @security.private
    def metadata(self) -> Metadata:
        """What the installed version said of itself, as far as it is kept."""
        texts = {name: getattr(self, name) for name in (*TEXTS, *LISTS)}
        dependencies = tuple(Dependency(*parts) for parts in self.dependency_list)
        return Metadata(title=self.title, dependency_list=dependencies, **texts)

    @security.private
    def installed_items(self) -> dict[Key, InstalledItem]:
        """Its objects as they were installed, in that order."""
        return {Key(*key): InstalledItem(*value) for key, value in self._items.items()}

    @security.private
    def record(self, metadata: Metadata, items: Mapping[Key, InstalledItem]) -> bool:
        """Note what is installed now; return whether that is anything new. Nothing is written unless it is."""
        properties: dict[str, Any] = {name: getattr(metadata, name) for name in (*TEXTS, *LISTS)}
        properties["dependency_list"] = tuple(
            (dependency.name, dependency.operator, dependency.version) for dependency in metadata.dependency_list
        )
        changed = {name: value for name, value in properties.items() if getattr(self, name) != value}
        recorded = {tuple(key): tuple(item) for key, item in items.items()}
        if list(self._items.items()) != list(recorded.items()):
            self._items = PersistentMapping(recorded)
        elif not changed:
            return False
        for name, value in changed.items():
            setattr(self, name, value)
        self.modified = now()
        self.reindexObject()
        return True


@declared
class TemplateTool(UniqueObject, Folder):
    """The installed business templates, by their names."""

    security = ClassSecurityInfo()
    security.declareObjectProtected(ViewManagementScreens)

    id = TOOL
    portal_type = meta_type = "Template Tool"
    title = "Business Templates"

    @security.protected(ViewManagementScreens)
    def getPortalType(self) -> str:
        """Its type."""
        return self.portal_type

    @security.protected(ViewManagementScreens)
    def getInstalledBusinessTemplate(self, title: str) -> BusinessTemplate | None:
        """The installed template of this name, or None."""
        return self._getOb(title, None)

    @security.protected(ViewManagementScreens)
    def getInstalledBusinessTemplateList(self) -> list[BusinessTemplate]:
        """The installed templates, in the order of their first installation."""
        return list(self.objectValues())

    @security.protected(ViewManagementScreens)
    def getInstalledBusinessTemplateTitleList(self) -> list[str]:
        """Their names."""
        return [template.getTitle() for template in self.objectValues()]

    @security.private
    def of_name(self, name: str) -> BusinessTemplate:
        """The document of a template, made if need be."""
        if not self.hasObject(name):
            self._setObject(name, BusinessTemplate(name))
        return self._getOb(name)


def template_tool(site: Any) -> TemplateTool:
    """The template tool of a site, made if need be: sites are older than business templates."""
    if not site.hasObject(TOOL):
        site._setObject(TOOL, TemplateTool())
        site._getOb(TOOL).manage_permission(View, ("Manager",))
    return site._getOb(TOOL)


def installed_templates(site: Any) -> dict[str, BusinessTemplate]:
    """The installed templates by name, in the order of their first installation."""
    documents = site._getOb(TOOL).objectValues() if site.hasObject(TOOL) else ()
    return {document.getId(): document for document in documents}
