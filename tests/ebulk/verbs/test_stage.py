import os

import pytest

from ebulk.errors import EbulkError, UsageError
from ebulk.local.index import Index
from ebulk.local.selection import Selection
from ebulk.model import STAGED, Scope
from ebulk.verbs import push as push_module
from ebulk.verbs.pull import pull
from ebulk.verbs.push import push
from ebulk.verbs.stage import StageReport, add, remove, reset
from ebulk.verbs.status import status
from support.folders import as_ordinary_user, read_files, write_files

FILES = {"a.csv": "1", "b.csv": "22", "sub/c.csv": "333", "sub/deep/d": "4444", "touched": "55555"}


@pytest.fixture
def folder(lake, make_folder):
    """A data set folder that was pushed, and in which nothing has changed."""
    folder = make_folder("set", FILES)
    push(folder, lake)
    return folder


def select(folder, *words):
    return Selection(folder.root, folder.root, words or ["."])


def staged(folder):
    """Staged paths, those of removals with a minus before them."""
    with Index(folder.control / "index.db") as index:
        return [f"{'-' * row.removed}{row.path}" for row in index.staged()]


def versions_of(lake, folder):
    return {entry.path: entry.size for entry in lake.manifest(folder.reference)[1]}


# add


def test_what_changed_is_staged_and_what_is_unchanged_is_not(folder):
    write_files(folder.root, {"a.csv": "new", "new/file": "x"})
    (folder.root / "b.csv").unlink()
    assert add(folder, select(folder)) == StageReport(files=2, removals=1, unstaged=0, total=3)
    assert staged(folder) == ["a.csv", "-b.csv", "new/file"]


def test_only_what_is_named_is_staged(folder):
    write_files(folder.root, {path: f"{content}!" for path, content in FILES.items()})
    add(folder, select(folder, "sub/deep", "a.csv"))
    assert staged(folder) == ["a.csv", "sub/deep/d"]
    add(folder, select(folder, "*.csv"))
    assert staged(folder) == ["a.csv", "b.csv", "sub/c.csv", "sub/deep/d"]


def test_the_removal_of_a_path_that_is_gone_is_staged(folder):
    (folder.root / "sub/c.csv").unlink()
    assert add(folder, select(folder, "sub/c.csv")).removals == 1
    assert staged(folder) == ["-sub/c.csv"]


def test_what_changed_back_is_unstaged(folder):
    remove(folder, select(folder, "a.csv"), cached=True)
    write_files(folder.root, {"new": "x"})
    add(folder, select(folder, "new"))
    (folder.root / "new").unlink()
    assert add(folder, select(folder)) == StageReport(0, 0, 2, 0)
    assert staged(folder) == []


def test_paths_that_name_nothing_are_named_and_nothing_is_staged(folder):
    write_files(folder.root, {"a.csv": "new"})
    with pytest.raises(EbulkError) as caught:
        add(folder, select(folder, "a.csv", "typo", "*.png"))
    assert str(caught.value) == "There is nothing at 'typo', '*.png'."
    assert caught.value.hint == "Nothing was done. `ebulk status` names what has changed."
    assert staged(folder) == []


def test_what_cannot_be_pushed_is_not_staged_nor_anything_else(folder):
    write_files(folder.root, {"a.csv": "new", "secret": "x"})
    os.mkfifo(folder.root / "pipe")
    (folder.root / "secret").chmod(0)
    with as_ordinary_user(folder.root), pytest.raises(EbulkError) as caught:
        add(folder, select(folder))
    assert str(caught.value) == (
        "Nothing was staged: 'pipe' is a named pipe; 'secret' cannot be read: permission denied."
    )
    assert caught.value.hint == "Put it right or move it out of the folder, then add again."
    assert staged(folder) == []
    add(folder, select(folder, "a*"))
    assert staged(folder) == ["a.csv"]
    with pytest.raises(EbulkError, match="'pipe' is a named pipe"):
        add(folder, select(folder, "pipe"))


def test_what_is_ignored_is_not_staged_even_if_it_is_named(folder):
    write_files(folder.root, {".ebulkignore": "*.tmp\nout/\n", "a.tmp": "x", "out/b": "y", "sub/new": "z"})
    add(folder, select(folder))
    assert staged(folder) == [".ebulkignore", "sub/new"]
    with pytest.raises(EbulkError) as caught:
        add(folder, select(folder, "a.csv", "a.tmp", "out", "out/b"))
    assert str(caught.value) == "Nothing was staged: .ebulkignore keeps out 'a.tmp', 'out'."
    assert caught.value.hint == "`ebulk add .` stages all that it does not keep out."
    with pytest.raises(EbulkError, match=r"\.ebulkignore keeps out 'out'\."):
        add(folder, select(folder, "out/*"))


def test_what_is_behind_a_link_is_not_of_the_data_set(folder, tmp_path):
    write_files(tmp_path / "elsewhere", {"file": "x"})
    (folder.root / "link").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(EbulkError, match=r"Nothing was staged: 'link' is not a folder\."):
        add(folder, select(folder, "link/file"))
    add(folder, select(folder, "link"))
    assert staged(folder) == ["link"]


def test_names_of_another_unicode_form_are_staged_where_they_are(folder, lake):
    write_files(folder.root, {"e\u0301/u\u0308": "x"})
    add(folder, select(folder, "é/ü"))
    assert push(folder, lake, scope=STAGED).new == 1
    assert versions_of(lake, folder)["é/ü"] == 1


def test_a_file_in_the_place_of_a_folder_and_a_folder_in_that_of_a_file_stage_what_they_replace(folder, lake):
    (folder.root / "sub/c.csv").unlink()
    (folder.root / "sub/deep/d").unlink()
    (folder.root / "sub/deep").rmdir()
    (folder.root / "sub").rmdir()
    (folder.root / "a.csv").unlink()
    write_files(folder.root, {"sub": "a file now", "a.csv/part": "a folder now"})
    add(folder, select(folder, "sub"))
    assert staged(folder) == ["sub", "-sub/c.csv", "-sub/deep/d"]
    add(folder, select(folder, "a.csv/p*"))
    assert staged(folder) == ["-a.csv", "a.csv/part", "sub", "-sub/c.csv", "-sub/deep/d"]
    push(folder, lake, scope=STAGED)
    assert versions_of(lake, folder) == {"a.csv/part": 12, "b.csv": 2, "sub": 10, "touched": 5}


# remove


def test_removed_files_are_gone_here_and_with_the_next_push(folder, lake):
    assert remove(folder, select(folder, "a.csv", "sub/c*")) == StageReport(0, 2, 0, 2)
    assert "a.csv" not in read_files(folder.root)
    assert versions_of(lake, folder) == {path: len(content) for path, content in FILES.items()}
    report = push(folder, lake, scope=STAGED)
    assert (report.version, report.removed, report.unstaged) == (2, 2, 0)
    assert sorted(versions_of(lake, folder)) == ["b.csv", "sub/deep/d", "touched"]


def test_a_file_that_is_gone_already_can_be_removed(folder):
    (folder.root / "a.csv").unlink()
    assert remove(folder, select(folder, "a.csv")).removals == 1
    assert staged(folder) == ["-a.csv"]


def test_a_folder_is_removed_only_with_all_in_it_when_that_is_said(folder):
    with pytest.raises(UsageError) as caught:
        remove(folder, select(folder, "sub"))
    assert str(caught.value) == "Nothing was removed: 'sub' is a folder."
    assert caught.value.hint == "`ebulk remove -r` removes a folder with all in it."
    with pytest.raises(UsageError, match=r"Nothing was removed: 'sub', 'sub/deep' are folders\."):
        remove(folder, select(folder, "a.csv", "sub/deep", "sub"))
    remove(folder, select(folder, "sub"), recursive=True)
    assert staged(folder) == ["-sub/c.csv", "-sub/deep/d"]
    assert not (folder.root / "sub").exists()


def test_changes_that_would_be_lost_are_named_and_nothing_is_removed(folder):
    write_files(folder.root, {"b.csv": "2x", "new": "x"})
    os.utime(folder.root / "touched", ns=(1, 1))
    add(folder, select(folder, "new"))
    with pytest.raises(EbulkError) as caught:
        remove(folder, select(folder), recursive=True)
    assert str(caught.value) == "Nothing was removed, since changes would be lost: 'b.csv', 'new'."
    assert caught.value.hint == (
        "Push them first; or keep the files here by --cached; or remove them all the same by --force."
    )
    assert sorted(read_files(folder.root)) == sorted([*FILES, "new"])
    remove(folder, select(folder), recursive=True, force=True)
    assert read_files(folder.root) == {}
    assert staged(folder) == [f"-{path}" for path in FILES]


def test_files_can_be_kept_here_and_leave_the_data_set(folder, lake):
    write_files(folder.root, {"b.csv": "changed"})
    remove(folder, select(folder, "a.csv", "b.csv"), cached=True)
    report = push(folder, lake, scope=STAGED)
    assert (report.removed, report.unstaged) == (2, 2)
    assert "a.csv" not in versions_of(lake, folder)
    assert read_files(folder.root) == {**FILES, "b.csv": "changed"}
    assert status(folder).unstaged.new == ("a.csv", "b.csv")


def test_what_is_not_in_the_data_set_cannot_be_removed_from_it(folder):
    write_files(folder.root, {"new": "x"})
    with pytest.raises(EbulkError) as caught:
        remove(folder, select(folder, "a.csv", "new"))
    assert str(caught.value) == "Not in the data set: 'new'."
    assert sorted(read_files(folder.root)) == sorted([*FILES, "new"])
    add(folder, select(folder, "new"))
    remove(folder, select(folder, "new"), cached=True)
    assert staged(folder) == []
    assert (folder.root / "new").exists()


# reset


def test_paths_are_unstaged_and_the_files_stay_as_they_are(folder):
    write_files(folder.root, {"a.csv": "new", "sub/new": "x", "sub/deep/new": "y"})
    add(folder, select(folder))
    assert reset(folder, select(folder, "sub")) == StageReport(0, 0, 2, 1)
    assert staged(folder) == ["a.csv"]
    assert reset(folder, select(folder)).total == 0
    assert read_files(folder.root)["a.csv"] == "new"


def test_what_is_not_staged_cannot_be_unstaged(folder):
    write_files(folder.root, {"a.csv": "new", "b.csv": "new"})
    add(folder, select(folder, "a.csv"))
    with pytest.raises(EbulkError) as caught:
        reset(folder, select(folder, "a.csv", "b.csv"))
    assert str(caught.value) == "Nothing is staged at 'b.csv'."
    assert staged(folder) == ["a.csv"]


# status


def test_staged_and_unstaged_changes_are_told_apart(folder):
    write_files(folder.root, {"a.csv": "new", "new": "x", "other": "y"})
    (folder.root / "b.csv").rename(folder.root / "renamed.csv")
    (folder.root / "sub/c.csv").unlink()
    add(folder, select(folder, "a.csv", "b.csv", "renamed.csv", "new"))
    report = status(folder)
    assert (report.staged.new, report.staged.modified, report.staged.removed) == (("new",), ("a.csv",), ())
    assert report.staged.renamed == (("b.csv", "renamed.csv"),)
    assert (report.unstaged.new, report.unstaged.removed) == (("other",), ("sub/c.csv",))


def test_a_file_that_is_kept_here_while_its_removal_is_staged_is_both_removed_and_new(folder):
    remove(folder, select(folder, "a.csv"), cached=True)
    report = status(folder)
    assert (report.staged.removed, report.unstaged.new) == (("a.csv",), ("a.csv",))
    assert (report.unchanged, report.total.files) == (4, 5)


def test_a_renamed_file_is_known_without_being_read(folder, monkeypatch):
    (folder.root / "sub").rename(folder.root / "moved")
    monkeypatch.setattr("ebulk.verbs.renames.measure", None)
    assert status(folder).unstaged.renamed == (("sub/c.csv", "moved/c.csv"), ("sub/deep/d", "moved/deep/d"))


def test_new_folders_are_told_with_the_number_of_their_files(folder):
    write_files(folder.root, {"results/a": "1", "results/b/c": "2", "sub/new/d": "3", "half/e": "4", "half/f": "5"})
    add(folder, select(folder, "half/e"))
    report = status(folder)
    assert report.unstaged.new == ("half/f", "results/a", "results/b/c", "sub/new/d")
    assert report.unstaged.new_folders == (("results", 2), ("sub/new", 1))
    assert report.staged.new_folders == ()
    add(folder, select(folder))
    assert status(folder).staged.new_folders == (("half", 2), ("results", 2), ("sub/new", 1))


def test_a_staged_file_that_is_gone_is_a_problem_with_a_way_out(folder, lake):
    write_files(folder.root, {"new": "x", "a.csv": "new"})
    add(folder, select(folder))
    (folder.root / "new").unlink()
    assert [tuple(problem[:2]) for problem in status(folder).problems] == [
        ("new", "is staged, and is not here any more")
    ]
    with pytest.raises(EbulkError) as caught:
        push(folder, lake, scope=STAGED)
    assert str(caught.value) == "Nothing was pushed: staged, and not here any more: 'new'."
    assert caught.value.hint == "`ebulk add` of the same path stages its removal; `ebulk reset` unstages it."
    add(folder, select(folder, "new"))
    assert staged(folder) == ["a.csv"]


# push


def test_only_what_is_staged_is_pushed_and_the_rest_stays(folder, lake):
    write_files(folder.root, {"a.csv": "first", "b.csv": "unstaged", "new": "x"})
    (folder.root / "sub/c.csv").unlink()
    add(folder, select(folder, "a.csv"))
    write_files(folder.root, {"a.csv": "second!"})
    report = push(folder, lake, scope=STAGED)
    assert (report.version, report.modified, report.new, report.removed, report.unstaged) == (2, 1, 0, 0, 3)
    assert versions_of(lake, folder) == {"a.csv": 7, "b.csv": 2, "sub/c.csv": 3, "sub/deep/d": 4, "touched": 5}
    assert staged(folder) == []
    after = status(folder)
    assert (after.unstaged.modified, after.unstaged.new, after.unstaged.removed) == (
        ("b.csv",),
        ("new",),
        ("sub/c.csv",),
    )


def test_files_that_are_not_staged_are_not_read(folder, lake, monkeypatch):
    write_files(folder.root, {"a.csv": "new", "b.csv": "2x", "new": "x"})
    add(folder, select(folder, "a.csv"))
    read = []
    real = push_module.Hasher._measure

    def measure(self, row):
        read.append(row.path)
        return real(self, row)

    monkeypatch.setattr(push_module.Hasher, "_measure", measure)
    assert push(folder, lake, scope=STAGED).unstaged == 2
    assert read == ["a.csv"]


def test_what_cannot_be_read_is_in_nobodys_way_while_it_is_not_staged(folder, lake):
    write_files(folder.root, {"a.csv": "new", "secret": "x"})
    os.mkfifo(folder.root / "pipe")
    (folder.root / "secret").chmod(0)
    add(folder, select(folder, "a.csv"))
    with as_ordinary_user(folder.root):
        assert push(folder, lake, scope=STAGED).modified == 1


def test_with_nothing_staged_nothing_is_pushed_and_the_way_on_is_told(folder, lake):
    write_files(folder.root, {"a.csv": "new"})
    with pytest.raises(EbulkError) as caught:
        push(folder, lake, scope=STAGED)
    assert str(caught.value) == "Nothing was pushed: there are changes, and nothing is staged."
    assert caught.value.hint == (
        "`ebulk add PATH…` stages what the next push is to send; `ebulk push --all` sends all that has changed."
    )
    assert lake.data_set(folder.reference).version == 1


def test_with_nothing_staged_a_change_that_keeps_the_size_is_seen(folder, lake):
    write_files(folder.root, {"a.csv": "2"}, mtime_ns=7)
    with pytest.raises(EbulkError, match="nothing is staged"):
        push(folder, lake, scope=STAGED)


def test_with_nothing_staged_and_nothing_changed_there_is_nothing_to_push(folder, lake):
    os.utime(folder.root / "touched", ns=(1, 1))
    report = push(folder, lake, scope=STAGED)
    assert (report.changed, report.version, report.unstaged) == (False, 1, 0)


def test_the_first_push_needs_no_staging_and_sends_what_is_staged_if_something_is(lake, make_folder):
    folder = make_folder("set", {"a": "1", "b": "2"})
    add(folder, select(folder, "a"))
    report = push(folder, lake, scope=STAGED)
    assert (report.version, report.new, report.unstaged) == (1, 1, 1)
    other = make_folder("other")
    pull(other, lake)
    write_files(other.root, {"c": "3"})
    with pytest.raises(EbulkError, match="nothing is staged"):
        push(other, lake, scope=STAGED)


def test_pushing_all_or_a_folder_sends_what_is_staged_there_with_the_rest(folder, lake):
    write_files(folder.root, {"a.csv": "new", "sub/c.csv": "new", "sub/new": "x"})
    add(folder, select(folder, "a.csv", "sub/c.csv"))
    report = push(folder, lake, scope=Scope("sub"))
    assert (report.new, report.modified) == (1, 1)
    assert staged(folder) == ["a.csv"]
    assert push(folder, lake).modified == 1
    assert staged(folder) == []


def test_a_renamed_file_that_is_staged_costs_no_upload(folder, lake):
    (folder.root / "sub").rename(folder.root / "moved")
    add(folder, select(folder))
    report = push(folder, lake, scope=STAGED)
    assert (report.renamed, report.sent.files, report.present.files) == (2, 0, 2)


def interrupted(folder, lake, monkeypatch, scope, method=(push_module._Push, "_check_unchanged")):
    def stop(*arguments, **options):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(*method, stop)
        with pytest.raises(KeyboardInterrupt):
            push(folder, lake, scope=scope)


def test_an_interrupted_push_of_what_is_staged_resumes_and_another_scope_is_refused(folder, lake, monkeypatch):
    write_files(folder.root, {"a.csv": "new", "b.csv": "unstaged"})
    add(folder, select(folder, "a.csv"))
    interrupted(folder, lake, monkeypatch, STAGED)
    with pytest.raises(EbulkError) as caught:
        push(folder, lake)
    assert str(caught.value) == "A push of what was staged was broken off and is not finished."
    report = push(folder, lake, scope=STAGED)
    assert (report.resumed, report.modified, report.unstaged, report.sent.files) == (True, 1, 1, 0)


def test_an_interrupted_first_push_resumes_by_the_same_command_whatever_is_staged_since(lake, make_folder, monkeypatch):
    folder = make_folder("set", {"a": "1", "b": "2"})
    interrupted(folder, lake, monkeypatch, STAGED)
    add(folder, select(folder, "a"))
    report = push(folder, lake, scope=STAGED)
    assert (report.resumed, report.new) == (True, 2)


def test_what_was_staged_after_a_push_that_was_killed_at_its_end_stays_staged(folder, lake, monkeypatch):
    write_files(folder.root, {"a.csv": "new", "b.csv": "newer"})
    add(folder, select(folder, "a.csv"))
    interrupted(folder, lake, monkeypatch, STAGED, (Index, "commit_push"))
    write_files(folder.root, {"a.csv": "newest"})
    add(folder, select(folder, "a.csv", "b.csv"))
    report = push(folder, lake, scope=STAGED)
    assert (report.version, report.modified) == (3, 2)
    assert versions_of(lake, folder)["a.csv"] == 6
