import hashlib

import pytest

from ebulk.local.changes import Change, Changes, State


def state(text, mode="100644"):
    return State(len(text), mode, hashlib.sha256(text.encode()).digest())


@pytest.fixture
def changes():
    with Changes() as changes:
        yield changes


def test_each_change_has_its_kind_and_both_sizes(changes):
    changes.add("removed", state("123"), None)
    changes.add("new", None, state("12"))
    changes.add("modified", state("1"), state("1234"))
    changes.add("mode", state("1"), state("1", "100755"))
    changes.pair_by_content()
    assert list(changes) == [
        Change("mode", "mode", None, 1, "100644", 1, "100755"),
        Change("modified", "modified", None, 1, "100644", 4, "100644"),
        Change("new", "new", None, None, None, 2, "100644"),
        Change("removed", "removed", None, 3, "100644", None, None),
    ]
    assert changes.counts() == {"new": 1, "modified": 1, "mode": 1, "removed": 1, "renamed": 0}
    assert changes.sizes() == (1 + 3, 4 + 2)


def test_a_file_under_another_name_is_renamed_and_each_is_in_one_pair(changes):
    for path in ("old/1", "old/2", "old/3"):
        changes.add(path, state("same"), None)
    for path in ("a", "b"):
        changes.add(path, None, state("same"))
    changes.pair_by_content()
    assert [(change.kind, change.path, change.source) for change in changes] == [
        ("renamed", "a", "old/1"),
        ("renamed", "b", "old/2"),
        ("removed", "old/3", None),
    ]
    assert changes.sizes() == (4, 0)
    assert changes.widest() == len("old/1a")


def test_links_and_empty_files_are_not_taken_for_renamed_ones(changes):
    changes.add("file", state("target"), None)
    changes.add("link", None, state("target", "120000"))
    changes.add("empty", state(""), None)
    changes.add("void", None, state(""))
    changes.pair_by_content()
    assert {change.kind for change in changes} == {"removed", "new"}


def test_what_is_known_to_be_renamed_is_taken_for_that(changes):
    changes.add("here", state("old"), None)
    changes.add("there", None, State(3, "100644", b""))
    changes.pair([("here", "there")])
    assert list(changes) == [Change("renamed", "there", "here", 3, "100644", 3, "100644")]


def test_without_changes_all_is_nothing(changes):
    changes.pair_by_content()
    assert (list(changes), changes.sizes(), changes.widest()) == ([], (0, 0), 0)
