import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ebulk.errors import EbulkError, UsageError
from ebulk.local.names import Capacity, check_directory, check_path, check_reference, path_problem, shown


@pytest.mark.parametrize(
    "path",
    [
        "a",
        "a/b.txt",
        "é/ü",
        "…",
        "a b",
        "ab:c",
        "sub/.ebulk",
        ".ebulk2",
        "日本/語",
        "x" * 255,
        "C",
        "-rf",
        "a/..b",
        "🙂" * 63,
    ],
)
def test_a_path_that_stays_within_the_folder_is_allowed(path):
    assert check_path(path) == path


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("", "is empty"),
        ("/etc/passwd", "is absolute"),
        ("../x", "has the segment '..'"),
        ("a/../../x", "has the segment '..'"),
        ("a//b", "has the segment ''"),
        ("a/", "has the segment ''"),
        ("./a", "has the segment '.'"),
        ("C:/x", "begins with a drive letter"),
        ("c:x", "begins with a drive letter"),
        ("a\\b", "has a backslash"),
        ("a\0b", "has a control character"),
        ("a\nb", "has a control character"),
        ("a\x7f", "has a control character"),
        ("a\x85b", "has a control character"),
        ("a\ud800", "is not valid Unicode"),
        ("e\u0301", "is not in Unicode normal form C"),
        (".ebulk/config", "is in .ebulk, which ebulk keeps for itself"),
        (".ebulk", "is in .ebulk, which ebulk keeps for itself"),
        ("x" * 256, "has a name longer than 255 bytes"),
        ("é" * 128, "has a name longer than 255 bytes"),
        ("x/" * 2500 + "y", "is longer than 4096 bytes"),
        ("n" * 5000, "is longer than 4096 bytes"),
    ],
)
def test_a_hostile_path_is_refused_with_its_reason(path, reason):
    assert path_problem(path) == reason
    with pytest.raises(EbulkError) as caught:
        check_path(path)
    assert str(caught.value) == f"The lake has a file {shown(path)} that cannot be written here: it {reason}."
    assert caught.value.exit_code == 1
    assert "\n" not in str(caught.value)


@given(st.text())
def test_whatever_is_allowed_stays_below_the_folder(path):
    if path_problem(path) is None:
        joined = os.path.normpath(os.path.join("/folder", path))
        assert joined == f"/folder/{path}"
        os.fsencode(path)


def test_a_long_name_is_shown_short():
    assert len(shown("x" * 5000)) == 121


def test_names_that_cannot_be_printed_are_shown_escaped():
    assert shown("a\nb\u202e") == "'a\\nb\\u202e'"


@pytest.mark.parametrize("reference", ["brain_mri", "Hirn MRT", "日本", "x" * 200, "-a"])
def test_a_reference_may_be_any_name(reference):
    assert check_reference(reference) == reference


@pytest.mark.parametrize(
    ("reference", "reason"),
    [
        ("", "is empty"),
        ("a/b", "has a slash"),
        ("a\\b", "has a backslash"),
        ("..", "is a name that folders keep for themselves"),
        (" a", "begins or ends with white space"),
        ("a\tb", "has a control character"),
        ("x" * 201, "is longer than 200 characters"),
        ("e\u0301", "is not in Unicode normal form C"),
    ],
)
def test_a_bad_reference_is_a_usage_error_with_its_reason(reference, reason):
    with pytest.raises(UsageError) as caught:
        check_reference(reference)
    assert str(caught.value) == f"{shown(reference)} cannot be the reference of a data set: it {reason}."


def test_the_folder_to_choose_is_cleaned_of_what_shells_complete():
    assert [check_directory(text) for text in ("", ".", "./", "a/", "./a/b", "e\u0301")] == [
        "",
        "",
        "",
        "a",
        "a/b",
        "é",
    ]


def test_a_folder_outside_the_data_set_is_a_usage_error():
    with pytest.raises(UsageError, match=r"'\.\./x' is no folder of a data set: it has the segment '\.\.'"):
        check_directory("../x")


def test_a_path_too_long_for_the_file_system_is_refused(tmp_path):
    capacity = Capacity(tmp_path)
    capacity.check("a/" * 100 + "b")
    with pytest.raises(EbulkError, match="its name is too long for this file system"):
        capacity.check("x" * (capacity.name_size + 1))
    with pytest.raises(EbulkError, match="its name is too long for this file system"):
        capacity.check("a/" * 2040 + "b" * 20)


def test_names_that_a_file_system_takes_for_the_same_are_refused(tmp_path):
    capacity = Capacity(tmp_path, case_insensitive=True)
    capacity.check("Scans/a.dcm")
    capacity.check("Scans/b.dcm")
    with pytest.raises(EbulkError, match="'scans' and 'Scans' cannot both be here"):
        capacity.check("scans/c.dcm")
    with pytest.raises(EbulkError, match=r"'Scans/A\.dcm' and 'Scans/a\.dcm' cannot both be here"):
        capacity.check("Scans/A.dcm")


def test_case_makes_a_difference_where_the_file_system_says_so(tmp_path):
    (tmp_path / ".ebulk").mkdir()
    capacity = Capacity(tmp_path)
    assert not capacity.case_insensitive
    capacity.check("a")
    capacity.check("A")


def test_a_file_system_without_case_is_recognised(tmp_path):
    (tmp_path / ".ebulk").mkdir()
    (tmp_path / ".EBULK").mkdir()
    assert Capacity(tmp_path).case_insensitive
