"""Each kind of item on a site: what is installed is read back, changed, refused and removed."""

from __future__ import annotations

import copy
from pathlib import Path

import pytest
import transaction
from AccessControl.SecurityManagement import getSecurityManager
from Acquisition import aq_base

from Products.ERP5Wendelin.content.data_operation import DataOperation
from Products.ERP5Wendelin.errors import BadInput
from Products.ERP5Wendelin.permissions import AddDataSet, PushData, View
from Products.ERP5Wendelin.portal.business_template.kinds import KINDS
from Products.ERP5Wendelin.portal.business_template.reader import read
from Products.ERP5Wendelin.portal.setup import make_site
from support.site import as_user

BT5 = Path(__file__).parents[3] / "bt5"
TEMPLATES = sorted(title.parent.parent for title in BT5.glob("*/bt/title"))
TOOLS = {
    "portal_actions",
    "portal_callables",
    "portal_catalog",
    "portal_memberdata",
    "portal_membership",
    "portal_skins",
}
TOOLS |= {"acl_users", "portal_types", "portal_url", "portal_workflow"}


@pytest.fixture
def bare(lake):
    """A site without templates, seen by the system, in a database of its own."""
    with lake.open("system") as site:
        app = site.aq_parent
        yield make_site(app, "bare", templates=())


@pytest.fixture
def site(lake):
    """A site with the default templates, seen by the system."""
    with lake.open("system") as site:
        yield site


def install(site, kind, path, data):
    """Install an item, and see that the site has it then, also if it is installed once more."""
    for _ in range(2):
        KINDS[kind].install(site, path, copy.deepcopy(data), KINDS[kind].read(site, path))
        assert KINDS[kind].read(site, path) == data


def remove(site, kind, path):
    """Remove an item, and see that the site has nothing there then."""
    assert KINDS[kind].refusal(site, path) is None
    KINDS[kind].remove(site, path, KINDS[kind].read(site, path))
    assert KINDS[kind].read(site, path) is None
    KINDS[kind].remove(site, path, None)


def test_there_are_templates_to_look_at():
    assert {"erp5_wendelin", "erp5_wendelin_data_lake_ingestion_default_security_model"} <= {t.name for t in TEMPLATES}


def test_every_item_of_our_templates_is_read_back_as_it_was_installed_and_goes_without_a_trace(bare):
    items = [item for directory in in_order() for item in read(directory).items]
    before = set(bare.objectIds())
    assert before == TOOLS
    for item in items:
        assert KINDS[item.kind].read(bare, item.path) is None, item
        install(bare, item.kind, item.path, item.data)
    for item in items:
        # nothing that came later has changed it
        assert KINDS[item.kind].read(bare, item.path) == item.data, item
    transaction.savepoint()
    for item in reversed(items):
        remove(bare, item.kind, item.path)
    assert set(bare.objectIds()) == before
    assert list(bare.portal_types.objectIds()) == list(bare.portal_workflow.objectIds()) == []
    assert bare.portal_skins.objectIds() == ["custom"]
    assert bare.portal_skins.getSkinPath("View") == "custom"


def in_order():
    """Our templates, those that others need first."""
    return sorted(TEMPLATES, key=lambda directory: len(read(directory).metadata.dependency_list))


def test_site_without_the_security_model_lets_only_managers_and_owners_push(bare):
    for item in read(BT5 / "erp5_wendelin").items:
        KINDS[item.kind].install(bare, item.path, item.data, None)
    assert bare.__ac_roles__ == ()
    assert list(bare.acl_users.roles.listRoleIds()) == ["Manager"]
    for permission in (AddDataSet, PushData):
        assert [role["name"] for role in bare.rolesOfPermission(permission) if role["selected"]] == ["Manager"]


def test_security_model_lets_contributors_push_and_everybody_download_what_is_published(lake):
    with lake.open("ada") as site:
        data_set = site.data_set_module.newDataSet("x")
        data_set.changeState("publish")
        may = {name: permissions_of(site, name, data_set) for name in ("nobody", "dan", "eve", "boss")}
    assert may == {"nobody": {View}, "dan": {View}, "eve": {View, PushData}, "boss": {View, PushData}}


def permissions_of(site, user, document):
    with as_user(site, user):
        return {name for name in (View, PushData) if getSecurityManager().checkPermission(name, document)}


def test_role_that_users_have_is_not_removed(site):
    assert KINDS["RoleTemplateItem"].refusal(site, "Contributor") == (
        "Users have the role Contributor: ada, eve. Remove them first."
    )
    install(site, "RoleTemplateItem", "Brewer", True)
    assert "Brewer" in site.__ac_roles__
    remove(site, "RoleTemplateItem", "Brewer")
    assert "Brewer" not in site.valid_roles()


def test_permission_goes_back_to_managers_alone(site):
    kind = KINDS["SitePermissionTemplateItem"]
    assert kind.read(site, AddDataSet) == ("Contributor", "Manager")
    install(site, "SitePermissionTemplateItem", "Add portal content", ("Contributor", "Manager", "Owner"))
    with as_user(site, "eve"):
        assert getSecurityManager().checkPermission("Add portal content", site)
    remove(site, "SitePermissionTemplateItem", "Add portal content")
    with as_user(site, "eve"):
        assert not getSecurityManager().checkPermission("Add portal content", site)


PORTAL_TYPE = {"title": "Note", "description": "A thing.", "type_class": "DataProduct"}


@pytest.fixture
def notes(site):
    """A site with a portal type of its own, in a module of its own."""
    install(site, "PortalTypeTemplateItem", "portal_types/Note", PORTAL_TYPE)
    install(
        site,
        "PortalTypeTemplateItem",
        "portal_types/Note Module",
        {**PORTAL_TYPE, "title": "N", "type_class": "Module"},
    )
    install(site, "PortalTypeAllowedContentTypeTemplateItem", "Note Module | Note", True)
    install(site, "PortalTypeWorkflowChainTemplateItem", "Note | data_set_workflow", True)
    install(
        site,
        "ModuleTemplateItem",
        "note_module",
        {
            "portal_type": "Note Module",
            "title": "Notes",
            "permissions": {
                AddDataSet: {"roles": ("Downloader", "Manager"), "acquired": False},
                View: {"roles": ("Downloader",), "acquired": True},
            },
        },
    )
    return site


def test_portal_type_makes_documents_of_its_class(notes):
    with as_user(notes, "dan"):
        note = notes.note_module.newContent(id="n", title="First")
    assert (note.getPortalType(), note.getValidationState()) == ("Note", "draft")
    assert notes.getDefaultModule("Note") == notes.note_module


def test_portal_type_that_has_documents_and_module_that_holds_some_are_not_removed(notes):
    notes.note_module.newContent(id="n")
    assert KINDS["ModuleTemplateItem"].refusal(notes, "note_module") == (
        "note_module holds 1 document. Move or delete them first."
    )
    assert KINDS["PortalTypeTemplateItem"].refusal(notes, "portal_types/Note") == "There is 1 Note document."
    notes.note_module.newContent()
    assert "holds 2 documents" in KINDS["ModuleTemplateItem"].refusal(notes, "note_module")
    assert KINDS["PortalTypeTemplateItem"].refusal(notes, "portal_types/Note") == "There are 2 Note documents."
    notes.note_module.manage_delObjects([*notes.note_module.objectIds()])
    remove(notes, "ModuleTemplateItem", "note_module")
    remove(notes, "PortalTypeTemplateItem", "portal_types/Note")


def test_permissions_of_a_module_are_changed_and_taken_back(notes):
    kind = KINDS["ModuleTemplateItem"]
    data = {**kind.read(notes, "note_module"), "permissions": {PushData: {"roles": ("Owner",), "acquired": False}}}
    install(notes, "ModuleTemplateItem", "note_module", data)
    with as_user(notes, "dan"):
        assert not getSecurityManager().checkPermission(AddDataSet, notes.note_module)
    with as_user(notes, "ada"):
        assert getSecurityManager().checkPermission(AddDataSet, notes.note_module)
        assert not getSecurityManager().checkPermission(PushData, notes.note_module)


def test_portal_type_can_change_its_class_but_a_module_not_its_type(notes):
    install(notes, "PortalTypeTemplateItem", "portal_types/Note", {**PORTAL_TYPE, "type_class": "DataOperation"})
    assert type(aq_base(notes.note_module.newContent())) is DataOperation
    with pytest.raises(BadInput, match=r"^note_module is a Note Module already, and can't become a Data Set Module\.$"):
        install(
            notes,
            "ModuleTemplateItem",
            "note_module",
            {"portal_type": "Data Set Module", "title": "", "permissions": {}},
        )


@pytest.mark.parametrize(
    ("kind", "path", "data", "message"),
    [
        (
            "ModuleTemplateItem",
            "x_module",
            {"portal_type": "X Module", "title": ""},
            "There is no portal type 'X Module' for x_module.",
        ),
        (
            "PortalTypeAllowedContentTypeTemplateItem",
            "X | Note",
            True,
            "There is no portal type 'X' that could contain Note.",
        ),
        (
            "PortalTypeWorkflowChainTemplateItem",
            "X | data_set_workflow",
            True,
            "There is no portal type 'X' that could have the workflow 'data_set_workflow'.",
        ),
        (
            "PortalTypeWorkflowChainTemplateItem",
            "Data Set | x",
            True,
            "There is no workflow 'x' that documents of the type 'Data Set' could have.",
        ),
        ("PathTemplateItem", "x_module/a", {}, "There is no x_module for a."),
        ("PathTemplateItem", "acl_users/a", {}, "acl_users can't contain documents such as a."),
        ("SkinTemplateItem", "portal_skins/x/a", {}, "There is no folder portal_skins/x for a."),
    ],
)
def test_what_the_site_lacks_is_named(site, kind, path, data, message):
    with pytest.raises(BadInput) as caught:
        KINDS[kind].install(site, path, data, None)
    assert str(caught.value) == message


def test_pairs_of_several_templates_add_up(notes):
    install(notes, "PortalTypeAllowedContentTypeTemplateItem", "Note Module | Data Product", True)
    assert notes.portal_types["Note Module"].allowed_content_types == ("Note", "Data Product")
    remove(notes, "PortalTypeAllowedContentTypeTemplateItem", "Note Module | Note")
    assert notes.portal_types["Note Module"].allowed_content_types == ("Data Product",)
    remove(notes, "PortalTypeWorkflowChainTemplateItem", "Note | data_set_workflow")
    assert notes.portal_workflow.getChainFor("Note") == ()


def test_workflow_that_portal_types_have_is_not_removed(site):
    assert KINDS["WorkflowTemplateItem"].refusal(site, "portal_workflow/data_ingestion_workflow") == (
        "The workflow data_ingestion_workflow is that of Data Ingestion. Give those another one first."
    )


def test_changed_workflow_changes_who_may_see_documents_that_are_there(site):
    kind, path = KINDS["WorkflowTemplateItem"], "portal_workflow/data_set_workflow"
    with as_user(site, "ada"):
        data_set = site.data_set_module.newDataSet("x")
    data = kind.read(site, path)
    data["states"]["draft"]["permissions"][View]["roles"] = ("Downloader", "Manager")
    data["transitions"]["publish"]["guard"] = {
        "permissions": (),
        "roles": ("Manager",),
        "groups": ("g",),
        "expression": "python: 1",
    }
    install(site, "WorkflowTemplateItem", path, data)
    assert permissions_of(site, "dan", data_set) == {View}
    assert permissions_of(site, "eve", data_set) == {PushData}
    with as_user(site, "dan"):
        assert len(site.portal_catalog(portal_type="Data Set", reference="x")) == 1
    with as_user(site, "eve"):
        assert len(site.portal_catalog(portal_type="Data Set", reference="x")) == 0


def test_guard_with_a_name_that_dcworkflow_cannot_keep_is_refused(site):
    data = KINDS["WorkflowTemplateItem"].read(site, "portal_workflow/data_set_workflow")
    data["transitions"]["publish"]["guard"]["roles"] = ("a;b",)
    with pytest.raises(BadInput, match=r"^The guard of the transition publish has a name with a semicolon\.$"):
        install(site, "WorkflowTemplateItem", "portal_workflow/data_set_workflow", data)


SCRIPT = {
    "class": "PythonScript",
    "title": "",
    "parameters": "a=1",
    "proxy_roles": ("Manager",),
    "source": "return a + 1\n",
}
TEMPLATE = {
    "class": "ZopePageTemplate",
    "title": "T",
    "content_type": "text/html",
    "expand": False,
    "source": "<p>é</p>",
}
STYLE = {"class": "File", "title": "", "content_type": "text/css", "source": "p { }\n"}
PICTURE = {"class": "Image", "title": "", "content_type": "image/png", "source": b"\x89PNG\r\n\xff"}


@pytest.fixture
def skin(site):
    install(site, "SkinTemplateItem", "portal_skins/brewery", {"title": "Brewery", "priority": 0.0})
    return site


@pytest.mark.parametrize("data", [SCRIPT, TEMPLATE, STYLE, PICTURE], ids=lambda data: data["class"])
def test_object_of_a_skin_is_made_changed_and_replaced(skin, data):
    install(skin, "SkinTemplateItem", "portal_skins/brewery/Base_x", data)
    install(skin, "SkinTemplateItem", "portal_skins/brewery/Base_x", {**data, "title": "Other"})
    for other in (SCRIPT, TEMPLATE, STYLE, PICTURE):
        install(skin, "SkinTemplateItem", "portal_skins/brewery/Base_x", other)
    remove(skin, "SkinTemplateItem", "portal_skins/brewery/Base_x")


def test_script_of_a_skin_is_called_and_one_that_cannot_be_compiled_is_refused(skin):
    install(skin, "SkinTemplateItem", "portal_skins/brewery/Base_brew", SCRIPT)
    assert skin.Base_brew(a=2) == 3
    with pytest.raises(BadInput, match="The script Base_brew can't be compiled: "):
        install(skin, "SkinTemplateItem", "portal_skins/brewery/Base_brew", {**SCRIPT, "source": "return (\n"})
    with pytest.raises(BadInput, match="The page template x can't be compiled: "):
        install(skin, "SkinTemplateItem", "portal_skins/brewery/x", {**TEMPLATE, "source": "<p tal:brew='x'/>"})


def test_folder_of_a_skin_that_holds_objects_is_not_removed(skin):
    install(skin, "SkinTemplateItem", "portal_skins/brewery/Base_brew", SCRIPT)
    assert KINDS["SkinTemplateItem"].refusal(skin, "portal_skins/brewery") == (
        "portal_skins/brewery has objects that no template brought: Base_brew. Remove them first."
    )


def test_layers_follow_custom_by_priority_and_the_later_one_first(bare):
    for name, priority in (("a", 0.0), ("b", 1.0), ("c", 0.0), ("d", 1.0), ("e", -1.0)):
        install(bare, "SkinTemplateItem", f"portal_skins/{name}", {"title": "", "priority": priority})
    assert bare.portal_skins.getSkinPath("View") == "custom,d,b,c,a,e"
    remove(bare, "SkinTemplateItem", "portal_skins/b")
    assert bare.portal_skins.getSkinPath("View") == "custom,d,c,a,e"


SUPPLY = {
    "portal_type": "Data Supply",
    "properties": {"effective_date": "2020-01-01T00:00:00+00:00", "reference": "sensor", "title": "Sensor"},
    "categories": ("source/person_module/1",),
    "state": "validated",
    "documents": {
        "1": {
            "portal_type": "Data Supply Line",
            "properties": {"reference": "out_stream"},
            "categories": ("use/big_data/ingestion",),
            "state": None,
            "documents": {},
        }
    },
}
PATH = "data_supply_module/brewery"


def test_document_comes_with_properties_state_and_documents(site):
    install(site, "PathTemplateItem", PATH, SUPPLY)
    supply = site.data_supply_module.brewery
    assert supply.getTitle() == "Sensor"
    assert supply.getEffectiveDate().ISO8601() == "2020-01-01T00:00:00+00:00"
    assert supply.getValidationState() == "validated"
    assert supply["1"].getUse() == "big_data/ingestion"
    assert [brain.id for brain in site.portal_catalog(reference="sensor", validation_state="validated")] == ["brewery"]
    assert permissions_of(site, "dan", supply) == {View}


def test_document_is_changed_to_what_a_template_says_and_nothing_else(site):
    install(site, "PathTemplateItem", PATH, SUPPLY)
    changed = {
        "portal_type": "Data Supply",
        "properties": {"title": "Other"},
        "categories": (),
        "state": None,
        "documents": {"2": SUPPLY["documents"]["1"]},
    }
    install(site, "PathTemplateItem", PATH, changed)
    supply = site.data_supply_module.brewery
    assert (supply.getReference(), supply.getEffectiveDate(), supply.getValidationState()) == ("", None, "draft")
    assert supply.objectIds() == ["2"]
    assert len(site.portal_catalog(reference="sensor")) == 0
    remove(site, "PathTemplateItem", PATH)


def test_administrator_s_changes_of_a_document_are_seen(site):
    install(site, "PathTemplateItem", PATH, SUPPLY)
    site.data_supply_module.brewery.edit(title="Mine")
    site.data_supply_module.brewery.newContent(id="3")
    site.data_supply_module.brewery.invalidate()
    found = KINDS["PathTemplateItem"].read(site, PATH)
    assert found["properties"]["title"] == "Mine"
    assert found["state"] == "invalidated"
    assert set(found["documents"]) == {"1", "3"}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"state": "brewed"}, "A Data Supply has no state 'brewed'."),
        (
            {"documents": {"1": {**SUPPLY, "portal_type": "Beer"}}},
            "1 is a Data Supply Line already, and can't become a Beer.",
        ),
        (
            {"documents": {"2": {**SUPPLY, "portal_type": "Beer"}}},
            "There is no portal type 'Beer' for what is in brewery.",
        ),
        ({"portal_type": "Data Set"}, "brewery is a Data Supply already, and can't become a Data Set."),
    ],
)
def test_document_that_cannot_be_is_refused(site, change, message):
    install(site, "PathTemplateItem", PATH, SUPPLY)
    with pytest.raises(BadInput) as caught:
        install(site, "PathTemplateItem", PATH, {**SUPPLY, **change})
    assert str(caught.value) == message


def test_category_that_holds_others_is_not_removed(site):
    site.portal_categories.use.newContent("Category", "brewing").newContent(id="ale")
    assert KINDS["PathTemplateItem"].refusal(site, "portal_categories/use/brewing") == (
        "portal_categories/use/brewing has categories that no template brought: ale."
    )


def test_callable_is_installed_beside_others(site):
    install(site, "PathTemplateItem", "portal_callables/Base_brew", SCRIPT)
    assert site.Base_brew() == 2
    remove(site, "PathTemplateItem", "portal_callables/Base_brew")
