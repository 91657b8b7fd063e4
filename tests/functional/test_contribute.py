"""Contributing to a data set, as two users do it who know git: by commands, through a server, from the first change to
a conflict and out of it."""

from __future__ import annotations

import json
import os
import re
from itertools import count

import pytest

from support.folders import read_files, write_files
from support.lake import PASSWORD, served_lake
from support.shell import Shell

SCANS = {
    "labels.csv": "1,healthy\n",
    "notes.txt": "first notes",
    "scans/large.nii": os.urandom(900_000),
    "scans/small.nii": os.urandom(3_000),
    "scans/wrong.nii": "to be removed",
}

numbers = count()


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    with served_lake(tmp_path_factory.mktemp("lake")) as lake:
        for name in ("ada", "bob"):
            lake.add_user(name, "contributor")
        yield lake


def user(home, served, name, reference):
    """A contributor with a home of their own, logged in."""
    home.mkdir()
    shell = Shell(home, reference)
    (home / "password").write_text(PASSWORD + "\n")
    shell.run("login", served.url, "--user", name, "--password-file", "password")
    return shell


@pytest.fixture
def ada(tmp_path, served):
    """She has pushed the folder `set`."""
    ada = user(tmp_path / "ada", served, "ada", f"brain_mri {next(numbers)}")
    write_files(ada.home / "set", SCANS)
    ada.run("init", "set", "--reference", ada.reference)
    ada.run("push", "set", "-m", "first scans")
    return ada


@pytest.fixture
def bob(tmp_path, served, ada):
    """He has cloned it into `set`."""
    bob = user(tmp_path / "bob", served, "bob", ada.reference)
    bob.run("clone", bob.reference, "set")
    return bob


def lines(shell, *arguments):
    return shell.run(*arguments, folder="set")[0].splitlines()


def documents(shell, *arguments):
    return [json.loads(line) for line in lines(shell, *arguments, "--json")]


def change(shell):
    """Copy a file in, rename one, edit one, delete one."""
    write_files(shell.home / "set", {"scans/march.nii": "new scan", "labels.csv": "1,healthy\n2,ill\n"})
    (shell.home / "set/scans/large.nii").rename(shell.home / "set/scans/subject 1.nii")
    (shell.home / "set/scans/wrong.nii").unlink()


def test_a_session_from_the_first_change_to_the_colleagues_copy(ada, bob):
    change(ada)
    assert lines(ada, "status")[1:] == [
        "Not staged (`ebulk add PATH…` stages it, `ebulk push --all` sends all of it):",
        "  new       scans/march.nii",
        "  modified  labels.csv",
        "  removed   scans/wrong.nii",
        "  renamed   scans/large.nii -> scans/subject 1.nii",
    ]
    assert ada.fail("push", folder="set", code=1) == [
        "ebulk: Nothing was pushed: there are changes, and nothing is staged.",
        "       `ebulk add PATH…` stages what the next push is to send; `ebulk push --all` sends all that has changed.",
    ]
    assert lines(ada, "add", "scans") == ["2 files staged, 2 removals staged; staged now: 4 paths."]
    assert lines(ada, "add", "*.csv") == ["1 file staged; staged now: 5 paths."]
    assert lines(ada, "remove", "notes.txt") == ["1 removal staged; staged now: 6 paths."]
    assert lines(ada, "reset", "labels.csv") == ["1 path unstaged; staged now: 5 paths."]
    assert lines(ada, "status")[1:] == [
        "Staged (`ebulk push` sends it, `ebulk reset` unstages it):",
        "  new       scans/march.nii",
        "  removed   notes.txt",
        "  removed   scans/wrong.nii",
        "  renamed   scans/large.nii -> scans/subject 1.nii",
        "Not staged (`ebulk add PATH…` stages it):",
        "  modified  labels.csv",
    ]
    (report,) = documents(ada, "push", "-m", "scans of March")
    counts = {name: report[name] for name in ("version", "new", "renamed", "modified", "removed", "unstaged")}
    assert counts == {"version": 2, "new": 2, "renamed": 1, "modified": 0, "removed": 3, "unstaged": 1}
    assert report["sent"] == {"files": 1, "size": len("new scan")}  # the renamed file costs nothing
    assert report["present"] == {"files": 1, "size": 900_000}

    bob.run("pull", folder="set")
    assert read_files(bob.home / "set") == {
        "labels.csv": SCANS["labels.csv"],
        "scans/march.nii": "new scan",
        "scans/small.nii": SCANS["scans/small.nii"],
        "scans/subject 1.nii": SCANS["scans/large.nii"],
    }
    newest, *rest = lines(bob, "log", "-n", "1")
    assert newest.startswith("version 2  ")
    assert newest.endswith("  ada")
    assert rest == [
        "  2 new, 0 modified, 3 removed; 4 files with 881.9 KiB",
        "  scans of March",
    ]
    assert [line.split("|") for line in lines(bob, "diff", "--stat", "1", "2")][:-1] == [
        [" notes.txt                              ", " 11 bytes -> 0 bytes"],
        [" scans/march.nii                        ", " 0 bytes -> 8 bytes"],
        [" scans/large.nii => scans/subject 1.nii ", " 878.9 KiB"],
        [" scans/wrong.nii                        ", " 13 bytes -> 0 bytes"],
    ]
    assert lines(bob, "diff", "1")[-1] == " 4 files changed (1 new, 2 removed, 1 renamed), +8 bytes, -24 bytes"

    assert documents(ada, "status")[0] == {"kind": "modified", "path": "labels.csv", "staged": False}
    assert lines(ada, "push", "--all")[0] == f"Pushed '{ada.reference}': version 3"
    assert lines(ada, "status")[1:] == ["Nothing changed since then."]
    assert lines(ada, "push")[0].startswith("Nothing to push: ")


def test_one_folder_is_pushed_without_staging(ada, bob):
    write_files(ada.home / "set", {"new_mri/1.nii": "1", "new_mri/2.nii": "2", "labels.csv": "later"})
    (report,) = documents(ada, "push", "--directory", "new_mri/")
    assert (report["new"], report["modified"]) == (2, 0)
    assert documents(ada, "status")[0] == {"kind": "modified", "path": "labels.csv", "staged": False}


def test_changes_of_two_people_to_different_files_merge(ada, bob):
    write_files(ada.home / "set", {"notes.txt": "ada's notes"})
    write_files(bob.home / "set", {"labels.csv": "bob's labels"})
    ada.run("push", "--all", folder="set")
    bob.run("add", "labels.csv", folder="set")
    assert lines(bob, "push")[-1] == "  Somebody else pushed since your last pull: `ebulk pull` gets it."
    for shell in (ada, bob):
        shell.run("pull", folder="set")
        assert read_files(shell.home / "set") == {**SCANS, "notes.txt": "ada's notes", "labels.csv": "bob's labels"}


def test_changes_of_two_people_to_the_same_file_are_a_conflict_that_names_both_and_the_ways_out(ada, bob):
    write_files(bob.home / "set", {"labels.csv": "bob's labels", "scans/small.nii": "bob's scan"})
    (bob.home / "set/notes.txt").unlink()
    bob.run("push", "--all", "-m", "bob's view", folder="set")
    write_files(ada.home / "set", {"labels.csv": "ada's labels", "notes.txt": "ada's notes", "other": "fine"})
    ada.run("add", ".", folder="set")
    message, hint = ada.fail("push", folder="set", code=5)
    by_bob = r"version 2 \(by 'bob', \d{4}-\d\d-\d\dT[0-9:]+Z, \"bob's view\"\)"
    assert re.fullmatch(
        rf"ebulk: Nothing was pushed: you modified 'labels\.csv', and {by_bob} modified it;"
        rf" you modified 'notes\.txt', and {by_bob} removed it\.",
        message,
    )
    assert hint == (
        "       To keep yours, move it aside, `ebulk pull`, and put back what should stay; to take theirs, `ebulk pull"
        " --discard-changes`. Then push again."
    )
    assert read_files(ada.home / "set")["labels.csv"] == "ada's labels"

    (ada.home / "set/labels.csv").rename(ada.home / "labels.mine")
    (ada.home / "set/notes.txt").unlink()
    ada.run("pull", folder="set")
    assert read_files(ada.home / "set")["labels.csv"] == "bob's labels"
    (ada.home / "labels.mine").rename(ada.home / "set/labels.csv")
    ada.run("reset", "notes.txt", folder="set")
    (report,) = documents(ada, "push", "-m", "ada's view")
    assert (report["version"], report["modified"], report["new"], report["resumed"]) == (3, 1, 1, True)
    bob.run("pull", folder="set")
    assert read_files(bob.home / "set") == read_files(ada.home / "set")
    assert read_files(bob.home / "set")["labels.csv"] == "ada's labels"


def test_theirs_are_taken_by_discarding_changes(ada, bob):
    write_files(bob.home / "set", {"labels.csv": "bob's labels"})
    bob.run("push", "--all", folder="set")
    write_files(ada.home / "set", {"labels.csv": "ada's labels", "other": "fine"})
    ada.run("add", ".", folder="set")
    ada.fail("push", folder="set", code=5)
    ada.run("pull", "--discard-changes", folder="set")
    (report,) = documents(ada, "push")
    assert (report["version"], report["modified"], report["new"]) == (3, 0, 1)
    assert read_files(ada.home / "set")["labels.csv"] == "bob's labels"


def test_paths_are_those_of_the_working_directory_or_lead_into_a_data_set(ada):
    write_files(ada.home / "set", {"scans/new": "x", "top": "y"})
    assert ada.run("add", ".", folder="set/scans")[0] == "1 file staged; staged now: 1 path.\n"
    assert ada.run("add", "set/to*")[0] == "1 file staged; staged now: 2 paths.\n"
    assert ada.run("reset", folder="set/scans")[0] == "2 paths unstaged; staged now: nothing.\n"
    assert ada.run("add", "set/top", "--json")[0] == (
        '{"staged_files": 1, "staged_removals": 0, "unstaged": 0, "staged": 1}\n'
    )
    assert ada.fail("add", "../password", folder="set", code=2) == [
        f"ebulk: '../password' is outside of the data set folder '{ada.home}/set'.",
        "       Name files and folders within it; nothing was done.",
    ]
    assert ada.fail("add", "nothing", folder="set", code=1) == [
        "ebulk: There is nothing at 'nothing'.",
        "       Nothing was done. `ebulk status` names what has changed.",
    ]
    assert ada.fail("add", folder="set", code=2) == [
        "ebulk: Which paths?",
        "       `ebulk add .` stages all that changed in this folder, `ebulk add --all` in the data set.",
    ]
    assert ada.fail("add", "set/top", folder="..", code=1)[0] == "ebulk: This folder is not in a data set folder."
    assert ada.run("add", "--all", folder="set/scans")[0] == "2 files staged; staged now: 2 paths.\n"


def test_a_new_folder_with_many_files_is_one_line(ada):
    write_files(ada.home / "set", {f"results/{number:04}": "" for number in range(1200)})
    assert lines(ada, "status")[2:] == ["  new       results/ (1,200 files)"]
    assert len(documents(ada, "status")) == 1201


def test_this_folder_is_compared_with_its_version(ada):
    change(ada)
    (ada.home / "set/scans/small.nii").chmod(0o755)
    assert lines(ada, "diff") == [
        "modified  labels.csv (10 bytes -> 16 bytes)",
        "new       scans/march.nii (8 bytes)",
        "mode      scans/small.nii (100644 -> 100755)",
        "renamed   scans/large.nii -> scans/subject 1.nii (878.9 KiB)",
        "removed   scans/wrong.nii (13 bytes)",
        " 5 files changed (1 new, 1 modified, 1 mode, 1 removed, 1 renamed), +24 bytes, -23 bytes",
    ]
    assert documents(ada, "diff")[3] == {
        "kind": "renamed",
        "path": "scans/subject 1.nii",
        "source": "scans/large.nii",
        "old_size": 900_000,
        "old_mode": "100644",
        "new_size": 900_000,
        "new_mode": "100644",
    }


def test_what_is_no_difference_of_versions_is_refused(ada):
    assert ada.fail("diff", "1", "2", "3", folder="set", code=2) == [
        "ebulk: A difference is between two versions.",
        "       `ebulk diff FOLDER V1 V2` names them.",
    ]
    for words in (".", "0"), ("0",), (".", "1", "0"):
        assert ada.fail("diff", *words, folder="set", code=2) == [
            "ebulk: '0' is no version.",
            "       Versions are numbers from 1 up; `ebulk log` shows them.",
        ]
    assert "no version 7" in ada.fail("diff", "1", "7", folder="set", code=1)[0]


def test_nothing_differs_between_a_version_and_itself(ada):
    assert lines(ada, "diff") == ["Nothing differs between version 1 and this folder."]
    assert lines(ada, "diff", "1") == ["Nothing differs between version 1 and version 1."]
