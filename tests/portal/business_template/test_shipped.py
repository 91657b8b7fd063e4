"""The templates that come with the lake: a site has what they bring, and nothing else of it."""

from __future__ import annotations

import gzip
from contextlib import contextmanager
from pathlib import Path

import pytest
import transaction
from AccessControl.SecurityManagement import getSecurityManager
from OFS.DTMLMethod import DTMLMethod
from OFS.Folder import Folder

from Products.ERP5Wendelin.errors import Conflict, NotFound
from Products.ERP5Wendelin.portal.business_template.change import Action
from Products.ERP5Wendelin.portal.business_template.install import (
    changed_objects,
    differences,
    install,
    remove,
    upgrade,
)
from Products.ERP5Wendelin.portal.business_template.shipped import DEFAULT_TEMPLATES, load, shipped, shipped_names
from Products.ERP5Wendelin.portal.business_template.tool import installed_templates
from Products.ERP5Wendelin.portal.setup import add_tools
from Products.ERP5Wendelin.portal.users import add_user, remove_user
from support.http_server import server  # noqa: F401
from support.site import PASSWORD, USERS, Lake, as_user, make_data_fs, open_data_fs, start_zope

SECURITY_MODEL = "erp5_wendelin_data_lake_ingestion_default_security_model"
MANAGER = {"boss": "manager"}
OLD = Path(__file__).parents[2] / "content" / "recorded" / "0.1.0.fs.gz"
"""A lake of the release that had no business templates."""

RECORDED = OLD.with_name("0.2.0.fs.gz")
"""One of the first release that had them."""


@pytest.fixture
def site(lake):
    with lake.open("system") as site:
        yield site


def having(*templates):
    """Marks a test of a site that has these templates only, and a manager."""
    return pytest.mark.parametrize("data_fs", [templates], indirect=True, ids=["site"])


@pytest.fixture
def data_fs(request, tmp_path):
    path = tmp_path / "made.fs"
    make_data_fs(path, request.param, MANAGER)
    return path


@contextmanager
def recorded_site(folder, recorded):
    """The site in a database that a release wrote, as its administrator sees it."""
    start_zope()
    path = folder / "Data.fs"
    path.write_bytes(gzip.decompress(recorded.read_bytes()))
    db = open_data_fs(path)
    with Lake(db).open("system") as site:
        yield site
    db.close()


def without(name):
    return tuple(template for template in DEFAULT_TEMPLATES if template != name)


def actions(results):
    return {change.action for result in results for change in result.changes}


@having(*DEFAULT_TEMPLATES)
def test_site_has_the_default_templates_and_installing_them_again_changes_nothing(lake):
    with lake.open("system") as site:
        assert sorted(installed_templates(site)) == sorted(DEFAULT_TEMPLATES)
        before = lake.db.lastTransaction()
        results = install(site, [shipped(name) for name in DEFAULT_TEMPLATES])
        transaction.commit()
        assert actions(results) == {Action.SAME}
        assert lake.db.lastTransaction() == before
        for document in installed_templates(site).values():
            assert changed_objects(site, document) == []
            assert list(differences(site, shipped(document.getId()).items)) == []


@having(*DEFAULT_TEMPLATES)
def test_site_that_nobody_uses_yet_can_do_without_them_again(site):
    results = remove(site, DEFAULT_TEMPLATES)
    assert actions(results) == {Action.REMOVED}
    assert site.portal_types.objectIds() == site.portal_workflow.objectIds() == site.portal_callables.objectIds() == []
    assert site.portal_skins.objectIds() == ["custom"]
    assert site.portal_skins.getSkinPath("View") == "custom"
    assert [id for id in site.objectIds() if id.endswith("_module")] == []
    assert list(site.acl_users.roles.listRoleIds()) == ["Manager"]
    assert install(site, [shipped(name) for name in DEFAULT_TEMPLATES])
    assert site.data_set_module.newDataSet("brain").getValidationState() == "draft"


def test_templates_do_not_go_while_users_have_data_of_theirs(tmp_path):
    path = tmp_path / "Data.fs"
    make_data_fs(path)
    db = open_data_fs(path)
    with Lake(db).open("system") as site:
        site.data_set_module.newDataSet("brain")
        transaction.commit()
        with pytest.raises(Conflict) as caught:
            remove(site, DEFAULT_TEMPLATES)
        reasons = str(caught.value)
        assert reasons.startswith("Nothing was changed. ")
        assert "Users have the role Contributor: ada, eve. Remove them first." in reasons
        assert "There is 1 Data Set document." in reasons
        assert "data_set_module" in reasons
        transaction.abort()
        with pytest.raises(Conflict) as caught:
            remove(site, ["erp5_wendelin"])
        assert str(caught.value) == (
            "Nothing was changed. erp5_wendelin_data_lake_ingestion needs erp5_wendelin."
            f" {SECURITY_MODEL} needs erp5_wendelin."
        )
        transaction.abort()
        assert [data_set.getReference() for data_set in site.data_set_module.objectValues()] == ["brain"]
    db.close()


@having()
def test_site_without_templates_has_no_documents_workflows_or_roles(site):
    assert site.portal_types.objectIds() == site.portal_workflow.objectIds() == []
    assert [id for id in site.objectIds() if id.endswith("_module")] == []
    assert site.portal_skins.objectIds() == ["custom"]
    with pytest.raises(Conflict) as caught:
        add_user(site, "ada", "contributor", PASSWORD)
    assert str(caught.value) == (
        f"The site has no contributors. The business template {SECURITY_MODEL} brings them:"
        f" wendelin bt5 install DIR {SECURITY_MODEL}"
    )


@having(*without(SECURITY_MODEL))
def test_without_the_security_model_only_managers_push(site):
    site.acl_users.roles.addRole("Contributor")  # as a site would have where somebody had tried
    add_user(site, "ada", "contributor", PASSWORD)
    for permission in ("Wendelin: Add Data Set", "Wendelin: Push Data"):
        for user, allowed in (("ada", None), ("boss", 1)):
            with as_user(site, user):
                assert getSecurityManager().checkPermission(permission, site) == allowed


@having(*without("erp5_wendelin_data_lake_ingestion"))
def test_without_the_ingestion_s_template_nothing_answers_the_original_ebulk(server):  # noqa: F811
    paths = ("ERP5Site_getIngestionConstantsJson", "portal_ingestion_policies/default_ebulk/ingest?reference=a")
    for path in paths:
        answer = server.request("POST" if "ingest" in path else "GET", f"{server.portal}/{path}", user="boss")
        assert answer.status == 404, path


@having(*DEFAULT_TEMPLATES)
def test_with_it_the_original_ebulk_is_answered(server):  # noqa: F811
    path = f"{server.portal}/ERP5Site_getIngestionConstantsJson"
    assert server.request("GET", path, user="boss").status == 200


@having(*without("erp5_wendelin_data_lake_ui"))
def test_without_the_ui_there_is_no_front_page(server):  # noqa: F811
    assert server.request("GET", server.portal, user=None).status == 404
    assert server.request("GET", "/", user=None).status == 200


@having(*without("erp5_wendelin_data_lake_ui"))
def test_an_object_of_another_class_in_the_place_of_a_template_s_is_not_written_over(site):
    site.portal_skins._setObject("erp5_wendelin_data_lake_ui", Folder("erp5_wendelin_data_lake_ui"))
    site.portal_skins.erp5_wendelin_data_lake_ui._setObject("ERP5Site_viewFrontPage", DTMLMethod("<p>mine</p>"))
    (result,) = install(site, [shipped("erp5_wendelin_data_lake_ui")])
    conflicts = [change.key.path.rpartition("/")[2] for change in result.changes if change.action is Action.CONFLICT]
    assert conflicts == ["erp5_wendelin_data_lake_ui", "ERP5Site_viewFrontPage"]
    assert isinstance(site.portal_skins.erp5_wendelin_data_lake_ui.ERP5Site_viewFrontPage, DTMLMethod)


@pytest.mark.parametrize("theirs", [False, True])
def test_site_of_an_older_release_takes_templates_on_with_all_that_it_has(tmp_path, theirs):
    with recorded_site(tmp_path, OLD) as site:
        add_tools(site)
        results = install(site, [shipped(name) for name in DEFAULT_TEMPLATES], theirs=theirs)
        transaction.commit()
        differing = [change.key.path for result in results for change in result.changes if change.site != change.new]
        conflicts = Action.CONFLICT in actions(results)
        assert conflicts != theirs
        assert "portal_workflow/data_set_workflow" in differing
        assert "data_set_module" not in differing  # adopted
        assert site.data_set_module.getDataSet("brain_mri").getValidationState() == "published"
        (found,) = site.portal_catalog(portal_type="Data Set", reference="brain_mri")
        assert found.getObject().getTitle() == "Brains"
        with as_user(site, "ada"):
            assert site.data_set_module.newContent(portal_type="Data Set", reference="new").getReference() == "new"
            assert site.data_set_module.newDataSet("new 2").getValidationState() == "draft"
        for user in USERS:
            remove_user(site, user)
        with pytest.raises(Conflict, match="There is 1 Data Stream document"):
            remove(site, DEFAULT_TEMPLATES)


def test_site_of_a_release_with_templates_is_upgraded_without_conflicts(tmp_path):
    with recorded_site(tmp_path, RECORDED) as site:
        documents = installed_templates(site)
        assert set(documents) >= {"erp5_wendelin", SECURITY_MODEL, "erp5_wendelin_data_lake_ui"}
        assert all(document.getVersion() for document in documents.values())
        for document in documents.values():
            assert changed_objects(site, document) == []
        results = upgrade(site, [shipped(name) for name in documents])
        assert actions(results) <= {Action.SAME, Action.MADE, Action.UPDATED, Action.REMOVED}


def test_default_templates_come_with_the_lake():
    assert set(DEFAULT_TEMPLATES) <= set(shipped_names())


def test_template_that_is_not_there_is_an_error_that_says_what_there_is(tmp_path):
    with pytest.raises(NotFound) as caught:
        load("erp5_base")
    assert str(caught.value) == (
        f"No business template 'erp5_base' comes with the lake. There are: {', '.join(shipped_names())}."
        " Any other is named by the path of its folder, as in ./erp5_base"
    )
    with pytest.raises(NotFound) as caught:
        load(f"{tmp_path}/erp5_base")
    assert str(caught.value) == f"There is no folder {tmp_path}/erp5_base."
    (tmp_path / "erp5_base").mkdir()
    with pytest.raises(NotFound) as caught:
        load(f"{tmp_path}/erp5_base")
    message = f"{tmp_path}/erp5_base is not the folder of a business template: it has no folder bt."
    assert str(caught.value) == message
