import os
import subprocess

import pytest

from ebulk.local.index import Index, Totals
from ebulk.local.scan import Problem
from ebulk.verbs.push import push
from ebulk.verbs.status import status
from support.folders import as_ordinary_user, write_files


@pytest.fixture
def pushed(lake, make_folder):
    folder = make_folder(
        "set", {"same": "1", "modified": "22", "removed": "333", "before/a": "4444", "touched": "55555"}
    )
    push(folder, lake)
    return folder


def test_a_folder_that_was_never_pushed_is_all_new(make_folder):
    report = status(make_folder("set", {"a": "1", "b/c": "22"}))
    assert (report.version, report.unstaged.new, report.total) == (0, ("a", "b/c"), Totals(2, 3))


def test_each_change_is_told_by_its_kind(pushed):
    write_files(pushed.root, {"modified": "2x", "new": "6"})
    (pushed.root / "removed").unlink()
    (pushed.root / "before").rename(pushed.root / "after")
    os.utime(pushed.root / "touched")
    report = status(pushed)
    assert report.unstaged.new == ("new",)
    assert report.unstaged.modified == ("modified",)
    assert report.unstaged.removed == ("removed",)
    assert report.unstaged.renamed == (("before/a", "after/a"),)
    assert report.staged.count == 0
    assert (report.touched, report.unchanged, report.changed) == (1, 1, True)
    assert not report.interrupted


def test_nothing_changed_is_told_so(pushed):
    report = status(pushed)
    assert (report.changed, report.unchanged, report.version) == (False, 5, 1)


def test_a_touched_file_is_read_once(pushed, monkeypatch):
    os.utime(pushed.root / "touched", ns=(1, 1))
    assert status(pushed).touched == 1
    monkeypatch.setattr("ebulk.verbs.status.measure", None)
    assert status(pushed).touched == 0


def test_one_folder_can_be_looked_at(pushed):
    write_files(pushed.root, {"before/new": "x", "new": "y"})
    assert status(pushed, directory="before").unstaged.new == ("before/new",)


def test_what_a_push_would_refuse_is_told(pushed):
    os.mkfifo(pushed.root / "pipe")
    assert status(pushed).problems == (Problem("pipe", "is a named pipe"),)


def test_while_another_ebulk_is_at_work_nothing_is_written(pushed):
    os.utime(pushed.root / "touched", ns=(1, 1))
    holder = subprocess.Popen(
        ["flock", pushed.control / "lock", "sh", "-c", "echo held; cat"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert holder.stdout.readline() == "held\n"
    assert status(pushed).touched == 1
    holder.communicate()
    with Index(pushed.control / "index.db") as index:
        assert index.find("touched").disk_mtime_ns != 1


def test_a_folder_that_cannot_be_written_can_be_looked_at(pushed):
    write_files(pushed.root, {"new": "x"})
    for path in (pushed.root, pushed.control):
        path.chmod(0o555)
    with as_ordinary_user(pushed.root):
        assert status(pushed).unstaged.new == ("new",)
    for path in (pushed.root, pushed.control):
        path.chmod(0o755)
