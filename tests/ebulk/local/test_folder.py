import json
import os

import pytest

from ebulk.errors import EbulkError, UsageError
from ebulk.local import folder as folders


def error_of(call, *arguments):
    with pytest.raises(EbulkError) as caught:
        call(*arguments)
    return str(caught.value), caught.value.hint, caught.value.exit_code


def test_a_folder_becomes_a_data_set_of_its_name(tmp_path):
    (tmp_path / "brain_mri").mkdir()
    made = folders.create(tmp_path / "brain_mri")
    assert (made.root, made.reference, made.url) == (tmp_path / "brain_mri", "brain_mri", None)
    assert folders.load(tmp_path / "brain_mri") == made


def test_a_missing_folder_is_made(tmp_path):
    folders.create(tmp_path / "a" / "b", "named", "http://lake")
    assert folders.load(tmp_path / "a" / "b").reference == "named"


def test_the_lake_is_remembered_once_it_is_known(tmp_path):
    folder = folders.create(tmp_path / "set")
    assert folder.with_url("http://lake/erp5").url == "http://lake/erp5"
    assert folders.load(tmp_path / "set").url == "http://lake/erp5"


def test_a_folder_is_found_from_within(tmp_path):
    made = folders.create(tmp_path / "set")
    (tmp_path / "set" / "a" / "b").mkdir(parents=True)
    assert folders.find(tmp_path / "set" / "a" / "b") == made
    assert folders.find_here(tmp_path / "set") == made
    assert folders.find(tmp_path) is None


def test_outside_of_any_data_set_the_way_in_is_shown(tmp_path):
    assert error_of(folders.find_here, tmp_path) == (
        "This folder is not in a data set folder.",
        "Name one, or make one of this folder by `ebulk init .`.",
        1,
    )


def test_a_folder_that_is_no_data_set_is_refused(tmp_path):
    assert error_of(folders.load, tmp_path) == (
        f"'{tmp_path}' is not a data set folder.",
        f"`ebulk init {tmp_path}` makes it one.",
        1,
    )


def test_a_folder_within_a_data_set_is_refused_with_the_option_to_use(tmp_path):
    folders.create(tmp_path / "set")
    (tmp_path / "set" / "sub").mkdir()
    assert error_of(folders.load, tmp_path / "set" / "sub") == (
        f"'{tmp_path}/set/sub' is a folder within the data set folder '{tmp_path}/set'.",
        "Name that folder, and choose a part of it by --directory.",
        1,
    )


def test_a_file_cannot_become_a_data_set(tmp_path):
    (tmp_path / "file").touch()
    assert error_of(folders.create, tmp_path / "file") == (
        f"'{tmp_path}/file' is not a folder.",
        "A data set is a folder with files in it.",
        1,
    )


def test_a_data_set_is_not_made_twice(tmp_path):
    folders.create(tmp_path / "set", "first")
    assert error_of(folders.create, tmp_path / "set", "second") == (
        f"'{tmp_path}/set' is a data set folder already.",
        "`ebulk status` says what has changed in it.",
        1,
    )
    assert folders.load(tmp_path / "set").reference == "first"


def test_a_data_set_within_a_data_set_is_refused_also_through_a_link(tmp_path):
    folders.create(tmp_path / "set")
    (tmp_path / "set" / "sub").mkdir()
    (tmp_path / "link").symlink_to("set/sub")
    expected = (
        f"is within the data set folder '{tmp_path}/set'.",
        "A data set cannot hold another: make it beside that folder.",
    )
    for path in (tmp_path / "set" / "sub", tmp_path / "set" / "new", tmp_path / "link"):
        message, hint, code = error_of(folders.create, path)
        assert (message, hint, code) == (f"'{path}' {expected[0]}", expected[1], 1)


def test_a_bad_reference_makes_nothing(tmp_path):
    with pytest.raises(UsageError, match="'a/b' cannot be the reference of a data set: it has a slash"):
        folders.create(tmp_path / "set", "a/b")
    assert not (tmp_path / "set").exists()


@pytest.mark.parametrize("content", ["", "{", "[]", '{"format": 1}', '{"format": 1, "url": 3, "reference": "a"}'])
def test_a_damaged_config_is_reported_with_what_it_should_be(tmp_path, content):
    folders.create(tmp_path / "set")
    config = tmp_path / "set" / ".ebulk" / "config"
    config.write_text(content)
    assert error_of(folders.load, tmp_path / "set") == (
        f"{config} is damaged.",
        'It should read {"format": 1, "url": null, "reference": "NAME"}.',
        1,
    )


def test_a_config_of_a_newer_ebulk_is_refused(tmp_path):
    folders.create(tmp_path / "set")
    config = tmp_path / "set" / ".ebulk" / "config"
    config.write_text(json.dumps({"format": 2}))
    assert error_of(folders.load, tmp_path / "set")[0] == f"{config} was written by a newer ebulk."


def test_a_folder_is_known_by_its_real_path(tmp_path):
    folders.create(tmp_path / "set")
    (tmp_path / "link").symlink_to("set")
    assert folders.load(tmp_path / "link").root == tmp_path / "set"
    assert os.path.samefile(folders.find(tmp_path / "link").root, tmp_path / "set")
