"""`portal_catalog` as ERP5's scripts use it."""

from __future__ import annotations

from datetime import timedelta

import pytest
from DateTime import DateTime
from Products.ZCatalog.ZCatalog import ZCatalog

from Products.ERP5Wendelin.content.catalogue import UNFILTERED
from Products.ERP5Wendelin.errors import BadInput, NotAuthorised
from support.scripts import run_text
from support.site import as_user


@pytest.fixture
def catalogue(site):
    return site.portal_catalog


@pytest.fixture
def supplies(site):
    """Three supplies, made one after the other; there are no others."""
    with as_user(site, "system"):
        site.data_supply_module.manage_delObjects(list(site.data_supply_module.objectIds()))
    made = []
    for number, title in enumerate(("Zebra", "", "Ant")):
        supply = site.data_supply_module.newContent(id=f"s{number}", reference=f"r{number}", title=title)
        supply.created += timedelta(seconds=number)
        supply.reindexObject()
        made.append(supply)
    return made


def ids(brains):
    return [brain.id for brain in brains]


def found(catalogue, **kw):
    return sorted(ids(catalogue(portal_type="Data Supply", **kw)))


def test_document_is_found_by_what_it_is(catalogue, supplies):
    supplies[1].validate()
    assert found(catalogue) == ["s0", "s1", "s2"]
    assert found(catalogue, reference="r1") == ["s1"]
    assert found(catalogue, reference=["r0", "r2", "r9"]) == ["s0", "s2"]
    assert found(catalogue, validation_state=("validated", "published")) == ["s1"]
    assert found(catalogue, id="s2", version=None) == ["s2"]
    assert found(catalogue, reference={"query": "r1", "range": "min"}) == ["s1", "s2"]
    assert found(catalogue, SearchableText="zeb r0") == ["s0"]
    assert ids(catalogue(portal_type=["Data Array", "Data Bucket Stream"])) == []


def test_empty_value_finds_what_has_none(catalogue, supplies):
    assert found(catalogue, title="") == found(catalogue, title=None) == ["s1"]
    assert found(catalogue, title=["", "Ant"]) == ["s1", "s2"]


def test_empty_list_finds_nothing(catalogue, supplies):
    assert found(catalogue, reference=[]) == found(catalogue, uid=[]) == found(catalogue, id=[]) == []
    assert found(catalogue, resource_uid=[]) == []


def test_value_that_was_taken_back_is_not_found(catalogue, supplies):
    supplies[0].setTitle("")
    assert found(catalogue, title="Zebra") == []
    assert found(catalogue, title=None) == ["s0", "s1"]


def test_removed_document_is_not_found_nor_are_its_lines(site, catalogue, supplies):
    supplies[1].newContent(reference="line")
    assert ids(catalogue(reference="line")) == ["1"]
    with as_user(site, "system"):
        site.data_supply_module.manage_delObjects(["s1"])
    assert found(catalogue) == ["s0", "s2"]
    assert ids(catalogue(reference="line")) == []


def test_document_is_found_by_where_it_is(site, catalogue, supplies):
    line = supplies[0].newContent(reference="out_stream")
    assert ids(catalogue(uid=line.getUid())) == ids(catalogue(relative_url=[line.getRelativeUrl(), "x/y"])) == ["1"]
    assert ids(catalogue(parent_uid=[supplies[0].getUid(), supplies[1].getUid()])) == ["1"]
    assert sorted(ids(catalogue(parent_relative_url="data_supply_module"))) == ["s0", "s1", "s2"]
    assert ids(supplies[0].searchFolder(portal_type="Data Supply Line")) == ["1"]
    assert ids(site.data_supply_module.searchFolder(sort_on="id", limit=2)) == ["s0", "s1"]


def test_document_is_found_by_its_dates(catalogue, supplies):
    first, second = (DateTime(supply.created).toZone("UTC") for supply in supplies[:2])
    assert found(catalogue, creation_date=second) == ["s1"]
    for range_, expected in (("min", "s1 s2"), ("nlt", "s1 s2"), ("gt", "s2"), ("max", "s0 s1"), ("lt", "s0")):
        assert found(catalogue, creation_date={"query": second, "range": range_}) == expected.split(), range_
    assert found(catalogue, creation_date={"query": [first, second], "range": "minmax"}) == ["s0", "s1"]
    assert found(catalogue, modification_date={"query": supplies[0].created.replace(year=2020), "range": "lt"}) == []


def test_document_is_found_by_its_relations(site, catalogue, supplies):
    operation = site.data_operation_module.newContent(id="append", reference="append-data", title="Append")
    first = supplies[0].newContent(resource_value=operation, use="big_data/ingestion/stream")
    supplies[1].newContent(resource="data_product_module/absent")
    for name, value in (
        ("resource_uid", operation.getUid()),
        ("resource_relative_url", ["data_operation_module/append", "x_module/y"]),
        ("resource_reference", "append-data"),
        ("resource_title", "Append"),
        ("resource_portal_type", ["Data Operation", "Data Product"]),
        ("resource_id", "append"),
        ("use_relative_url", "use/big_data/ingestion/stream"),
        ("use_uid", "use/big_data"),
        ("use_relative_url", "big_data/ingestion"),
        ("use_id", "stream"),
    ):
        query = {"portal_type": "Data Supply Line", name: value}
        assert [brain.getObject() for brain in catalogue(**query)] == [first], name
    first.setResourceValue(None)
    assert list(catalogue(resource_uid=operation.getUid())) == []
    assert len(catalogue(portal_type="Data Supply Line", use_uid="use/big_data")) == 1


def test_results_are_sorted_and_limited(catalogue, supplies):
    def sorted_by(sort_on, **kw):
        return " ".join(ids(catalogue(portal_type="Data Supply", sort_on=sort_on, **kw)))

    assert sorted_by((("creation_date", "descending"),)) == "s2 s1 s0"
    assert sorted_by("creation_date") == sorted_by(["id"]) == "s0 s1 s2"
    assert sorted_by("id", sort_order="descending") == "s2 s1 s0"
    assert sorted_by([("title", "ascending"), ("id", "ascending")]) == "s1 s2 s0"
    assert sorted_by([("portal_type", "ascending"), ("id", "descending")]) == "s2 s1 s0"
    assert sorted_by("id", limit=2) == sorted_by("id", limit=[2]) == "s0 s1"
    assert sorted_by("id", limit=[1, 5]) == "s1 s2"
    assert sorted_by("id", limit=[]) == sorted_by("id", limit=None) == "s0 s1 s2"


def test_first_result_and_number_of_results(catalogue, supplies):
    assert catalogue.getResultValue(portal_type="Data Supply", reference="r1") == supplies[1]
    assert catalogue.getResultValue(portal_type="Data Supply", sort_on=[("id", "descending")]) == supplies[2]
    assert catalogue.getResultValue(reference="unknown") is None
    assert catalogue.countResults(portal_type="Data Supply", title=None) == [[1]]


def test_brain_knows_the_document_and_calls_its_methods(site, catalogue, supplies):
    supplies[0].validate()
    [brain] = catalogue(reference="r0")
    assert (brain.uid, brain.relative_url, brain.path) == (
        *["data_supply_module/s0"] * 2,
        "/erp5/data_supply_module/s0",
    )
    assert (brain.portal_type, brain.reference, brain.title, brain.version) == ("Data Supply", "r0", "Zebra", None)
    assert (brain.validation_state, brain.simulation_state) == ("validated", None)
    assert brain.creation_date == supplies[0].getCreationDate()
    assert brain.modification_date == supplies[0].getModificationDate()
    assert (brain.getObject(), brain.getTitle()) == (supplies[0], "Zebra")
    brain.setTitle("Lion")
    assert supplies[0].getTitle() == "Lion"
    for name in ("created", "unknown", "_p_jar", "manifest"):
        assert not hasattr(brain, name)


def test_brain_of_a_document_that_is_gone_has_none(site, catalogue, supplies):
    [brain] = catalogue(reference="r0")
    with as_user(site, "nobody"):
        assert brain.getObject() is None
    site.data_supply_module._delOb("s0")
    assert brain.getObject() is None
    assert catalogue.getResultValue(reference="r0") is None


def test_only_what_the_user_may_view_is_found(site, catalogue, supplies):
    supplies[0].validate()
    supplies[1].publish()
    supplies[2].newContent(reference="line")
    for user, expected in (("ada", "s0 s1 s2"), ("eve", "s0 s1 s2"), ("dan", "s0 s1"), ("nobody", "s1")):
        with as_user(site, user):
            assert found(catalogue) == expected.split(), user
            assert catalogue.countResults(reference="line") == [[1 if user in ("ada", "eve") else 0]]
    assert len(catalogue.unrestrictedSearchResults(portal_type="Data Supply")) == 3


def test_catalogue_is_made_anew_from_the_documents(site, catalogue, supplies):
    supplies[0].newContent(reference="line", use="big_data/ingestion")
    with as_user(site, "boss"):
        catalogue.refreshCatalog(clear=1)
    assert found(catalogue) == ["s0", "s1", "s2"]
    assert found(catalogue, title=None) == ["s1"]
    assert ids(catalogue(reference="line", use_uid="use/big_data", validation_state="draft")) == ["1"]
    with as_user(site, "dan"):
        assert found(catalogue) == []


def test_relation_to_what_the_user_may_not_view_tells_nothing_of_it(site, catalogue, supplies):
    operation = site.data_operation_module.newContent(title="Secret")
    supplies[0].newContent(resource_value=operation)
    supplies[0].validate()
    with as_user(site, "dan"):
        assert len(catalogue(portal_type="Data Supply Line")) == 1
        assert len(catalogue(resource_title="Secret")) == len(catalogue(resource_portal_type="Data Operation")) == 0
    operation.validate()
    with as_user(site, "dan"):
        assert len(catalogue(resource_title="Secret")) == 1


def test_lines_follow_the_state_of_what_they_are_in(site, catalogue, supplies):
    supplies[0].newContent(reference="line")
    assert ids(catalogue(reference="line", validation_state="draft")) == ["1"]
    supplies[0].validate()
    assert ids(catalogue(reference="line", validation_state="validated")) == ["1"]
    with as_user(site, "dan"):
        assert ids(catalogue(reference="line")) == ["1"]
    supplies[0].invalidate()
    assert ids(catalogue(reference="line")) == []


def test_line_of_a_push_does_not_count_as_another_push(site, catalogue):
    ingestion = site.data_ingestion_module.newContent(data_set="x", author="ada")
    ingestion.newContent(reference="out_stream")
    assert [brain.getObject() for brain in catalogue(data_set="x")] == [ingestion]
    assert catalogue.countResults(portal_type="Data Ingestion Line", simulation_state="started") == [[1]]
    ingestion.cancel()
    assert catalogue.countResults(portal_type="Data Ingestion Line", simulation_state="cancelled") == [[1]]


@pytest.mark.parametrize(
    ("query", "problem"),
    [
        ({"colour": "red"}, "portal_catalog has no index 'colour'. See docs/erp5.rst for those that it has."),
        ({"colour_uid": "x"}, "portal_catalog has no index 'colour_uid'. See docs/erp5.rst for those that it has."),
        ({"query": object()}, "portal_catalog has no index 'query'. See docs/erp5.rst for those that it has."),
        *(
            (
                {name: "Manager"} | more,
                f"portal_catalog has no index {name!r}. See docs/erp5.rst for those that it has.",
            )
            for name in ("allowedRolesAndUsers", "memberships")
            for more in ({}, {"sort_limit": 1})
        ),
        ({"reference": 7}, "portal_catalog: reference must be text, or a list of texts."),
        ({"uid": [7]}, "portal_catalog: uid must be text, or a list of texts."),
        (
            {"reference": {"query": "x", "near": 7}},
            "portal_catalog: reference does not take {'query': 'x', 'near': 7}: "
            "index 'reference': option 'near' is not valid",
        ),
        ({"SearchableText": 7}, "portal_catalog: SearchableText must be text."),
        (
            {"creation_date": "2026"},
            "portal_catalog: creation_date must be a DateTime, or a datetime with a time zone.",
        ),
        (
            {"creation_date": {"query": DateTime(), "range": "near"}},
            "portal_catalog: creation_date takes a date, or {'query': date, 'range': …}; "
            "ranges are min, nlt, max, ngt, gt, lt, minmax.",
        ),
        (
            {"sort_on": "colour"},
            "portal_catalog can't sort by 'colour'. It can by: portal_type, reference, title, validation_state, "
            "simulation_state, data_set, version, creation_date, modification_date, id, relative_url.",
        ),
        ({"sort_on": [("id", "up")]}, "portal_catalog sorts 'ascending' or 'descending', not 'up'."),
        ({"limit": [1, 2, 3]}, "portal_catalog: limit must be a number, or [how many to pass over, how many to give]."),
        ({"limit": -1}, "portal_catalog: limit must be a number, or [how many to pass over, how many to give]."),
    ],
)
def test_what_it_can_t_answer_is_refused(catalogue, query, problem):
    with pytest.raises(BadInput) as error:
        catalogue(**query)
    assert str(error.value) == problem


@pytest.mark.parametrize("name", UNFILTERED)
def test_script_of_a_reader_does_not_reach_what_tells_of_all_documents(site, name):
    with as_user(site, "dan"), pytest.raises(NotAuthorised, match=f"You are not allowed to access '{name}'"):
        run_text(site, f"return context.portal_catalog.{name}")


def test_nothing_that_zcatalog_opens_to_all_searchers_tells_of_documents():
    opened = {
        name.removesuffix("__roles__")
        for name in dir(ZCatalog)
        if getattr(getattr(ZCatalog, name), "_p", "") == "_Search_ZCatalog_Permission"
    }
    filtered = {"searchResults", "__call__"}
    of_itself = {"schema", "indexes", "all_meta_types", "valid_roles"}
    assert opened - filtered - of_itself == set(UNFILTERED)
