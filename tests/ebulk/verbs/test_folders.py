"""Empty folders, from one folder by way of the lake to another."""

import os
import shutil

import pytest

from ebulk.errors import ConflictError, EbulkError
from ebulk.local.filter import Filter
from ebulk.local.selection import Selection
from ebulk.model import FOLDER, STAGED, FileEntry
from ebulk.verbs.pull import pull
from ebulk.verbs.push import push
from ebulk.verbs.stage import add, remove
from ebulk.verbs.status import status
from support.folders import OLD, read_files, write_files
from support.hostile_lake import HostileLake

EMPTY = "sha-256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"


def tree(folder):
    """All that is in a folder; folders with a slash."""
    paths = (path for path in folder.root.rglob("*") if ".ebulk" not in path.relative_to(folder.root).parts)
    return sorted(f"{path.relative_to(folder.root)}{'/' * path.is_dir()}" for path in paths)


def stage(folder, *words):
    add(folder, Selection(folder.root, folder.root, words))


@pytest.fixture
def pair(lake, make_folder):
    """Two folders of one data set with an empty folder `e`, another in a folder, and a file; both up to date."""
    mine, yours = make_folder("mine", {"f": "x"}), make_folder("yours")
    (mine.root / "e").mkdir()
    (mine.root / "sub/deep").mkdir(parents=True)
    push(mine, lake)
    pull(yours, lake)
    return mine, yours


def test_empty_folders_come_down(lake, make_folder):
    mine, yours = make_folder("mine"), make_folder("yours")
    (mine.root / "a/b").mkdir(parents=True)
    (mine.root / "c").mkdir()
    os.utime(mine.root / "c", ns=(OLD, OLD))
    assert status(mine).unstaged.new == ("a/b/", "c/")
    report = push(mine, lake)
    assert (report.new, report.sent.files, report.total.files) == (2, 0, 2)
    report = pull(yours, lake)
    assert (report.new, report.received.files) == (2, 0)
    assert tree(yours) == ["a/", "a/b/", "c/"]
    assert (yours.root / "c").stat().st_mtime_ns == OLD
    for folder in (mine, yours):
        assert not status(folder).changed
        assert not push(folder, lake).changed
        assert not pull(folder, lake).changed


def test_a_folder_is_not_sent_for_its_time(lake, pair):
    mine, _ = pair
    os.utime(mine.root / "e", ns=(1, 1))
    assert not status(mine).changed
    assert not push(mine, lake).changed


def test_a_folder_that_is_gone_is_removed_elsewhere(lake, pair):
    mine, yours = pair
    (mine.root / "e").rmdir()
    shutil.rmtree(mine.root / "sub")
    assert status(mine).unstaged.removed == ("e/", "sub/deep/")
    assert push(mine, lake).removed == 2
    assert pull(yours, lake).removed == 2
    assert tree(yours) == ["f"]
    assert not status(yours).changed


def test_a_folder_that_is_gone_stays_where_something_is_in_it(lake, pair):
    mine, yours = pair
    (mine.root / "e").rmdir()
    push(mine, lake)
    write_files(yours.root, {"e/mine": "x"})
    pull(yours, lake)
    assert tree(yours) == ["e/", "e/mine", "f", "sub/", "sub/deep/"]
    assert status(yours).unstaged.new == ("e/mine",)


def test_a_folder_that_gets_files_is_no_change_of_its_own(lake, pair):
    mine, yours = pair
    write_files(mine.root, {"e/a": "x"})
    changes = status(mine).unstaged
    assert (changes.new, changes.removed) == (("e/a",), ())
    report = push(mine, lake)
    assert (report.new, report.removed) == (1, 0)
    pull(yours, lake)
    assert tree(yours) == tree(mine)
    (mine.root / "e/a").unlink()
    push(mine, lake)
    pull(yours, lake)
    assert tree(yours) == ["e/", "f", "sub/", "sub/deep/"]
    assert not status(yours).changed


def test_a_folder_whose_last_file_goes_is_there_still_if_it_is_in_the_lake(lake, make_folder):
    mine, yours = make_folder("mine", {"a/b/c": "x"}), make_folder("yours")
    push(mine, lake)
    pull(yours, lake)
    (mine.root / "a/b/c").unlink()
    report = push(mine, lake)
    assert (report.new, report.removed) == (1, 1)
    pull(yours, lake)
    assert tree(yours) == ["a/", "a/b/"]
    shutil.rmtree(mine.root / "a")
    push(mine, lake)
    pull(yours, lake)
    assert tree(yours) == []


def test_pulling_a_part_does_not_remove_the_folders_around_it(lake, make_folder):
    mine, yours = make_folder("mine"), make_folder("yours")
    (mine.root / "a").mkdir()
    push(mine, lake)
    write_files(mine.root, {"a/b/c": "x"})
    push(mine, lake)
    pull(yours, lake)
    shutil.rmtree(mine.root / "a/b")
    push(mine, lake)
    pull(yours, lake, directory="a/b")
    assert tree(yours) == ["a/"]
    assert not status(yours).changed


def test_two_people_fill_one_folder(lake, pair):
    mine, yours = pair
    write_files(mine.root, {"e/mine": "1"})
    write_files(yours.root, {"e/yours": "2"})
    push(mine, lake)
    push(yours, lake)
    pull(mine, lake)
    pull(yours, lake)
    assert tree(mine) == tree(yours) == ["e/", "e/mine", "e/yours", "f", "sub/", "sub/deep/"]


def test_one_fills_a_folder_that_the_other_removes(lake, pair):
    mine, yours = pair
    (mine.root / "e").rmdir()
    push(mine, lake)
    write_files(yours.root, {"e/yours": "2"})
    push(yours, lake)
    pull(mine, lake)
    assert tree(mine) == ["e/", "e/yours", "f", "sub/", "sub/deep/"]


def test_a_file_takes_the_place_of_a_folder_and_back(lake, pair):
    mine, yours = pair
    (mine.root / "e").rmdir()
    (mine.root / "f").unlink()
    (mine.root / "f").mkdir()
    write_files(mine.root, {"e": ""})
    changes = status(mine).unstaged
    assert changes.modified == ("e", "f")
    assert push(mine, lake).modified == 2
    pull(yours, lake)
    assert tree(yours) == ["e", "f/", "sub/", "sub/deep/"]
    assert not status(yours).changed
    (mine.root / "f").rmdir()
    (mine.root / "e").unlink()
    write_files(mine.root, {"e/x": "1", "f": "2"})
    push(mine, lake)
    pull(yours, lake)
    assert tree(yours) == ["e/", "e/x", "f", "sub/", "sub/deep/"]
    assert not status(yours).changed


def test_an_empty_folder_is_in_nobodys_way(lake, pair):
    mine, yours = pair
    write_files(mine.root, {"new": "a file"})
    push(mine, lake)
    (yours.root / "new/empty").mkdir(parents=True)
    pull(yours, lake)
    assert read_files(yours.root)["new"] == "a file"


def test_a_folder_with_something_in_it_is_in_the_way_of_a_file(lake, pair):
    mine, yours = pair
    (mine.root / "e").rmdir()
    write_files(mine.root, {"e": "a file"})
    push(mine, lake)
    write_files(yours.root, {"e/mine": "x"})
    with pytest.raises(ConflictError, match=r"'e/mine' is in the way of 'e', and version 2 .* modified it"):
        pull(yours, lake)
    with pytest.raises(ConflictError, match=r"in the way, and not of this data set: 'e/mine'"):
        pull(yours, lake, discard=True)
    assert tree(yours) == ["e/", "e/mine", "f", "sub/", "sub/deep/"]


def test_a_file_in_the_place_of_a_new_folder_is_a_conflict(lake, pair):
    mine, yours = pair
    (mine.root / "new").mkdir()
    push(mine, lake)
    write_files(yours.root, {"new": "mine"})
    with pytest.raises(ConflictError, match="you added 'new', and version 2 .* added it"):
        pull(yours, lake)
    pull(yours, lake, discard=True)
    assert (yours.root / "new").is_dir()


def test_a_folder_that_is_here_already_is_taken_over(lake, pair):
    mine, yours = pair
    write_files(mine.root, {"a/.keep": "x"})
    (mine.root / "a/.keep").unlink()
    push(mine, lake)
    write_files(yours.root, {"a/mine": "x"})
    report = pull(yours, lake)
    assert (report.new, report.adopted) == (0, 1)
    assert status(yours).unstaged.new == ("a/mine",)


def test_a_folder_that_was_removed_here_stays_so_unless_changes_are_discarded(lake, pair):
    _, yours = pair
    (yours.root / "e").rmdir()
    assert pull(yours, lake).kept == 1
    assert "e/" not in tree(yours)
    assert pull(yours, lake, discard=True).new == 1
    assert "e/" in tree(yours)


def test_a_folder_that_is_left_out_stays(lake, pair):
    mine, yours = pair
    shutil.rmtree(mine.root / "sub")
    push(mine, lake)
    pull(yours, lake, filter=Filter(exclude=["sub/"]))
    assert "sub/deep/" in tree(yours)


def test_a_folder_with_a_decomposed_name_is_the_same_folder(lake, make_folder):
    mine, yours = make_folder("mine"), make_folder("yours")
    (mine.root / "e\u0301").mkdir()
    push(mine, lake)
    assert not status(mine).changed
    write_files(mine.root, {"e\u0301/a": "x"})
    assert status(mine).unstaged.removed == ()
    push(mine, lake)
    pull(yours, lake)
    assert tree(yours) == ["é/", "é/a"]


def test_a_link_in_the_place_of_a_folder_is_a_change(lake, pair, tmp_path):
    mine, _ = pair
    (mine.root / "e").rmdir()
    (tmp_path / "outside").mkdir()
    (mine.root / "e").symlink_to("f")
    assert status(mine).unstaged.modified == ("e",)
    (mine.root / "sub/deep").rmdir()
    (mine.root / "sub").rmdir()
    (mine.root / "sub").symlink_to("e")
    assert status(mine).unstaged.removed == ("sub/deep/",)


def test_folders_are_staged_as_files_are(lake, pair):
    mine, yours = pair
    (mine.root / "new").mkdir()
    (mine.root / "e").rmdir()
    write_files(mine.root, {"sub/deep/x": "1"})
    stage(mine, "new", "e", "sub")
    changes = status(mine).staged
    assert (changes.new, changes.removed) == (("new/", "sub/deep/x"), ("e/",))
    assert push(mine, lake, scope=STAGED).removed == 1
    pull(yours, lake)
    assert tree(yours) == tree(mine) == ["f", "new/", "sub/", "sub/deep/", "sub/deep/x"]
    assert not status(mine).changed


def test_a_staged_folder_may_get_files_before_it_is_pushed(lake, pair):
    mine, yours = pair
    (mine.root / "new").mkdir()
    stage(mine, "new")
    write_files(mine.root, {"new/a": "1"})
    report = status(mine)
    assert (report.staged.new, report.unstaged.new, report.problems) == (("new/",), ("new/a",), ())
    assert push(mine, lake, scope=STAGED).new == 1
    pull(yours, lake)
    assert "new/" in tree(yours)


def test_removing_the_last_file_of_a_folder_keeps_it_if_it_is_in_the_data_set(lake, pair):
    mine, _ = pair
    write_files(mine.root, {"e/x": "1", "other/y": "2"})
    push(mine, lake)
    remove(mine, Selection(mine.root, mine.root, ["e/x", "other/y"]))
    assert tree(mine) == ["e/", "f", "sub/", "sub/deep/"]
    remove(mine, Selection(mine.root, mine.root, ["e", "sub"]), recursive=True)
    assert tree(mine) == ["f"]
    push(mine, lake, scope=STAGED)
    assert not status(mine).changed


def test_a_file_in_the_place_of_a_folder_is_staged(lake, pair):
    mine, yours = pair
    (mine.root / "e").rmdir()
    write_files(mine.root, {"e": "now a file"})
    stage(mine, "e")
    assert status(mine).staged.modified == ("e",)
    push(mine, lake, scope=STAGED)
    pull(yours, lake)
    assert read_files(yours.root)["e"] == "now a file"


@pytest.mark.parametrize(
    ("entries", "message"),
    [
        ([FileEntry("a", 1, EMPTY, 0, FOLDER)], "The lake has the folder 'a' with content."),
        ([FileEntry("a", 0, "sha-256:" + "0" * 64, 0, FOLDER)], "The lake has the folder 'a' with content."),
        (
            [FileEntry("a", 0, EMPTY, 0), FileEntry("a/b", 0, EMPTY, 0, FOLDER)],
            "The lake has 'a' both as a file and as a folder.",
        ),
        ([FileEntry("../a", 0, EMPTY, 0, FOLDER)], "The lake has a file '../a' that cannot be written here"),
    ],
)
def test_a_folder_that_makes_no_sense_is_refused(make_folder, entries, message):
    folder = make_folder("set")
    with pytest.raises(EbulkError) as caught:
        pull(folder, HostileLake(*entries))
    assert str(caught.value).startswith(message)
    assert os.listdir(folder.root) == [".ebulk"]
