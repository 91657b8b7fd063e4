"""Workers say that they are at work, and alarms leave analyses to them."""

from __future__ import annotations

import subprocess
import sys
from datetime import datetime, timedelta

import pytest
import transaction

from Products.ERP5Wendelin.compute import workers
from Products.ERP5Wendelin.compute.workers import announce, names_of_workers, retire
from Products.ERP5Wendelin.portal.alarm_runner import run_alarm
from Products.ERP5Wendelin.storage.lease import DURATION
from Products.ERP5Wendelin.storage.process import name_of, this_process

ALARM = "wendelin_handle_analysis"


@pytest.fixture
def site(lake):
    with lake.open("system") as site:
        yield site


def test_nobody_is_at_work_at_first(site):
    assert names_of_workers(site) == []


def test_those_at_work_are_known_by_their_names_until_they_end(site):
    announce(site, this_process())
    announce(site, "elsewhere")
    announce(site, "elsewhere")
    transaction.begin()
    assert sorted(names_of_workers(site)) == sorted([this_process(), "elsewhere"])
    retire(site, "elsewhere")
    retire(site, "elsewhere")
    transaction.begin()
    assert names_of_workers(site) == [this_process()]


def test_one_that_says_nothing_any_more_is_forgotten(site, monkeypatch):
    announce(site, "elsewhere")
    time: datetime = workers.now() + DURATION + timedelta(seconds=1)
    monkeypatch.setattr(workers, "now", lambda: time)
    assert names_of_workers(site) == []
    announce(site, "here")
    assert list(site.data_analysis_module._workers) == ["here"]


def test_one_whose_process_was_killed_is_at_work_no_more(site):
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        name = name_of(process.pid)
        announce(site, name)
        assert names_of_workers(site) == [name]
        process.kill()
        process.wait()
        assert names_of_workers(site) == []


def test_the_alarm_leaves_analyses_to_workers_while_there_are_any(site):
    announce(site, "elsewhere")
    transaction.begin()
    report = run_alarm(site, ALARM, "test")
    assert report == (False, "Data Analyses are made and run by workers: 1.")
    retire(site, "elsewhere")
    transaction.begin()
    assert run_alarm(site, ALARM, "test").text == "Data Analyses: 0 made, 0 run, 0 failed."
