"""RoleTemplateItem: roles that users can have. Data: True.

File: `RoleTemplateItem/role_list.xml`, `<role_list><role>Contributor</role>…</role_list>`. A role that is not defined
is nobody's, so that workflows may name roles that another template brings.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from Products.ERP5Wendelin.portal.business_template.kinds.kind import Source, check_name
from Products.ERP5Wendelin.portal.business_template.template import Data, Item, TemplateError
from Products.ERP5Wendelin.portal.business_template.xml import attribute, children, leaf, parse

FILE = "role_list.xml"
ZOPE_S = ("Anonymous", "Authenticated", "Manager", "Owner", "Shared")


class RoleKind:
    """Roles of the site, and of the plugin that says who has them."""

    name = "RoleTemplateItem"
    list_name = "template_role_list"

    def items(self, source: Source) -> Iterator[Item]:
        path = f"{self.name}/{FILE}"
        if path not in source.files:
            return
        file = source.files.name(path)
        root = parse(source.files.text(path), file, "role_list")
        attribute(root, file)
        for element in children(root, file, "role"):
            role = check_name(leaf(element, file), file, element.sourceline, "role")
            if role in ZOPE_S:
                raise TemplateError(f"The role {role} is Zope's own.", file, element.sourceline, "role")
            yield Item(self.name, role, True, file)

    def listed(self, path: str) -> str:
        return path

    def read(self, site: Any, path: str) -> Data | None:
        return True if path in site.__ac_roles__ and path in _roles(site).listRoleIds() else None

    def install(self, site: Any, path: str, data: Data, old: Data | None) -> None:
        if path not in site.__ac_roles__:
            site.__ac_roles__ = (*site.__ac_roles__, path)
        if path not in _roles(site).listRoleIds():
            _roles(site).addRole(path)

    def remove(self, site: Any, path: str, data: Data) -> None:
        site.__ac_roles__ = tuple(role for role in site.__ac_roles__ if role != path)
        if path in _roles(site).listRoleIds():
            _roles(site).removeRole(path)

    def refusal(self, site: Any, path: str) -> str | None:
        if self.read(site, path) is None:
            return None
        users = sorted(user for user, _ in _roles(site).listAssignedPrincipals(path))
        if not users:
            return None
        return (
            f"Users have the role {path}: {', '.join(users[:5])}{', …' if len(users) > 5 else ''}. Remove them first."
        )


def _roles(site: Any) -> Any:
    return site.acl_users.roles
