"""SitePermissionTemplateItem: which roles have a permission in the whole site. Data: a sorted tuple of roles.

ERP5 has no such kind, since its roles depend on documents and on people's functions; the file has the elements of its
modules: `SitePermissionTemplateItem/permission_list.xml`,
`<permission_list><permission type='tuple'><name>View</name><role>Manager</role></permission>…</permission_list>`.
A permission that nothing was said about is a Manager's alone.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from AccessControl.Permission import getPermissionIdentifier, getPermissions
from Acquisition import aq_base

from Products.ERP5Wendelin.portal.business_template.kinds.kind import Source
from Products.ERP5Wendelin.portal.business_template.template import Data, Item, TemplateError
from Products.ERP5Wendelin.portal.business_template.xml import attribute, children, leaf, parse

FILE = "permission_list.xml"
DEFAULT = ("Manager",)

Permissions = dict[str, dict[str, Any]]
"""Permission -> {'roles': sorted tuple, 'acquired': whether roles that have it above have it, too}."""


class SitePermissionKind:
    """Permissions of the site itself; all that is in it acquires them."""

    name = "SitePermissionTemplateItem"
    list_name = "template_site_permission_list"

    def items(self, source: Source) -> Iterator[Item]:
        path = f"{self.name}/{FILE}"
        if path not in source.files:
            return
        file = source.files.name(path)
        root = parse(source.files.text(path), file, "permission_list")
        for permission, setting in read_permissions(root, file).items():
            if setting["acquired"]:
                raise TemplateError("A site acquires permissions from nothing.", file, root.sourceline, "permission")
            yield Item(self.name, permission, setting["roles"], file)

    def listed(self, path: str) -> str:
        return path

    def read(self, site: Any, path: str) -> Data | None:
        roles = permissions_of(site).get(path, {"roles": DEFAULT})["roles"]
        return None if roles == DEFAULT else roles

    def install(self, site: Any, path: str, data: Data, old: Data | None) -> None:
        site.manage_permission(path, data, acquire=0)

    def remove(self, site: Any, path: str, data: Data) -> None:
        site.manage_permission(path, DEFAULT, acquire=0)

    def refusal(self, site: Any, path: str) -> str | None:
        return None


def read_permissions(root: Any, file: str) -> Permissions:
    """What the `<permission>` elements in an element say. TemplateError: no such permission in Zope or its products."""
    known = {permission[0] for permission in getPermissions()}
    attribute(root, file)
    permissions: Permissions = {}
    for element in children(root, file, "permission"):
        (kind,) = attribute(element, file, "type")
        parts = children(element, file, "name", "role")
        names = [leaf(part, file) for part in parts if part.tag == "name"]
        if kind not in ("tuple", "list") or len(names) != 1 or names[0] not in known or names[0] in permissions:
            raise TemplateError(
                "Expected type='tuple' or 'list' (acquired), and one <name> of a permission of this lake, each once.",
                file,
                element.sourceline,
                element.tag,
            )
        roles = {leaf(part, file) for part in parts if part.tag == "role"}
        permissions[names[0]] = {"roles": tuple(sorted(roles)), "acquired": kind == "list"}
    return permissions


def permissions_of(object: Any) -> Permissions:
    """The permissions that were set on an object itself."""
    attributes = vars(aq_base(object))
    permissions = {}
    for name in sorted(permission[0] for permission in getPermissions()):
        roles = attributes.get(getPermissionIdentifier(name))
        if roles is not None:
            permissions[name] = {"roles": tuple(sorted(roles)), "acquired": isinstance(roles, list)}
    return permissions


def set_permissions(object: Any, permissions: Permissions, old: Permissions) -> None:
    """Set permissions on an object, and let those of `old` that are no more among them be acquired again."""
    for name in old.keys() - permissions.keys():
        object.manage_permission(name, (), acquire=1)
    for name, setting in permissions.items():
        object.manage_permission(name, setting["roles"], acquire=setting["acquired"])
