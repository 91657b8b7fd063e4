"""Restricted scripts use documents as ERP5's do, within the rights of who calls them."""

from __future__ import annotations

import pytest
from AccessControl.unauthorized import Unauthorized

from Products.ERP5Wendelin.content.python_script import PythonScript
from Products.ERP5Wendelin.errors import NotAuthorised, NotFound
from support.site import as_user

TAKE_IN = """
portal = context.getPortalObject()
product = portal.data_product_module.newContent(portal_type='Data Product', reference=reference)
product.setUse('big_data/ingestion')
product.setAggregatedPortalTypeList(['Data Stream'])
product.validate()
operation = portal.data_operation_module.newContent(portal_type='Data Operation', reference='op', script_id='Nothing')
operation.validate()
supply = portal.data_supply_module.newContent(portal_type='Data Supply', id=reference, reference=reference,
                                              effective_date=DateTime('2026/01/01 UTC'), version='001')
for index, resource in enumerate((operation, product)):
    supply.newContent(portal_type='Data Supply Line', int_index=index, quantity=1.0, resource_value=resource,
                      reference=('ingestion_operation', 'out_stream')[index])
supply.validate()

found = portal.portal_catalog.getResultValue(portal_type='Data Supply', reference=reference,
                                             validation_state='validated')
ingestion = portal.data_ingestion_module.newContent(portal_type='Data Ingestion', reference=reference,
                                                    specialise_value_list=[found])
for supply_line in found.objectValues(portal_type='Data Supply Line'):
    line = ingestion.newContent(
        portal_type='Data Ingestion Line', reference=supply_line.getReference(), resource=supply_line.getResource(),
        quantity=supply_line.getQuantity(), int_index=supply_line.getIntIndex())
    for portal_type in line.getResourceValue().getAggregatedPortalTypeList():
        module = portal.getDefaultModule(portal_type)
        line.setDefaultAggregateValue(module.newContent(portal_type=portal_type, reference=reference))

rows = portal.portal_catalog(portal_type='Data Ingestion Line', parent_uid=ingestion.getUid(),
                             sort_on=(('creation_date', 'descending'),), limit=10)
lines = {row.reference: (row.getQuantity(), row.getObject().getParentValue().getReference()) for row in rows}
out = [line for line in ingestion.contentValues(portal_type='Data Ingestion Line') if line.hasAggregate()]
out[0].getAggregateDataStreamValue().validate()
ingestion.stop()
return lines, ingestion.getSimulationState(), portal.restrictedTraverse(out[0].getRelativeUrl()).getAggregate()
"""


def run(site, body, context=None, **parameters):
    """Run a restricted script, as the current user."""
    script = PythonScript("try_out")
    script.ZPythonScript_edit(", ".join(parameters), body)
    with as_user(site, "system"):
        site.portal_callables._setObject("try_out", script)
    bound = site.portal_callables.try_out.__of__(site if context is None else context)
    try:
        return bound(**parameters)
    finally:
        site.portal_callables._delObject("try_out")


@pytest.fixture
def data_set(site):
    return site.data_set_module.newDataSet("brains")


def test_contributor_s_script_takes_data_in(site):
    lines, state, stream = run(site, "from DateTime import DateTime\n" + TAKE_IN, reference="sensor")
    assert lines == {"ingestion_operation": (1.0, "sensor"), "out_stream": (1.0, "sensor")}
    assert state == "stopped"
    assert site.restrictedTraverse(stream).getReference() == "sensor"


@pytest.mark.parametrize("user", ["dan", "nobody"])
def test_script_of_who_may_not_contribute_makes_nothing(site, user):
    with as_user(site, user), pytest.raises(Unauthorized):
        run(site, "from DateTime import DateTime\n" + TAKE_IN, reference="sensor")
    assert len(site.portal_catalog.unrestrictedSearchResults(reference="sensor")) == 0


@pytest.mark.parametrize(
    "body",
    [
        "return document.manifest",
        "return document.created",
        "return document.categories",
        "return document.title",
        "return document.notifyModified()",
        "return document.changeState('publish')",
        "return document.edit(title='mine')",
        "return document.setTitle('mine')",
        "return document.publish()",
        "return document.getParentValue().newContent(reference='mine')",
        "return context.portal_ingestion_policies.newContent(id='mine')",
        "return context.portal_categories.use.newContent(id='mine')",
        "return context.portal_categories.use.edit(title='mine')",
        "return context.portal_catalog(reference='brains')[0].edit(title='mine')",
        "return context.portal_catalog(reference='brains')[0].notifyModified()",
        "return context.portal_catalog(reference='brains')[0].manage_fixupOwnershipAfterAdd()",
        "return context.portal_catalog.unrestrictedSearchResults(reference='brains')",
        "return context.portal_catalog.value_of(0, 'reference')",
    ],
)
def test_script_of_a_downloader_may_only_read(site, data_set, body):
    data_set.validate()
    with as_user(site, "dan"):
        assert run(site, "return document.getTitle()", document=data_set) == ""
        with pytest.raises((Unauthorized, NotAuthorised)):
            run(site, body, document=data_set)
    assert (data_set.getTitle(), data_set.getValidationState()) == ("", "validated")


def test_script_reaches_nothing_that_its_caller_may_not_view(site, data_set):
    with as_user(site, "dan"):
        for body in (
            "return context.data_set_module[id].getTitle()",
            "return context.restrictedTraverse('data_set_module/' + id)",
            "return [document.getTitle() for document in context.data_set_module.objectValues()]",
        ):
            with pytest.raises(Unauthorized):
                run(site, body, id=data_set.getId())
        assert run(site, "return context.data_set_module.contentValues()") == []
        assert len(run(site, "return context.portal_catalog(portal_type='Data Set')")) == 0


def test_default_module_of_a_portal_type(site):
    assert run(site, "return context.getDefaultModule('Data Supply').getId()") == "data_supply_module"
    assert run(site, "return context.getDefaultModuleId('Data Set')") == "data_set_module"
    assert site.getDefaultModuleValue("Data Stream") == site.data_stream_module
    with pytest.raises(NotFound) as error:
        site.getDefaultModule("Data Ocean")
    assert str(error.value) == (
        "The site has no module for 'Data Ocean': a business template that brings it is missing."
    )
