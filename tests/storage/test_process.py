from __future__ import annotations

import os
import subprocess
import sys

import pytest

from Products.ERP5Wendelin.storage import process
from Products.ERP5Wendelin.storage.process import has_ended, name_of, this_process


@pytest.fixture
def child():
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as started:
        yield started


def test_a_process_has_ended_once_it_is_gone_and_not_before(child):
    name = name_of(child.pid)
    assert not has_ended(name)
    child.communicate(b"\n")
    assert has_ended(name)


def test_one_that_was_killed_and_that_nobody_waits_for_has_ended(child):
    name = name_of(child.pid)
    child.kill()
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)  # it stays a zombie
    assert has_ended(name)


def test_this_process_has_not_ended_and_keeps_its_name():
    assert this_process() == this_process() == name_of(os.getpid())
    assert not has_ended(this_process())
    assert not has_ended(this_process() + " thread 2")


def test_a_process_that_has_the_id_of_another_is_not_taken_for_it():
    earlier = this_process().rpartition("/")[0] + "/1"
    assert has_ended(earlier)
    assert has_ended(earlier + " thread 2")


@pytest.mark.parametrize("name", ["", "a", "host:12:af", "elsewhere/boot/1/999999999/1", "a/b/c/d/e", "///"])
def test_of_a_process_elsewhere_nothing_is_known(name):
    assert not has_ended(name)


def test_without_proc_nobody_is_known_to_have_ended(tmp_path, monkeypatch):
    gone = this_process().rpartition("/")[0] + "/1"
    monkeypatch.setattr(process, "PROC", tmp_path)
    process._name.cache_clear()
    try:
        name = this_process()
        assert name == this_process()
        assert name.split("/")[2] == str(os.getpid())
        assert not has_ended(gone)
        assert not has_ended(name)
    finally:
        process._name.cache_clear()
