import os
import subprocess
import threading

import pytest

from ebulk.errors import ChangedError, ConflictError, EbulkError, NotAuthorisedError, NotFoundError
from ebulk.local.index import Index, Totals
from ebulk.local.journal import Journal
from ebulk.model import Scope
from ebulk.remote.credentials import Basic
from ebulk.remote.lake import Lake
from ebulk.verbs import push as push_module
from ebulk.verbs.observer import Silent
from ebulk.verbs.pull import pull
from ebulk.verbs.push import push
from support.folders import OLD, as_ordinary_user, read_files, write_files

LARGE = os.urandom(700_000)
"""Content that travels alone, by tus."""


def manifest(lake, folder):
    _, entries = lake.manifest(folder.reference)
    return {entry.path: entry for entry in entries}


def journal(folder):
    return Journal(folder.control / "push.json").load()


def test_the_first_push_makes_the_data_set(lake, make_folder):
    folder = make_folder("set", {"a.txt": "hello", "sub/large": LARGE, "link": "-> a.txt", "run": "#!"})
    (folder.root / "run").chmod(0o755)
    report = push(folder, lake, message="first")
    assert (report.version, report.new, report.modified, report.removed, report.unchanged) == (1, 4, 0, 0, 0)
    assert report.sent == report.total == Totals(4, 5 + 700_000 + 5 + 2)
    assert not report.resumed
    files = manifest(lake, folder)
    assert [(path, entry.size, entry.mode) for path, entry in files.items()] == [
        ("a.txt", 5, "100644"),
        ("link", 5, "120000"),
        ("run", 2, "100755"),
        ("sub/large", 700_000, "100644"),
    ]
    assert {entry.mtime_ns for entry in files.values()} == {OLD}
    (version,) = lake.versions(folder.reference)
    assert (version.message, version.author, version.added) == ("first", "ada", 4)


def test_nothing_changed_makes_no_version(lake, make_folder):
    folder = make_folder("set", {"a": "x", "b": "y"})
    push(folder, lake)
    report = push(folder, lake, message="again")
    assert not report.changed
    assert (report.version, report.unchanged, report.sent) == (1, 2, Totals(0, 0))
    assert lake.data_set(folder.reference).version == 1


def test_an_empty_folder_makes_a_data_set_without_a_version(lake, make_folder):
    folder = make_folder("set")
    assert not push(folder, lake).changed
    assert lake.data_set(folder.reference).version == 0


def test_only_what_changed_is_sent(lake, make_folder):
    folder = make_folder("set", {"keep": LARGE, "change": "old", "remove": "x"})
    push(folder, lake)
    write_files(folder.root, {"change": "newer", "add/one": "1"})
    (folder.root / "remove").unlink()
    report = push(folder, lake)
    assert (report.version, report.new, report.modified, report.removed, report.unchanged) == (2, 1, 1, 1, 1)
    assert report.sent == Totals(2, 6)
    assert sorted(manifest(lake, folder)) == ["add/one", "change", "keep"]


def test_a_renamed_folder_costs_no_upload(lake, make_folder):
    folder = make_folder("set", {"before/large": LARGE, "before/small": "abc"})
    push(folder, lake)
    (folder.root / "before").rename(folder.root / "after")
    report = push(folder, lake)
    assert (report.new, report.renamed, report.removed) == (2, 2, 2)
    assert report.sent == Totals(0, 0)
    assert report.present == Totals(2, 700_003)
    assert sorted(manifest(lake, folder)) == ["after/large", "after/small"]


def test_a_touched_file_is_no_change(lake, make_folder):
    folder = make_folder("set", {"a": "x"})
    push(folder, lake)
    os.utime(folder.root / "a", ns=(1, 1))
    report = push(folder, lake)
    assert (report.changed, report.unchanged) == (False, 1)
    assert manifest(lake, folder)["a"].mtime_ns == OLD
    with Index(folder.control / "index.db") as index:
        assert index.find("a").disk_mtime_ns == 1


def test_a_mode_alone_is_a_change_and_costs_no_upload(lake, make_folder):
    folder = make_folder("set", {"a": "#!"})
    push(folder, lake)
    (folder.root / "a").chmod(0o755)
    report = push(folder, lake)
    assert (report.modified, report.sent) == (1, Totals(0, 0))
    assert manifest(lake, folder)["a"].mode == "100755"


def test_a_change_within_the_grain_of_stamps_is_seen(lake, make_folder):
    folder = make_folder("set")
    (folder.root / "racy").write_text("one")
    status = (folder.root / "racy").stat()
    push(folder, lake)
    with (folder.root / "racy").open("r+") as file:
        file.write("two")
    os.utime(folder.root / "racy", ns=(status.st_atime_ns, status.st_mtime_ns))
    assert push(folder, lake).modified == 1


def test_a_file_may_become_a_folder_and_back(lake, make_folder):
    folder = make_folder("set", {"a": "file"})
    push(folder, lake)
    (folder.root / "a").unlink()
    write_files(folder.root, {"a/b": "within"})
    push(folder, lake)
    assert list(manifest(lake, folder)) == ["a/b"]
    (folder.root / "a/b").unlink()
    (folder.root / "a").rmdir()
    write_files(folder.root, {"a": "file again"})
    push(folder, lake)
    assert list(manifest(lake, folder)) == ["a"]


def test_names_of_another_unicode_form_arrive_composed(lake, make_folder):
    folder = make_folder("set", {"e\u0301/u\u0308": "x"})
    push(folder, lake)
    assert list(manifest(lake, folder)) == ["é/ü"]
    assert not push(folder, lake).changed


def test_one_folder_is_pushed_and_the_others_are_left_alone(lake, make_folder):
    folder = make_folder("set", {"in/a": "1", "out/b": "2"})
    assert push(folder, lake, scope=Scope("in")).new == 1
    assert list(manifest(lake, folder)) == ["in/a"]
    (folder.root / "in/a").unlink()
    (folder.root / "out/b").unlink()
    write_files(folder.root, {"in/c": "3"})
    report = push(folder, lake, scope=Scope("in"))
    assert (report.new, report.removed) == (1, 1)
    assert list(manifest(lake, folder)) == ["in/c"]


def test_a_folder_that_is_not_there_is_no_reason_to_remove_anything(lake, make_folder):
    folder = make_folder("set", {"a": "1"})
    with pytest.raises(EbulkError) as caught:
        push(folder, lake, scope=Scope("typo"))
    assert str(caught.value) == "There is no folder 'typo' with files in this data set."
    assert caught.value.hint == "Give it relative to the data set folder."


def test_what_cannot_be_pushed_is_named_and_nothing_is_pushed(lake, make_folder):
    folder = make_folder("set", {"good": "x", "closed/file": "y", "secret": "z"})
    os.mkfifo(folder.root / "pipe")
    (folder.root / "closed").chmod(0)
    (folder.root / "secret").chmod(0)
    with as_ordinary_user(folder.root), pytest.raises(EbulkError) as caught:
        push(folder, lake)
    (folder.root / "closed").chmod(0o755)
    assert str(caught.value) == (
        "Nothing was pushed: 'closed' cannot be read: permission denied; 'pipe' is a named pipe;"
        " 'secret' cannot be read: permission denied."
    )
    assert caught.value.hint == "Put it right or move it out of the folder, then push again."
    with pytest.raises(NotFoundError):
        lake.data_set(folder.reference)


def test_many_problems_are_counted(lake, make_folder):
    folder = make_folder("set")
    for number in range(8):
        os.mkfifo(folder.root / f"pipe{number}")
    with pytest.raises(EbulkError, match="'pipe4' is a named pipe; and 3 more"):
        push(folder, lake)


class Changing(Silent):
    """Changes a file once its transfer has begun."""

    def __init__(self, path, content):
        self._path = path
        self._content = content

    def done(self, path):
        self._path.write_text(self._content)


def test_a_file_that_changes_while_others_are_sent_is_named_and_nothing_is_committed(lake, make_folder):
    folder = make_folder("set", {"a": "first", "b": LARGE})
    with pytest.raises(ChangedError) as caught:
        push(folder, lake, jobs=1, observer=Changing(folder.root / "a", "second"))
    assert str(caught.value) == "Not pushed, since these files changed meanwhile: 'a'."
    assert caught.value.hint == "Run the same command again when nothing writes to them: only what changed is sent."
    assert lake.data_set(folder.reference).version == 0
    report = push(folder, lake)
    assert report.resumed
    assert report.sent == Totals(1, 6)
    assert report.version == 1
    pull(make_folder("other"), lake)


def test_pushes_of_different_files_merge(lake, make_folder):
    mine, yours = make_folder("mine", {"a": "1"}), make_folder("yours")
    push(mine, lake)
    pull(yours, lake)
    write_files(yours.root, {"b": "2"})
    push(yours, lake)
    write_files(mine.root, {"c": "3"})
    report = push(mine, lake)
    assert (report.version, report.others) == (3, True)
    assert sorted(manifest(lake, mine)) == ["a", "b", "c"]
    write_files(mine.root, {"c": "4444"})
    assert push(mine, lake).version == 4
    pull(mine, lake)
    assert read_files(mine.root) == {"a": "1", "b": "2", "c": "4444"}


def test_pushes_of_the_same_file_conflict_and_the_pull_resolves(lake, make_folder):
    mine, yours = make_folder("mine", {"a": "1", "large": LARGE}), make_folder("yours")
    push(mine, lake)
    pull(yours, lake)
    write_files(yours.root, {"a": "yours"})
    push(yours, lake)
    write_files(mine.root, {"a": "mine", "more": "x"})
    with pytest.raises(ConflictError) as caught:
        push(mine, lake)
    (theirs, _) = lake.versions(mine.reference)
    assert str(caught.value) == (
        f"Nothing was pushed: you modified 'a', and version 2 (by 'ada', {theirs.date}) modified it."
    )
    assert caught.value.hint == (
        "To keep yours, move it aside, `ebulk pull`, and put back what should stay; to take theirs, `ebulk pull"
        " --discard-changes`. Then push again."
    )
    assert caught.value.paths == ("a",)
    assert read_files(mine.root)["a"] == "mine"
    (mine.root / "a").rename(mine.root / "a.mine")
    write_files(mine.root, {"a": "1"})
    pull(mine, lake)
    assert read_files(mine.root)["a"] == "yours"
    (mine.root / "a.mine").rename(mine.root / "a")
    report = push(mine, lake)
    assert (report.version, report.modified, report.new, report.resumed) == (3, 1, 1, True)
    assert report.sent == Totals(0, 0)  # what the push in conflict brought is not sent again
    assert manifest(lake, mine)["a"].size == 4


def test_changes_of_others_are_not_lost_when_pushes_merge(lake, make_folder):
    mine, yours = make_folder("mine", {"a": "1", "b": "1"}), make_folder("yours")
    push(mine, lake)
    pull(yours, lake)
    write_files(yours.root, {"a": "yours"})
    push(yours, lake)
    write_files(mine.root, {"b": "mine"})
    push(mine, lake)
    write_files(mine.root, {"a": "mine"})
    with pytest.raises(ConflictError):
        push(mine, lake)
    assert manifest(lake, mine)["a"].size == len("yours")


def test_a_folder_pulled_alone_is_pushed_on_top_of_its_own_base(lake, make_folder):
    whole, part = make_folder("whole", {"in/a": "1", "out/b": "2"}), make_folder("part")
    push(whole, lake)
    pull(part, lake, directory="in")
    write_files(part.root, {"in/a": "22"})
    assert push(part, lake, scope=Scope("in")).version == 2
    write_files(part.root, {"out/b": "not pulled, so not mine to replace"})
    with pytest.raises(ConflictError):
        push(part, lake, scope=Scope("out"))


def test_eight_people_push_at_once_without_an_error(served, make_folder):
    folders = [make_folder(f"user{number}", {f"{number}/a": "x" * number}) for number in range(1, 9)]
    lakes = [Lake(served.url, Basic("ada", "correct horse")) for _ in folders]
    for lake in lakes[:1]:
        lake.create_data_set(folders[0].reference)
    errors = []

    def work(folder, lake, number):
        try:
            for size in (1, 2):
                write_files(folder.root, {f"{number}/a": "y" * (size + 10 * number)})
                push(folder, lake, jobs=1)
        except BaseException as error:
            errors.append(error)

    threads = [
        threading.Thread(target=work, args=(folder, lake, number))
        for number, (folder, lake) in enumerate(zip(folders, lakes, strict=True), 1)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    assert [entry.size for entry in manifest(lakes[0], folders[0]).values()] == [12, 22, 32, 42, 52, 62, 72, 82]
    for lake in lakes:
        lake.close()


# broken off


def interrupted(folder, lake, monkeypatch, where):
    """Push, and be interrupted where a function of `verbs.push` or a method of the index would be called."""

    def stop(*arguments, **options):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(*where, stop)
        with pytest.raises(KeyboardInterrupt):
            push(folder, lake)


def test_an_interrupted_push_resumes_and_sends_nothing_twice(lake, make_folder, monkeypatch):
    folder = make_folder("set", {"a": "1", "large": LARGE})
    interrupted(folder, lake, monkeypatch, (push_module._Push, "_check_unchanged"))
    assert journal(folder) is not None
    report = push(folder, lake)
    assert (report.resumed, report.version, report.sent) == (True, 1, Totals(0, 0))
    assert report.present == Totals(2, 700_001)
    assert journal(folder) is None


def test_files_are_not_hashed_twice(lake, make_folder, monkeypatch):
    folder = make_folder("set", {"a": "1", "large": LARGE})
    interrupted(folder, lake, monkeypatch, (push_module._Push, "_check_unchanged"))
    monkeypatch.setattr("ebulk.verbs.hashing.measure", None)
    assert push(folder, lake).version == 1


def test_a_push_killed_after_the_commit_is_known_as_done(lake, make_folder, monkeypatch):
    folder = make_folder("set", {"a": "1"})
    interrupted(folder, lake, monkeypatch, (Index, "commit_push"))
    assert lake.data_set(folder.reference).version == 1
    write_files(folder.root, {"b": "2"})
    report = push(folder, lake)
    assert (report.version, report.new, report.unchanged) == (2, 1, 1)
    assert journal(folder) is None


def test_what_changed_back_before_the_resumption_is_not_pushed(lake, make_folder, monkeypatch):
    folder = make_folder("set", {"base": "1", "removed": "2"})
    push(folder, lake)
    write_files(folder.root, {"base": "changed", "new": "3", "stays": "4"})
    (folder.root / "removed").unlink()
    interrupted(folder, lake, monkeypatch, (push_module._Push, "_check_unchanged"))
    write_files(folder.root, {"base": "1", "removed": "2"})
    (folder.root / "new").unlink()
    report = push(folder, lake)
    assert (report.new, report.modified, report.removed) == (1, 0, 0)
    files = manifest(lake, folder)
    assert {path: entry.size for path, entry in files.items()} == {"base": 1, "removed": 1, "stays": 1}
    (newest, _) = lake.versions(folder.reference)
    assert (newest.added, newest.modified, newest.removed) == (1, 0, 0)


def test_a_push_that_has_become_none_is_given_up(lake, make_folder, monkeypatch):
    folder = make_folder("set", {"base": "1"})
    push(folder, lake)
    write_files(folder.root, {"new": "2"})
    interrupted(folder, lake, monkeypatch, (push_module._Push, "_check_unchanged"))
    begun = journal(folder).ingestion
    (folder.root / "new").unlink()
    assert not push(folder, lake).changed
    assert journal(folder) is None
    assert lake.ingestion(folder.reference, begun).state == "cancelled"


def test_a_push_of_another_folder_waits_for_the_one_that_was_broken_off(lake, make_folder, monkeypatch):
    folder = make_folder("set", {"in/a": "1", "b": "2"})
    interrupted(folder, lake, monkeypatch, (push_module._Push, "_check_unchanged"))
    with pytest.raises(EbulkError) as caught:
        push(folder, lake, scope=Scope("in"))
    assert str(caught.value) == "A push of the whole data set was broken off and is not finished."
    assert caught.value.hint == "Finish it by the same command as then, or give up what it has sent by --restart."
    assert push(folder, lake, scope=Scope("in"), restart=True).new == 1
    assert list(manifest(lake, folder)) == ["in/a"]


def test_a_push_goes_on_after_a_pull(lake, make_folder, monkeypatch):
    mine, yours = make_folder("mine", {"a": "1"}), make_folder("yours")
    push(mine, lake)
    pull(yours, lake)
    write_files(mine.root, {"large": LARGE})
    interrupted(mine, lake, monkeypatch, (push_module._Push, "_check_unchanged"))
    write_files(yours.root, {"a": "22"})
    push(yours, lake)
    pull(mine, lake)
    write_files(mine.root, {"a": "333"})
    report = push(mine, lake)
    assert report.version == 3
    assert {path: entry.size for path, entry in manifest(lake, mine).items()} == {"a": 3, "large": 700_000}


def test_an_expired_push_starts_anew(lake, make_folder, monkeypatch):
    folder = make_folder("set", {"a": "1"})
    interrupted(folder, lake, monkeypatch, (push_module._Push, "_check_unchanged"))
    lake.cancel(lake.ingestion(folder.reference, journal(folder).ingestion))
    report = push(folder, lake)
    assert (report.version, report.resumed) == (1, False)


# who may


def test_who_may_not_push_is_told_so(served, make_folder):
    lake = Lake(served.url, Basic("dora", "correct horse"))
    with pytest.raises(NotAuthorisedError):
        push(make_folder("set", {"a": "1"}), lake)


def test_a_second_push_in_the_same_folder_is_refused(lake, make_folder):
    folder = make_folder("set", {"a": "1"})
    holder = subprocess.Popen(
        ["flock", folder.control / "lock", "sh", "-c", "echo held; cat"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert holder.stdout.readline() == "held\n"
    with pytest.raises(EbulkError, match="is at work in this data set folder"):
        push(folder, lake)
    holder.communicate()
    assert push(folder, lake).new == 1
