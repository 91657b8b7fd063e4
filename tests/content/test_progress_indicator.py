from __future__ import annotations

import pytest
import transaction

from Products.ERP5Wendelin.content.progress_indicator import DONE, FAILED
from Products.ERP5Wendelin.errors import BadInput
from Products.ERP5Wendelin.storage.lease import utc_now


@pytest.fixture
def indicator(site):
    indicator = site.progress_indicator_module.newContent(reference="mean.py")
    transaction.commit()
    return indicator


def test_scripts_keep_how_far_they_have_read_as_wendelin_has_it(indicator):
    assert (indicator.getIntOffsetIndex(), indicator.getStringOffsetIndex()) == (0, "")
    indicator.setIntOffsetIndex(7)
    indicator.setStringOffsetIndex("flight 7")
    assert (indicator.getIntOffsetIndex(), indicator.getStringOffsetIndex()) == (7, "flight 7")
    indicator.reset()
    assert (indicator.getIntOffsetIndex(), indicator.getStringOffsetIndex()) == (0, "")


def test_offsets_are_changed_without_a_word_to_the_catalogue(lake, indicator):
    indicator.setIntOffsetIndex(7)
    changed = {type(each).__name__ for each in indicator._p_jar._registered_objects}
    assert changed == {"ProgressIndicator"}
    indicator.edit(int_offset_index=8, title="Mean")
    assert indicator.getTitle() == "Mean"
    transaction.commit()
    assert [brain.title for brain in indicator.getPortalObject().portal_catalog(reference="mean.py")] == ["Mean"]


def test_a_movement_finds_the_one_that_it_aggregates(site, indicator):
    line = site.data_analysis_module.newContent().newContent(aggregate_value=indicator)
    assert line.getAggregateProgressIndicatorValue() == indicator


def test_at_first_nothing_is_said(indicator):
    assert indicator.getProgressState() == ""
    assert (indicator.getDone(), indicator.getTotal(), indicator.getUnit(), indicator.getRate()) == (0, None, "", None)
    assert (indicator.getStartDate(), indicator.getStopDate(), indicator.getProgressDate()) == (None, None, None)
    assert indicator.getErrorText() == ""


def test_a_script_says_how_much_is_done(indicator):
    indicator.noteProgress(3, 10, "rows")
    assert (indicator.getProgressState(), indicator.getDone(), indicator.getTotal()) == ("running", 3, 10)
    begun = indicator.getStartDate()
    assert (indicator.getUnit(), begun is None, indicator.getStopDate()) == ("rows", False, None)
    indicator.noteProgress(10.0, 10.0, "rows")
    assert (indicator.getProgressState(), indicator.getStartDate()) == ("done", begun)
    assert indicator.getStopDate() == indicator.getProgressDate()
    indicator.noteProgress(11)
    assert (indicator.getProgressState(), indicator.getTotal()) == ("running", None)


@pytest.mark.parametrize("number", [-1, float("nan"), float("inf"), 2**63, "1", True, None])
def test_what_is_no_count_is_refused(indicator, number):
    with pytest.raises(BadInput, match=r"^What is done is counted in numbers from 0, not "):
        indicator.noteProgress(number)


@pytest.mark.parametrize("unit", ["\ud800", "\x1b[2J", "x" * 101, None])
def test_what_is_no_unit_is_refused(indicator, unit):
    with pytest.raises(BadInput, match=r"^A unit, such as 'rows', has up to 100 printable characters\.$"):
        indicator.noteProgress(1, 2, unit)


def test_one_whose_process_has_gone_is_interrupted(indicator):
    indicator.progress.begin("lake2/boot/1/77/1", "", anew=True)
    indicator.progress.note(1, 2, "rows", 3.0)
    indicator.lease.claim("lake2/boot/1/77/1", utc_now())
    assert (indicator.getProgressState(), indicator.getRate()) == ("running", 3.0)
    indicator.lease.release("lake2/boot/1/77/1")
    assert (indicator.getProgressState(), indicator.getRate()) == ("interrupted", None)


def test_one_that_goes_on_keeps_when_it_began_and_one_that_begins_anew_does_not(indicator):
    progress = indicator.progress
    progress.begin("a", "/home/ada/mean.py", anew=True)
    progress.note(1, 2, "rows")
    progress.ended_loops, progress.memory.values = 3, {"a": 1}
    progress.start_date = begun = progress.start_date.replace(year=2025)
    progress.end(FAILED, "x" * 30_000 + "the end")
    assert indicator.getErrorText().endswith("the end")
    assert len(indicator.getErrorText()) == 20_000
    progress.begin("b", "/home/ada/mean.py", anew=False)
    assert (progress.start_date, progress.done, progress.ended_loops, progress.error) == (begun, 1, 3, "")
    progress.end(DONE)
    progress.begin("b", "/home/ada/mean.py", anew=True)
    assert progress.start_date > begun
    assert (progress.done, progress.total, progress.ended_loops, progress.memory.values) == (0, None, 0, {})
