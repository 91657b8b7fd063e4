"""From a Data Transformation to the array that its script fills, with documents as users make them."""

from __future__ import annotations

from datetime import timedelta

import numpy
import pytest
import transaction
from AccessControl.SecurityManagement import getSecurityManager

from Products.ERP5Wendelin.compute import execute as execute_module
from Products.ERP5Wendelin.compute.create import create_analyses
from Products.ERP5Wendelin.compute.execute import ATTEMPTS, execute_analyses
from Products.ERP5Wendelin.errors import NotAuthorised
from Products.ERP5Wendelin.permissions import ModifyPortalContent
from support.alarms import add_script
from support.analyses import COUNT, always, analyses, ingest, only_analysis, output, prepare, transform, work
from support.site import as_user


@pytest.fixture
def site(lake):
    with lake.open("system") as site:
        prepare(site)
        yield site


def test_an_analysis_is_made_and_run_for_a_stream(site):
    ingestion, stream = ingest(site)
    transformation = transform(site)
    created, executed = work(site)
    analysis = only_analysis(site)
    assert created == ([analysis.getRelativeUrl()], [])
    assert executed == ([analysis.getRelativeUrl()], [])
    assert analysis.getTitle() == "Count"
    assert analysis.getReference() == "sensor"
    assert analysis.getSpecialiseValueList() == [transformation]
    assert analysis.getCausalityValue() == ingestion
    assert [line.getReference() for line in analysis.objectValues()] == ["in_stream", "", "out_array"]
    assert analysis.objectValues()[0].getAggregateValueList() == [stream]
    array = output(analysis)
    assert array.getReference() == "Count-out_array-sensor"
    assert array.getValidationState() == "validated"
    assert array.getArraySlice(0, 1).tolist() == [5]


def test_an_analysis_is_made_once(site):
    ingest(site)
    transform(site)
    work(site)
    assert work(site) == (([], []), ([], []))
    assert len(analyses(site)) == 1


def test_a_stream_that_grows_is_analysed_again_until_its_ingestion_stops(site):
    ingestion, stream = ingest(site)
    transform(site)
    work(site)
    analysis = only_analysis(site)
    assert analysis.getSimulationState() == "started"
    stream.appendData(b"678")
    transaction.commit()
    assert work(site)[1] == ([analysis.getRelativeUrl()], [])
    assert output(analysis).getArraySlice(0, 1).tolist() == [8]
    stream.appendData(b"9")
    ingestion.stop({})
    transaction.commit()
    work(site)
    assert output(analysis).getArraySlice(0, 1).tolist() == [9]
    assert analysis.getSimulationState() == "stopped"
    assert analysis.getStopDate() is not None
    assert work(site)[1] == ([], [])


def test_a_batch_is_analysed_once_its_ingestion_has_stopped(site):
    ingestion, stream = ingest(site, use="big_data/ingestion/batch")
    transform(site)
    work(site)
    assert analyses(site) == []
    ingestion.stop({})
    transaction.commit()
    work(site)
    assert only_analysis(site).getSimulationState() == "stopped"
    stream.appendData(b"678")
    transaction.commit()
    assert work(site)[1] == ([], [])
    assert output(only_analysis(site)).getArraySlice(0, 1).tolist() == [5]


def test_a_transformation_says_whether_a_stream_is_a_batch(site):
    ingestion, _ = ingest(site)
    transform(site, use="big_data/ingestion/batch")
    work(site)
    assert analyses(site) == []
    ingestion.stop({})
    transaction.commit()
    work(site)
    assert only_analysis(site).getSimulationState() == "stopped"


def test_only_validated_transformations_take_part(site):
    ingest(site)
    transformation = transform(site)
    transformation.invalidate()
    transaction.commit()
    assert work(site) == (([], []), ([], []))


def test_a_published_transformation_takes_part(site):
    ingest(site)
    transform(site).publish()
    transaction.commit()
    assert len(work(site)[0].made) == 1


def test_other_products_are_not_analysed(site):
    ingestion, _ = ingest(site)
    ingestion.objectValues()[0].setResource("data_product_module/counts")
    transaction.commit()
    transform(site)
    assert work(site) == (([], []), ([], []))


def test_what_was_delivered_is_not_analysed(site):
    ingestion, _ = ingest(site)
    ingestion.stop({})
    ingestion.deliver()
    transaction.commit()
    transform(site)
    assert work(site) == (([], []), ([], []))


def test_an_analysis_has_the_rights_of_the_transformation_s_owner(site):
    """dan may read what is validated, and eve's stream is a draft: neither the search nor a script gets at it."""
    ingest(site, user="eve")
    transformation = transform(site, user="ada")
    transformation.changeOwnership(site.acl_users.getUserById("dan").__of__(site.acl_users))
    transaction.commit()
    assert work(site) == (([], []), ([], []))


def test_a_script_may_do_what_the_transformation_s_owner_may_and_no_more(site):
    ingest(site)
    transform(site, user="ada")
    add_script(
        site,
        "DataAnalysisLine_count",
        "context.getPortalObject().restrictedTraverse('portal_alarms/wendelin_compute_md5')",
        "in_stream, out_array",
    )
    transaction.commit()
    assert len(work(site)[1].failed) == 1
    assert "NotAuthorised" in only_analysis(site).getFailure()


def test_an_analysis_that_a_contributor_made_by_hand_has_no_more_rights_than_the_contributor(site):
    transformation = transform(site, user="boss")
    body = "context.portal_alarms.wendelin_compute_md5.setTitle('ada was here')"
    add_script(site, "DataAnalysisLine_count", body, "r")
    with as_user(site, "ada"):
        analysis = site.data_analysis_module.newContent(specialise_value=transformation)
        analysis.newContent("Data Analysis Line", resource="data_operation_module/count", quantity=1)
        analysis.newContent(
            "Data Analysis Line",
            resource="data_product_module/readings",
            quantity=-1,
            reference="r",
            aggregate_value=site.data_stream_module.newContent(reference="s"),
        )
    transaction.commit()
    assert execute_analyses(site, always).failed == [analysis.getRelativeUrl()]
    assert "NotAuthorised" in analysis.getFailure()


def test_contributor_does_not_change_what_runs_with_the_rights_of_others(site):
    transformation = transform(site, user="boss")
    operation = site.data_operation_module.count
    with as_user(site, "ada"):
        assert operation.getTitleOrId() == "count"
        for document in (transformation, transformation.objectValues()[0], operation, site.data_supply_module.default):
            assert not getSecurityManager().checkPermission(ModifyPortalContent, document)
        with pytest.raises(NotAuthorised, match=r"^You may not invalidate the Data Operation 'count'\.$"):
            operation.invalidate()


def test_an_analysis_and_its_output_are_the_owner_s(site):
    ingest(site, user="ada")
    transform(site, user="ada")
    work(site)
    analysis = only_analysis(site)
    assert analysis.getOwnerTuple()[1] == output(analysis).getOwnerTuple()[1] == "ada"
    with as_user(site, "ada"):
        assert site.restrictedTraverse(analysis.getRelativeUrl()) == analysis


def test_a_transformation_whose_owner_is_gone_is_a_problem_and_stops_no_other(site):
    ingest(site)
    gone = transform(site, user="eve")
    transform(site, user="ada")
    site.acl_users.users.removeUser("eve")
    transaction.commit()
    created, executed = work(site)
    assert len(created.made) == len(executed.done) == 1
    assert created.problems == [
        f"The owner of {gone.getRelativeUrl()}, 'eve', is no user any more: invalidate or cancel it, and let somebody "
        "else make it anew."
    ]


def test_a_script_gets_its_documents_by_the_references_of_lines(site):
    ingestion, stream = ingest(site)
    add_script(
        site,
        "DataAnalysisLine_count",
        "context.getParentValue().setDescription(repr(sorted(in_stream.items())))",
        "in_stream, out_array",
    )
    transform(site)
    work(site)
    analysis = only_analysis(site)
    assert analysis.getFailure() == ""
    for text in (
        f"('Data Stream', <DataStream at /erp5/{stream.getRelativeUrl()}>)",
        "('causality_reference', 'sensor')",
        f"('causality_relative_url', '{ingestion.getRelativeUrl()}')",
        "('reference', 'in_stream')",
        "('resource_relative_url', 'data_product_module/readings')",
    ):
        assert text in analysis.getDescription()


def test_lines_of_one_reference_are_a_list(site):
    ingest(site)
    transformation = transform(site)
    table = site.data_array_module.newContent(reference="table")
    table.validate()
    transformation.newContent(
        "Data Transformation Resource Line",
        reference="in_stream",
        int_index=4,
        quantity=-1,
        resource="data_product_module/counts",
        aggregate_value=table,
    )
    add_script(
        site,
        "DataAnalysisLine_count",
        "context.getParentValue().setDescription(in_stream[1]['Data Array'].getReference())",
        "in_stream, out_array",
    )
    transaction.commit()
    work(site)
    assert only_analysis(site).getDescription() == "table"


def test_a_script_that_returns_1_is_called_again(site):
    ingest(site)
    transform(site)
    add_script(
        site,
        "DataAnalysisLine_count",
        "analysis = context.getParentValue()\n"
        "analysis.setDescription(analysis.getDescription() + 'x')\n"
        "return int(len(analysis.getDescription()) < 3)",
        "in_stream, out_array",
    )
    transaction.commit()
    work(site)
    assert only_analysis(site).getDescription() == "xxx"


def test_what_a_script_has_left_is_done_by_the_next_run(site):
    ingest(site)
    transform(site)
    add_script(site, "DataAnalysisLine_count", "return 1", "in_stream, out_array")
    transaction.commit()
    create_analyses(site, always)
    calls = iter([True, False])
    execute_analyses(site, lambda: next(calls))
    transaction.begin()
    assert not only_analysis(site).complete
    add_script(site, "DataAnalysisLine_count", COUNT, "in_stream, out_array")
    transaction.commit()
    work(site)
    assert output(only_analysis(site)).getArraySlice(0, 1).tolist() == [5]


def test_a_script_that_fails_changes_nothing_and_is_tried_again_later_and_later(site, monkeypatch):
    ingest(site)
    transform(site)
    add_script(
        site,
        "DataAnalysisLine_count",
        "out_array['Data Array'].initArray((7,), 'int8')\nraise ValueError('no such sensor')",
        "in_stream, out_array",
    )
    transaction.commit()
    time = execute_module.now()
    monkeypatch.setattr(execute_module, "now", lambda: time)
    for attempt in range(1, ATTEMPTS + 1):
        executed = work(site)[1]
        analysis = only_analysis(site)
        assert executed == ([], [analysis.getRelativeUrl()])
        assert analysis.getFailureCount() == attempt
        assert "ValueError: no such sensor" in analysis.getFailure()
        assert output(analysis).getArray() is None
        if attempt < ATTEMPTS:
            assert analysis.getSimulationState() == "started"
            delay = timedelta(minutes=4 ** (attempt - 1))
            assert analysis.retry_date == time + delay
            time += delay - timedelta(seconds=1)
            assert work(site)[1] == ([], [])
            time += timedelta(seconds=1)
    assert analysis.getSimulationState() == "failed"
    assert analysis.getRetryDate() is None
    time += timedelta(days=100)
    assert work(site)[1] == ([], [])
    # mended, and planned again
    add_script(site, "DataAnalysisLine_count", COUNT, "in_stream, out_array")
    analysis.plan()
    transaction.commit()
    assert work(site)[1] == ([analysis.getRelativeUrl()], [])
    assert analysis.getFailure() == ""
    assert analysis.getFailureCount() == 0
    assert output(analysis).getArraySlice(0, 1).tolist() == [5]


def test_an_analysis_without_its_operation_fails_with_what_is_missing(site):
    ingest(site)
    transform(site, script="absent")
    work(site)
    analysis = only_analysis(site)
    assert f"{analysis.getRelativeUrl()} has no operation: none of its lines has one for its resource." in (
        analysis.getFailure()
    )


def test_a_process_that_is_killed_after_the_script_leaves_nothing_to_be_done_twice(site):
    """The script's work and the note that it is done are one transaction; what is left is to stop."""
    ingestion, _ = ingest(site, use="big_data/ingestion/batch")
    ingestion.stop({})
    transaction.commit()
    transform(site)
    create_analyses(site, always)
    analysis = only_analysis(site)
    analysis.start()
    analysis.claim("killed", execute_module.now())
    transaction.commit()
    assert execute_module._do(analysis, "killed") is False
    analysis.release("killed")
    output(analysis).setArrayIndex(0, 99)
    transaction.commit()
    work(site)
    assert analysis.getSimulationState() == "stopped"
    assert output(analysis).getArraySlice(0, 1).tolist() == numpy.array([99]).tolist()


def test_a_cancelled_analysis_is_left_alone(site):
    ingest(site)
    transform(site)
    create_analyses(site, always)
    only_analysis(site).cancel()
    transaction.commit()
    assert work(site) == (([], []), ([], []))


COPY_NEW = """\
progress = in_stream["Progress Indicator"]
stream = in_stream["Data Stream"]
start = progress.getIntOffsetIndex()
end = min(start + 2, stream.getSize())
analysis = context.getParentValue()
analysis.setDescription(analysis.getDescription() + stream.getData()[start:end].decode())
progress.setIntOffsetIndex(end)
return int(end < stream.getSize())
"""
"""Copies two bytes a call, from where the last call ended."""


def test_a_script_keeps_in_a_progress_indicator_how_far_it_has_read(site):
    _, stream = ingest(site)
    transform(site, progress=True)
    add_script(site, "DataAnalysisLine_count", COPY_NEW, "in_stream, out_array")
    transaction.commit()
    work(site)
    analysis = only_analysis(site)
    assert analysis.getFailure() == ""
    line = analysis.objectValues()[0]
    [indicator] = line.getAggregateValueList(portal_type="Progress Indicator")
    assert indicator.getReference() == "Count-in_stream-sensor"
    assert indicator.getValidationState() == "validated"
    assert indicator.getOwnerTuple()[1] == "ada"
    assert indicator.getIntOffsetIndex() == 5
    stream.appendData(b"678")
    transaction.commit()
    work(site)
    assert indicator.getIntOffsetIndex() == 8
    assert analysis.getDescription() == "12345678"


def test_an_array_that_grows_is_analysed_again_also_if_it_is_another_analysis_s_output(site):
    ingest(site)
    transform(site)
    work(site)
    array = output(only_analysis(site))
    body = "context.getParentValue().setDescription(repr(in_array['Data Array'].getArraySlice(0, 9).tolist()))"
    add_script(site, "DataAnalysisLine_show", body, "in_array")
    table = site.data_array_module.newContent(reference="table")
    with as_user(site, "boss"):
        site.data_operation_module.newContent(id="show", script_id="DataAnalysisLine_show").validate()
    analysis = site.data_analysis_module.newContent(
        specialise_value=only_analysis(site).getSpecialiseValue(), reference="show", causality_value=None
    )
    analysis.newContent(reference="in_array", quantity=-1, aggregate_value=array)
    analysis.newContent(reference="", quantity=-1, aggregate_value=table)
    analysis.newContent(resource="data_operation_module/show", quantity=1)
    analysis.setCausalityValue(site.data_ingestion_module.objectValues()[0])
    transaction.commit()
    assert work(site)[1].done == [analysis.getRelativeUrl()]
    assert analysis.getDescription() == "[5]"
    assert work(site)[1].done == []
    array.appendArray([7])
    table.initArray((1,), "u1")
    transaction.commit()
    assert work(site)[1].done == [analysis.getRelativeUrl()]
    assert analysis.getDescription() == "[5, 7]"
