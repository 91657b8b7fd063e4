"""Making a site: tools, users, permissions, workflows, catalogue and modules, in one transaction."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from OFS.Folder import Folder
from Products.CMFCore.ActionsTool import ActionsTool
from Products.CMFCore.interfaces import (
    IActionsTool,
    ICatalogTool,
    IMemberDataTool,
    IMembershipTool,
    ISiteRoot,
    ISkinsTool,
    ITypesTool,
    IURLTool,
    IWorkflowTool,
)
from Products.CMFCore.MemberDataTool import MemberDataTool
from Products.CMFCore.MembershipTool import MembershipTool
from Products.CMFCore.SkinsTool import SkinsTool
from Products.CMFCore.TypesTool import TypesTool
from Products.CMFCore.URLTool import URLTool
from Products.CMFCore.WorkflowTool import WorkflowTool
from Products.PluggableAuthService.interfaces.plugins import (
    IAuthenticationPlugin,
    IChallengePlugin,
    IExtractionPlugin,
    IRolesPlugin,
    IUserAdderPlugin,
    IUserEnumerationPlugin,
)
from Products.PluggableAuthService.PluggableAuthService import addPluggableAuthService
from Products.PluggableAuthService.plugins.HTTPBasicAuthHelper import HTTPBasicAuthHelper
from Products.PluggableAuthService.plugins.ZODBRoleManager import ZODBRoleManager
from zope.component.hooks import setSite

from Products.ERP5Wendelin.content import catalogue, workflow
from Products.ERP5Wendelin.content.base_type import BaseType
from Products.ERP5Wendelin.content.catalogue import CatalogTool
from Products.ERP5Wendelin.content.category import BaseCategory, Category
from Products.ERP5Wendelin.content.folder import add_document
from Products.ERP5Wendelin.content.movement import PARTIES
from Products.ERP5Wendelin.content.scripts import CALLABLES, CUSTOM, SELECTION
from Products.ERP5Wendelin.permissions import DEFAULT_ROLES
from Products.ERP5Wendelin.portal.access_tokens import AccessTokens
from Products.ERP5Wendelin.portal.business_template.install import install
from Products.ERP5Wendelin.portal.business_template.shipped import DEFAULT_TEMPLATES, shipped
from Products.ERP5Wendelin.portal.root import ERP5Site
from Products.ERP5Wendelin.portal.user_manager import UserManager

TOOLS = (
    (ITypesTool, TypesTool),
    (IWorkflowTool, WorkflowTool),
    (ICatalogTool, CatalogTool),
    (ISkinsTool, SkinsTool),
    (IMembershipTool, MembershipTool),
    (IMemberDataTool, MemberDataTool),
    (IURLTool, URLTool),
    (IActionsTool, ActionsTool),
)
"""CMFCore looks its tools up as utilities of the site."""

PORTAL_TYPES: dict[str, tuple[str, tuple[str, ...]]] = {
    "Alarm": ("Alarm", ()),
    "Alarm Tool": ("AlarmTool", ("Alarm",)),
    "Base Category": ("BaseCategory", ("Category",)),
    "Category": ("Category", ("Category",)),
    "Category Tool": ("CategoryTool", ("Base Category",)),
    "Data Analysis": ("DataAnalysis", ("Data Analysis Line",)),
    "Data Analysis Line": ("DataAnalysisLine", ()),
    "Data Analysis Module": ("Module", ("Data Analysis",)),
    "Data Array": ("DataArray", ()),
    "Data Array Module": ("DataArrayModule", ("Data Array",)),
    "Data Ingestion": ("DataIngestion", ("Data Ingestion Line",)),
    "Data Ingestion Line": ("DataIngestionLine", ()),
    "Data Ingestion Module": ("DataIngestionModule", ("Data Ingestion",)),
    "Data Operation": ("DataOperation", ()),
    "Data Operation Module": ("Module", ("Data Operation",)),
    "Data Product": ("DataProduct", ()),
    "Data Product Module": ("Module", ("Data Product",)),
    "Data Set": ("DataSet", ()),
    "Data Set Module": ("DataSetModule", ("Data Set",)),
    "Data Bucket Stream": ("DataBucketStream", ()),
    "Data Stream": ("DataStream", ()),
    "Data Stream Module": ("DataStreamModule", ("Data Stream", "Data Bucket Stream")),
    "Data Supply": ("DataSupply", ("Data Supply Line",)),
    "Data Supply Line": ("DataSupplyLine", ()),
    "Data Supply Module": ("Module", ("Data Supply",)),
    "Data Transformation": (
        "DataTransformation",
        ("Data Transformation Resource Line", "Data Transformation Operation Line"),
    ),
    "Data Transformation Module": ("Module", ("Data Transformation",)),
    "Data Transformation Operation Line": ("DataTransformationLine", ()),
    "Data Transformation Resource Line": ("DataTransformationLine", ()),
    "Ingestion Policy": ("IngestionPolicy", ()),
    "Ingestion Policy Tool": ("IngestionPolicyTool", ("Ingestion Policy",)),
}
"""Portal type -> the name of its class, and the portal types of what it may contain."""

DOCUMENT_TOOLS = {
    "portal_alarms": "Alarm Tool",
    "portal_categories": "Category Tool",
    "portal_ingestion_policies": "Ingestion Policy Tool",
}
"""Tools that hold documents: id -> portal type."""

CATEGORIES: dict[str, Any] = {
    **dict.fromkeys(("aggregate", "causality", "quantity_unit", "resource", "specialise", *PARTIES), ()),
    **dict.fromkeys(("predecessor", "successor"), ()),
    "use": ("big_data", "big_data/analysis", "big_data/ingestion", "big_data/ingestion/stream"),
}
"""Base category -> the categories below it, outer ones first."""


def make_site(app: Any, id: str = "erp5", templates: Sequence[str] = DEFAULT_TEMPLATES) -> ERP5Site:
    """Add a site to a Zope application, in the current transaction, and make it the current site of this thread.

    What it can do is up to the business templates, those of the lake by their names.
    """
    app._setObject(id, ERP5Site(id, "Data lake"))
    site = app._getOb(id)
    setSite(site)
    _add_tools(site)
    _add_users(site)
    for permission, roles in DEFAULT_ROLES.items():
        site.manage_permission(permission, roles)
    catalogue.install(site.portal_catalog)
    _add_portal_types(site)
    workflow.install(site.portal_workflow)
    _add_modules(site)
    _add_categories(site)
    install(site, [shipped(name) for name in templates])
    return site


def _add_tools(site: ERP5Site) -> None:
    components = site.getSiteManager()
    components.registerUtility(site, ISiteRoot)
    for interface, tool_class in TOOLS:
        tool = tool_class()
        site._setObject(tool.getId(), tool)
        components.registerUtility(site._getOb(tool.getId()), interface)
    site._setObject(CALLABLES, Folder(CALLABLES))
    site.portal_skins._setObject(CUSTOM, Folder(CUSTOM))
    site.portal_skins.addSkinSelection(SELECTION, CUSTOM, make_default=True)


def _add_users(site: ERP5Site) -> None:
    addPluggableAuthService(site)
    activate = site.acl_users.plugins.activatePlugin
    for plugin, interfaces in (
        (AccessTokens("access_tokens"), (IExtractionPlugin, IAuthenticationPlugin)),
        (HTTPBasicAuthHelper("http_basic"), (IExtractionPlugin, IChallengePlugin)),
        (UserManager("users"), (IAuthenticationPlugin, IUserEnumerationPlugin, IUserAdderPlugin)),
        (ZODBRoleManager("roles"), (IRolesPlugin,)),
    ):
        site.acl_users._setObject(plugin.getId(), plugin)
        for interface in interfaces:
            activate(interface, plugin.getId())


def _add_portal_types(site: ERP5Site) -> None:
    types = site.portal_types
    for name, (type_class, contents) in PORTAL_TYPES.items():
        types._setObject(name, BaseType(name, type_class, allowed_content_types=contents))


def _add_modules(site: ERP5Site) -> None:
    types = site.portal_types
    for name in PORTAL_TYPES:
        if name.endswith(" Module"):
            id = name.lower().replace(" ", "_")
            title = f"{name.removesuffix(' Module')}s"
            add_document(site, types[name].documentClass(), name, id, {"title": title})
    for id, name in DOCUMENT_TOOLS.items():
        add_document(site, types[name].documentClass(), name, id, {"title": name})


def _add_categories(site: ERP5Site) -> None:
    tool = site.portal_categories
    for base, paths in CATEGORIES.items():
        add_document(tool, BaseCategory, "Base Category", base, {"title": base})
        for path in paths:
            parent, _, id = f"{base}/{path}".rpartition("/")
            add_document(tool.unrestrictedTraverse(parent), Category, "Category", id, {"title": id})
