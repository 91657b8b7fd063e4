import os

import pytest

from ebulk.errors import EbulkError
from ebulk.local.filter import Filter
from ebulk.model import SYMLINK, FileEntry
from ebulk.verbs.links import leads_out
from ebulk.verbs.observer import Silent
from ebulk.verbs.pull import pull
from ebulk.verbs.push import push
from support.folders import read_files, write_files
from support.hostile_lake import HostileLake

INSIDE = {
    "sub/a": "x",
    "to-file": "-> sub/a",
    "to-folder": "-> sub",
    "dangling": "-> nowhere/at/all",
    "loop": "-> loop",
    "sub/up": "-> ../sub/./a",
    "sub/deep/root": "-> ../..",
}


class Noting(Silent):
    """Keeps what it is told."""

    def __init__(self):
        self.notes = []

    def note(self, message):
        self.notes.append(message)


@pytest.mark.parametrize(
    ("path", "target", "out"),
    [
        ("a", "b", False),
        ("a", "b/../c", False),
        ("a", ".", False),
        ("a", "..", True),
        ("a", "/etc/passwd", True),
        ("a", "b/../../c", True),
        ("d/e/a", "../../b", False),
        ("d/e/a", "../../../b", True),
        ("d/a", "..//./", False),
        ("a", "...", False),
        ("a", "link/b", False),
        ("a", "link/..", True),
        ("a", "link/b/..", True),
        ("d/a", "../link/b/c/../..", True),
    ],
)
def test_a_link_leads_out_if_it_is_absolute_or_goes_above_the_data_set_or_up_behind_another(path, target, out):
    assert leads_out(path, target, lambda other: other == "link") is out


def test_links_within_come_back_as_they_are_and_nobody_warns(lake, make_folder):
    mine, yours = make_folder("mine", INSIDE), make_folder("yours")
    observer = Noting()
    push(mine, lake, observer=observer)
    report = pull(yours, lake)
    assert read_files(yours.root) == INSIDE
    assert (report.new, report.received.files) == (7, 7)
    assert observer.notes == []


def test_a_push_of_a_link_that_leads_out_warns_once(lake, make_folder):
    mine = make_folder("mine", {"a": "x", "out": "-> ../a", "sub/abs": "-> /etc/passwd", "in": "-> a"})
    (mine.root / "set").symlink_to(mine.root / "a")  # into the data set, but only here
    write_files(mine.root, {f"z{number}": "-> /" for number in range(3)})
    observer = Noting()
    push(mine, lake, observer=observer)
    assert observer.notes == [
        "Pushed as they are, though they lead out of the data set: 'out' (to '../a'),"
        f" 'set' (to '{mine.root}/a'), 'sub/abs' (to '/etc/passwd') and 3 more."
        " A pull elsewhere refuses symbolic links of this kind, unless they are left out by --exclude."
    ]
    push(mine, lake, observer=observer)
    assert len(observer.notes) == 1


def test_a_pull_of_a_link_that_leads_out_is_refused_before_anything_is_touched(lake, make_folder):
    files = {"a": "x", "out": "-> ../a", "sub/abs": "-> /etc/passwd", "fine": "-> a"}
    mine, yours = make_folder("mine", files), make_folder("yours", {"kept": "mine"})
    push(mine, lake)
    with pytest.raises(EbulkError) as caught:
        pull(yours, lake)
    assert str(caught.value) == (
        "Nothing was pulled: symbolic links lead out of the data set, which is not safe:"
        " 'out' (to '../a'), 'sub/abs' (to '/etc/passwd')."
    )
    assert caught.value.hint == "Leave out what you do not trust by --exclude, such as --exclude '/out'."
    assert caught.value.exit_code == 1
    assert read_files(yours.root) == {"kept": "mine"}
    report = pull(yours, lake, filter=Filter(exclude=["/out", "abs"]))
    assert read_files(yours.root) == {"kept": "mine", "a": "x", "fine": "-> a"}
    assert (report.new, report.left_out) == (2, 2)


def test_a_link_that_was_here_already_is_left_alone(lake, make_folder):
    mine = make_folder("mine", {"out": "-> ../a"})
    push(mine, lake)
    assert pull(mine, lake).unchanged == 1
    yours = make_folder("yours", {"out": "-> ../a"})
    assert pull(yours, lake).adopted == 1


def test_a_link_that_goes_up_behind_another_is_refused_whichever_came_first(lake, make_folder):
    """`up` leads to the top, so that `up/..` is above it, though it does not look so."""
    mine, yours = make_folder("mine", {"sub/up": "-> .."}), make_folder("yours")
    push(mine, lake)
    pull(yours, lake)
    write_files(mine.root, {"sub/out": "-> up/../secret"})
    push(mine, lake)
    for folder in (yours, make_folder("new")):
        with pytest.raises(EbulkError, match=r"a symbolic link leads out .* 'sub/out' \(to 'up/../secret'\)"):
            pull(folder, lake)


@pytest.mark.parametrize("content", [b"", b"a\0b"])
def test_a_link_to_what_has_no_name_is_refused(make_folder, monkeypatch, content):
    folder = make_folder("set")

    def fetched(lake, folder, version, incoming, jobs):
        incoming.set_target("link", content)

    monkeypatch.setattr("ebulk.verbs.pull.fetch_targets", fetched)
    with pytest.raises(EbulkError) as caught:
        pull(folder, HostileLake(FileEntry("link", len(content), "sha-256:" + "0" * 64, 0, SYMLINK)))
    assert str(caught.value) == "The lake has the symbolic link 'link', which leads to nothing that has a name."
    assert caught.value.hint == "Nothing was pulled; leave it out by --exclude '/link'."
    assert os.listdir(folder.root) == [".ebulk"]
