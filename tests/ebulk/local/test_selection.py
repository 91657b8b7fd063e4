from pathlib import Path

import pytest

from ebulk.errors import UsageError
from ebulk.local.selection import Selection, leading_part

ROOT = Path("/data/set")
PATHS = ("a.csv", "a[1].csv", "sub/b.csv", "sub/deep/c.csv", "sub/deep/d.txt", "sub-x/e.txt", "été/f")


def chosen(*words, here="/data/set"):
    selection = Selection(ROOT, Path(here), words)
    return [path for path in PATHS if selection.chooses(path)]


def test_a_file_is_chosen_by_its_path_relative_to_the_working_directory_or_absolute():
    assert chosen("a.csv") == chosen("./a.csv") == chosen("/data/set/a.csv") == ["a.csv"]
    assert chosen("b.csv", here="/data/set/sub") == chosen("../sub/b.csv", here="/data/set/sub") == ["sub/b.csv"]


def test_a_folder_chooses_all_in_it_and_no_folder_that_begins_alike():
    below = ["sub/b.csv", "sub/deep/c.csv", "sub/deep/d.txt"]
    assert chosen("sub") == chosen("sub/") == chosen("sub//.") == below
    assert chosen(".", here="/data/set/sub") == below
    assert chosen(".") == chosen("..", here="/data/set/sub") == list(PATHS)


def test_a_pattern_matches_slashes_too_and_only_below_the_working_directory():
    assert chosen("*.csv") == ["a.csv", "a[1].csv", "sub/b.csv", "sub/deep/c.csv"]
    assert chosen("*.csv", here="/data/set/sub") == ["sub/b.csv", "sub/deep/c.csv"]
    assert chosen("sub/?.csv") == ["sub/b.csv"]
    assert chosen("*[ef]*") == ["sub/deep/c.csv", "sub/deep/d.txt", "sub-x/e.txt", "été/f"]


def test_a_name_that_looks_like_a_pattern_is_chosen_by_itself_as_well():
    assert chosen("a[1].csv") == ["a[1].csv"]
    assert chosen(r"a\[1\].csv") == ["a[1].csv"]


def test_names_are_compared_in_their_composed_form():
    assert chosen("e\u0301te\u0301") == ["été/f"]


def test_words_that_choose_nothing_are_known():
    selection = Selection(ROOT, ROOT, ["sub", "*.png", "nothing", "*.csv", "."])
    for path in PATHS:
        selection.chooses(path)
    assert selection.missed() == ["*.png", "nothing"]
    assert selection.folders == {"sub", "."}


def test_only_the_outermost_places_are_looked_below():
    assert Selection(ROOT, ROOT, ["sub/deep", "sub-x", "sub", "a.csv"]).starts == ("a.csv", "sub-x", "sub")
    assert Selection(ROOT, ROOT, ["sub/dee*/x", "sub/deep/c"]).starts == ("sub",)
    assert Selection(ROOT, ROOT, ["*.csv", "sub"]).starts == ("",)


def test_a_path_that_leads_into_the_data_set_by_a_link_is_within_it(tmp_path):
    (tmp_path / "set").mkdir()
    (tmp_path / "link").symlink_to("set")
    selection = Selection(tmp_path / "set", tmp_path, ["link/a"])
    assert selection.chooses("a")


@pytest.mark.parametrize(
    ("word", "message", "hint"),
    [
        (
            "../other",
            "'../other' is outside of the data set folder '/data/set'.",
            "Name files and folders within it; nothing was done.",
        ),
        (
            "/data/set-2/a",
            "'/data/set-2/a' is outside of the data set folder '/data/set'.",
            "Name files and folders within it; nothing was done.",
        ),
        (
            ".ebulk/config",
            "'.ebulk/config' cannot be in a data set: it is in .ebulk, which ebulk keeps for itself.",
            "Nothing was done.",
        ),
        ("a\nb", r"'a\nb' cannot be in a data set: it has a control character.", "Nothing was done."),
        ("", "An empty path names nothing.", "`.` is this folder with all in it."),
    ],
)
def test_what_cannot_be_in_the_data_set_is_refused(word, message, hint):
    with pytest.raises(UsageError) as caught:
        Selection(ROOT, ROOT, ["a.csv", word])
    assert (str(caught.value), caught.value.hint) == (message, hint)


def test_the_part_before_a_pattern_says_where_the_data_set_is():
    assert [leading_part(word) for word in ("set/*.csv", "set/a.csv", "*", "set/s?b/x")] == [
        "set",
        "set/a.csv",
        "",
        "set",
    ]
