"""Properties and relations of documents, by the accessors that ERP5 has for them."""

from __future__ import annotations

from datetime import datetime, timezone

import pytest
from AccessControl.unauthorized import Unauthorized
from DateTime import DateTime

from Products.ERP5Wendelin.errors import BadInput
from support.site import as_user


@pytest.fixture
def operation(site):
    return site.data_operation_module.newContent(id="append", title="Append", reference="append-data")


@pytest.fixture
def supply(site):
    return site.data_supply_module.newContent(id="sensors")


@pytest.fixture
def line(supply):
    return supply.newContent(reference="out_stream")


def streams(site, *references):
    return [site.data_stream_module.newContent(reference=reference) for reference in references]


# properties


def test_property_that_was_never_set_is_its_kind_s_default(operation, supply, line):
    assert (operation.getScriptId(), operation.hasScriptId()) == ("", False)
    assert (operation.getAggregatedPortalTypeList(), operation.getAggregatedPortalType()) == ([], None)
    assert (supply.getEffectiveDate(), line.getIntIndex(), line.getQuantity()) == (None, None, 0.0)


def test_property_is_set_read_and_taken_back(operation):
    operation.setScriptId("DataIngestionLine_append")
    assert (operation.getScriptId(), operation.hasScriptId()) == ("DataIngestionLine_append", True)
    operation.setScriptId("")
    assert not operation.hasScriptId()


def test_lines_are_set_as_one_or_as_several(operation):
    operation.setAggregatedPortalTypeList(["Data Stream", "Data Array"])
    assert operation.getAggregatedPortalTypeList() == ["Data Stream", "Data Array"]
    assert operation.getAggregatedPortalType() == "Data Stream"
    operation.setAggregatedPortalType("Data Array")
    assert operation.getAggregatedPortalTypeList() == ["Data Array"]


@pytest.mark.parametrize(
    "date",
    [DateTime("2026/02/03 04:05:06 UTC"), datetime(2026, 2, 3, 4, 5, 6, tzinfo=timezone.utc)],
    ids=["DateTime", "datetime"],
)
def test_date_is_a_datetime_in_utc(supply, date):
    supply.setEffectiveDate(date)
    assert supply.getEffectiveDate() == DateTime("2026/02/03 04:05:06 UTC")
    assert supply.getEffectiveDate().timezone() == "UTC"
    supply.setEffectiveDate(None)
    assert supply.getEffectiveDate() is None


@pytest.mark.parametrize(
    ("name", "value", "problem"),
    [
        ("title", 7, "title must be text."),
        ("title", None, "title must be text."),
        ("int_index", 1.5, "int_index must be a whole number."),
        ("int_index", True, "int_index must be a whole number."),
        ("quantity", "1", "quantity must be a number."),
        ("start_date", "2026/02/03", "start_date must be a DateTime, or a datetime with a time zone."),
        ("start_date", datetime(2026, 2, 3), "start_date must be a DateTime, or a datetime with a time zone."),
        ("resource", 7, "resource must be a document, a category, or the relative URL of one."),
        ("use", "../x", "use '../x' is no relative URL, such as 'data_stream_module/ID' or 'big_data/ingestion'."),
        ("aggregate_list", "x", "What ends in _list or _set takes a list."),
    ],
)
def test_value_of_another_kind_is_refused_and_nothing_changes(line, name, value, problem):
    with pytest.raises(BadInput) as error:
        line.edit(**{"description": "new", name: value})
    assert (str(error.value), line.getDescription()) == (problem, "")


def test_unknown_property_is_refused_with_those_there_are(operation):
    with pytest.raises(BadInput) as error:
        operation.edit(colour="red")
    assert str(error.value) == (
        "A Data Operation has no property 'colour'. It has: reference, title, description, version, script_id, "
        "aggregated_portal_type, use, quantity_unit."
    )


def test_property_is_found_by_its_name(operation, line):
    operation.setProperty("script_id", "x")
    line.edit(use_list=["big_data/ingestion"])
    assert (operation.getProperty("script_id"), line.getProperty("use_list")) == ("x", ["big_data/ingestion"])
    assert operation.getProperty("getPhysicalPath", "unknown") == "unknown"
    assert operation.getTitleOrId() == "Append"
    operation.setTitle("")
    assert operation.getTitleOrId() == "append"


def test_edit_is_a_modification(operation):
    operation.modified = operation.modified.replace(year=2020)
    operation.setVersion("002")
    assert operation.getModificationDate().year() > 2020


# where it is


def test_document_knows_where_it_is(site, supply, line):
    assert line.getPortalObject() == site == site.getPortalObject()
    assert (line.getRelativeUrl(), line.getPath()) == (
        "data_supply_module/sensors/1",
        "/erp5/data_supply_module/sensors/1",
    )
    assert (line.getParentValue(), line.getParentRelativeUrl()) == (supply, "data_supply_module/sensors")
    assert (line.getUid(), line.getParentUid()) == (line.getRelativeUrl(), supply.getRelativeUrl())
    assert line.getObject() == line
    assert site.restrictedTraverse(line.getRelativeUrl()) == line


# relations


def test_relation_to_a_document_is_read_in_all_ways(line, operation):
    assert (line.getResource(), line.getResourceValue(), line.getResourceReference()) == (None, None, None)
    assert (line.hasResource(), line.getResourceList(), line.getResourceValueList()) == (False, [], [])
    line.setResourceValue(operation)
    assert line.getResource() == "data_operation_module/append" == line.getResourceUid()
    assert line.getResourceRelativeUrl() == "data_operation_module/append"
    assert (line.getResourceValue(), line.getResourceValueList()) == (operation, [operation])
    assert (line.getResourceReference(), line.getResourceTitle(), line.getResourceId()) == (
        "append-data",
        "Append",
        "append",
    )
    assert (line.getResourcePortalType(), line.hasResource()) == ("Data Operation", True)
    assert line.getCategoryList() == ["resource/data_operation_module/append"]


def test_relation_to_a_category_is_without_the_name_of_its_base(site, line):
    category = site.portal_categories.restrictedTraverse("use/big_data/ingestion")
    line.setUseValue(category)
    assert (line.getUse(), line.getUseValue(), line.getUseUid()) == (
        "big_data/ingestion",
        category,
        "use/big_data/ingestion",
    )
    assert line.isMemberOf("use/big_data/ingestion")
    assert line.isMemberOf("use/big_data")
    assert not line.isMemberOf("use/big_data/analysis")
    line.setUse("use/big_data/analysis")
    assert line.getUseList() == ["big_data/analysis"]


def test_relations_keep_their_order_and_each_is_there_once(site, line):
    first, second = streams(site, "one", "two")
    line.setAggregateValueList([second, first, second, None])
    assert line.getAggregateValueList() == [second, first] == line.getAggregateValueSet()
    line.setDefaultAggregateValue(first)
    assert line.getAggregateValueList() == [first, second]
    assert line.getDefaultAggregateValue() == first
    line.setAggregateSet({second.getRelativeUrl()})
    assert line.getAggregateList() == [second.getRelativeUrl()]
    line.setAggregateValue(None)
    assert not line.hasAggregate()


def test_relations_of_one_base_category_leave_the_others(line, operation):
    line.edit(resource_value=operation, use="big_data/ingestion")
    line.setResource(None)
    assert line.getCategoryList() == ["use/big_data/ingestion"]


def test_category_list_replaces_all_relations(line):
    line.setUse("big_data/analysis")
    line.setCategoryList(["resource/data_product_module/a", "use/big_data/ingestion"])
    assert (line.getResource(), line.getUse()) == ("data_product_module/a", "big_data/ingestion")
    with pytest.raises(BadInput, match=r"^A Data Supply Line has no property 'colour_list'\. It has: "):
        line.setCategoryList(["colour/red"])
    with pytest.raises(BadInput, match=r"^category_list must be a list of texts\.$"):
        line.setCategoryList([line])
    assert line.getUse() == "big_data/ingestion"


def test_document_is_made_with_its_relations(site, supply, operation):
    made = supply.newContent(category_list=["use/big_data", "resource/data_operation_module/append"], title="Append")
    assert (made.getUse(), made.getResourceValue(), made.getTitle()) == ("big_data", operation, "Append")
    assert set(made.getProperty("category_list")) == {"use/big_data", "resource/data_operation_module/append"}


def test_values_are_found_by_portal_type(site, line):
    [stream] = streams(site, "one")
    data_set = site.data_set_module.newDataSet("brains")
    line.setAggregateValueList([data_set, stream])
    assert line.getAggregateValue(portal_type="Data Stream") == stream
    assert line.getAggregateValueList(portal_type=["Data Set", "Data Array"]) == [data_set]
    assert (line.getAggregateDataStreamValue(), line.getAggregateDataSetValue()) == (stream, data_set)
    assert line.getAggregateDataStream() == stream.getRelativeUrl()
    assert line.getAggregateDataStreamValueList() == [stream]
    assert line.getAggregateDataArrayValue() is None


def test_relation_that_leads_nowhere_is_passed_over(site, line):
    first, second = streams(site, "one", "two")
    line.setAggregateList(
        [first.getRelativeUrl(), "data_stream_module/absent", "no/such/category", "data_set_module/title"]
    )
    line.setDefaultAggregateValue(second)
    with as_user(site, "system"):
        site.data_stream_module.manage_delObjects([second.getId()])
    assert line.getAggregate() == second.getRelativeUrl()
    assert (line.getAggregateValue(), line.getAggregateValueList()) == (first, [first])


def test_value_that_the_user_may_not_view_is_not_handed_out(site, line):
    [stream] = streams(site, "one")
    line.setAggregateValue(stream)
    line.getParentValue().validate()
    with as_user(site, "dan"):
        assert line.getAggregateValue() is line.getAggregateReference() is line.getAggregateDataStream() is None
        assert line.getAggregateValueList() == []
    stream.validate()
    with as_user(site, "dan"):
        assert line.getAggregateValue() == stream


def test_values_of_properties_can_only_be_reached_by_accessors(site, supply, line):
    supply.edit(effective_date=DateTime(), version="001", specialise_value_list=[supply])
    line.edit(start_date=DateTime(), quantity=1, int_index=2, resource_value=supply)
    for document in (supply, line):
        for name in (
            "created",
            "modified",
            "categories",
            *(key for key in document._setters if hasattr(document, key)),
        ):
            assert getattr(type(document.aq_base), name + "__roles__", "open") == (), name


def test_accessors_take_the_permissions_of_the_document(site, operation):
    operation.validate()
    with as_user(site, "dan"):
        assert site.restrictedTraverse("data_operation_module/append/getScriptId")() == ""
        with pytest.raises(Unauthorized):
            site.restrictedTraverse("data_operation_module/append/setScriptId")
    with as_user(site, "nobody"), pytest.raises(Unauthorized):
        site.restrictedTraverse("data_operation_module/append/getScriptId")
