"""The alarms that erp5_wendelin brings, as a site has them, run as `wendelin serve` runs them."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

import pytest
import transaction

from Products.ERP5Wendelin.portal.alarm_runner import AlarmRunner, run_alarm
from support.alarms import add_script
from support.pushes import push

REPORTS = {
    "wendelin_apply_retention": "Streams with a retention: 0. Dropped: 0.0 MiB of 0 streams.",
    "wendelin_check_datastream_consistency": "Everything was checked: 1 files and streams, 0.0 MiB, in the pass begun",
    "wendelin_compute_md5": "Computed: 1 files. Data sets not done yet: 0.",
    "wendelin_expire_ingestions": "Given up: 0 pushes, 0 files and 0 arrays that came in part.",
    "wendelin_handle_analysis": "Data Analyses: 0 made, 0 run, 0 failed.",
}


@pytest.fixture
def site(site):
    push(site.data_set_module.newDataSet("scans"), {"a": b"a"})
    return site


def test_a_site_has_these_alarms_all_enabled(site):
    alarms = site.portal_alarms.objectValues(portal_type="Alarm")
    assert sorted(alarm.getId() for alarm in alarms) == sorted(REPORTS)
    for alarm in alarms:
        assert alarm.isEnabled()
        assert alarm.getReference() == alarm.getId()
        assert alarm.getTitle()
        time = datetime.now(timezone.utc)
        assert alarm.next_date(time) - time < timedelta(days=1)


@pytest.mark.parametrize("id", REPORTS)
def test_an_alarm_does_its_work(site, id):
    report = run_alarm(site, id, "test")
    assert not report.failed
    assert report.text.startswith(REPORTS[id])
    assert site.portal_alarms[id].getLastReport() == report


def test_all_are_run_within_a_day(lake, site):
    transaction.commit()
    start = datetime.now(timezone.utc)
    AlarmRunner(lake.db, "test", lambda: start + timedelta(days=1)).turn()
    transaction.begin()
    for alarm in site.portal_alarms.objectValues():
        assert alarm.getLastReport().text.startswith(REPORTS[alarm.getId()])


def handle_broken_analysis(site):
    """The report of a run that makes an analysis whose script fails, and the analysis."""
    site.data_operation_module.newContent(id="broken", script_id="DataAnalysisLine_broken").validate()
    site.data_product_module.newContent(id="readings").validate()
    add_script(site, "DataAnalysisLine_broken", "return [][1]", "**parameters")
    transformation = site.data_transformation_module.newContent(resource="data_product_module/readings")
    transformation.newContent("Data Transformation Operation Line", resource="data_operation_module/broken")
    transformation.validate()
    ingestion = site.data_ingestion_module.newContent(portal_type="Data Ingestion", reference="sensor")
    stream = site.data_stream_module.newContent(portal_type="Data Stream", reference="sensor")
    ingestion.newContent(reference="out_stream", resource="data_product_module/readings", aggregate_value=stream)
    transaction.commit()
    report = run_alarm(site, "wendelin_handle_analysis", "test")
    transaction.begin()
    [analysis] = site.data_analysis_module.objectValues()
    return report, analysis


def test_an_analysis_that_fails_is_reported_with_its_traceback(site):
    report, analysis = handle_broken_analysis(site)
    lines = report.text.splitlines()
    assert report.failed
    assert lines[:3] == [
        "Data Analyses: 1 made, 0 run, 1 failed.",
        f"{analysis.getRelativeUrl()} has failed 1 times in a row. It is tried again at {analysis.getRetryDate()}.",
        "Traceback (most recent call last):",
    ]
    assert lines[-1].endswith("DataAnalysisLine_broken failed in line 1: IndexError: list index out of range")


def test_an_analysis_that_is_given_up_says_what_to_do(site, monkeypatch):
    monkeypatch.setattr("Products.ERP5Wendelin.compute.execute.ATTEMPTS", 1)
    report, analysis = handle_broken_analysis(site)
    assert report.text.splitlines()[1] == (
        f"{analysis.getRelativeUrl()} has failed 1 times in a row. It is given up: plan it again once that is mended."
    )
