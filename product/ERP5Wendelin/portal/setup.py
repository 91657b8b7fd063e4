"""Making a site, in one transaction: tools, users and catalogue, and whatever its business templates bring."""

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

from Products.ERP5Wendelin.content import catalogue
from Products.ERP5Wendelin.content.catalogue import CatalogTool
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


def make_site(app: Any, id: str = "erp5", templates: Sequence[str] = DEFAULT_TEMPLATES) -> ERP5Site:
    """Add a site to a Zope application, in the current transaction, and make it the current site of this thread.

    What it can do is up to the business templates, those of the lake by their names.
    """
    app._setObject(id, ERP5Site(id, "Data lake"))
    site = app._getOb(id)
    setSite(site)
    site.getSiteManager().registerUtility(site, ISiteRoot)
    add_tools(site)
    _add_users(site)
    for permission, roles in DEFAULT_ROLES.items():
        site.manage_permission(permission, roles)
    install(site, [shipped(name) for name in templates])
    return site


def add_tools(site: ERP5Site) -> None:
    """Add the tools that a site lacks: all to a new one, and to one of an earlier release those that came later."""
    documents = _remove_older_catalogue(site)
    for interface, tool_class in TOOLS:
        tool = tool_class()
        if not site.hasObject(tool.getId()):
            site._setObject(tool.getId(), tool)
            site.getSiteManager().registerUtility(site._getOb(tool.getId()), interface)
    # documents have the workflows that templates give to their portal types, and no others
    site.portal_workflow.setDefaultChain("")
    if not site.portal_catalog.indexes():
        catalogue.install(site.portal_catalog)
    for path in documents:
        site.portal_catalog.catalog_object(site.unrestrictedTraverse(path), path)
    if not site.hasObject(CALLABLES):
        site._setObject(CALLABLES, Folder(CALLABLES))
    if not site.portal_skins.hasObject(CUSTOM):
        site.portal_skins._setObject(CUSTOM, Folder(CUSTOM))
        site.portal_skins.addSkinSelection(SELECTION, CUSTOM, make_default=True)


def _remove_older_catalogue(site: ERP5Site) -> list[str]:
    """Remove the catalogue of a site that is older than ours; return the paths of the documents in it."""
    tool = site._getOb(CatalogTool.id, None)
    if tool is None or isinstance(tool, CatalogTool):
        return []
    paths = list(tool._catalog.paths.values())
    site._delObject(CatalogTool.id)
    return paths


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
