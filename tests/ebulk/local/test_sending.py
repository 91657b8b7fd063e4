import pytest

from ebulk.local.sending import SendingNote

PURPOSE = {"url": "http://lake/erp5", "array": "x", "append": True}


@pytest.fixture
def note(tmp_path):
    return SendingNote(tmp_path / "x.npy")


def test_a_sending_that_was_broken_off_goes_on_with_its_key(tmp_path, note):
    begun = note.load(PURPOSE)
    assert begun.position == 0
    note.save(begun, 7)
    assert [path.name for path in tmp_path.iterdir()] == [".x.npy.push"]
    again = SendingNote(tmp_path / "x.npy").load(PURPOSE)
    assert (again.key, again.position) == (begun.key, 7)


def test_another_purpose_is_another_sending(note):
    begun = note.load(PURPOSE)
    note.save(begun, 7)
    other = note.load({**PURPOSE, "array": "y"})
    assert other.key != begun.key
    assert other.position == 0


def test_what_is_done_is_forgotten(tmp_path, note):
    begun = note.load(PURPOSE)
    note.save(begun, 7)
    note.clear()
    note.clear()
    assert list(tmp_path.iterdir()) == []
    assert note.load(PURPOSE).key != begun.key


@pytest.mark.parametrize("damage", [b"", b"{", b"[]", b"{}", b'{"purpose": {}, "key": 1, "position": "x"}', b"\xff"])
def test_a_damaged_note_is_none(tmp_path, note, damage):
    (tmp_path / ".x.npy.push").write_bytes(damage)
    assert note.load(PURPOSE).position == 0
