import os
import random
import shutil
import subprocess

import pytest

from ebulk.errors import EbulkError
from ebulk.local.index import Index, Staged, known_from
from ebulk.local.scan import Scan
from support.folders import as_ordinary_user, write_files


class Holding:
    """A data set that has these paths."""

    def __init__(self, *paths):
        self._paths = paths

    def holds(self, path):
        return path in self._paths

    def holds_below(self, folder):
        return any(path.startswith(f"{folder}/") for path in self._paths)


def scan(root, *known, directory=""):
    found = Scan(str(root), directory, Holding(*known))
    return [each.path for each in found], found.problems


def paths(root, *known, directory=""):
    return scan(root, *known, directory=directory)[0]


def test_what_an_ignore_file_names_is_left_out_and_it_is_a_file_itself(tmp_path):
    files = {".ebulkignore": "*.tmp\n/build/\n# a comment\n", "a": "", "a.tmp": "", "build/x": "", "sub/build/y": ""}
    write_files(tmp_path, files)
    assert paths(tmp_path) == [".ebulkignore", "a", "sub/build/y"]


def test_without_a_data_set_nothing_is_ignored(tmp_path):
    write_files(tmp_path, {".ebulkignore": "*", "a": ""})
    assert [each.path for each in Scan(str(tmp_path))] == [".ebulkignore", "a"]
    assert paths(tmp_path) == []


def test_what_is_in_the_data_set_is_not_ignored(tmp_path):
    write_files(
        tmp_path,
        {
            ".ebulkignore": "*.log\nout\n",
            "a.log": "",
            "b.log": "",
            "out/deep/known": "",
            "out/deep/new": "",
            "out/x": "",
        },
    )
    (tmp_path / "out/empty").mkdir()
    known = ("b.log", "out/deep/known", "out/empty")
    assert paths(tmp_path, *known) == [".ebulkignore", "b.log", "out/deep/known", "out/empty"]


def test_the_index_knows_what_is_in_the_data_set_or_staged(tmp_path):
    write_files(tmp_path, {"f": ""})
    (found,) = Scan(str(tmp_path))
    with Index(tmp_path / "index.db") as index:
        index.update([known_from(found._replace(path="a/b"), bytes(32), 0, settled=True)])
        index.stage([Staged("c/d", "c/d", False), Staged("gone/e", "gone/e", True)])
        assert [path for path in ("a", "a/b", "c/d", "gone/e", "x") if index.holds(path)] == ["a/b", "c/d"]
        assert [path for path in ("a", "a/b", "c", "gone", "x") if index.holds_below(path)] == ["a", "c"]


def test_problems_of_what_is_ignored_are_none(tmp_path):
    write_files(tmp_path, {".ebulkignore": "pipe\nsub/\n", "sub/a": ""})
    os.mkfifo(tmp_path / "pipe")
    os.mkfifo(tmp_path / "sub/pipe")
    assert scan(tmp_path) == ([".ebulkignore"], [])


def test_a_folder_whose_files_are_all_ignored_is_not_empty(tmp_path):
    write_files(tmp_path, {".ebulkignore": "*.log\n", "logs/a.log": ""})
    assert paths(tmp_path) == [".ebulkignore"]


def test_rules_hold_where_the_scan_begins_in_a_subfolder(tmp_path):
    write_files(
        tmp_path,
        {
            ".ebulkignore": "*.log\n/a/out/\n",
            "a/.ebulkignore": "!keep.log\n",
            "a/keep.log": "",
            "a/x.log": "",
            "a/out/b": "",
        },
    )
    assert paths(tmp_path, directory="a") == ["a/.ebulkignore", "a/keep.log"]
    assert paths(tmp_path, directory="a/out") == []
    assert paths(tmp_path, "a/out/b", directory="a/out") == ["a/out/b"]


def test_patterns_and_names_are_compared_whatever_their_unicode_form(tmp_path):
    write_files(tmp_path, {".ebulkignore": "e\u0301\n", "é": "", "sub/e\u0301": "", "e": ""})
    assert paths(tmp_path) == [".ebulkignore", "e"]


def test_windows_line_ends_and_a_byte_order_mark_are_no_part_of_a_pattern(tmp_path):
    write_files(tmp_path, {".ebulkignore": "\ufeffa\r\nb\r\n", "a": "", "b": "", "c": ""})
    assert paths(tmp_path) == [".ebulkignore", "c"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("fine\n!\n", "'sub/.ebulkignore' has the line 2, '!', which is no pattern."),
        (b"caf\xe9\n", "'sub/.ebulkignore' is no text in UTF-8."),
        ("x" * (1 << 20) + "\n", "'sub/.ebulkignore' is longer than 1,048,576 bytes."),
        ("-> a", "'sub/.ebulkignore' is a symbolic link."),
    ],
)
def test_a_file_that_makes_no_sense_is_an_error_that_names_it(tmp_path, content, message):
    write_files(tmp_path, {"sub/.ebulkignore": content, "a": ""})
    with pytest.raises(EbulkError) as caught:
        scan(tmp_path)
    assert str(caught.value) == message
    assert caught.value.hint == (
        "It holds patterns as .gitignore does, one a line; put it right or remove it, then try again."
    )


def test_a_file_that_cannot_be_read_is_an_error(tmp_path):
    write_files(tmp_path, {".ebulkignore": "a\n"})
    (tmp_path / ".ebulkignore").chmod(0)
    with as_ordinary_user(tmp_path), pytest.raises(EbulkError) as caught:
        scan(tmp_path)
    assert str(caught.value) == "'.ebulkignore' cannot be read: permission denied."


def test_a_folder_of_that_name_is_an_error(tmp_path):
    write_files(tmp_path, {".ebulkignore/a": ""})
    with pytest.raises(EbulkError, match=r"'\.ebulkignore' cannot be read: is a directory\."):
        scan(tmp_path)


SEGMENTS = ["a", "b", "foo", "x.log", "y.log", "keep", "a b"]
PATTERNS = (
    """
*.log|foo|foo/|/a|a/b|/a/*|!a/|!keep|!/a/b|!x.log|**/b|a/**|a/**/b|*|!*/|/*|!/foo|b/*|!b/x.log|?|[ab]|[!ab]|!foo/|keep/
/foo/*|!foo/keep|# c||a b|\\!x|!a/b/|foo/**|!foo/**/keep|x.*|*/b|!a|!**/b|a*|\\a|keep
""".strip()
    .replace("\n", "|")
    .split("|")
)


@pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed")
@pytest.mark.parametrize("seed", range(30))
def test_the_same_is_ignored_as_by_git(tmp_path, seed):
    chance = random.Random(seed)
    subprocess.run(["git", "init", "-q", tmp_path], check=True)
    folders = {""}
    for _ in range(chance.randint(3, 16)):
        segments = [chance.choice(SEGMENTS) for _ in range(chance.randint(1, 4))]
        try:
            write_files(tmp_path, {"/".join(segments): ""})
        except OSError:  # a file is where a folder should be, or the other way round
            continue
        folders |= {"/".join(segments[:count]) for count in range(1, len(segments))}
    for folder in sorted(folders):
        if not folder or not chance.randrange(3):
            lines = [chance.choice(PATTERNS) for _ in range(chance.randint(1, 4))]
            (tmp_path / folder / ".ebulkignore").write_text("\n".join(lines) + "\n")
    git = ["git", "-C", tmp_path, "ls-files", "-z", "--others", "--exclude-per-directory=.ebulkignore"]
    expected = subprocess.run(git, capture_output=True, text=True, check=True).stdout.split("\0")[:-1]
    assert [path for path in paths(tmp_path) if not path.startswith(".git/")] == sorted(expected)
