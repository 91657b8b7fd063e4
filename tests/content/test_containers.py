"""What can be made where, of which portal types, and what containers contain."""

from __future__ import annotations

import pytest
from AccessControl.unauthorized import Unauthorized

from Products.ERP5Wendelin.content.base_type import BaseType
from Products.ERP5Wendelin.content.folder import Folder
from Products.ERP5Wendelin.content.portal_types import DOCUMENT_CLASSES
from Products.ERP5Wendelin.errors import BadInput, Conflict, WrongState
from support.site import as_user


@pytest.fixture
def supply(site):
    return site.data_supply_module.newContent(id="sensors")


def test_document_is_of_the_first_portal_type_that_its_container_takes(site, supply):
    assert supply.getPortalType() == "Data Supply"
    assert supply.newContent().getPortalType() == "Data Supply Line"
    assert site.data_stream_module.newContent().getPortalType() == "Data Stream"


def test_another_portal_type_is_refused_with_those_there_are(site, supply):
    with pytest.raises(BadInput) as error:
        supply.newContent(portal_type="Data Set")
    assert str(error.value) == "data_supply_module/sensors holds Data Supply Line documents, not 'Data Set'."


def test_container_without_its_business_template_says_so(site, supply):
    site.portal_types._delObject("Data Supply Line")
    with pytest.raises(BadInput) as error:
        supply.newContent(portal_type="Data Supply Line")
    assert str(error.value) == (
        "data_supply_module/sensors holds no documents: the business template that says which is not installed, or of "
        "an earlier release. See `wendelin bt5 list DIR`."
    )


def test_portal_type_without_a_class_makes_nothing(site, supply):
    site.portal_types["Data Supply Line"].type_class = "Nothing"
    with pytest.raises(BadInput) as error:
        supply.newContent()
    assert str(error.value).startswith(
        "Documents of portal type 'Data Supply Line' can't be made: there is no class 'Nothing'. There are: Alarm"
    )


def test_portal_type_of_a_site_has_the_class_it_names(site, supply):
    site.portal_types._setObject("Price List", BaseType("Price List", "DataSupplyLine"))
    site.portal_types["Data Supply"].allowed_content_types += ("Price List",)
    prices = supply.newContent(portal_type="Price List", quantity=2)
    assert (type(prices.aq_base), prices.getPortalType(), prices.getQuantity()) == (
        DOCUMENT_CLASSES["DataSupplyLine"],
        "Price List",
        2.0,
    )
    assert supply.objectValues(portal_type="Price List") == [prices]


def test_unknown_property_makes_nothing(supply):
    with pytest.raises(BadInput, match=r"^A Data Supply Line has no property 'colour'\. It has: reference, title, "):
        supply.newContent(colour="red")
    assert supply.objectIds() == []


@pytest.mark.parametrize("id", ["_x", "a/b", "getTitle", "x__"])
def test_bad_id_is_refused(supply, id):
    with pytest.raises(BadInput, match=rf"^'{id}' can't be an id: "):
        supply.newContent(id=id)


def test_id_that_is_taken_is_refused(site, supply):
    supply.newContent(id="1")
    with pytest.raises(Conflict) as error:
        supply.newContent(id="1")
    assert str(error.value) == "There is a '1' in data_supply_module/sensors already."
    with pytest.raises(Conflict, match=r"^There is a 'sensors' in data_supply_module already\.$"):
        site.data_supply_module.newContent(id="sensors")


def test_lines_are_numbered_and_keep_their_order(site, supply):
    lines = [supply.newContent(), supply.newContent(id="other"), supply.newContent(id="7"), supply.newContent()]
    assert supply.objectIds() == ["1", "other", "7", "8"]
    assert supply.objectValues() == supply.contentValues() == lines
    supply.manage_delObjects(["7"])
    assert supply.objectIds() == ["1", "other", "8"]
    assert supply["other"] == lines[1] == site.restrictedTraverse("data_supply_module/sensors/other")


def test_contents_are_found_by_portal_type(site, supply):
    line = supply.newContent()
    assert supply.objectValues(portal_type=["Data Supply Line", "Data Set"]) == [line]
    assert supply.contentValues(portal_type="Data Set") == supply.objectValues(portal_type="Data Set") == []
    assert supply in site.data_supply_module.objectValues(portal_type="Data Supply")
    assert site.data_supply_module.contentValues(portal_type="Data Product") == []


def test_contents_are_those_that_the_user_may_view(site, supply):
    other = site.data_supply_module.newContent()
    other.validate()
    for user, expected in (("ada", [supply, other]), ("dan", [other]), ("nobody", [])):
        with as_user(site, user):
            viewed = site.data_supply_module.contentValues()
            assert [document for document in (supply, other) if document in viewed] == expected


def test_who_makes_documents_where(site):
    for user, module, tool in (("boss", True, True), ("ada", True, False), ("dan", False, False)):
        with as_user(site, user):
            for path, may in (("data_supply_module", module), ("portal_ingestion_policies", tool)):
                if may:
                    assert site.restrictedTraverse(f"{path}/newContent")().getPortalType()
                else:
                    with pytest.raises(Unauthorized):
                        site.restrictedTraverse(f"{path}/newContent")


def test_who_may_make_lines_follows_from_the_state(site, supply):
    supply.validate()
    supply.newContent()
    with as_user(site, "dan"), pytest.raises(Unauthorized):
        site.restrictedTraverse("data_supply_module/sensors/newContent")
    supply.invalidate()
    with pytest.raises(Unauthorized):
        site.restrictedTraverse("data_supply_module/sensors/newContent")


def test_policies_and_categories_are_in_their_tools(site):
    with as_user(site, "boss"):
        policy = site.portal_ingestion_policies.newContent(id="plain", script_id="parse", version="001")
        policy.validate()
        category = site.portal_categories.use.newContent(id="testing").newContent(id="deep", title="Deep")
    assert policy.getRelativeUrl() == "portal_ingestion_policies/plain"
    assert (policy.getPortalType(), policy.getScriptId()) == ("Ingestion Policy", "parse")
    assert (category.getRelativeUrl(), category.getPortalType()) == ("use/testing/deep", "Category")
    assert category.getPath() == "/erp5/portal_categories/use/testing/deep"
    assert site.portal_categories.use.getPortalType() == "Base Category"


def test_state_changes_by_methods_of_their_names(supply):
    assert supply.getValidationState() == "draft"
    for transition, state in (("validate", "validated"), ("publish", "published"), ("invalidate", "invalidated")):
        getattr(supply, transition)()
        assert supply.getValidationState() == state


def test_state_of_a_line_is_that_of_what_it_is_in(site, supply):
    line = supply.newContent()
    supply.validate()
    assert line.getValidationState() == "validated"
    ingestion = site.data_ingestion_module.newContent()
    assert ingestion.newContent().getSimulationState() == "started"


def test_ingestion_without_files_stops_and_is_delivered(site):
    ingestion = site.data_ingestion_module.newContent(reference="sensor")
    ingestion.stop()
    assert (ingestion.getSimulationState(), ingestion.result) == ("stopped", None)
    with as_user(site, "boss"):
        ingestion.deliver()
    assert ingestion.getSimulationState() == "delivered"
    with as_user(site, "boss"), pytest.raises(WrongState) as error:
        ingestion.start()
    assert str(error.value) == (
        "Data Ingestion 'sensor' is delivered: it is not possible to start it. Possible: nothing."
    )


def test_ingestion_with_files_is_not_stopped_without_their_commit(site):
    ingestion = site.data_ingestion_module.newContent(data_set="brains")
    ingestion.expect("a", 1, None, 0, "100644")
    with pytest.raises(Conflict) as error:
        ingestion.stop()
    assert str(error.value) == (
        f"The Data Ingestion {ingestion.getId()!r} has files for the data set 'brains', which would be lost: "
        "a push stops when its client asks for it."
    )
    assert ingestion.getSimulationState() == "started"


def test_folder_without_lines_costs_nothing(site):
    ingestion = site.data_ingestion_module.newContent()
    assert isinstance(ingestion.aq_base, Folder)
    assert {"_objects", "categories", "reference", "title", "start_date"}.isdisjoint(vars(ingestion.aq_base))


def test_every_class_of_a_portal_type_is_declared_under_its_name():
    for name, cls in DOCUMENT_CLASSES.items():
        assert cls.__name__ == name
        assert cls.portal_type == cls.meta_type
