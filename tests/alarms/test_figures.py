from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from Products.ERP5Wendelin.alarms.figures import wrong_figures
from Products.ERP5Wendelin.content.manifest import Manifest
from support.manifests import commit

CHANGES = st.lists(
    st.tuples(
        st.dictionaries(st.sampled_from("abcdef"), st.text("xyz", max_size=3)), st.sets(st.sampled_from("abcdef"))
    ),
    max_size=8,
)


@settings(deadline=None)
@given(CHANGES)
def test_figures_of_whatever_was_committed_are_right(changes):
    manifest = Manifest()
    for staged, removed in changes:
        commit(manifest, staged, removed)
    assert list(wrong_figures(manifest)) == []


@pytest.fixture
def manifest() -> Manifest:
    """Three versions of three files: of one that is added, one that is modified and one that is removed."""
    manifest = Manifest()
    commit(manifest, {"a": "12345", "b": "1"})
    commit(manifest, {"b": "123", "c": "12"})
    commit(manifest, {}, ["a"])
    assert list(wrong_figures(manifest)) == []
    return manifest


def test_figures_are_right_where_all_files_were_removed_and_others_came(manifest):
    commit(manifest, {}, ["b", "c"])
    commit(manifest, {"c": "1", "d": ""})
    assert list(wrong_figures(manifest)) == []


@pytest.mark.parametrize(
    ("figure", "value", "problem"),
    [
        ("file_count", 5, "the data set is said to have 5 files, and has 2"),
        ("size", 7, "the data set is said to have 7 bytes, and has 5"),
        ("version", 4, "its version is said to be 4, and the newest it has is 3"),
    ],
)
def test_a_wrong_figure_of_the_manifest_is_named(manifest, figure, value, problem):
    setattr(manifest, figure, value)
    assert list(wrong_figures(manifest)) == [problem]


@pytest.mark.parametrize(
    ("number", "figure", "value", "problem"),
    [
        (3, "file_count", 3, "version 3 is said to have 3 files, and has 2"),
        (2, "file_count", 2, "version 2 is said to have 2 files, and has 3"),
        (1, "size", 5, "version 1 is said to have 5 bytes, and has 6"),
        (2, "added", 0, "version 2 is said to have 0 added files, and has 1"),
        (2, "modified", 2, "version 2 is said to have 2 modified files, and has 1"),
        (3, "removed", 0, "version 3 is said to have 0 removed files, and has 1"),
    ],
)
def test_a_wrong_figure_of_a_version_is_named(manifest, number, figure, value, problem):
    setattr(manifest.get_version(number), figure, value)
    assert list(wrong_figures(manifest)) == [problem]


def test_an_entry_that_was_lost_shows_in_the_figures(manifest):
    del manifest._entries["c"]
    assert list(wrong_figures(manifest)) == [
        "the data set is said to have 2 files, and has 1",
        "the data set is said to have 5 bytes, and has 3",
        "version 3 is said to have 2 files, and has 1",
        "version 3 is said to have 5 bytes, and has 3",
        "version 2 is said to have 3 files, and has 2",
        "version 2 is said to have 10 bytes, and has 8",
        "version 2 is said to have 1 added files, and has 0",
    ]
