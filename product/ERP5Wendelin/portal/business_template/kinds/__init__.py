"""The kinds of items of business templates, in the order of their installation."""

from __future__ import annotations

from Products.ERP5Wendelin.portal.business_template.kinds.kind import Kind
from Products.ERP5Wendelin.portal.business_template.kinds.lists import AllowedContentTypeKind, WorkflowChainKind
from Products.ERP5Wendelin.portal.business_template.kinds.permissions import SitePermissionKind
from Products.ERP5Wendelin.portal.business_template.kinds.roles import RoleKind

KINDS: dict[str, Kind] = {
    kind.name: kind
    for kind in (
        RoleKind(),
        SitePermissionKind(),
        AllowedContentTypeKind(),
        WorkflowChainKind(),
    )
}
"""Name of a kind, as in 'RoleTemplateItem' -> kind. Later ones may need what earlier ones brought."""
