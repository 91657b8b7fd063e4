"""Names of all kinds go up to a real lake and come down again, by the commands; those that cannot are told."""

from __future__ import annotations

import json
import os
import unicodedata
from collections.abc import Iterator
from itertools import count
from pathlib import Path

import pytest

from support.folders import read_files, write_files
from support.lake import PASSWORD, ServedLake, served_lake
from support.shell import Shell

numbers = count()

DECOMPOSED = unicodedata.normalize("NFD", "Ünïcødé")

NAMES = [
    *(".hidden", ".config/.nested", "dot.", "...", ".ebulk2", "sub/.ebulk.bak"),
    *(" leading", "trailing ", "a  b", "two words/and three words", "\u00a0", "\u3000"),
    *(
        "it's",
        'say "hi"',
        "`id`",
        "$HOME",
        "$(id)",
        "a;b",
        "a&b",
        "a|b",
        "<a>",
        "*",
        "?",
        "[a]",
        "{a,b}",
        "~",
        "!a",
        "#a",
    ),
    *("a%20b", "a+b", "a#b", "a?b=c", "a&b=c", "%", "%2F", "12:30", "@a", "a=b,c"),
    *("-rf", "--help", "-", "--", "-a/--b"),
    *('"}', "null", "\ufeff", "\u2028", "\u200b", "\u202egpj.exe"),
    *("😀", "👩‍🔬/🧠.nii", "🇩🇪", "é😀"),
    *("日本語", "Ελληνικά", "العربية", "ไทย", "한글", "ß", "\u017f", "Å"),
    *("A", "a", "README", "readme", "Dir/x", "dir/x", "İ", "\u0131"),
    *("b-c", "b/c", "b.c", "b0", "b c", "b!"),
    *("n" * 255, "ü" * 127, "😀" * 63, "d" * 255 + "/" + "e" * 255),
    *("con", "nul.txt", "aux", "a.", "C", "desktop.ini"),
]


@pytest.fixture(scope="module")
def served(tmp_path_factory) -> Iterator[ServedLake]:
    with served_lake(tmp_path_factory.mktemp("lake")) as lake:
        lake.add_user("ada", "contributor")
        yield lake


@pytest.fixture
def ada(served, tmp_path) -> Shell:
    """A contributor who is logged in, with a new data set in the folder `mine`."""
    shell = Shell(tmp_path, f"set {next(numbers)}")
    (tmp_path / "password").write_text(PASSWORD + "\n")
    shell.run("login", served.url, "--user", "ada", "--password-file", "password")
    shell.run("init", "mine", "--reference", shell.reference)
    return shell


def go_round(shell: Shell) -> tuple[Path, Path]:
    """Push what is in `mine`, and pull it into `yours`; both folders."""
    shell.run("push", "mine", "--all")
    if (shell.home / "yours").exists():
        shell.run("pull", "yours")
    else:
        shell.run("clone", shell.reference, "yours")
    mine, yours = shell.home / "mine", shell.home / "yours"
    assert modes(yours) == modes(mine)
    assert json.loads(shell.run("status", "yours", "--json")[0].splitlines()[-1])["changed"] is False
    return mine, yours


def modes(root: Path) -> dict[str, tuple[bool, bool, bool]]:
    """Of all in a folder, whether it is a link, a folder, and executable."""
    return {
        path.relative_to(root).as_posix(): (path.is_symlink(), path.is_dir(), os.access(path, os.X_OK))
        for path in root.rglob("*")
        if ".ebulk" not in path.relative_to(root).parts
    }


def test_names_come_back_as_they_were(ada):
    files = {name: f"this is {name}" for name in NAMES}
    write_files(ada.home / "mine", files)
    _, yours = go_round(ada)
    assert read_files(yours) == files


def test_decomposed_names_are_composed_elsewhere_and_stay_here(ada):
    write_files(ada.home / "mine", {f"{DECOMPOSED}/{DECOMPOSED}.txt": "1"})
    ada.run("push", "mine")
    ada.run("clone", ada.reference, "yours")
    assert read_files(ada.home / "yours") == {"Ünïcødé/Ünïcødé.txt": "1"}
    write_files(ada.home / "yours", {"Ünïcødé/Ünïcødé.txt": "22", "Ünïcødé/new": "3"})
    ada.run("push", "yours", "--all")
    ada.run("pull", "mine")
    assert read_files(ada.home / "mine") == {f"{DECOMPOSED}/{DECOMPOSED}.txt": "22", f"{DECOMPOSED}/new": "3"}


def test_two_forms_of_a_name_in_one_folder_are_told_and_one_of_them_can_be_left_out(ada):
    write_files(ada.home / "mine", {DECOMPOSED: "1", "Ünïcødé": "2", "a": "3"})
    reason = "is there twice, in two Unicode forms that look the same"
    assert ada.fail("push", "mine", code=1)[0] == f"ebulk: Nothing was pushed: 'Ünïcødé' {reason}."
    assert f"  problem   'Ünïcødé' {reason}" in ada.run("status", "mine")[0].splitlines()
    ada.run("push", "mine", "--exclude", "Ünïcødé")
    ada.run("clone", ada.reference, "yours")
    assert read_files(ada.home / "yours") == {"a": "3"}


def test_a_file_and_a_folder_are_renamed_to_another_case(ada):
    write_files(ada.home / "mine", {"A": "1", "Dir/x": "2", "same": "3"})
    mine, yours = go_round(ada)
    (mine / "A").rename(mine / "a")
    (mine / "Dir").rename(mine / "dir")
    go_round(ada)
    assert read_files(yours) == {"a": "1", "dir/x": "2", "same": "3"}


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        (b"a\nb", r"'a\nb' has a control character"),
        (b"tab\t", r"'tab\t' has a control character"),
        (b"a\\b", r"'a\\b' has a backslash"),
        (b"caf\xe9", r"'caf\udce9' is not valid Unicode"),
        (b"c:", "'c:' begins with a drive letter"),
    ],
)
def test_names_that_no_data_set_may_hold_are_told(ada, name, problem):
    mine = ada.home / "mine"
    (mine / os.fsdecode(name)).write_text("x")
    write_files(mine, {"fine": "y"})
    assert ada.fail("push", "mine", code=1)[0] == f"ebulk: Nothing was pushed: {problem}."
    assert f"  problem   {problem}" in ada.run("status", "mine")[0].splitlines()
    (mine / ".ebulkignore").write_text("/*\n!/fine\n")
    ada.run("push", "mine")
    ada.run("clone", ada.reference, "yours")
    assert read_files(ada.home / "yours") == {"fine": "y"}


def test_empty_files_empty_folders_and_links_come_back_and_change_into_each_other(ada):
    root = ada.home / "mine"
    write_files(root, {"empty": "", "sub/empty": "", "link": "-> sub/empty", "loop": "-> loop", "gone": "-> no/where"})
    for folder in ("e", "deep/er/est", "sub/ü"):
        (root / folder).mkdir(parents=True)
    mine, yours = go_round(ada)
    assert read_files(yours) == read_files(mine)
    assert (yours / "deep/er/est").is_dir()
    (mine / "e").rmdir()
    (mine / "link").unlink()
    (mine / "empty").unlink()
    (mine / "gone").unlink()
    write_files(mine, {"e": "", "gone": "now a file", "empty": "-> e"})
    (mine / "link").mkdir()
    go_round(ada)
    assert read_files(yours) == read_files(mine)


def test_the_executable_bit_comes_and_goes(ada):
    write_files(ada.home / "mine", {"run": "x", "data": "y"})
    (ada.home / "mine/run").chmod(0o755)
    mine, yours = go_round(ada)
    (mine / "run").chmod(0o644)
    (mine / "data").chmod(0o755)
    report = json.loads(ada.run("push", "mine", "--all", "--json")[0].splitlines()[-1])
    assert (report["modified"], report["sent"]["files"]) == (2, 0)
    report = json.loads(ada.run("pull", "yours", "--json")[0].splitlines()[-1])
    assert (report["modified"], report["received"]["files"]) == (2, 0)
    assert modes(yours) == modes(mine) == {"run": (False, False, False), "data": (False, False, True)}


def test_twenty_thousand_files_in_one_folder(ada):
    files = {f"many/{number:05}": str(number) for number in range(20_000)}
    write_files(ada.home / "mine", files)
    ada.run("push", "mine")
    ada.run("clone", ada.reference, "yours")
    with os.scandir(ada.home / "yours/many") as found:
        assert {f"many/{entry.name}": Path(entry).read_text() for entry in found} == files


def test_a_path_near_the_limit_comes_back(ada):
    """4,096 bytes are the most for the system, the folder's own path included; so the files are made from within."""
    depth = (3_900 - len(str(ada.home))) // 100
    path = "/".join(["d" * 99] * depth) + "/" + "f" * 90
    write_files(ada.home / "mine", {path: "deep"})
    _, yours = go_round(ada)
    assert (yours / path).read_text() == "deep"
    (ada.home / "mine" / path).unlink()
    go_round(ada)
    assert (yours / path).parent.is_dir()


def test_a_folder_is_named_with_a_slash_in_status(ada):
    (ada.home / "mine/new folder").mkdir()
    assert "  new       new folder/" in ada.run("status", "mine")[0].splitlines()
    lines = [json.loads(line) for line in ada.run("status", "mine", "--json")[0].splitlines()]
    assert lines[0]["path"] == "new folder/"
