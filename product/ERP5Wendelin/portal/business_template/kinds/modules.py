"""ModuleTemplateItem: the modules of a site. ToolTemplateItem: its tools.

::

    ModuleTemplateItem/data_set_module.xml
        <module>
         <id>data_set_module</id>
         <permission_list><permission type='tuple'><name>View</name><role>Manager</role></permission></permission_list>
         <portal_type>Data Set Module</portal_type>
         <title>Data Sets</title>
        </module>
    ToolTemplateItem/portal_ingestion_policies.xml            an exported object

Data: {'portal_type': …, 'title': …, 'permissions': {permission: {'roles': (…), 'acquired': False}}}; tools have no
permissions of their own. A module or tool is made of the class that its portal type names.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from Acquisition import aq_base

from Products.ERP5Wendelin.content.folder import Container, add_document
from Products.ERP5Wendelin.errors import BadInput
from Products.ERP5Wendelin.portal.business_template.kinds.kind import (
    Source,
    check_id,
    check_name,
    portal_type_of,
    take,
    text,
)
from Products.ERP5Wendelin.portal.business_template.kinds.permissions import (
    permissions_of,
    read_permissions,
    set_permissions,
)
from Products.ERP5Wendelin.portal.business_template.template import Data, Item, TemplateError
from Products.ERP5Wendelin.portal.business_template.xml import attribute, children, leaf, parse

ELEMENTS = ("id", "permission_list", "portal_type", "title", "category_list")


class _ContainerKind:
    """Containers that are in the site itself."""

    name: str

    def read(self, site: Any, path: str) -> Data | None:
        container = site._getOb(path, None)
        if not isinstance(aq_base(container), Container):
            return None
        data = {"portal_type": container.getPortalType(), "title": container.title}
        return {**data, **self.more(container)}

    def more(self, container: Any) -> dict[str, Data]:
        """What the data says besides type and title."""
        return {}

    def install(self, site: Any, path: str, data: Data, old: Data | None) -> None:
        if old is not None and old["portal_type"] != data["portal_type"]:
            raise BadInput(f"{path} is a {old['portal_type']} already, and can't become a {data['portal_type']}.")
        if old is None:
            add_document(
                site, self.document_class(site, path, data), data["portal_type"], path, {"title": data["title"]}
            )
        site._getOb(path).title = data["title"]

    def document_class(self, site: Any, path: str, data: Data) -> type:
        """The class of a container. BadInput: the site has no such portal type."""
        portal_type = site.portal_types.getTypeInfo(data["portal_type"])
        if portal_type is None:
            raise BadInput(f"There is no portal type {data['portal_type']!r} for {path}.")
        return portal_type.documentClass()

    def remove(self, site: Any, path: str, data: Data) -> None:
        if site._getOb(path, None) is not None:
            site._delObject(path)

    def refusal(self, site: Any, path: str) -> str | None:
        container = site._getOb(path, None)
        if container is None or not len(container.objectIds()):
            return None
        count = len(container.objectIds())
        return f"{path} holds {count} document{'s' if count > 1 else ''}. Move or delete them first."

    def listed(self, path: str) -> str:
        return path


class ModuleKind(_ContainerKind):
    """Modules, with the permissions that were set on them."""

    name = "ModuleTemplateItem"
    list_name = "template_module_id_list"

    def items(self, source: Source) -> Iterator[Item]:
        for path in source.files.below(self.name):
            file = source.files.name(path)
            id = path[len(self.name) + 1 : -len(".xml")]
            if path.endswith(".xml") and "/" not in id:
                yield Item(self.name, id, _module(source.files.text(path), file, id), file)

    def more(self, container: Any) -> dict[str, Data]:
        return {"permissions": permissions_of(container)}

    def install(self, site: Any, path: str, data: Data, old: Data | None) -> None:
        super().install(site, path, data, old)
        set_permissions(site._getOb(path), data["permissions"], old["permissions"] if old else {})


class ToolKind(_ContainerKind):
    """Tools that hold documents, such as ingestion policies."""

    name = "ToolTemplateItem"
    list_name = "template_tool_id_list"

    def items(self, source: Source) -> Iterator[Item]:
        for path, record in source.exported(self.name):
            check_id(record, path)
            portal_type = portal_type_of(record)
            taken = take(record, {"title": text}, frozenset({"description", "categories"}))
            data = {"portal_type": portal_type, "title": taken.get("title", "")}
            yield Item(self.name, path, data, source.files.name(f"{self.name}/{path}.xml"))


def _module(content: str, file: str, id: str) -> Data:
    root = parse(content, file, "module")
    attribute(root, file)
    found: dict[str, Any] = {}
    for element in children(root, file, *ELEMENTS):
        if element.tag in found:
            raise TemplateError("It is there twice.", file, element.sourceline, element.tag)
        if element.tag == "permission_list":
            found[element.tag] = read_permissions(element, file)
        elif element.tag == "category_list":
            found[element.tag] = [leaf(child, file) for child in children(element, file, "category")]
        else:
            found[element.tag] = leaf(element, file)
    if found.get("id") != id:
        raise TemplateError(
            f"Its id is {found.get('id')!r}, but its file is that of {id!r}.", file, root.sourceline, "id"
        )
    portal_type = check_name(found.get("portal_type", ""), file, root.sourceline, "portal_type")
    permissions = found.get("permission_list", {})
    return {"portal_type": portal_type, "title": found.get("title", ""), "permissions": permissions}
