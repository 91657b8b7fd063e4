import pytest

from ebulk.errors import UsageError
from ebulk.local.filter import NO_FILTER, Filter
from ebulk.local.scan import Problem

FILES = ["a.nii", "a.txt", "raw/b.nii", "raw/deep/c.txt", "scans/d.nii", "scans/raw/e.txt"]


def taken(*, include=(), exclude=()):
    chosen = Filter(include, exclude)
    return [path for path in FILES if chosen.takes(path)]


def test_without_patterns_all_files_are_meant():
    assert taken() == FILES
    assert not NO_FILTER


@pytest.mark.parametrize(
    ("patterns", "expected"),
    [
        (["*.nii"], ["a.nii", "raw/b.nii", "scans/d.nii"]),
        (["/*.nii"], ["a.nii"]),
        (["raw/"], ["raw/b.nii", "raw/deep/c.txt", "scans/raw/e.txt"]),
        (["/raw"], ["raw/b.nii", "raw/deep/c.txt"]),
        (["raw/**/*.txt"], ["raw/deep/c.txt"]),
        (["/raw", "a.txt"], ["a.txt", "raw/b.nii", "raw/deep/c.txt"]),
        (["*.nii", "!a.nii"], ["raw/b.nii", "scans/d.nii"]),
    ],
)
def test_patterns_are_those_of_gitignore_to_include_and_to_exclude(patterns, expected):
    assert taken(include=patterns) == expected
    assert taken(exclude=patterns) == [path for path in FILES if path not in expected]


def test_to_exclude_wins_over_to_include():
    assert taken(include=["*.nii"], exclude=["/raw/"]) == ["a.nii", "scans/d.nii"]
    assert taken(include=["/raw/b.nii"], exclude=["/raw/"]) == []


def test_a_pattern_for_folders_means_an_empty_folder_too():
    chosen = Filter(exclude=["raw/"])
    assert not chosen.takes("raw", is_folder=True)
    assert chosen.takes("raw")


def test_patterns_and_paths_are_compared_whatever_their_unicode_form():
    assert not Filter(exclude=["e\u0301*"]).takes("éa")


@pytest.mark.parametrize("pattern", ["", "  ", "#a", "!", "/", "["])
def test_what_says_nothing_is_refused(pattern):
    for option in ("include", "exclude"):
        with pytest.raises(UsageError) as caught:
            Filter(**{option: ["*.nii", pattern]})
        assert str(caught.value) == f"--{option} {pattern!r} is no pattern."
        assert caught.value.hint == "Patterns are those of .gitignore: *.nii, /notes.txt, scans/."


def test_a_problem_concerns_who_may_miss_files_for_it():
    closed = Problem("raw/closed", "cannot be read", unread=True)
    pipe = Problem("raw/pipe", "is a named pipe")
    for chosen, problems in (
        (NO_FILTER, [closed, pipe]),
        (Filter(exclude=["/raw"]), []),
        (Filter(exclude=["closed/"]), [pipe]),
        (Filter(include=["*.nii"]), [closed]),
        (Filter(include=["pipe"]), [closed, pipe]),
    ):
        assert [problem for problem in (closed, pipe) if chosen.concerns(problem)] == problems
