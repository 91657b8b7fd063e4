"""PortalTypeTemplateItem: the portal types of a site.

File: `PortalTypeTemplateItem/portal_types/Data%20Set.xml`, an exported Base Type. Data: {'title': …, 'description': …,
'type_class': 'DataSet'}. `type_class` names the class of its documents, one of `DOCUMENT_CLASSES`; what documents may
contain, and their workflows, are items of their own (`pairs`).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from Products.ERP5Wendelin.content.base_type import BaseType
from Products.ERP5Wendelin.content.portal_types import DOCUMENT_CLASSES
from Products.ERP5Wendelin.portal.business_template.kinds.kind import Source, check_id, portal_type_of, take, text
from Products.ERP5Wendelin.portal.business_template.template import Data, Item

TOOL = "portal_types"

IGNORED = frozenset(
    {
        "_property_domain_dict",
        "acquire_local_roles",
        "add_permission",
        "allowed_action_list",
        "base_category_list",
        "allow_discussion",
        "base_category",
        "categories",
        "content_meta_type",
        "contributor_list",
        "factory",
        "filter_actions",
        "filter_content_types",
        "group",
        "hidden_content_type",
        "init_script",
        "permission",
        "redirect_script",
        "searchable_text_method_id",
        "searchable_text_property_id",
        "short_title",
        "type_base_category",
        "type_constructor_script",
        "type_factory_method_id",
        "type_group",
        "type_interface",
        "type_mixin",
        "type_property_sheet",
        "type_workflow",
    }
)
"""What ERP5 makes documents and forms with: here the class says it."""


class PortalTypeKind:
    """Portal types: the names of the classes of documents."""

    name = "PortalTypeTemplateItem"
    list_name = "template_portal_type_id_list"

    def items(self, source: Source) -> Iterator[Item]:
        for path, record in source.exported(self.name):
            tool, _, id = path.partition("/")
            if tool != TOOL or "/" in id:
                raise record.error(f"Portal types are in the folder {TOOL}.")
            portal_type_of(record, "Base Type")
            check_id(record, id)
            taken = take(record, {"title": text, "description": text, "type_class": text}, IGNORED)
            type_class = taken.get("type_class", "")
            if type_class not in DOCUMENT_CLASSES:
                known = ", ".join(DOCUMENT_CLASSES)
                raise record.error(f"There is no class {type_class!r}. Classes are: {known}.", "type_class")
            source.type_classes[id] = type_class
            data = {
                "title": taken.get("title") or id,
                "description": taken.get("description", ""),
                "type_class": type_class,
            }
            yield Item(self.name, path, data, source.files.name(f"{self.name}/{path}.xml"))

    def listed(self, path: str) -> str:
        return path.removeprefix(f"{TOOL}/")

    def read(self, site: Any, path: str) -> Data | None:
        portal_type = _portal_type(site, path)
        if not isinstance(portal_type, BaseType):  # those of sites older than business templates are replaced
            return None
        return {
            "title": portal_type.title,
            "description": portal_type.description,
            "type_class": portal_type.type_class,
        }

    def install(self, site: Any, path: str, data: Data, old: Data | None) -> None:
        id = path.removeprefix(f"{TOOL}/")
        if old is None:
            before = site.portal_types._getOb(id, None)
            contents = () if before is None else before.allowed_content_types
            if before is not None:
                site.portal_types._delObject(id)
            site.portal_types._setObject(id, BaseType(id, **data, allowed_content_types=contents))
        else:
            meta_type = getattr(DOCUMENT_CLASSES[data["type_class"]], "meta_type", "")
            _portal_type(site, path).manage_changeProperties(**data, content_meta_type=meta_type)

    def remove(self, site: Any, path: str, data: Data) -> None:
        if _portal_type(site, path) is not None:
            site.portal_types._delObject(path.removeprefix(f"{TOOL}/"))

    def refusal(self, site: Any, path: str) -> str | None:
        id = path.removeprefix(f"{TOOL}/")
        count = len(site.portal_catalog.unrestrictedSearchResults(portal_type=id))
        if not count:
            return None
        return f"There {'is' if count == 1 else 'are'} {count} {id} document{'' if count == 1 else 's'}."


def _portal_type(site: Any, path: str) -> Any:
    return site.portal_types._getOb(path.removeprefix(f"{TOOL}/"), None)
