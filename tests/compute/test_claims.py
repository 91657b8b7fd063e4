"""Claims of analyses: one process at a time runs each, and what is taken over from another is not committed by it."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from datetime import timedelta
from threading import Event, Thread

import pytest
import transaction

from Products.ERP5Wendelin.compute import execute as execute_module
from Products.ERP5Wendelin.compute.create import create_analyses
from Products.ERP5Wendelin.compute.execute import ATTEMPTS, Outcome, execute, is_due, note_end, release
from Products.ERP5Wendelin.content import data_analysis as data_analysis_module
from Products.ERP5Wendelin.content import scripts
from Products.ERP5Wendelin.storage.lease import DURATION
from Products.ERP5Wendelin.storage.process import name_of
from support.alarms import add_script
from support.analyses import always, ingest, only_analysis, output, prepare, transform

TIMEOUT = 60

COUNT_CALLS = """\
array = out_array["Data Array"]
if array.getArray() is None:
    array.initArray((1,), "int64")
array.getArray()[0] = array.getArray()[0] + 1
"""
"""Adds 1 to its output in each call."""


@pytest.fixture
def site(lake):
    """A site with an analysis that is planned, and counts the calls of its script."""
    with lake.open("system") as site:
        prepare(site)
        add_script(site, "DataAnalysisLine_count", COUNT_CALLS, "in_stream, out_array")
        ingest(site)
        transform(site)
        create_analyses(site, always)
        transaction.begin()
        yield site


@pytest.fixture
def url(site) -> str:
    return only_analysis(site).getRelativeUrl()


@pytest.fixture
def killed() -> Iterator[str]:
    """The name of a process that is no more."""
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        name = name_of(process.pid)
        process.kill()
    return name


def calls(site) -> int:
    """How often the script was called, by what was committed."""
    transaction.begin()
    array = output(only_analysis(site))
    return 0 if array.getArray() is None else int(array.getArraySlice(0, 1)[0])


def claim(site, holder: str) -> None:
    """Have the analysis run by a process."""
    analysis = only_analysis(site)
    analysis.claim(holder, execute_module.now())
    if analysis.getSimulationState() == "planned":
        analysis.start()
    transaction.commit()


def test_one_that_another_process_runs_is_left_to_it(site, url):
    claim(site, "other")
    assert only_analysis(site).isActive()
    assert not is_due(only_analysis(site), execute_module.now())
    assert execute(site, url, always, "this") is Outcome.NOT_DUE
    assert calls(site) == 0
    release(site, url, "this")
    assert only_analysis(site).holder == "other"
    release(site, url, "other")
    assert execute(site, url, always, "this") is Outcome.DONE
    assert calls(site) == 1


def test_after_a_run_nobody_has_it(site, url):
    assert execute(site, url, always) is Outcome.DONE
    analysis = only_analysis(site)
    assert analysis.holder == ""
    assert not analysis.isActive()
    assert execute(site, url, always) is Outcome.NOT_DUE


def test_while_its_script_runs_it_is_active(site, url):
    add_script(
        site,
        "DataAnalysisLine_count",
        "context.getParentValue().setDescription(str(context.getParentValue().isActive()))",
        "in_stream, out_array",
    )
    transaction.commit()
    execute(site, url, always)
    assert only_analysis(site).getDescription() == "True"


def test_of_two_at_the_same_moment_one_runs_it(lake, site, url, monkeypatch):
    """Both find it free; the second one commits its claim first."""
    claimed = execute_module._claimed

    def claim_meanwhile(*arguments):
        found = claimed(*arguments)
        monkeypatch.setattr(execute_module, "_claimed", claimed)
        other = Thread(target=claim_as_other)  # a thread has one transaction
        other.start()
        other.join(TIMEOUT)
        return found

    def claim_as_other() -> None:
        with lake.open("system") as site_of_other:
            claim(site_of_other, "other")

    monkeypatch.setattr(execute_module, "_claimed", claim_meanwhile)
    assert execute(site, url, always, "this") is Outcome.NOT_DUE
    assert calls(site) == 0
    assert only_analysis(site).holder == "other"


def test_who_has_lost_it_while_its_script_ran_commits_nothing(lake, site, url, monkeypatch):
    """The first is suspended for longer than its claim is valid; meanwhile the second runs the script to its end."""
    begun, go_on = Event(), Event()
    outcomes = []
    run = scripts.run

    def run_slowly(*arguments, **parameters):
        result = run(*arguments, **parameters)
        monkeypatch.setattr(scripts, "run", run)
        begun.set()
        assert go_on.wait(TIMEOUT)
        return result

    def work() -> None:
        with lake.open("system") as site_of_first:
            outcomes.append(execute(site_of_first, url, always, "first"))

    monkeypatch.setattr(scripts, "run", run_slowly)
    first = Thread(target=work)
    first.start()
    try:
        assert begun.wait(TIMEOUT)
        later = execute_module.now() + DURATION + timedelta(seconds=1)
        for module in (execute_module, data_analysis_module):
            monkeypatch.setattr(module, "now", lambda: later)
        outcomes.append(execute(site, url, always, "second"))
    finally:
        go_on.set()
        first.join(TIMEOUT)
    assert outcomes == [Outcome.DONE, Outcome.CONFLICT]
    assert calls(site) == 1
    analysis = only_analysis(site)
    assert analysis.holder == ""
    assert analysis.getFailureCount() == 0


def test_what_a_killed_process_ran_is_taken_over_at_once(site, url, killed):
    claim(site, killed)
    assert not only_analysis(site).isActive()
    assert is_due(only_analysis(site), execute_module.now())
    assert execute(site, url, always) is Outcome.DONE
    assert calls(site) == 1


def test_a_script_whose_process_is_killed_each_time_is_given_up(site, url, killed, monkeypatch):
    time = execute_module.now()
    for module in (execute_module, data_analysis_module):
        monkeypatch.setattr(module, "now", lambda: time)
    monkeypatch.setattr(execute_module, "_run_claimed", lambda *arguments: pytest.fail("it is not to be run"))
    reason = "Its process was ended by SIGSEGV: it touched memory that is not its own."
    delays = []
    for attempt in range(1, ATTEMPTS + 1):
        claim(site, killed)
        note_end(site, url, killed, reason)
        transaction.begin()
        analysis = only_analysis(site)
        assert (analysis.getFailureCount(), analysis.getFailure()) == (attempt, reason)
        if analysis.retry_date is not None:
            delays.append((analysis.retry_date - time).total_seconds() / 60)
            time = analysis.retry_date
    # at once, for it may have been an accident
    assert delays == [0, 4, 16, 64]
    assert analysis.getSimulationState() == "failed"


def test_who_finds_that_a_process_is_gone_notes_it_and_waits_if_it_was_not_the_first_time(site, url, killed):
    claim(site, killed)
    note_end(site, url, killed, "Its process was ended by SIGKILL.")
    claim(site, killed)
    assert execute(site, url, always) is Outcome.NOT_DUE
    analysis = only_analysis(site)
    assert analysis.getFailure() == (
        f"The process that ran it, {killed}, is gone: it was killed, or its machine is out of reach."
    )
    assert analysis.getFailureCount() == 2
    assert analysis.holder == ""
    assert calls(site) == 0


def test_the_end_of_a_process_that_has_lost_it_is_not_noted(site, url, killed):
    claim(site, "other")
    note_end(site, url, killed, "Its process was ended by SIGSEGV.")
    assert only_analysis(site).getFailure() == ""
    assert only_analysis(site).holder == "other"


def test_one_that_is_cancelled_while_its_script_runs_keeps_nothing_of_it(lake, site, url, monkeypatch):
    run = scripts.run

    def cancel_meanwhile(*arguments, **parameters):
        result = run(*arguments, **parameters)
        thread = Thread(target=cancel)
        thread.start()
        thread.join(TIMEOUT)
        return result

    def cancel() -> None:
        with lake.open("system") as other:
            only_analysis(other).cancel()
            transaction.commit()

    monkeypatch.setattr(scripts, "run", cancel_meanwhile)
    assert execute(site, url, always) is Outcome.CONFLICT
    assert calls(site) == 0
    assert only_analysis(site).getSimulationState() == "cancelled"
    assert only_analysis(site).holder == ""
    assert execute(site, url, always) is Outcome.NOT_DUE
