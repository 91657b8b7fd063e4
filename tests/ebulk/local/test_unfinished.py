import os
import stat

import pytest

from ebulk.errors import EbulkError
from ebulk.local.unfinished import Unfinished

NOTE = {"array": "x", "snapshot": "1"}


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_a_file_takes_its_name_and_permissions_when_it_is_finished(tmp_path):
    (tmp_path / "f").write_bytes(b"old")
    (tmp_path / "f").chmod(0o640)
    with Unfinished(tmp_path / "f") as unfinished:
        unfinished.begin(NOTE)
        unfinished.out.write(b"new")
        unfinished.out.flush()
        assert contents(tmp_path).keys() == {"f", ".f.part", ".f.pull"}
        assert (tmp_path / "f").read_bytes() == b"old"
        unfinished.finish()
    assert contents(tmp_path) == {"f": b"new"}
    assert stat.S_IMODE((tmp_path / "f").stat().st_mode) == 0o640


def test_what_was_broken_off_is_there_again_with_its_note(tmp_path):
    with Unfinished(tmp_path / "f") as unfinished:
        assert (unfinished.note(), unfinished.length) == ({}, 0)
        unfinished.begin(NOTE)
        unfinished.out.write(b"half")
    with Unfinished(tmp_path / "f") as unfinished:
        assert (unfinished.note(), unfinished.length) == (NOTE, 4)
        unfinished.out.write(b" and half")
        unfinished.finish()
    assert contents(tmp_path) == {"f": b"half and half"}


def test_what_is_begun_anew_has_nothing_of_before(tmp_path):
    for text in (b"longer", b"new"):
        with Unfinished(tmp_path / "f") as unfinished:
            unfinished.begin({"text": text.decode()})
            unfinished.out.write(text)
    with Unfinished(tmp_path / "f") as unfinished:
        assert (unfinished.note(), unfinished.length) == ({"text": "new"}, 3)


def test_what_was_never_begun_leaves_nothing(tmp_path):
    with Unfinished(tmp_path / "f"):
        pass
    assert contents(tmp_path) == {}


@pytest.mark.parametrize("damage", [b"", b"{", b"[]", b"\xff"])
def test_a_damaged_note_is_none(tmp_path, damage):
    (tmp_path / ".f.pull").write_bytes(damage)
    (tmp_path / ".f.part").write_bytes(b"something")
    with Unfinished(tmp_path / "f") as unfinished:
        assert unfinished.note() == {}


def test_a_second_one_at_work_is_refused(tmp_path):
    with Unfinished(tmp_path / "f"):
        with pytest.raises(EbulkError) as caught, Unfinished(tmp_path / "f"):
            pass
        assert str(caught.value) == f"Another ebulk is at work on {tmp_path / '.f.part'}."
        assert caught.value.hint == "Wait for it, or end it, then try again."
    with Unfinished(tmp_path / "f"):
        pass


def test_what_a_link_leads_to_is_replaced(tmp_path):
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real/f")
    with Unfinished(tmp_path / "link") as unfinished:
        unfinished.begin(NOTE)
        unfinished.out.write(b"new")
        unfinished.finish()
    assert os.readlink(tmp_path / "link") == "real/f"
    assert contents(tmp_path / "real") == {"f": b"new"}
