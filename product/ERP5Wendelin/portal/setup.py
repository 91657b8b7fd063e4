"""Making a site: tools, users, permissions, workflows, catalogue and modules, in one transaction."""

from __future__ import annotations

from typing import Any

from Products.CMFCore.ActionsTool import ActionsTool
from Products.CMFCore.CatalogTool import CatalogTool
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
from Products.CMFCore.TypesTool import FactoryTypeInformation, TypesTool
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
from Products.ERP5Wendelin.content.data_array_module import DataArrayModule
from Products.ERP5Wendelin.content.data_ingestion_module import DataIngestionModule
from Products.ERP5Wendelin.content.data_set_module import DataSetModule
from Products.ERP5Wendelin.content.data_stream_module import DataStreamModule
from Products.ERP5Wendelin.content.module import Module, document_type_of
from Products.ERP5Wendelin.permissions import DEFAULT_ROLES
from Products.ERP5Wendelin.portal.access_tokens import AccessTokens
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

MODULES: tuple[type[Module], ...] = (DataSetModule, DataStreamModule, DataIngestionModule, DataArrayModule)


def make_site(app: Any, id: str = "erp5") -> ERP5Site:
    """Add a site to a Zope application, in the current transaction, and make it the current site of this thread."""
    app._setObject(id, ERP5Site(id, "Data lake"))
    site = app._getOb(id)
    setSite(site)
    _add_tools(site)
    _add_users(site)
    for permission, roles in DEFAULT_ROLES.items():
        site.manage_permission(permission, roles)
    catalogue.install(site.portal_catalog)
    for module_class in MODULES:
        _add_module(site, module_class)
    workflow.install(site.portal_workflow)
    return site


def _add_tools(site: ERP5Site) -> None:
    components = site.getSiteManager()
    components.registerUtility(site, ISiteRoot)
    for interface, tool_class in TOOLS:
        tool = tool_class()
        site._setObject(tool.getId(), tool)
        components.registerUtility(site._getOb(tool.getId()), interface)
    site.portal_skins.addSkinSelection("View", "", make_default=True)


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


def _add_module(site: ERP5Site, module_class: type[Module]) -> None:
    id = module_class.portal_type.lower().replace(" ", "_")
    document_type = document_type_of(module_class)
    site._setObject(id, module_class(id, f"{document_type}s"))
    types = site.portal_types
    types._setObject(
        module_class.portal_type,
        FactoryTypeInformation(
            module_class.portal_type,
            title=module_class.portal_type,
            content_meta_type=module_class.meta_type,
            global_allow=False,
            filter_content_types=True,
            allowed_content_types=(document_type,),
        ),
    )
    types._setObject(
        document_type,
        FactoryTypeInformation(document_type, title=document_type, content_meta_type=document_type, global_allow=False),
    )
