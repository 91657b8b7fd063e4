"""Parts of a data set pushed and pulled, chosen by patterns, and what two people then make of it."""

import os

import pytest

from ebulk.errors import ConflictError, EbulkError
from ebulk.local.filter import Filter
from ebulk.local.index import Index
from ebulk.local.selection import Selection
from ebulk.model import STAGED
from ebulk.verbs.pull import pull
from ebulk.verbs.push import push
from ebulk.verbs.stage import add
from ebulk.verbs.status import status
from support.folders import read_files, write_files

FILES = {"notes.txt": "n", "raw/1.nii": "r1", "raw/2.nii": "r2", "scans/1.nii": "s1"}
NO_RAW = Filter(exclude=["/raw/"])
ONLY_RAW = Filter(include=["/raw/"])


@pytest.fixture
def pair(up_to_date):
    """Two folders of one data set with FILES, both up to date."""
    return up_to_date(FILES)


@pytest.fixture
def part(lake, make_folder):
    """A folder with FILES that was pushed, and another into which all but `raw` was pulled."""
    mine, yours = make_folder("mine", FILES), make_folder("yours")
    push(mine, lake)
    pull(yours, lake, filter=NO_RAW)
    return mine, yours


def without(files, prefix):
    return {path: content for path, content in files.items() if not path.startswith(prefix)}


# push


def test_changes_that_are_left_out_stay_unpushed(lake, pair):
    mine, yours = pair
    write_files(mine.root, {"notes.txt": "changed", "raw/1.nii": "changed", "raw/new": "x"})
    (mine.root / "raw/2.nii").unlink()
    report = push(mine, lake, filter=NO_RAW)
    assert (report.modified, report.left_out, report.unchanged) == (1, 3, 1)
    pull(yours, lake)
    assert read_files(yours.root) == {**FILES, "notes.txt": "changed"}
    changes = status(mine).unstaged
    assert (changes.new, changes.modified, changes.removed) == (("raw/new",), ("raw/1.nii",), ("raw/2.nii",))
    assert push(mine, lake).changed
    pull(yours, lake)
    assert read_files(yours.root) == read_files(mine.root)


def test_a_first_push_may_leave_out_files(lake, make_folder):
    mine = make_folder("mine", FILES)
    assert push(mine, lake, filter=ONLY_RAW).new == 2
    assert push(mine, lake, filter=NO_RAW).new == 2


def test_what_is_staged_and_left_out_stays_staged(lake, pair):
    mine, _ = pair
    write_files(mine.root, {"notes.txt": "changed", "raw/1.nii": "changed"})
    add(mine, Selection(mine.root, mine.root, ["."]))
    report = push(mine, lake, scope=STAGED, filter=NO_RAW)
    assert (report.modified, report.left_out) == (1, 1)
    assert status(mine).staged.modified == ("raw/1.nii",)
    assert push(mine, lake, scope=STAGED).modified == 1


def test_what_cannot_be_pushed_is_no_problem_if_it_is_left_out(lake, make_folder):
    mine = make_folder("mine", {"a": "x", "bad\\name": "y"})
    with pytest.raises(EbulkError, match="has a backslash"):
        push(mine, lake)
    assert push(mine, lake, filter=Filter(include=["a"])).new == 1
    assert status(mine, filter=Filter(include=["a"])).problems == ()
    assert len(status(mine).problems) == 1


def test_a_name_that_is_no_text_hinders_no_push_of_what_is_staged(lake, make_folder):
    mine = make_folder("mine", {"a": "x"})
    push(mine, lake)
    write_files(mine.root, {"a": "changed", os.fsdecode(b"caf\xe9"): "y", os.fsdecode(b"d\xe9/f"): "z"})
    add(mine, Selection(mine.root, mine.root, ["a"]))
    assert push(mine, lake, scope=STAGED).modified == 1
    assert [problem.reason for problem in status(mine).problems] == ["is not valid Unicode"] * 2


def test_a_push_that_was_broken_off_goes_on_with_other_patterns(lake, make_folder, monkeypatch):
    mine, yours = make_folder("mine", FILES), make_folder("yours")
    with monkeypatch.context() as patch:
        patch.setattr(type(lake), "stop", lambda *arguments: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            push(mine, lake)
    report = push(mine, lake, filter=NO_RAW)
    assert (report.resumed, report.new, report.total.files) == (True, 2, 2)
    pull(yours, lake)
    assert read_files(yours.root) == without(FILES, "raw/")


def test_status_shows_what_the_filter_takes(pair):
    mine, _ = pair
    write_files(mine.root, {"notes.txt": "changed", "raw/1.nii": "changed"})
    report = status(mine, filter=NO_RAW)
    assert (report.unstaged.modified, report.total.files) == (("notes.txt",), 2)


def test_ignored_files_are_neither_shown_nor_pushed_until_they_are_in_the_data_set(lake, make_folder):
    mine, yours = make_folder("mine", {"a": "x", "b.tmp": "y", "out/c": "z"}), make_folder("yours")
    push(mine, lake, filter=Filter(include=["b.tmp"]))
    write_files(mine.root, {".ebulkignore": "*.tmp\nout/\n", "new.tmp": "n"})
    assert status(mine).unstaged.new == (".ebulkignore", "a")
    push(mine, lake)
    write_files(mine.root, {"b.tmp": "changed"})
    assert status(mine).unstaged.modified == ("b.tmp",)
    push(mine, lake)
    pull(yours, lake)
    assert read_files(yours.root) == {".ebulkignore": "*.tmp\nout/\n", "a": "x", "b.tmp": "changed"}


# pull


def test_what_is_left_out_does_not_come_and_is_not_missed(lake, part):
    _, yours = part
    assert read_files(yours.root) == without(FILES, "raw/")
    report = status(yours)
    assert (report.changed, report.version) == (False, 1)
    assert not push(yours, lake).changed
    report = pull(yours, lake, filter=NO_RAW)
    assert (report.changed, report.left_out, report.unchanged) == (False, 2, 2)


def test_the_next_pull_brings_what_was_left_out(lake, part):
    mine, yours = part
    report = pull(yours, lake)
    assert (report.new, report.unchanged) == (2, 2)
    assert read_files(yours.root) == read_files(mine.root)


def test_only_what_is_included_comes(lake, make_folder):
    mine, yours = make_folder("mine", FILES), make_folder("yours")
    push(mine, lake)
    pull(yours, lake, filter=Filter(["*.nii"], ["2.nii"]))
    assert read_files(yours.root) == {"raw/1.nii": "r1", "scans/1.nii": "s1"}
    pull(yours, lake, directory="raw", filter=Filter(exclude=["1.nii"]))
    assert set(read_files(yours.root)) == {"raw/1.nii", "raw/2.nii", "scans/1.nii"}


def test_what_was_pulled_and_is_left_out_now_stays_whatever_the_lake_has(lake, pair):
    mine, yours = pair
    write_files(mine.root, {"notes.txt": "changed", "raw/1.nii": "changed"})
    (mine.root / "raw/2.nii").unlink()
    push(mine, lake)
    report = pull(yours, lake, filter=NO_RAW)
    assert (report.modified, report.removed, report.left_out) == (1, 0, 2)
    assert read_files(yours.root) == {**FILES, "notes.txt": "changed"}
    assert not status(yours).changed
    report = pull(yours, lake)
    assert (report.modified, report.removed) == (1, 1)
    assert read_files(yours.root) == read_files(mine.root)


def test_local_changes_that_are_left_out_are_no_conflict(lake, pair):
    mine, yours = pair
    write_files(mine.root, {"notes.txt": "changed", "raw/1.nii": "theirs"})
    push(mine, lake)
    write_files(yours.root, {"raw/1.nii": "mine"})
    pull(yours, lake, filter=NO_RAW)
    assert read_files(yours.root) == {**FILES, "notes.txt": "changed", "raw/1.nii": "mine"}
    with pytest.raises(ConflictError):
        pull(yours, lake)


def test_discarding_changes_leaves_alone_what_is_left_out(lake, pair):
    _, yours = pair
    write_files(yours.root, {"notes.txt": "mine", "raw/1.nii": "mine"})
    pull(yours, lake, discard=True, filter=NO_RAW)
    assert read_files(yours.root) == {**FILES, "raw/1.nii": "mine"}


# two people


def test_a_change_that_was_left_out_is_not_overwritten(lake, pair):
    mine, yours = pair
    write_files(mine.root, {"notes.txt": "changed", "raw/1.nii": "theirs"})
    push(mine, lake, message="reconstructed")
    pull(yours, lake, filter=NO_RAW)
    write_files(yours.root, {"raw/1.nii": "mine"})
    with pytest.raises(ConflictError, match=r"you modified 'raw/1.nii', and version 2 .*'reconstructed'.* modified it"):
        push(yours, lake)
    pull(mine, lake)
    assert read_files(mine.root)["raw/1.nii"] == "theirs"


def test_a_file_that_never_came_is_not_overwritten(lake, part):
    _, yours = part
    write_files(yours.root, {"raw/1.nii": "mine"})
    with pytest.raises(ConflictError, match=r"you added 'raw/1.nii', and version 1 .* added it"):
        push(yours, lake)


def test_a_file_that_was_removed_in_the_lake_and_left_out_is_not_brought_back(lake, pair):
    mine, yours = pair
    (mine.root / "raw/1.nii").unlink()
    push(mine, lake)
    pull(yours, lake, filter=NO_RAW)
    write_files(yours.root, {"raw/1.nii": "mine"})
    with pytest.raises(ConflictError, match=r"you modified 'raw/1.nii', and version 2 .* removed it"):
        push(yours, lake)


def test_what_came_can_be_changed_and_pushed(lake, pair):
    mine, yours = pair
    write_files(mine.root, {"notes.txt": "theirs", "raw/1.nii": "theirs"})
    push(mine, lake)
    pull(yours, lake, filter=NO_RAW)
    write_files(yours.root, {"notes.txt": "mine now"})
    assert push(yours, lake).version == 3
    pull(mine, lake)
    assert read_files(mine.root) == {**FILES, "notes.txt": "mine now", "raw/1.nii": "theirs"}


def test_many_files_that_came_can_be_changed_and_pushed(lake, make_folder):
    """More than the lake names in a conflict: then all that is pending is compared."""
    files = {f"{number:03}": "x" for number in range(130)}
    mine, yours = make_folder("mine", {**files, "raw/1": "x", "z": "x"}), make_folder("yours")
    push(mine, lake)
    pull(yours, lake, filter=NO_RAW)
    write_files(yours.root, dict.fromkeys(files, "changed"))
    assert push(yours, lake).modified == 130
    write_files(mine.root, {"z": "theirs"})
    push(mine, lake)
    write_files(yours.root, {**dict.fromkeys(files, "again"), "z": "mine"})
    with pytest.raises(ConflictError) as caught:
        push(yours, lake)
    assert caught.value.paths == ("z",)


def test_an_older_version_of_a_part_is_not_pushed_over_the_newer_one(lake, pair):
    mine, yours = pair
    write_files(mine.root, {"notes.txt": "second", "raw/1.nii": "second"})
    push(mine, lake)
    pull(yours, lake)
    report = pull(yours, lake, version=1, filter=NO_RAW)
    assert (report.version, report.modified) == (1, 1)
    assert read_files(yours.root) == {**FILES, "raw/1.nii": "second"}
    write_files(yours.root, {"notes.txt": "third"})
    with pytest.raises(ConflictError, match=r"you modified 'notes.txt', and version 2 .* modified it"):
        push(yours, lake)
    write_files(yours.root, {"notes.txt": "n", "raw/1.nii": "third"})
    assert push(yours, lake, restart=True).modified == 1


def test_a_part_that_is_as_in_the_lake_leaves_nothing_behind(lake, pair):
    mine, yours = pair
    write_files(mine.root, {"notes.txt": "changed"})
    push(mine, lake)
    pull(yours, lake, filter=NO_RAW)
    with Index(yours.control / "index.db") as index:
        assert index.push_base() == 2


# what is ignored here


def test_an_ignored_file_is_not_overwritten(lake, make_folder):
    mine, yours = make_folder("mine", {"a.tmp": "theirs", "same.tmp": "same"}), make_folder("yours")
    write_files(yours.root, {".ebulkignore": "*.tmp", "a.tmp": "mine", "same.tmp": "same"})
    push(mine, lake)
    with pytest.raises(ConflictError, match=r"you added 'a.tmp', and version 1 .* added it"):
        pull(yours, lake)
    assert read_files(yours.root)["a.tmp"] == "mine"
    report = pull(yours, lake, discard=True)
    assert (report.modified, report.adopted) == (1, 1)
    assert read_files(yours.root)["a.tmp"] == "theirs"
    write_files(yours.root, {"a.tmp": "changed"})
    assert status(yours).unstaged.modified == ("a.tmp",)
