import pytest

from ebulk.local.atomic import write_atomically
from ebulk.local.journal import Journal, PushUnderWay

PUSH = PushUnderWay("95824d35", 3, "sub", "first scans")


def test_a_push_under_way_is_remembered_until_it_is_over(tmp_path):
    journal = Journal(tmp_path / "push.json")
    assert journal.load() is None
    journal.save(PUSH)
    assert Journal(tmp_path / "push.json").load() == PUSH
    journal.clear()
    journal.clear()
    assert journal.load() is None


def test_a_journal_from_before_there_was_staging_is_understood(tmp_path):
    (tmp_path / "push.json").write_text('{"ingestion": "x", "base_version": 3, "directory": "sub", "message": "m"}')
    assert Journal(tmp_path / "push.json").load() == PushUnderWay("x", 3, "sub", "m", staged=False)


@pytest.mark.parametrize("content", ["", "{", "[]", '{"ingestion": "x"}', "3"])
def test_a_damaged_journal_is_as_good_as_none(tmp_path, content):
    (tmp_path / "push.json").write_text(content)
    assert Journal(tmp_path / "push.json").load() is None


def test_a_write_that_fails_leaves_the_old_file_and_nothing_else(tmp_path):
    path = tmp_path / "file"
    write_atomically(path, b"old")
    with pytest.raises(TypeError):
        write_atomically(path, "no bytes")
    assert path.read_bytes() == b"old"
    assert [each.name for each in tmp_path.iterdir()] == ["file"]
