from __future__ import annotations

import pytest
from AccessControl.SecurityManagement import getSecurityManager
from Products.CMFCore.interfaces import ICatalogTool, ISiteRoot, IWorkflowTool
from zope.component import getUtility
from zope.component.hooks import getSite, setSite

from Products.ERP5Wendelin.content.site import enter_site
from Products.ERP5Wendelin.errors import NotFound
from Products.ERP5Wendelin.permissions import DEFAULT_ROLES
from Products.ERP5Wendelin.portal.business_template.shipped import shipped
from support.site import as_user

MODULES = [item for item in shipped("erp5_wendelin").items if item.kind == "ModuleTemplateItem"]


@pytest.mark.parametrize("item", MODULES, ids=lambda item: item.path)
def test_site_has_a_module_for_each_portal_type(site, item):
    module = site[item.path]
    assert module.getPortalType() == item.data["portal_type"]
    info = site.portal_types.getTypeInfo(module)
    assert info.allowed_content_types
    for document_type in info.allowed_content_types:
        assert site.portal_types[document_type].title == document_type
        assert site.getDefaultModule(document_type) == module


def test_there_are_modules_to_look_at():
    assert {"data_set_module", "data_stream_module", "data_analysis_module"} <= {item.path for item in MODULES}


def test_tools_are_found_as_utilities_of_the_current_site(site):
    assert getUtility(ISiteRoot).getPhysicalPath() == ("", "erp5")
    assert getUtility(ICatalogTool).getPhysicalPath() == ("", "erp5", "portal_catalog")
    assert sorted(getUtility(IWorkflowTool).objectIds()) == [
        "data_analysis_workflow",
        "data_configuration_workflow",
        "data_ingestion_workflow",
        "data_set_workflow",
    ]


CONTRIBUTORS_MAY = {"Wendelin: Add Data Set", "Wendelin: Push Data"}


def test_roles_are_those_of_permissions_and_of_the_security_model(site):
    for permission, roles in DEFAULT_ROLES.items():
        granted = {role["name"] for role in site.rolesOfPermission(permission) if role["selected"]}
        assert granted == set(roles) | ({"Contributor"} if permission in CONTRIBUTORS_MAY else set())
        assert not site.acquiredRolesAreUsedBy(permission)


@pytest.mark.parametrize(
    ("user", "permissions"),
    [
        ("ada", {*CONTRIBUTORS_MAY, "Wendelin: Use Own Account"}),
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
