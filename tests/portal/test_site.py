from __future__ import annotations

import pytest
from AccessControl.SecurityManagement import getSecurityManager
from Products.CMFCore.interfaces import ICatalogTool, ISiteRoot, IWorkflowTool
from zope.component import getUtility
from zope.component.hooks import getSite, setSite

from Products.ERP5Wendelin.errors import NotFound
from Products.ERP5Wendelin.permissions import DEFAULT_ROLES
from Products.ERP5Wendelin.portal.root import enter_site
from Products.ERP5Wendelin.portal.setup import PORTAL_TYPES
from support.site import as_user


@pytest.mark.parametrize("portal_type", [name for name in PORTAL_TYPES if name.endswith(" Module")])
def test_site_has_a_module_for_each_portal_type(site, portal_type):
    module = site[portal_type.lower().replace(" ", "_")]
    assert module.getPortalType() == portal_type
    info = site.portal_types.getTypeInfo(module)
    assert info.allowed_content_types
    for document_type in info.allowed_content_types:
        assert site.portal_types[document_type].title == document_type
        assert site.getDefaultModule(document_type) == module


def test_tools_are_found_as_utilities_of_the_current_site(site):
    assert getUtility(ISiteRoot).getPhysicalPath() == ("", "erp5")
    assert getUtility(ICatalogTool).getPhysicalPath() == ("", "erp5", "portal_catalog")
    assert getUtility(IWorkflowTool).objectIds() == [
        "data_set_workflow",
        "data_ingestion_workflow",
        "data_analysis_workflow",
    ]


def test_default_roles_are_those_of_permissions(site):
    for permission, roles in DEFAULT_ROLES.items():
        granted = {role["name"] for role in site.rolesOfPermission(permission) if role["selected"]}
        assert granted == set(roles)
        assert not site.acquiredRolesAreUsedBy(permission)


@pytest.mark.parametrize(
    ("user", "permissions"),
    [
        ("ada", {"Wendelin: Add Data Set", "Wendelin: Push Data", "Wendelin: Use Own Account"}),
        ("dan", {"Wendelin: Use Own Account"}),
        ("boss", set(DEFAULT_ROLES)),
        ("nobody", set()),
    ],
)
def test_who_may_do_what_on_the_site(site, user, permissions):
    with as_user(site, user):
        checked = {name for name in DEFAULT_ROLES if getSecurityManager().checkPermission(name, site)}
    assert checked == permissions


def test_enter_site_makes_it_the_current_one(site):
    app = site.aq_parent
    setSite()
    assert enter_site(app) == site
    assert getSite().getPhysicalPath() == ("", "erp5")
    with pytest.raises(NotFound, match=r"^The database has no site 'other'\.$"):
        enter_site(app, "other")


def test_portal_type_of_a_document_is_its_class_s(site):
    data_set = site.data_set_module.newDataSet("x")
    assert data_set.getPortalType() == data_set.getPortalTypeName() == data_set.meta_type == "Data Set"
