import os
import socket
import stat
import unicodedata

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ebulk.local.scan import Problem, Scan
from ebulk.model import EXECUTABLE, REGULAR, SYMLINK
from support.folders import OLD, as_ordinary_user, write_files

DECOMPOSED = unicodedata.normalize("NFD", "é")


def paths(root, directory=""):
    return [found.path for found in Scan(str(root), directory)]


def problems(root, directory=""):
    scan = Scan(str(root), directory)
    list(scan)
    return scan.problems


def test_files_come_in_the_order_of_their_paths(tmp_path):
    files = ["a-b", "a/x", "a/y/z", "a0", "a.txt", "B", "z", "é/1", "日"]
    write_files(tmp_path, dict.fromkeys(files, ""))
    assert paths(tmp_path) == sorted(files)


NAMES = st.text(st.sampled_from("ab-./0é~"), min_size=1, max_size=3).filter(
    lambda name: name.strip("./") and "/" not in name
)


@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.sets(st.lists(NAMES, min_size=1, max_size=3).map("/".join), max_size=8))
def test_the_order_is_that_of_code_points_whatever_the_names(tmp_path_factory, wanted):
    root = tmp_path_factory.mktemp("scan")
    for path in wanted:
        try:
            write_files(root, {path: ""})
        except (FileExistsError, NotADirectoryError, IsADirectoryError):
            continue
    found = paths(root)
    assert found == sorted(found)
    assert len(found) == sum(path.is_file() for path in root.rglob("*"))


def test_a_file_is_described_without_being_opened(tmp_path):
    write_files(tmp_path, {"a": "12345", "run": "x"})
    (tmp_path / "run").chmod(0o755)
    (tmp_path / "a").chmod(0)
    first, second = Scan(str(tmp_path))
    assert (first.path, first.size, first.mtime_ns, first.mode) == ("a", 5, OLD, REGULAR)
    assert second.mode == EXECUTABLE
    assert first.inode == (tmp_path / "a").stat().st_ino


def test_symbolic_links_are_stored_and_not_followed(tmp_path):
    write_files(tmp_path / "outside", {"secret": "x"})
    write_files(
        tmp_path / "set", {"to-file": "-> ../outside/secret", "to-folder": "-> ../outside", "nowhere": "-> gone"}
    )
    found = list(Scan(str(tmp_path / "set")))
    assert [(each.path, each.mode, each.size) for each in found] == [
        ("nowhere", SYMLINK, 4),
        ("to-file", SYMLINK, 17),
        ("to-folder", SYMLINK, 10),
    ]


def test_ebulks_own_folder_is_left_out_and_only_at_the_top(tmp_path):
    write_files(tmp_path, {".ebulk/config": "{}", "a": ""})
    assert paths(tmp_path) == ["a"]
    assert problems(tmp_path) == []


def test_a_data_set_within_the_data_set_is_a_problem(tmp_path):
    write_files(tmp_path, {"sub/.ebulk/config": "{}", "sub/a": ""})
    assert problems(tmp_path) == [Problem("sub/.ebulk", "makes its folder a data set within this one")]


def test_special_files_are_problems(tmp_path, monkeypatch):
    os.mkfifo(tmp_path / "pipe")
    monkeypatch.chdir(tmp_path)
    with socket.socket(socket.AF_UNIX) as unix:
        unix.bind("socket")
    if os.geteuid() == 0:
        os.mknod(tmp_path / "null", stat.S_IFCHR | 0o600, os.makedev(1, 3))
    expected = [Problem("pipe", "is a named pipe"), Problem("socket", "is a socket")]
    if os.geteuid() == 0:
        expected.append(Problem("null", "is a device"))
    assert sorted(problems(tmp_path)) == sorted(expected)


def test_names_go_out_composed_and_stay_as_they_are_on_the_disk(tmp_path):
    write_files(tmp_path, {f"{DECOMPOSED}/{DECOMPOSED}.txt": "x", "plain": ""})
    scan = Scan(str(tmp_path))
    found = list(scan)
    assert [(each.path, each.disk) for each in found] == [
        ("plain", "plain"),
        ("é/é.txt", f"{DECOMPOSED}/{DECOMPOSED}.txt"),
    ]
    assert scan.disk_names == {"é": DECOMPOSED}


def test_two_names_that_look_the_same_are_a_problem(tmp_path):
    write_files(tmp_path, {DECOMPOSED: "x", "é": "y", f"sub/{DECOMPOSED}/a": "", "sub/é/a": ""})
    reason = "is there twice, in two Unicode forms that look the same"
    assert sorted(problems(tmp_path)) == [Problem("sub/é", reason), Problem("é", reason)]


def test_a_name_that_is_no_text_is_a_problem_that_names_it(tmp_path):
    with open(os.fsencode(tmp_path) + b"/caf\xe9", "wb"):
        pass
    assert problems(tmp_path) == [Problem("caf\udce9", "is not valid Unicode")]


@pytest.mark.parametrize(
    ("name", "reason"),
    [("a\\b", "has a backslash"), ("a\nb", "has a control character"), ("C:", "begins with a drive letter")],
)
def test_a_name_that_others_cannot_hold_is_a_problem(tmp_path, name, reason):
    (tmp_path / name).touch()
    assert problems(tmp_path) == [Problem(name, reason)]


def test_a_path_over_the_limit_is_a_problem(tmp_path):
    here = os.open(tmp_path, os.O_RDONLY)
    for _ in range(17):
        os.mkdir("d" * 250, dir_fd=here)
        inner = os.open("d" * 250, os.O_RDONLY, dir_fd=here)
        os.close(here)
        here = inner
    os.close(here)
    (problem,) = problems(tmp_path)
    assert problem.reason in ("is longer than 4096 bytes", "cannot be read: file name too long")


def test_an_unreadable_folder_is_a_problem_that_hides_files(tmp_path):
    write_files(tmp_path, {"open/a": "", "closed/b": ""})
    (tmp_path / "closed").chmod(0)
    with as_ordinary_user(tmp_path):
        scan = Scan(str(tmp_path))
        found = [each.path for each in scan]
        assert scan.problems == [Problem("closed", "cannot be read: permission denied", unread=True)]
        assert found == ["open/a"]
    (tmp_path / "closed").chmod(0o755)


def test_a_subfolder_is_scanned_with_its_full_paths(tmp_path):
    write_files(tmp_path, {"a": "", "sub/b": "", "sub/c/d": "", "sub2/e": ""})
    assert paths(tmp_path, "sub") == ["sub/b", "sub/c/d"]
    assert paths(tmp_path, "sub/c") == ["sub/c/d"]
    assert paths(tmp_path, "gone") == []
    assert problems(tmp_path, "gone") == []


def test_a_subfolder_is_found_under_its_name_on_the_disk(tmp_path):
    write_files(tmp_path, {f"{DECOMPOSED}/a": ""})
    (found,) = Scan(str(tmp_path), "é")
    assert (found.path, found.disk) == ("é/a", f"{DECOMPOSED}/a")


def test_a_subfolder_that_is_a_link_or_a_file_is_a_problem(tmp_path):
    write_files(tmp_path, {"real/a": "", "link": "-> real", "file": ""})
    for name in ("link", "file"):
        assert paths(tmp_path, name) == []
        assert problems(tmp_path, name) == [Problem(name, "is not a folder", unread=True)]
