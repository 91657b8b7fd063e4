from __future__ import annotations

from datetime import datetime, timedelta, timezone

import pytest
import transaction
from AccessControl.unauthorized import Unauthorized
from Acquisition import aq_base
from DateTime import DateTime

from Products.ERP5Wendelin.content import alarm as alarm_module
from Products.ERP5Wendelin.content.alarm import RUNS_KEPT, TEXT_LENGTH, Report, checked_alarm
from Products.ERP5Wendelin.errors import BadInput, NotAuthorised, NotFound
from Products.ERP5Wendelin.storage.lease import DURATION, SKEW
from support.alarms import add_script
from support.site import as_user

START = datetime(2026, 1, 1, 3, 10, tzinfo=timezone.utc)
DAY = timedelta(days=1)


@pytest.fixture
def site(lake):
    with lake.open("boss") as site:
        yield site


@pytest.fixture
def alarm(site):
    """One that is due each day at ten past three, and was made at the start."""
    alarm = site.portal_alarms.newContent(
        id="daily", enabled=True, active_sense_method_id="Alarm_test", periodicity_hour=3, periodicity_start_date=START
    )
    alarm.created = START
    return alarm


def test_properties_are_those_of_erp5(alarm):
    alarm.edit(title="Daily", description="Each day", periodicity_minute=[5, 10], periodicity_week_day_list=["Monday"])
    assert alarm.getPortalType() == "Alarm"
    assert alarm.getTitle() == "Daily"
    assert alarm.isEnabled() is True
    assert alarm.getActiveSenseMethodId() == "Alarm_test"
    assert alarm.getPeriodicityStartDate() == DateTime("2026/01/01 03:10 UTC")
    assert alarm.getPeriodicityMinute() == 5
    assert alarm.getPeriodicityMinuteList() == [5, 10]
    assert alarm.getPeriodicityWeekDayList() == ["Monday"]
    assert alarm.getPeriodicityHourFrequency() is None


@pytest.mark.parametrize(
    ("properties", "message"),
    [
        ({"periodicity_minute": [0, 60]}, "periodicity_minute must be from 0 to 59."),
        ({"periodicity_hour_list": [-1]}, "periodicity_hour must be from 0 to 23."),
        ({"periodicity_minute_frequency": 0}, "periodicity_minute_frequency must be from 1 to 59."),
        ({"periodicity_month": ["May"]}, "periodicity_month_list must be a list of whole numbers."),
        (
            {"periodicity_week_day": "Mon"},
            "periodicity_week_day must be names of days: "
            "Monday, Tuesday, Wednesday, Thursday, Friday, Saturday, Sunday.",
        ),
        ({"enabled": "yes"}, "enabled must be True or False."),
    ],
)
def test_what_is_no_schedule_is_refused(alarm, properties, message):
    with pytest.raises(BadInput) as caught:
        alarm.edit(**properties)
    assert str(caught.value) == message
    assert alarm.next_date(START) == START + DAY


def test_next_date_follows_the_last_run(alarm, monkeypatch):
    monkeypatch.setattr(alarm_module, "now", lambda: START)
    assert alarm.getNextAlarmDate() == DateTime("2026/01/02 03:10 UTC")
    assert alarm.claim("a", START + 3 * DAY)
    assert alarm.next_date(START + 3 * DAY) == START + 4 * DAY


def test_an_alarm_that_a_clock_which_was_wrong_has_run_in_the_future_is_due(alarm):
    alarm.claim("a", START + 300 * DAY)
    alarm.lease.release("a")
    assert alarm.next_date(START + 300 * DAY - SKEW) == START + 301 * DAY  # another's clock may be so far behind
    time = START + 2 * DAY
    assert alarm.next_date(time) == START
    assert alarm.claim("a", time)
    assert alarm.next_date(time) == START + 3 * DAY


def test_an_alarm_that_was_made_in_the_future_is_due(alarm):
    alarm.created = START + 300 * DAY
    assert alarm.next_date(START) == START


def test_an_alarm_that_is_not_enabled_has_no_next_date(alarm):
    alarm.setEnabled(False)
    assert alarm.getNextAlarmDate() is None
    assert not alarm.isEnabled()


def test_due_alarms_come_by_how_long_they_wait(site, alarm):
    for id, hour in (("later", 4), ("early", 2)):
        new = site.portal_alarms.newContent(
            id=id, enabled=True, periodicity_hour=hour, periodicity_start_date=DateTime("2026/01/01 UTC")
        )
        new.created = START
    new.edit(periodicity_minute=0)
    tool = site.portal_alarms
    tool.manage_delObjects([id for id in tool.objectIds() if id not in ("later", "early", "daily")])
    assert tool.due_ids(START + timedelta(minutes=49)) == []
    assert tool.due_ids(START + timedelta(minutes=50)) == ["later"]
    assert tool.due_ids(START + DAY) == ["later", "early", "daily"]


def test_a_run_that_is_claimed_is_active_until_it_is_finished(alarm):
    assert not alarm.isActive()
    time = datetime.now(timezone.utc)
    assert alarm.claim("a", time)
    assert alarm.isActive()
    assert not alarm.claim("b", time)
    alarm.finish("a", time, Report(False, ""))
    alarm.lease.release("a")
    assert not alarm.isActive()
    assert alarm.claim("b", time)


def test_a_run_whose_process_was_killed_is_noted_as_one_that_failed(alarm):
    alarm.claim("a", START)
    assert alarm.claim("b", START + DURATION)
    assert alarm.sense()
    assert alarm.getLastReport() == (True, "It did not finish: the process that ran it has ended.")
    assert alarm.getRunList()[0]["holder"] == "a"


def test_a_run_that_was_noted_is_no_failure_where_its_lease_was_not_released(alarm):
    alarm.claim("a", START)
    alarm.finish("a", START, Report(False, "done"))
    assert alarm.claim("b", START + DURATION)
    assert alarm.getLastReport() == (False, "done")


def run(alarm, text, failed=False, after=0):
    start = START + timedelta(minutes=after)
    alarm.claim("a", start)
    alarm.finish("a", start + timedelta(seconds=5), Report(failed, text))
    alarm.lease.release("a")


def test_last_runs_are_remembered(alarm):
    assert alarm.getRunList() == []
    assert alarm.getLastReport() is None
    assert not alarm.sense()
    for number in range(RUNS_KEPT + 2):
        run(alarm, str(number), failed=True, after=number)
    assert [each["text"] for each in alarm.getRunList()] == [str(number) for number in range(RUNS_KEPT + 1, 1, -1)]
    assert alarm.getRunList()[-1] == {
        "start": DateTime("2026/01/01 03:12 UTC"),
        "stop": DateTime("2026/01/01 03:12:05 UTC"),
        "holder": "a",
        "failed": True,
        "text": "2",
    }
    assert alarm.sense()
    run(alarm, "well again")
    assert not alarm.sense()


def test_of_runs_that_say_the_same_the_last_is_remembered(alarm):
    run(alarm, "nothing")
    run(alarm, "something", failed=True, after=1)
    run(alarm, "something", failed=True, after=2)
    run(alarm, "nothing", after=3)
    assert [(each["text"], each["start"].minute()) for each in alarm.getRunList()] == [
        ("nothing", 13),
        ("something", 12),
        ("nothing", 10),
    ]


def test_a_long_report_is_cut(alarm):
    run(alarm, "x" * (TEXT_LENGTH + 1))
    assert len(alarm.getLastReport().text) == TEXT_LENGTH


@pytest.mark.parametrize(
    ("body", "report"),
    [
        ("pass", (False, "")),
        ("return 'three'", (False, "three")),
        ("return context.getId()", (False, "daily")),
    ],
)
def test_sensing_calls_the_script_with_the_alarm_for_its_context(site, alarm, body, report):
    add_script(site, "Alarm_test", body)
    assert alarm.activeSense() == report


def test_a_script_may_look_at_the_report_of_another_alarm(site, alarm):
    run(alarm, "three", failed=True)
    add_script(site, "Alarm_test", "report = context.getLastReport()\nreturn report.text + str(report.failed)")
    assert alarm.activeSense() == (False, "threeTrue")


def test_sensing_without_its_script_says_what_to_do(alarm):
    with pytest.raises(NotFound, match=r"^There is no script 'Alarm_test', .* Add it, or install the business"):
        alarm.activeSense()


def test_what_is_remembered_is_recalled(alarm):
    assert alarm.recall() == {}
    memory = {"id": "x"}
    alarm.remember(memory)
    memory["id"] = "y"
    assert alarm.recall() == {"id": "x"}


def test_alarms_are_their_managers_alone(lake, site, alarm):
    transaction.commit()
    for name in ("ada", "dan", "nobody"):
        with as_user(site, name):
            with pytest.raises(Unauthorized):
                site.restrictedTraverse("portal_alarms/daily")
            with pytest.raises(Unauthorized):
                site.restrictedTraverse("portal_alarms/newContent")
            with pytest.raises(NotAuthorised, match=r"^You may not run the alarm 'daily'\.$"):
                checked_alarm(alarm)
    assert site.restrictedTraverse("portal_alarms/daily") == alarm
    assert checked_alarm(alarm) is alarm


def test_only_an_alarm_does_what_alarms_do(site):
    with pytest.raises(BadInput, match=r"^This is done by an alarm: call it from the script of one\.$"):
        checked_alarm(site)


def test_an_alarm_keeps_its_state(alarm):
    run(alarm, "x")
    transaction.savepoint()
    state = aq_base(alarm).__getstate__()
    assert {"lease", "log", "active_sense_method_id", "periodicity_hour_list"} <= set(state)
    assert type(state["lease"]).__module__ == "Products.ERP5Wendelin.storage.lease"
    assert (
        f"{type(state['log']).__module__}.{type(state['log']).__name__}"
        == "Products.ERP5Wendelin.content.alarm.AlarmLog"
    )
    assert set(alarm.log.__getstate__()) == {"start", "runs"}
    assert type(alarm.log.runs[0]) is tuple
