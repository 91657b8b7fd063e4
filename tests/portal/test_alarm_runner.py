from __future__ import annotations

import shutil
import threading
from datetime import datetime, timedelta, timezone

import pytest
import transaction

from Products.ERP5Wendelin.content.alarm import Alarm
from Products.ERP5Wendelin.errors import Conflict, NotFound
from Products.ERP5Wendelin.portal.alarm_runner import AlarmRunner, alarm_tool, find_alarm, process_name, run_alarm
from Products.ERP5Wendelin.storage.database import open_database
from Products.ERP5Wendelin.storage.lease import DURATION, renew
from support.alarms import START, add_alarm, add_script
from support.databases import zeo_server
from support.site import Lake

MINUTE = timedelta(minutes=1)
COUNT = "context.setTitle(context.getTitle() + 'x')\nreturn 'counted'"


class Clock:
    """A clock that is set."""

    def __init__(self) -> None:
        self.time = START + MINUTE

    def __call__(self) -> datetime:
        return self.time


@pytest.fixture
def clock():
    return Clock()


def prepare(lake, *ids, script=COUNT):
    """Let a lake have no alarms but these, all with one script, due each minute."""
    with lake.open("system") as site:
        site.portal_alarms.manage_delObjects(list(site.portal_alarms.objectIds()))
        add_script(site, "Alarm_test", script)
        for id in ids:
            add_alarm(site, id, "Alarm_test")
        transaction.commit()


def titles(lake):
    """The title of each alarm: a letter for each time it was run."""
    with lake.open("system") as site:
        return [alarm.getTitle() for alarm in site.portal_alarms.objectValues()]


def last_run(lake, id="first"):
    with lake.open("system") as site:
        return next(iter(find_alarm(site, id).getRunList()), None)


def test_due_alarms_are_run_and_their_reports_kept(lake, clock):
    prepare(lake, "first", "second")
    AlarmRunner(lake.db, "me", clock).turn()
    assert titles(lake) == ["x", "x"]
    run = last_run(lake)
    assert (run["text"], run["failed"], run["holder"]) == ("counted", False, "me")
    assert run["start"].ISO8601() == "2026-01-01T00:01:00+00:00"


def test_an_alarm_is_run_once_for_each_date_and_what_was_missed_once(lake, clock):
    prepare(lake, "first")
    runner = AlarmRunner(lake.db, "me", clock)
    runner.turn()
    runner.turn()
    assert titles(lake) == ["x"]
    clock.time += 100 * MINUTE
    runner.turn()
    runner.turn()
    assert titles(lake) == ["xx"]
    clock.time += MINUTE
    runner.turn()
    assert titles(lake) == ["xxx"]


def test_an_alarm_that_is_not_enabled_is_not_run(lake, clock):
    prepare(lake, "first")
    with lake.open("system") as site:
        site.portal_alarms.first.setEnabled(False)
        transaction.commit()
    AlarmRunner(lake.db, "me", clock).turn()
    assert titles(lake) == [""]


def test_an_alarm_that_raises_is_reported_and_does_not_stop_the_others(lake, clock, caplog):
    prepare(lake, "first", "second")
    with lake.open("system") as site:
        add_script(site, "Alarm_broken", "context.setTitle('lost')\nreturn 1 / 0")
        site.portal_alarms.first.setActiveSenseMethodId("Alarm_broken")
        transaction.commit()
    AlarmRunner(lake.db, "me", clock).turn()
    assert titles(lake) == ["", "x"]
    run = last_run(lake)
    assert run["failed"]
    assert run["text"].startswith("Traceback (most recent call last):")
    assert "ZeroDivisionError: division by zero" in run["text"]
    assert run["text"].endswith("failed in line 2: ZeroDivisionError: division by zero")
    assert "the alarm first failed: Traceback" in caplog.text


def test_an_error_of_ours_is_reported_by_its_text(lake, clock):
    prepare(lake, "first")
    with lake.open("system") as site:
        site.portal_alarms.first.setActiveSenseMethodId("Alarm_absent")
        transaction.commit()
    AlarmRunner(lake.db, "me", clock).turn()
    assert last_run(lake)["text"].startswith("There is no script 'Alarm_absent', neither in the layers of portal_skins")


def test_a_lease_that_is_renewed_while_a_script_runs_does_not_make_it_run_again(lake, clock, monkeypatch):
    prepare(lake, "first")
    sense, calls = Alarm.activeSense, []

    def slow(alarm):
        calls.append(alarm.getId())
        report = sense(alarm)
        assert renew(lake.db, alarm.lease._p_oid, "me", clock() + MINUTE)
        return report

    monkeypatch.setattr(Alarm, "activeSense", slow)
    AlarmRunner(lake.db, "me", clock).turn()
    assert calls == ["first"]
    assert titles(lake) == ["x"]
    with lake.open("system") as site:
        assert not find_alarm(site, "first").lease.is_held(clock())


def test_what_a_run_did_that_lost_its_lease_is_not_kept_and_not_done_again(lake, clock, monkeypatch):
    prepare(lake, "first")
    sense, calls = Alarm.activeSense, []

    def claim():
        clock.time += DURATION
        with lake.open("system") as site:
            assert find_alarm(site, "first").claim("other", clock())
            transaction.commit()

    def suspended(alarm):
        calls.append(alarm.getId())
        report = sense(alarm)
        other = threading.Thread(target=claim)  # which has a transaction of its own
        other.start()
        other.join()
        return report

    monkeypatch.setattr(Alarm, "activeSense", suspended)
    with lake.open("system") as site, pytest.raises(Conflict) as caught:
        run_alarm(site, "first", "me", clock)
    assert str(caught.value) == (
        "The alarm 'first' was taken over by another process, since this one did not renew its lease in time: "
        "what it did last was not kept."
    )
    assert calls == ["first"]
    assert titles(lake) == [""]
    assert last_run(lake)["text"] == "It did not finish: the process that ran it has ended."
    with lake.open("system") as site:
        assert find_alarm(site, "first").lease.is_held_by("other", clock())


def test_of_two_processes_only_one_runs_alarms(lake, clock):
    prepare(lake, "first")
    one, other = AlarmRunner(lake.db, "one", clock), AlarmRunner(lake.db, "other", clock)
    one.turn()
    clock.time += MINUTE
    other.turn()
    assert titles(lake) == ["x"]
    one.turn()
    assert titles(lake) == ["xx"]


def test_a_process_that_is_killed_is_replaced_once_its_lease_has_expired(lake, clock):
    prepare(lake, "first")
    AlarmRunner(lake.db, "killed", clock).turn()
    other = AlarmRunner(lake.db, "other", clock)
    clock.time += DURATION - timedelta(seconds=1)
    other.turn()
    assert titles(lake) == ["x"]
    clock.time += timedelta(seconds=1)
    other.turn()
    assert titles(lake) == ["xx"]
    assert last_run(lake)["holder"] == "other"


def test_a_process_that_ends_is_replaced_at_once(lake, clock):
    prepare(lake, "first")
    ended = AlarmRunner(lake.db, "ended", clock)
    ended.turn()
    ended.release()
    clock.time += MINUTE
    AlarmRunner(lake.db, "other", clock).turn()
    assert titles(lake) == ["xx"]


def test_a_lease_is_renewed_only_when_it_is_time_to(lake, clock):
    prepare(lake)
    runner = AlarmRunner(lake.db, "me", clock)
    runner.turn()
    before = lake.db.lastTransaction()
    clock.time += timedelta(seconds=59)
    runner.turn()
    assert lake.db.lastTransaction() == before
    clock.time += timedelta(seconds=1)
    runner.turn()
    assert lake.db.lastTransaction() > before


def test_a_site_without_alarms_is_left_alone(lake, clock):
    with lake.open("system") as site:
        site._delObject("portal_alarms")
        transaction.commit()
        with pytest.raises(NotFound) as caught:
            alarm_tool(site)
    assert str(caught.value) == (
        "This site has no alarms: the business template erp5_wendelin, which brings them, is missing."
    )
    before = lake.db.lastTransaction()
    AlarmRunner(lake.db, "me", clock).turn()
    AlarmRunner(lake.db, "me", clock).release()
    assert lake.db.lastTransaction() == before


def test_a_thread_runs_what_is_due_and_gives_the_lease_back_when_it_is_stopped(lake, clock):
    prepare(lake, "first")
    runner = AlarmRunner(lake.db, "me", clock)
    asked = threading.Event()
    seen = []

    def seeing() -> datetime:
        seen.append(1)
        if len(seen) > 4:
            asked.set()
        return clock()

    runner._clock = seeing
    runner.start()
    assert asked.wait(60)
    runner.stop()
    assert runner.join(60)
    assert titles(lake) == ["x"]
    with lake.open("system") as site:
        assert not site.portal_alarms.lease.is_held(clock())


def test_a_thread_survives_a_database_out_of_reach(lake, clock, caplog, monkeypatch):
    prepare(lake, "first")
    monkeypatch.setattr("Products.ERP5Wendelin.portal.alarm_runner.INTERVAL", 0.0)
    runner = AlarmRunner(lake.db, "me", clock)
    turn, done = runner.turn, threading.Event()
    failures = [OSError("no route to the storage")]

    def turning() -> None:
        if failures:
            raise failures.pop()
        turn()
        done.set()

    monkeypatch.setattr(runner, "turn", turning)
    runner.start()
    assert done.wait(60)
    runner.stop()
    assert runner.join(60)
    assert titles(lake) == ["x"]
    assert "alarms could not be run" in caplog.text
    assert "no route to the storage" in caplog.text


def test_by_hand_an_alarm_is_run_whether_it_is_due_or_not(lake):
    prepare(lake, "first")
    with lake.open("system") as site:
        site.portal_alarms.first.setEnabled(False)
        transaction.commit()
        assert run_alarm(site, "first", process_name()) == (False, "counted")
    assert titles(lake) == ["x"]
    assert abs(last_run(lake)["start"].asdatetime() - datetime.now(timezone.utc)) < timedelta(hours=1)


def test_by_hand_an_alarm_that_is_running_is_refused(lake, clock):
    prepare(lake, "first")
    with lake.open("system") as site:
        site.portal_alarms.first.claim("other", clock())
        transaction.commit()
        with pytest.raises(Conflict, match=r"^The alarm 'first' is running already\. Wait until it is done\.$"):
            run_alarm(site, "first", "me", clock)
        clock.time += DURATION
        run_alarm(site, "first", "me", clock)
    assert titles(lake) == ["x"]


def test_by_hand_an_unknown_alarm_is_not_found(lake):
    prepare(lake, "first", "second")
    with lake.open("system") as site, pytest.raises(NotFound) as caught:
        run_alarm(site, "third", "me")
    assert str(caught.value) == "There is no alarm 'third'. There are: first, second."


def test_names_of_processes_differ():
    assert process_name() != process_name()


# ZEO may leave the event loop of a client's thread to the garbage collector, which closes its sockets before it
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_two_servers_at_the_same_moment_run_each_due_alarm_once(tmp_path, data_fs, clock):
    """Two databases on one ZEO server, as two machines have them; both begin at once, round after round."""
    alarms = 4
    shutil.copy(data_fs, tmp_path / "Data.fs")
    with zeo_server(tmp_path) as uri:
        databases = [open_database(uri) for _ in range(2)]
        prepare(Lake(databases[0]), *(f"alarm{number}" for number in range(alarms)))
        runners = [AlarmRunner(database, f"server {number}", clock) for number, database in enumerate(databases)]
        for count in range(1, 4):
            barrier = threading.Barrier(2)

            def work(runner: AlarmRunner, barrier: threading.Barrier = barrier) -> None:
                barrier.wait(60)
                runner._protected(runner.turn)

            threads = [threading.Thread(target=work, args=(runner,)) for runner in runners]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            assert titles(Lake(databases[1])) == ["x" * count] * alarms
            # the next round may be anybody's
            for runner in runners:
                runner.release()
            clock.time += MINUTE
        for database in databases:
            database.close()
