import os
import stat

import pytest

from ebulk.local.output_file import is_special, replacing


def test_a_file_appears_when_it_is_whole(tmp_path):
    with replacing(tmp_path / "f") as file:
        file.write(b"content")
        file.flush()
        assert not (tmp_path / "f").exists()
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == {"f": b"content"}


def test_a_file_is_replaced_with_its_permissions(tmp_path):
    (tmp_path / "f").write_bytes(b"old")
    (tmp_path / "f").chmod(0o640)
    with replacing(tmp_path / "f") as file:
        file.write(b"new")
    assert (tmp_path / "f").read_bytes() == b"new"
    assert stat.S_IMODE((tmp_path / "f").stat().st_mode) == 0o640


def test_a_new_file_has_the_permissions_of_any(tmp_path):
    (tmp_path / "other").touch()
    with replacing(tmp_path / "f"):
        pass
    assert (tmp_path / "f").stat().st_mode == (tmp_path / "other").stat().st_mode


def test_what_a_link_leads_to_is_replaced(tmp_path):
    (tmp_path / "real").mkdir()
    (tmp_path / "real" / "f").write_bytes(b"old")
    (tmp_path / "link").symlink_to("real/f")
    with replacing(tmp_path / "link") as file:
        file.write(b"new")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "real" / "f").read_bytes() == b"new"


def test_a_failure_leaves_what_was_there_and_nothing_else(tmp_path):
    (tmp_path / "f").write_bytes(b"old")

    def fail(file):
        file.write(b"new")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt), replacing(tmp_path / "f") as file:
        fail(file)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == {"f": b"old"}


def test_a_name_of_the_longest_length_can_be_replaced(tmp_path):
    name = "é" * 127
    with replacing(tmp_path / name) as file:
        file.write(b"new")
    assert os.listdir(tmp_path) == [name]


def test_devices_and_pipes_are_written_to(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "f").touch()
    assert [is_special(path) for path in (tmp_path / "pipe", tmp_path / "f", tmp_path, tmp_path / "none")] == [
        True,
        False,
        False,
        False,
    ]
