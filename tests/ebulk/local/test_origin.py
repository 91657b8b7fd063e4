import os

import pytest

from ebulk.errors import ConflictError
from ebulk.local.origin import read_origin, write_origin


def test_a_file_begins_with_its_stream_unless_a_note_says_where(tmp_path):
    file = tmp_path / "turbine.raw"
    assert read_origin(file) == 0
    write_origin(file, 4096)
    assert read_origin(file) == 4096
    assert os.listdir(tmp_path) == [".turbine.raw.origin"]
    write_origin(file, 0)
    assert read_origin(file) == 0
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("content", [b"", b"\xff", b"[]", b"{}", b'{"start": -1}', b'{"start": "1"}'])
def test_a_damaged_note_is_named(tmp_path, content):
    note = tmp_path / ".turbine.raw.origin"
    note.write_bytes(content)
    with pytest.raises(ConflictError) as caught:
        read_origin(tmp_path / "turbine.raw")
    assert str(caught.value) == f"{note} is damaged: it says where in its stream {tmp_path / 'turbine.raw'} begins."
    assert caught.value.paths == (str(tmp_path / "turbine.raw"),)
    assert caught.value.hint == "Pull again with --discard-changes: it brings anew what the lake keeps."
