import os
import re
import shutil
from collections import namedtuple

import pytest

from ebulk.errors import ConflictError, DiskFullError, EbulkError, NotFoundError
from ebulk.local.index import Index, Totals
from ebulk.local.selection import Selection
from ebulk.local.tree import Tree
from ebulk.model import FileEntry
from ebulk.verbs import reconcile
from ebulk.verbs.clone import prepare_clone
from ebulk.verbs.observer import Silent
from ebulk.verbs.pull import pull
from ebulk.verbs.push import push
from ebulk.verbs.stage import remove
from ebulk.verbs.status import status
from support.folders import OLD, read_files, write_files
from support.hostile_lake import HostileLake

LARGE = os.urandom(700_000)
FILES = {"a.txt": "hello", "sub/large": LARGE, "sub/deep/er": "x", "link": "-> sub/large", "empty": ""}


@pytest.fixture
def pair(up_to_date):
    """Two folders of one data set with FILES, both up to date."""
    return up_to_date(FILES)


def test_bytes_names_times_and_modes_come_down(lake, make_folder):
    mine, yours = make_folder("mine", FILES), make_folder("yours")
    (mine.root / "a.txt").chmod(0o755)
    push(mine, lake)
    report = pull(yours, lake)
    assert (report.version, report.previous, report.new, report.received.files) == (1, 0, 5, 5)
    assert read_files(yours.root) == FILES
    assert {os.lstat(yours.root / path).st_mtime_ns for path in FILES} == {OLD}
    assert (yours.root / "a.txt").stat().st_mode & 0o777 == 0o755
    assert not (yours.control / "parts").exists()
    assert not status(yours).changed


def test_nothing_new_changes_nothing(lake, pair):
    report = pull(pair[1], lake)
    assert (report.changed, report.unchanged, report.received) == (False, 5, Totals(0, 0))


def test_changes_come_down_and_nothing_else(lake, pair):
    mine, yours = pair
    write_files(mine.root, {"a.txt": "changed", "added": "new"})
    (mine.root / "sub/deep/er").unlink()
    push(mine, lake)
    report = pull(yours, lake)
    assert (report.new, report.modified, report.removed, report.unchanged) == (1, 1, 1, 3)
    assert report.received == Totals(2, 10)
    assert read_files(yours.root) == read_files(mine.root)
    assert (yours.root / "sub/deep").is_dir()


def test_a_renamed_folder_costs_no_download(lake, pair):
    mine, yours = pair
    (mine.root / "sub").rename(mine.root / "renamed")
    push(mine, lake)
    report = pull(yours, lake)
    assert (report.moved, report.new, report.received) == (2, 0, Totals(0, 0))
    assert read_files(yours.root) == read_files(mine.root)
    assert not status(yours).changed


def test_a_mode_alone_costs_no_download(lake, pair):
    mine, yours = pair
    (mine.root / "sub/large").chmod(0o755)
    push(mine, lake)
    report = pull(yours, lake)
    assert (report.modified, report.received) == (1, Totals(0, 0))
    assert (yours.root / "sub/large").stat().st_mode & 0o100
    assert not status(yours).changed


def test_local_changes_to_other_files_are_kept(lake, pair):
    mine, yours = pair
    write_files(mine.root, {"a.txt": "changed"})
    push(mine, lake)
    write_files(yours.root, {"sub/large": "mine now", "untracked": "mine"})
    (yours.root / "empty").unlink()
    report = pull(yours, lake)
    assert (report.modified, report.kept) == (1, 3)
    files = read_files(yours.root)
    assert (files["a.txt"], files["sub/large"], files["untracked"]) == ("changed", "mine now", "mine")
    assert "empty" not in files
    after = status(yours).unstaged
    assert (after.new, after.modified, after.removed) == (("untracked",), ("sub/large",), ("empty",))


def test_a_conflict_is_found_before_anything_is_touched(lake, pair):
    mine, yours = pair
    write_files(
        mine.root, {"a.txt": "theirs", "sub/deep/er": "theirs", "new": "theirs", "empty": "theirs", "fine": "x"}
    )
    (mine.root / "sub/large").unlink()
    push(mine, lake, message="my (own)\nwork")
    write_files(yours.root, {"a.txt": "mine!", "new": "mine", "sub/large": "mine"})
    remove(yours, Selection(yours.root, yours.root, ["empty"]))
    before = read_files(yours.root)
    with pytest.raises(ConflictError) as caught:
        pull(yours, lake)
    assert caught.value.paths == ("a.txt", "empty", "new", "sub/large")
    by_ada = r"version 2 \(by 'ada', [-0-9T:]+Z, 'my \(own\)'\)"
    assert re.fullmatch(
        f"Nothing was pulled: you modified 'a.txt', and {by_ada} modified it; you removed 'empty', and {by_ada}"
        f" modified it; you added 'new', and {by_ada} added it. The same goes for 'sub/large'.",
        str(caught.value),
    )
    assert caught.value.hint == (
        "To keep yours, move it aside, pull, and put back what should stay; to take the lake's, pull with"
        " --discard-changes; to decide later, leave it out by --exclude."
    )
    assert read_files(yours.root) == before
    report = pull(yours, lake, discard=True)
    assert report.version == 2
    assert read_files(yours.root) == read_files(mine.root)
    assert not status(yours).changed


def test_a_file_that_was_moved_aside_is_no_conflict_and_stays_where_it_is(lake, pair):
    mine, yours = pair
    write_files(mine.root, {"a.txt": "theirs"})
    push(mine, lake)
    write_files(yours.root, {"a.txt": "mine!"})
    (yours.root / "a.txt").rename(yours.root / "a.txt.mine")
    pull(yours, lake)
    assert read_files(yours.root) == {**FILES, "a.txt": "theirs", "a.txt.mine": "mine!"}


def test_many_conflicts_are_counted(lake, make_folder):
    mine, yours = make_folder("mine", {f"{number}": "x" for number in range(9)}), make_folder("yours")
    push(mine, lake)
    write_files(yours.root, {f"{number}": "mine" for number in range(9)})
    with pytest.raises(ConflictError, match="The same goes for '3', '4', '5', '6', '7' and 1 more."):
        pull(yours, lake)


def test_discarding_brings_back_what_was_changed_or_removed_here(lake, pair):
    _, yours = pair
    write_files(yours.root, {"a.txt": "mine", "untracked": "mine"})
    (yours.root / "empty").unlink()
    report = pull(yours, lake, discard=True)
    assert (report.new, report.modified) == (1, 1)
    assert read_files(yours.root) == {**FILES, "untracked": "mine"}


def test_the_same_change_on_both_sides_is_no_conflict(lake, pair):
    mine, yours = pair
    write_files(mine.root, {"a.txt": "same", "new": "same"})
    push(mine, lake)
    write_files(yours.root, {"a.txt": "same", "new": "same"}, mtime_ns=1)
    report = pull(yours, lake)
    assert (report.adopted, report.received) == (2, Totals(0, 0))
    assert (yours.root / "new").stat().st_mtime_ns == OLD
    assert not status(yours).changed


def test_a_lost_index_costs_no_download(lake, pair):
    _, yours = pair
    (yours.control / "index.db").unlink()
    report = pull(yours, lake)
    assert (report.adopted, report.received) == (5, Totals(0, 0))
    assert not status(yours).changed


def test_a_touched_file_is_as_the_base(lake, pair):
    mine, yours = pair
    os.utime(yours.root / "a.txt")
    write_files(mine.root, {"a.txt": "changed"})
    push(mine, lake)
    assert pull(yours, lake).modified == 1


def test_an_older_version_can_be_had_and_left_again(lake, pair):
    mine, yours = pair
    write_files(mine.root, {"a.txt": "second", "more": "x"})
    push(mine, lake)
    pull(yours, lake)
    report = pull(yours, lake, version=1)
    assert (report.version, report.previous, report.removed, report.modified) == (1, 2, 1, 1)
    assert read_files(yours.root) == FILES
    assert not push(yours, lake).changed
    pull(yours, lake)
    assert read_files(yours.root) == read_files(mine.root)


def test_a_change_to_an_older_version_is_a_conflict_both_ways(lake, pair):
    mine, yours = pair
    write_files(mine.root, {"a.txt": "second", "more": "x"})
    push(mine, lake)
    pull(yours, lake)
    write_files(yours.root, {"a.txt": "mine"})
    with pytest.raises(ConflictError) as caught:
        pull(yours, lake, version=1)
    assert str(caught.value) == ("Nothing was pulled: you modified 'a.txt', and version 1 has it otherwise.")
    pull(yours, lake, version=1, discard=True)
    assert read_files(yours.root) == FILES
    write_files(yours.root, {"a.txt": "mine", "sub/deep/er": "mine"})
    with pytest.raises(ConflictError, match="you modified 'a.txt', and version 2 .* modified it"):
        pull(yours, lake)
    with pytest.raises(ConflictError, match="you modified 'a.txt', and version 2 .* modified it"):
        push(yours, lake)
    assert read_files(yours.root) == {**FILES, "a.txt": "mine", "sub/deep/er": "mine"}


def test_an_older_version_keeps_what_was_changed_here(lake, pair):
    mine, yours = pair
    write_files(mine.root, {"more": "x"})
    push(mine, lake)
    pull(yours, lake)
    write_files(yours.root, {"a.txt": "mine", "untracked": "mine"})
    report = pull(yours, lake, version=1)
    assert (report.version, report.removed, report.kept) == (1, 1, 2)
    assert read_files(yours.root) == {**FILES, "a.txt": "mine", "untracked": "mine"}
    pull(yours, lake)
    assert read_files(yours.root) == {**FILES, "a.txt": "mine", "untracked": "mine", "more": "x"}


def test_one_folder_of_an_older_version_can_be_had_and_left_again(lake, pair):
    mine, yours = pair
    write_files(mine.root, {"a.txt": "second", "sub/deep/er": "second", "sub/new": "x"})
    push(mine, lake)
    pull(yours, lake)
    report = pull(yours, lake, version=1, directory="sub")
    assert (report.version, report.modified, report.removed) == (1, 1, 1)
    assert read_files(yours.root) == {**FILES, "a.txt": "second"}
    assert not push(yours, lake).changed
    write_files(yours.root, {"sub/deep/er": "third"})
    with pytest.raises(ConflictError, match="you modified 'sub/deep/er', and version 2 .* modified it"):
        push(yours, lake)
    pull(yours, lake, discard=True)
    assert read_files(yours.root) == read_files(mine.root)


def test_changes_are_discarded_in_one_folder_only(lake, pair):
    _, yours = pair
    write_files(yours.root, {"a.txt": "mine", "sub/deep/er": "mine"})
    pull(yours, lake, directory="sub", discard=True)
    assert read_files(yours.root) == {**FILES, "a.txt": "mine"}


def test_a_version_that_is_not_there_is_an_error(lake, pair):
    with pytest.raises(NotFoundError):
        pull(pair[1], lake, version=7)


def test_one_folder_is_pulled_and_the_others_are_left_alone(lake, make_folder):
    mine, yours = make_folder("mine", FILES), make_folder("yours", {"a.txt": "my own"})
    push(mine, lake)
    report = pull(yours, lake, directory="sub")
    assert (report.new, report.version) == (2, 1)
    assert read_files(yours.root) == {"a.txt": "my own", "sub/large": LARGE, "sub/deep/er": "x"}
    (yours.root / "a.txt").unlink()
    assert pull(yours, lake).new == 3
    assert read_files(yours.root) == FILES


def test_a_folder_that_is_not_there_is_an_error(lake, pair):
    with pytest.raises(EbulkError) as caught:
        pull(pair[1], lake, directory="typo")
    assert str(caught.value).startswith("There is no folder 'typo' in this version of ")


def test_files_and_folders_change_places(lake, make_folder):
    mine, yours = make_folder("mine", {"a": "file", "b/c/d": "folder"}), make_folder("yours")
    push(mine, lake)
    pull(yours, lake)
    shutil.rmtree(mine.root / "b")
    (mine.root / "a").unlink()
    write_files(mine.root, {"a/x": "now a folder", "b": "now a file"})
    push(mine, lake)
    (yours.root / "b/empty").mkdir()
    pull(yours, lake)
    assert read_files(yours.root) == {"a/x": "now a folder", "b": "now a file"}


@pytest.mark.parametrize("local", [{"a": "mine"}, {"a": "-> /tmp"}, {"a/b/mine": "mine"}])
def test_what_is_in_the_way_of_a_new_file_is_kept(lake, make_folder, local):
    mine, yours = make_folder("mine", {"a/b": "x"}), make_folder("yours", local)
    push(mine, lake)
    (blocker,) = local
    with pytest.raises(ConflictError, match=f"'{blocker}' is in the way of 'a/b', and version 1 .* added it"):
        pull(yours, lake)
    assert read_files(yours.root) == local


def test_new_files_go_into_folders_as_they_are_named_here(lake, make_folder):
    mine, yours = make_folder("mine", {"é/a": "1"}), make_folder("yours", {"e\u0301/mine": "x"})
    push(mine, lake)
    pull(yours, lake)
    assert read_files(yours.root) == {"e\u0301/a": "1", "e\u0301/mine": "x"}
    write_files(mine.root, {"é/a": "22"})
    push(mine, lake)
    pull(yours, lake)
    assert read_files(yours.root)["e\u0301/a"] == "22"


# broken off


class Interrupting(Silent):
    """Interrupts when so many files are done."""

    def __init__(self, files):
        self._left = files

    def done(self, path):
        self._left -= 1
        if not self._left:
            raise KeyboardInterrupt


def test_an_interrupted_pull_goes_on_with_what_is_missing(lake, make_folder):
    files = {f"{number:02}": os.urandom(300_000) for number in range(10)}
    mine, yours = make_folder("mine", files), make_folder("yours")
    push(mine, lake)
    with pytest.raises(KeyboardInterrupt):
        pull(yours, lake, jobs=1, observer=Interrupting(4))
    there = read_files(yours.root)
    assert 4 <= len(there) < 10
    assert all(files[path] == content for path, content in there.items())
    report = pull(yours, lake)
    assert report.received.files == 10 - len(there)
    assert read_files(yours.root) == files


def test_a_pull_killed_before_the_index_knew_adopts_what_is_there(lake, make_folder, monkeypatch):
    mine, yours = make_folder("mine", FILES), make_folder("yours")
    push(mine, lake)
    with monkeypatch.context() as patch:
        patch.setattr(Index, "update", lambda *arguments, **options: None)
        patch.setattr(Index, "set_version", lambda *arguments, **options: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            pull(yours, lake)
    report = pull(yours, lake)
    assert (report.adopted, report.received) == (5, Totals(0, 0))


def test_a_file_that_is_written_here_during_the_pull_is_kept(lake, make_folder, monkeypatch):
    mine, yours = make_folder("mine", {"a": "theirs"}), make_folder("yours")
    push(mine, lake)
    write = Tree.write

    def write_first(*arguments):
        write_files(yours.root, {"a": "mine, just now"})
        return write(*arguments)

    monkeypatch.setattr(Tree, "write", write_first)
    with pytest.raises(ConflictError, match="'a' changed here during the pull"):
        pull(yours, lake)
    assert read_files(yours.root) == {"a": "mine, just now"}


def test_a_disk_without_room_is_told_before_anything_is_fetched(lake, make_folder, monkeypatch):
    mine, yours = make_folder("mine", {"large": LARGE}), make_folder("yours")
    push(mine, lake)
    usage = namedtuple("usage", "total used free")(10, 9, 1000)
    monkeypatch.setattr(reconcile.shutil, "disk_usage", lambda path: usage)
    with pytest.raises(DiskFullError) as caught:
        pull(yours, lake)
    assert str(caught.value) == "700,000 bytes are to come and the disk has room for 1,000."
    assert caught.value.hint == "Make room, or pull into a folder on another disk; nothing was pulled."
    assert read_files(yours.root) == {}


def test_a_disk_that_fills_up_is_told_with_what_is_missing(lake, make_folder, monkeypatch):
    mine, yours = make_folder("mine", {"a": "12345", "b": "123"}), make_folder("yours")
    push(mine, lake)
    write = Tree.write

    def full(self, content, part, entry, disk, replaces):
        if entry.path == "b":
            raise DiskFullError("There is no room for 'b'.")
        return write(self, content, part, entry, disk, replaces)

    with monkeypatch.context() as patch:
        patch.setattr(Tree, "write", full)
        with pytest.raises(DiskFullError) as caught:
            pull(yours, lake)
    assert caught.value.hint == "Make room, then run the same command again: what has arrived is kept."
    assert str(caught.value) == "The disk is full; 3 bytes are still to come."
    pull(yours, lake)
    assert read_files(yours.root) == {"a": "12345", "b": "123"}


# what a lake may say


def entry(path, size=1, digest="sha-256:" + "0" * 64, mode="100644"):
    return FileEntry(path, size, digest, 0, mode)


@pytest.mark.parametrize("path", ["../x", "/etc/x", "a/../../x", "C:\\x", "C:/x", "n" * 5000, ".ebulk/config", "a\0b"])
def test_a_hostile_path_is_refused_before_anything_is_written(make_folder, tmp_path, path):
    folder = make_folder("set")
    with pytest.raises(EbulkError, match="The lake has a file .* that cannot be written here"):
        pull(folder, HostileLake(entry("A first one"), entry(path)))
    assert read_files(tmp_path) == {}


@pytest.mark.parametrize(
    ("entries", "message"),
    [
        ([entry("b"), entry("a")], "The lake's list of files is out of order at 'a'."),
        ([entry("a"), entry("a")], "The lake's list of files is out of order at 'a'."),
        ([entry("a"), entry("a-b"), entry("a/b")], "The lake has 'a' both as a file and as a folder."),
        ([entry("a", mode="100777")], "The lake has 'a' with the unknown mode '100777'."),
        ([entry("a", size=-1)], "The lake has 'a' with the size -1."),
        ([entry("a", digest="md5:00")], "The lake sent the digest 'md5:00', which is no sha-256."),
    ],
)
def test_a_list_that_makes_no_sense_is_refused(make_folder, tmp_path, entries, message):
    with pytest.raises(EbulkError) as caught:
        pull(make_folder("set"), HostileLake(*entries))
    assert str(caught.value) == message
    assert read_files(tmp_path) == {}


def test_files_outside_of_the_folder_asked_for_are_refused(make_folder):
    with pytest.raises(EbulkError, match="out of order at 'other/a'"):
        pull(make_folder("set"), HostileLake(entry("other/a")), directory="sub")


# clone


def test_a_clone_is_a_pull_into_a_new_folder(lake, make_folder, tmp_path):
    mine = make_folder("mine", FILES)
    push(mine, lake)
    folder = prepare_clone(lake, mine.reference, tmp_path / "clone")
    assert folder.url == lake.url
    pull(folder, lake)
    assert read_files(tmp_path / "clone") == FILES


def test_a_clone_of_nothing_leaves_no_folder(lake, tmp_path):
    with pytest.raises(NotFoundError):
        prepare_clone(lake, "no such data set", tmp_path / "clone")
    assert not (tmp_path / "clone").exists()


def test_a_clone_that_was_broken_off_goes_on(lake, make_folder, tmp_path):
    mine = make_folder("mine", FILES)
    push(mine, lake)
    first = prepare_clone(lake, mine.reference, tmp_path / "clone")
    assert prepare_clone(lake, mine.reference, tmp_path / "clone") == first
    pull(first, lake)
    with pytest.raises(EbulkError) as caught:
        prepare_clone(lake, mine.reference, tmp_path / "clone")
    assert str(caught.value) == f"'{tmp_path}/clone' is a data set folder already, of '{mine.reference}'."
    assert caught.value.hint == "Pull in it to bring it up to date, or choose another folder."


def test_a_clone_into_a_folder_with_files_is_refused(lake, make_folder, tmp_path):
    mine = make_folder("mine", FILES)
    push(mine, lake)
    write_files(tmp_path / "full", {"my": "own"})
    with pytest.raises(EbulkError) as caught:
        prepare_clone(lake, mine.reference, tmp_path / "full")
    assert str(caught.value) == f"'{tmp_path}/full' is there already and is not a data set folder."
    assert caught.value.hint == (
        f"Choose another folder; or make it one by `ebulk init {tmp_path}/full` and pull in it."
    )
