import os

import pytest

from ebulk.errors import EbulkError, NotFoundError
from ebulk.verbs.diff import diff_folder, diff_versions
from ebulk.verbs.push import push
from support.folders import as_ordinary_user, write_files


@pytest.fixture
def folder(lake, make_folder):
    folder = make_folder("set", {"edited": "12", "gone": "123", "was": "1234", "same": "1", "sub/same": "2"})
    push(folder, lake)
    return folder


def change(folder):
    write_files(folder.root, {"edited": "34", "new": "x"})
    (folder.root / "gone").unlink()
    (folder.root / "was").rename(folder.root / "is")
    os.utime(folder.root / "same", ns=(1, 1))


EXPECTED = [
    ("modified", "edited", None),
    ("removed", "gone", None),
    ("renamed", "is", "was"),
    ("new", "new", None),
]


def told(report):
    return [(change.kind, change.path, change.source) for change in report.changes]


def test_a_folder_is_compared_with_its_version_without_a_lake(folder):
    change(folder)
    with diff_folder(folder) as report:
        assert told(report) == EXPECTED
        assert (report.old_version, report.new_version) == (1, None)


def test_two_versions_are_compared_in_either_direction(folder, lake):
    change(folder)
    push(folder, lake)
    with diff_versions(lake, folder.reference, 1, 2) as report:
        assert told(report) == EXPECTED
    with diff_versions(lake, folder.reference, 1) as report:
        assert (told(report), report.new_version) == (EXPECTED, 2)
    with diff_versions(lake, folder.reference, 2, 1) as report:
        assert told(report) == [
            ("modified", "edited", None),
            ("new", "gone", None),
            ("removed", "new", None),
            ("renamed", "was", "is"),
        ]
    with diff_folder(folder) as report:
        assert told(report) == []


def test_a_version_that_is_not_there_is_an_error(folder, lake, make_folder):
    with pytest.raises(NotFoundError), diff_versions(lake, folder.reference, 1, 9):
        pass
    lake.create_data_set(f"{folder.reference} empty")
    with pytest.raises(NotFoundError) as caught, diff_versions(lake, f"{folder.reference} empty", 1):
        pass
    assert str(caught.value) == f"'{folder.reference} empty' has no version yet."
    assert caught.value.hint == "`ebulk push` makes the first."


def test_an_empty_folder_in_the_place_of_an_empty_file_is_a_change(lake, make_folder):
    folder = make_folder("set", {"a": ""})
    push(folder, lake)
    (folder.root / "a").unlink()
    (folder.root / "a").mkdir()
    with diff_folder(folder) as report:
        (change,) = report.changes
    assert (change.path, change.old_mode, change.new_mode) == ("a", "100644", "040000")


def test_a_folder_that_cannot_be_read_is_not_taken_for_removed(folder):
    (folder.root / "sub").chmod(0)
    with as_ordinary_user(folder.root), pytest.raises(EbulkError) as caught, diff_folder(folder):
        pass
    (folder.root / "sub").chmod(0o755)
    assert str(caught.value) == "Nothing was compared: 'sub' cannot be read: permission denied."
