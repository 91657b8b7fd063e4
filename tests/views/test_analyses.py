"""`/analyses`: what there is, how far it is, how it failed; planning and cancelling."""

from __future__ import annotations

import pytest
import transaction

from Products.ERP5Wendelin.compute.create import create_analyses
from Products.ERP5Wendelin.compute.execute import now
from support.alarms import add_script
from support.analyses import always, analyses, ingest, prepare, transform, work

FAILING = "raise ValueError('no such sensor')"


@pytest.fixture
def served(server):
    """A server whose site has two analyses, run once: of ada's streams `a` and `b`, 5 bytes each."""
    with server.lake.open("system") as site:
        prepare(site)
        for reference in ("a", "b"):
            ingest(site, reference=reference)
        transform(site)
        work(site)
    return server


def items(server, query="", user="ada"):
    answer = server.request("GET", f"/analyses{query}", user=user)
    assert answer.status == 200, answer.body
    return answer.data["items"]


def url_of(server, reference="a"):
    return f"/analyses/{next(each['id'] for each in items(server) if each['reference'] == reference)}"


def change(server, function):
    """Do something with the analysis of `a`, and commit it."""
    with server.lake.open("system") as site:
        function(site, next(each for each in analyses(site) if each.getReference() == "a"))
        transaction.commit()


def fail(server):
    """Have the script of the analysis of `a` fail."""

    def break_it(site, analysis):
        add_script(site, "DataAnalysisLine_count", FAILING, "in_stream, out_array")
        site.data_stream_module.getDataStream("a").appendData(b"678")
        transaction.commit()
        work(site)

    change(server, break_it)


def test_a_list_says_how_far_each_is(served):
    first, second = items(served)
    assert first.pop("id") < second.pop("id") or first["reference"] < second["reference"]
    assert first.pop("start").endswith("Z")
    assert first == {
        "reference": "a",
        "title": "Count",
        "state": "started",
        "active": False,
        "progress": {"done": 5, "total": 5, "unit": "bytes"},
        "failures": 0,
        "retry": None,
        "stop": None,
    }
    assert second["reference"] == "b"


def test_new_data_is_seen_as_progress_that_is_left(served):
    change(served, lambda site, analysis: site.data_stream_module.getDataStream("a").appendData(b"678"))
    assert items(served)[0]["progress"] == {"done": 5, "total": 8, "unit": "bytes"}


def test_what_a_script_notes_in_its_progress_indicator_is_its_progress(server):
    with server.lake.open("system") as site:
        prepare(site)
        add_script(
            site,
            "DataAnalysisLine_count",
            "in_stream['Progress Indicator'].noteProgress(2, 3, 'rows')",
            "in_stream, out_array",
        )
        ingest(site)
        transform(site, progress=True)
        work(site)
    assert items(server)[0]["progress"] == {"done": 2, "total": 3, "unit": "rows"}


def test_the_offset_in_a_progress_indicator_says_how_much_was_read(server):
    with server.lake.open("system") as site:
        prepare(site)
        script = "in_stream['Progress Indicator'].setIntOffsetIndex(3)"
        add_script(site, "DataAnalysisLine_count", script, "in_stream, out_array")
        ingest(site)
        transform(site, progress=True)
        work(site)
    assert items(server)[0]["progress"] == {"done": 3, "total": 5, "unit": "bytes"}


def test_one_without_inputs_says_nothing_of_progress(server):
    with server.lake.open("ada") as site:
        site.data_analysis_module.newContent(reference="empty")
        transaction.commit()
    assert items(server)[0]["progress"] is None


def test_one_that_runs_is_active(served):
    change(served, lambda site, analysis: analysis.claim("somebody", now()))
    assert [each["active"] for each in items(served)] == [True, False]


def test_a_list_is_searched_by_state_and_words_and_comes_in_pages(served):
    change(served, lambda site, analysis: analysis.cancel())
    assert [each["reference"] for each in items(served, "?state=cancelled")] == ["a"]
    assert [each["reference"] for each in items(served, "?state=started")] == ["b"]
    assert [each["reference"] for each in items(served, "?search=coun")] == ["a", "b"]
    assert items(served, "?search=mean") == []
    page = served.request("GET", "/analyses?limit=1").data
    assert [each["reference"] for each in page["items"]] == ["a"]
    page = served.request("GET", f"/analyses?limit=1&cursor={page['next']}").data
    assert [each["reference"] for each in page["items"]] == ["b"]
    assert page["next"] is None


def test_analyses_of_one_reference_are_each_on_one_page(served):
    with served.lake.open("system") as site:
        transform(site)
        create_analyses(site, always)
    found, cursor = [], ""
    for _ in range(4):
        page = served.request("GET", f"/analyses?limit=1&cursor={cursor}").data
        found += [(each["reference"], each["id"]) for each in page["items"]]
        cursor = page["next"]
    assert cursor is None
    assert [reference for reference, _ in found] == ["a", "a", "b", "b"]
    assert len({id for _, id in found}) == 4


def test_a_state_that_there_is_not_is_400(served):
    answer = served.request("GET", "/analyses?state=draft")
    assert answer.status == 400
    assert answer.data["detail"] == (
        "There is no state 'draft'. States are: planned, started, stopped, delivered, failed, cancelled."
    )


def test_others_see_only_their_own(served):
    assert items(served, user="eve") == items(served, user=None) == []
    assert len(items(served, user="boss")) == 2
    answer = served.request("GET", url_of(served), user="eve")
    assert answer.status == 404
    assert answer.data["detail"].endswith("that you may see. Ask for the list again.")
    assert served.request("GET", url_of(served), user=None).status == 401


def test_an_analysis_is_shown_with_what_it_reads_and_writes(served):
    shown = served.request("GET", url_of(served)).data
    assert shown["failure"] == ""
    assert shown["lines"] == [
        {
            "reference": "in_stream",
            "resource": "data_product_module/readings",
            "quantity": -1.0,
            "documents": [{"portal_type": "Data Stream", "reference": "a"}],
        },
        {"reference": "", "resource": "data_operation_module/count", "quantity": 1.0, "documents": []},
        {
            "reference": "out_array",
            "resource": "data_product_module/counts",
            "quantity": 1.0,
            "documents": [{"portal_type": "Data Array", "reference": "Count-out_array-a"}],
        },
    ]


def test_a_failure_is_shown_with_its_traceback_and_when_it_is_tried_again(served):
    fail(served)
    shown = served.request("GET", url_of(served)).data
    assert (shown["state"], shown["failures"]) == ("started", 1)
    assert shown["retry"] > shown["start"]
    assert shown["failure"].endswith("DataAnalysisLine_count failed in line 1: ValueError: no such sensor")


def test_one_that_has_failed_is_planned_again(served):
    fail(served)
    change(served, lambda site, analysis: analysis.note_failure("for good", None))
    url = url_of(served)
    assert served.request("GET", url).data["state"] == "failed"
    answer = served.request("POST", f"{url}/state", {"transition": "plan"})
    assert answer.status == 200
    assert (answer.data["state"], answer.data["failure"], answer.data["failures"]) == ("planned", "", 0)


def test_one_is_cancelled_and_not_planned_before(served):
    url = url_of(served)
    answer = served.request("POST", f"{url}/state", {"transition": "plan"})
    assert answer.status == 409
    assert "is started: it is not possible to plan it. Possible: cancel, fail, stop." in answer.data["detail"]
    assert served.request("POST", f"{url}/state", {"transition": "cancel"}).data["state"] == "cancelled"
    assert served.request("POST", f"{url}/state", {"transition": "plan"}).status == 403


def test_other_transitions_are_400(served):
    answer = served.request("POST", f"{url_of(served)}/state", {"transition": "stop"})
    assert answer.status == 400
    assert answer.data["detail"] == "transition must be one of plan, cancel."
