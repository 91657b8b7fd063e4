"""A file grows where it is; whatever interrupts that, it ends up whole, or as its user left it."""

import hashlib
import json
import os

import pytest

from ebulk.errors import ConflictError, DiskFullError
from ebulk.local import folder as folders
from ebulk.local.append import append, finish_appends
from ebulk.local.index import Index, known_from
from ebulk.local.scan import Scan
from ebulk.local.tree import Tree
from ebulk.model import EXECUTABLE, REGULAR, FileEntry
from ebulk.protocol import MIB
from support.disks import fill, small_disk
from support.folders import OLD, as_ordinary_user, write_files

BEFORE = os.urandom(3_000_000)
AFTER = BEFORE + os.urandom(2_500_000)
START = 2_900_000
DIGEST = f"sha-256:{hashlib.sha256(AFTER).hexdigest()}"
CHANGED = "'a/large' changed here during the pull."


class Growing:
    """A folder with a file that is to grow, and its tail."""

    def __init__(self, root, mode=REGULAR):
        self.folder = folders.create(root, "brain")
        self.file = self.folder.root / "a/large"
        write_files(self.folder.root, {"a/large": BEFORE})
        self.found = self.look()
        self.entry = FileEntry("a/large", len(AFTER), DIGEST, OLD + 5, mode)
        self.tail = self.folder.parts / f"{DIGEST.removeprefix('sha-256:')}.tail"
        self.journal = self.tail.with_suffix(".append")
        self.folder.parts.mkdir()
        self.tail.write_bytes(AFTER[START:])

    def look(self):
        return next(each for each in Scan(str(self.folder.root)) if each.path == "a/large")

    def append(self):
        with Tree(self.folder.root) as tree:
            return append(tree, self.entry, self.found, self.tail, START)

    def interrupt(self, size):
        """Leave the file as a kill would, when it was so long."""
        self.journal.write_text(
            json.dumps(
                {
                    "path": "a/large",
                    "disk": "a/large",
                    "mode": self.entry.mode,
                    "mtime_ns": self.entry.mtime_ns,
                    "digest": DIGEST,
                    "old_size": len(BEFORE),
                    "size": len(AFTER),
                    "start": START,
                }
            )
        )
        with self.file.open("r+b") as file:
            file.write(AFTER[:size])

    def finish(self):
        """Finish what was interrupted, and return what the index then knows."""
        with Index(self.folder.control / "index.db") as index:
            finish_appends(self.folder, index)
            return index.find("a/large")

    def assert_clean(self):
        assert list(self.folder.parts.iterdir()) == []


@pytest.fixture
def growing(tmp_path):
    return Growing(tmp_path / "brain")


def test_file_grows_where_it_is(growing):
    now = growing.append()
    assert growing.file.read_bytes() == AFTER
    assert now == growing.look()
    assert (now.inode, now.mtime_ns, now.mode) == (growing.found.inode, OLD + 5, REGULAR)
    growing.assert_clean()


def test_file_that_grows_becomes_executable_and_keeps_its_other_permissions(tmp_path):
    growing = Growing(tmp_path / "brain", EXECUTABLE)
    growing.file.chmod(0o640)
    growing.found = growing.look()
    assert growing.append().mode == EXECUTABLE
    assert growing.file.stat().st_mode & 0o777 == 0o750


def test_journal_is_there_before_the_file_is_touched(growing, monkeypatch):
    journals = []

    def pwrite(*_):
        journals.append(json.loads(growing.journal.read_bytes()))
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "pwrite", pwrite)
    with pytest.raises(KeyboardInterrupt):
        growing.append()
    monkeypatch.undo()
    assert journals[0]["old_size"] == len(BEFORE)
    assert growing.file.read_bytes() == BEFORE
    assert growing.finish().digest == bytes.fromhex(DIGEST.removeprefix("sha-256:"))
    assert growing.file.read_bytes() == AFTER


def change_stamps(growing):
    os.utime(growing.file)


def go_on_otherwise(growing):
    growing.tail.write_bytes(b"+" + AFTER[START + 1 :])


def link(growing):
    os.link(growing.file, growing.folder.root / "other")
    growing.found = growing.look()


def replace_by_link(growing):
    growing.file.rename(growing.folder.root / "other")
    growing.file.symlink_to("../other")


@pytest.mark.parametrize("change", [change_stamps, go_on_otherwise, link, replace_by_link])
def test_file_that_is_not_what_it_was_is_not_touched(growing, change):
    change(growing)
    with pytest.raises(ConflictError) as raised:
        growing.append()
    assert str(raised.value) == CHANGED
    assert growing.file.read_bytes() == BEFORE
    assert not growing.journal.exists()


def test_what_another_program_appends_meanwhile_is_not_written_over(growing, monkeypatch):
    write = os.pwrite

    def and_another(descriptor, data, offset):
        count = write(descriptor, data, offset)
        append_own(growing)
        return count

    monkeypatch.setattr(os, "pwrite", and_another)
    with pytest.raises(ConflictError) as raised:
        growing.append()
    monkeypatch.undo()
    assert str(raised.value) == CHANGED
    changed = AFTER[: len(BEFORE) + MIB] + b"mine"
    assert growing.file.read_bytes() == changed
    assert growing.finish() is None
    assert growing.file.read_bytes() == changed
    growing.assert_clean()


def test_a_file_that_may_not_be_written_to_cannot_grow(growing):
    with as_ordinary_user(growing.folder.root), Tree(growing.folder.root) as tree:
        assert tree.can_append(growing.look())
        growing.file.chmod(0o444)
        assert not tree.can_append(growing.look())


def test_only_a_file_of_one_name_can_grow(growing):
    with Tree(growing.folder.root) as tree:
        assert tree.can_append(growing.found)
        link(growing)
        assert not tree.can_append(growing.found)
        growing.file.unlink()
        assert not tree.can_append(growing.found)


def test_full_disk_leaves_the_file_as_it_was(tmp_path):
    with small_disk(tmp_path / "disk", 16_000_000) as disk:
        growing = Growing(disk / "brain")
        filler = fill(disk, 1_000_000)
        with pytest.raises(DiskFullError) as raised:
            growing.append()
        assert str(raised.value) == "There is no room for 'a/large'."
        assert growing.file.read_bytes() == BEFORE
        assert growing.file.stat().st_mtime_ns == OLD
        assert list(growing.folder.parts.iterdir()) == [growing.tail]
        filler.unlink()
        growing.found = growing.look()
        growing.append()
        assert growing.file.read_bytes() == AFTER


def test_full_disk_keeps_an_interrupted_append_for_later(tmp_path):
    with small_disk(tmp_path / "disk", 16_000_000) as disk:
        growing = Growing(disk / "brain")
        growing.interrupt(len(BEFORE) + 100)
        with Index(growing.folder.control / "index.db"):
            filler = fill(disk, 1_000_000)
        with pytest.raises(DiskFullError):
            growing.finish()
        assert growing.file.read_bytes() == AFTER[: len(BEFORE) + 100]
        filler.unlink()
        growing.finish()
        assert growing.file.read_bytes() == AFTER


@pytest.mark.parametrize("size", [len(BEFORE), len(BEFORE) + 1, len(AFTER) - 1, len(AFTER)])
def test_interrupted_append_is_finished_and_known(growing, size):
    growing.interrupt(size)
    known = growing.finish()
    assert growing.file.read_bytes() == AFTER
    assert known == known_from(growing.look(), bytes.fromhex(DIGEST.removeprefix("sha-256:")), OLD + 5, True)
    assert growing.look().mtime_ns == OLD + 5
    growing.assert_clean()


def append_own(growing):
    with growing.file.open("ab") as file:
        file.write(b"mine")


def change_inside(growing):
    with growing.file.open("r+b") as file:
        file.write(b"mine")


def cut(growing):
    os.truncate(growing.file, len(BEFORE) - 1)


def write_more(growing):
    growing.file.write_bytes(AFTER + b"mine")


@pytest.mark.parametrize("change", [append_own, change_inside, cut, write_more, link])
def test_file_that_was_changed_since_is_left_alone(growing, change):
    growing.interrupt(len(BEFORE) + 1_000_000)
    change(growing)
    before = growing.file.read_bytes(), growing.look()
    assert growing.finish() is None
    assert (growing.file.read_bytes(), growing.look()) == before
    growing.assert_clean()


def remove(growing):
    growing.file.unlink()


def make_folder(growing):
    growing.file.unlink()
    growing.file.mkdir()


def remove_folder(growing):
    growing.file.unlink()
    growing.file.parent.rmdir()


@pytest.mark.parametrize("change", [remove, make_folder, remove_folder, replace_by_link])
def test_what_is_no_file_any_more_is_left_alone(growing, change):
    growing.interrupt(len(BEFORE))
    change(growing)
    assert growing.finish() is None
    growing.assert_clean()


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"path": 5}'])
def test_damaged_journal_is_dropped(growing, text):
    growing.journal.write_text(text)
    assert growing.finish() is None
    assert growing.file.read_bytes() == BEFORE
    growing.assert_clean()


@pytest.mark.parametrize("disk", ["../outside", "a/../../outside", "/etc/outside", ".ebulk/config"])
def test_journal_does_not_lead_out_of_the_folder(growing, tmp_path, disk):
    (tmp_path / "outside").write_bytes(BEFORE)
    growing.interrupt(len(BEFORE))
    journal = json.loads(growing.journal.read_text())
    growing.journal.write_text(json.dumps(journal | {"disk": disk}))
    assert growing.finish() is None
    assert (tmp_path / "outside").read_bytes() == BEFORE
    growing.assert_clean()


def test_append_without_its_tail_is_dropped(growing):
    growing.interrupt(len(BEFORE) + 5)
    growing.tail.unlink()
    assert growing.finish() is None
    assert growing.file.read_bytes() == AFTER[: len(BEFORE) + 5]
    growing.assert_clean()
