"""`--include`, `--exclude` and `.ebulkignore` as they are written on the command line."""

import pytest

from support.folders import read_files, write_files
from support.lake import PASSWORD
from support.shell import Shell

FILES = {"notes.txt": "n", "raw/1.nii": "r1", "raw/2.nii": "r2", "scans/1.nii": "s1", "scans/link": "-> /etc/passwd"}


@pytest.fixture
def ada(tmp_path, request, served):
    """A shell that is logged in as ada, with FILES in the folder `set` of a data set named after the test."""
    shell = Shell(tmp_path, request.node.name)
    (tmp_path / "password").write_text(PASSWORD + "\n")
    shell.run("login", served.url, "--user", "ada", "--password-file", "password")
    write_files(tmp_path / "set", FILES)
    shell.run("init", "set", "--reference", shell.reference)
    return shell


def test_files_are_left_out_of_push_clone_pull_and_status(ada):
    output, errors = ada.run("push", "set", "--exclude", "raw/", "--exclude", "link")
    assert output.splitlines()[-1] == "  left out, as you asked: 3 changes"
    assert errors == ""
    ada.run("clone", ada.reference, "copy", "--include", "*.nii", "--exclude", "/raw/")
    assert read_files(ada.home / "copy") == {"scans/1.nii": "s1"}
    output, _ = ada.run("pull", "copy", "--exclude", "*.nii")
    assert output.splitlines()[-1] == "  left out, as you asked: 1 file"
    assert read_files(ada.home / "copy") == {"notes.txt": "n", "scans/1.nii": "s1"}
    output, _ = ada.run("status", "set", "--include", "*.nii")
    assert output.splitlines()[2:] == ["  new       raw/1.nii", "  new       raw/2.nii"]


def test_a_link_that_leads_out_is_told_and_its_way_out_works(ada):
    _, errors = ada.run("push", "set")
    assert "Pushed as they are, though they lead out of the data set: 'scans/link' (to '/etc/passwd')." in errors
    line, hint = ada.fail("clone", ada.reference, "copy", code=1)
    assert line == (
        "ebulk: Nothing was pulled: a symbolic link leads out of the data set, which is not safe:"
        " 'scans/link' (to '/etc/passwd')."
    )
    assert hint == "       Leave out what you do not trust by --exclude, such as --exclude '/scans/link'."
    ada.run("pull", "copy", "--exclude", "/scans/link")
    assert read_files(ada.home / "copy") == {path: FILES[path] for path in FILES if path != "scans/link"}


def test_what_is_ignored_is_not_pushed_and_a_bad_file_is_named(ada):
    write_files(ada.home / "set", {".ebulkignore": "raw\n*link\n"})
    ada.run("push", "set")
    ada.run("clone", ada.reference, "copy")
    assert set(read_files(ada.home / "copy")) == {".ebulkignore", "notes.txt", "scans/1.nii"}
    write_files(ada.home / "set", {"scans/.ebulkignore": "fine\n!\n"})
    for command in ("status", "push"):
        line, hint = ada.fail(command, "set", code=1)
        assert line == "ebulk: 'scans/.ebulkignore' has the line 2, '!', which is no pattern."
        assert hint.startswith("       It holds patterns as .gitignore does, one a line;")


@pytest.mark.parametrize("command", ["push", "pull", "status"])
def test_what_is_no_pattern_is_exit_code_2(ada, command):
    assert ada.fail(command, "set", "--exclude", "#", code=2) == [
        "ebulk: --exclude '#' is no pattern.",
        "       Patterns are those of .gitignore: *.nii, /notes.txt, scans/.",
    ]
