"""`wendelin alarm`, and the alarms of a server, as an operator meets them."""

from __future__ import annotations

import re
import subprocess
import sys
import time
from collections.abc import Iterator

import pytest

from Products.ERP5Wendelin.portal.command import main
from support.lake import START_TIMEOUT, ServedLake, wendelin

PREPARE = """
import sys
from datetime import datetime, timezone
from Products.ERP5Wendelin.content.python_script import PythonScript
from Products.ERP5Wendelin.portal.instance import find, perform
from Products.ERP5Wendelin.content.site import enter_site

def prepare(app):
    site = enter_site(app)
    script = PythonScript("Alarm_broken")
    script.write("raise ValueError('no such sensor')")
    site.portal_skins.custom._setObject("Alarm_broken", script)
    start = datetime(2026, 1, 1, tzinfo=timezone.utc)
    alarm = site.portal_alarms.newContent(
        id="broken", enabled=True, active_sense_method_id="Alarm_broken", periodicity_hour=3,
        periodicity_start_date=start,
    )
    alarm.created = start

perform(find(sys.argv[1]), prepare)
"""
"""An alarm that fails, and has been due since the second of January."""


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServedLake]:
    lake = ServedLake(tmp_path_factory.mktemp("alarms"))
    lake.init()
    subprocess.run([sys.executable, "-c", PREPARE, lake.directory], check=True, timeout=START_TIMEOUT)
    lake.start()
    yield lake
    if lake.process.poll() is None:
        lake.kill()


def test_a_server_runs_what_is_due_and_logs_what_fails(lake: ServedLake) -> None:
    deadline = time.monotonic() + START_TIMEOUT
    while "ValueError: no such sensor" not in lake.log():
        assert time.monotonic() < deadline
        time.sleep(0.1)
    assert "ERROR wendelin.alarms the alarm broken failed: Traceback (most recent call last):" in lake.log()


def test_alarms_are_listed_by_their_ids(lake: ServedLake) -> None:
    lines = [line.split("\t") for line in wendelin("alarm", "list", lake.directory).stdout.splitlines()]
    assert [line[0] for line in lines] == [
        "broken",
        "wendelin_apply_retention",
        "wendelin_check_datastream_consistency",
        "wendelin_compute_md5",
        "wendelin_expire_ingestions",
        "wendelin_handle_analysis",
    ]
    for _, enabled, due, last, result in lines:
        assert enabled == "enabled"
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:00Z", due)
        assert re.fullmatch(r"-|\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", last)
        assert result in ("ok", "failed", "running", "never")
        assert (last == "-") is (result == "never")
    assert lines[0][4] in ("failed", "running")


def test_an_alarm_is_run_by_hand_while_the_lake_is_served(lake: ServedLake) -> None:
    done = wendelin("alarm", "run", lake.directory, "wendelin_expire_ingestions")
    assert done.stdout == "Given up: 0 pushes, 0 files and 0 arrays that came in part.\n"
    assert done.stderr == ""


def test_an_alarm_that_fails_by_hand_has_the_exit_code_1(lake: ServedLake) -> None:
    done = wendelin("alarm", "run", lake.directory, "broken", code=1)
    assert done.stdout.startswith("Traceback (most recent call last):\n")
    assert done.stdout.endswith("Alarm_broken failed in line 1: ValueError: no such sensor\n")
    assert done.stderr.endswith("wendelin: The alarm 'broken' failed: see its report.\n")


def test_a_server_that_is_stopped_waits_for_no_alarm(lake: ServedLake) -> None:
    assert lake.stop() == 0
    assert "cut off" not in lake.log()


def test_what_is_no_instance_is_named(tmp_path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["alarm", "list", str(tmp_path)]) == 1
    assert capsys.readouterr().err == (
        f"wendelin: {tmp_path} is not an instance. Make one with: wendelin init {tmp_path}\n"
    )
