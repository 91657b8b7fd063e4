"""The kinds of items of business templates, in the order of their installation."""

from __future__ import annotations

from Products.ERP5Wendelin.portal.business_template.kinds.documents import CategoryKind, PathKind
from Products.ERP5Wendelin.portal.business_template.kinds.kind import Kind
from Products.ERP5Wendelin.portal.business_template.kinds.modules import ModuleKind, ToolKind
from Products.ERP5Wendelin.portal.business_template.kinds.pairs import AllowedContentTypeKind, WorkflowChainKind
from Products.ERP5Wendelin.portal.business_template.kinds.permissions import SitePermissionKind
from Products.ERP5Wendelin.portal.business_template.kinds.portal_types import PortalTypeKind
from Products.ERP5Wendelin.portal.business_template.kinds.roles import RoleKind
from Products.ERP5Wendelin.portal.business_template.kinds.skins import SkinKind
from Products.ERP5Wendelin.portal.business_template.kinds.workflows import WorkflowKind

KINDS: dict[str, Kind] = {
    kind.name: kind
    for kind in (
        RoleKind(),
        SitePermissionKind(),
        PortalTypeKind(),
        AllowedContentTypeKind(),
        WorkflowKind(),
        WorkflowChainKind(),
        ToolKind(),
        ModuleKind(),
        CategoryKind(),
        SkinKind(),
        PathKind(),
    )
}
"""Name of a kind, as in 'RoleTemplateItem' -> kind. Later ones may need what earlier ones brought."""
