import os
import shutil

import pytest

from ebulk.errors import ConflictError, DiskFullError, EbulkError
from ebulk.local.scan import Scan
from ebulk.local.tree import Tree
from ebulk.model import EXECUTABLE, REGULAR, SYMLINK, FileEntry
from support.folders import OLD, as_ordinary_user, read_files, write_files


@pytest.fixture
def root(tmp_path):
    (tmp_path / "set").mkdir()
    return tmp_path / "set"


@pytest.fixture
def part(tmp_path):
    (tmp_path / "part").write_text("new")
    return tmp_path / "part"


def entry(path, mode=REGULAR):
    return FileEntry(path, 3, "sha-256:" + "0" * 64, OLD, mode)


def found(root, path):
    return next(each for each in Scan(str(root)) if each.path == path)


def test_a_file_is_placed_with_its_time_and_mode(root, part):
    now = Tree(root).place(part, entry("a/b/run", EXECUTABLE), "a/b/run", None)
    assert now == found(root, "a/b/run")
    assert read_files(root) == {"a/b/run": "new"}
    status = (root / "a/b/run").stat()
    assert (status.st_mtime_ns, status.st_mode & 0o777) == (OLD, 0o755)
    assert not part.exists()


def test_modes_follow_the_umask(root, part):
    umask = os.umask(0o027)
    try:
        Tree(root).place(part, entry("a"), "a", None)
    finally:
        os.umask(umask)
    assert (root / "a").stat().st_mode & 0o777 == 0o640


def test_a_small_file_is_written_with_its_time_and_mode(root, part):
    now = Tree(root).write(b"small", part, entry("a/run", EXECUTABLE), "a/run", None)
    assert now == found(root, "a/run")
    assert read_files(root) == {"a/run": "small"}
    status = (root / "a/run").stat()
    assert (status.st_mtime_ns, status.st_mode & 0o777) == (OLD, 0o755)


def test_what_an_interrupted_pull_left_is_not_written_through(root, part, tmp_path):
    write_files(tmp_path, {"outside": "mine"})
    part.unlink()
    part.symlink_to(tmp_path / "outside")
    Tree(root).write(b"small", part, entry("a"), "a", None)
    assert read_files(root) == {"a": "small"}
    assert (tmp_path / "outside").read_text() == "mine"
    assert not os.path.lexists(part)


def test_a_link_is_written_with_its_time(root, part):
    now = Tree(root).write(b"new", part, entry("link", SYMLINK), "link", None)
    assert now == found(root, "link")
    assert os.readlink(root / "link") == "new"
    assert os.lstat(root / "link").st_mtime_ns == OLD
    assert os.listdir(root) == ["link"]


@pytest.mark.parametrize("mode", [REGULAR, SYMLINK])
def test_a_small_file_does_not_overwrite_what_changed_meanwhile(root, part, mode):
    write_files(root, {"a": "mine!"})
    with pytest.raises(ConflictError, match="'a' changed here during the pull"):
        Tree(root).write(b"new", part, entry("a", mode), "a", None)
    assert read_files(root) == {"a": "mine!"}


def test_the_folder_kept_open_is_left_when_another_takes_its_place(root, part, tmp_path):
    with Tree(root) as tree:
        tree.write(b"1", part, entry("a/b/1"), "a/b/1", None)
        tree.write(b"2", part, entry("a/b/2"), "a/b/2", None)
        (root / "a/b").rename(root / "moved")
        tree.write(b"3", part, entry("a/b/3"), "a/b/3", None)
        shutil.rmtree(root / "a")
        tree.write(b"4", part, entry("a/b/4"), "a/b/4", None)
        assert read_files(root) == {"moved/1": "1", "moved/2": "2", "a/b/4": "4"}
        (root / "a").rename(tmp_path / "outside")
        (root / "a").symlink_to(tmp_path / "outside")
        with pytest.raises(ConflictError, match="'a/b/5' cannot be written: 'a' is a symbolic link here"):
            tree.write(b"5", part, entry("a/b/5"), "a/b/5", None)
    assert read_files(tmp_path / "outside") == {"b/4": "4"}


def test_a_folder_that_was_missing_is_seen_once_it_is_made(root, part):
    tree = Tree(root)
    assert tree.look("a/b", "a/b") is None
    now = tree.write(b"x", part, entry("a/c"), "a/c", None)
    assert tree.look("a/b", "a/b") is None
    assert tree.look("a/c", "a/c") == now


def test_the_tree_closes_what_it_opened(root, part):
    before = os.listdir("/proc/self/fd")
    with Tree(root) as tree:
        for path in ("a/1", "b/2", "3"):
            tree.write(b"x", part, entry(path), path, None)
    assert os.listdir("/proc/self/fd") == before


def test_a_file_replaces_the_one_that_was_seen(root, part):
    write_files(root, {"a": "old"})
    Tree(root).place(part, entry("a"), "a", found(root, "a"))
    assert read_files(root) == {"a": "new"}


def test_a_link_that_is_replaced_is_not_followed(root, part, tmp_path):
    write_files(tmp_path, {"outside": "mine"})
    write_files(root, {"a": "-> ../outside"})
    Tree(root).place(part, entry("a"), "a", found(root, "a"))
    assert read_files(root) == {"a": "new"}
    assert (tmp_path / "outside").read_text() == "mine"


@pytest.mark.parametrize("before", [None, "other"])
def test_a_file_that_changed_meanwhile_is_not_overwritten(root, part, before):
    seen = None
    if before:
        write_files(root, {"a": before})
        seen = found(root, "a")
    write_files(root, {"a": "mine!"})
    with pytest.raises(ConflictError) as caught:
        Tree(root).place(part, entry("a"), "a", seen)
    assert str(caught.value) == "'a' changed here during the pull."
    assert caught.value.hint == "The same command again looks at it anew."
    assert read_files(root) == {"a": "mine!"}


@pytest.mark.parametrize("path", ["link/x", "link/deep/x"])
def test_nothing_is_written_through_a_link(root, part, tmp_path, path):
    (tmp_path / "outside").mkdir()
    (root / "link").symlink_to("../outside")
    with pytest.raises(ConflictError) as caught:
        Tree(root).place(part, entry(path), path, None)
    assert str(caught.value) == f"'{path}' cannot be written: 'link' is a symbolic link here."
    assert caught.value.paths == ("link",)
    assert list((tmp_path / "outside").iterdir()) == []


def test_a_file_where_a_folder_should_be_is_named(root, part):
    write_files(root, {"a": "mine"})
    with pytest.raises(ConflictError, match="'a/b' cannot be written: 'a' is a file here"):
        Tree(root).place(part, entry("a/b"), "a/b", None)


def test_a_folder_where_a_file_should_be_is_named(root, part):
    write_files(root, {"a/b": "mine"})
    with pytest.raises(ConflictError) as caught:
        Tree(root).place(part, entry("a"), "a", None)
    assert str(caught.value) == "A folder is in the way of 'a'."
    assert caught.value.hint == "Move it away, then pull again."


def test_a_special_file_is_named(root, part):
    os.mkfifo(root / "a")
    with pytest.raises(ConflictError, match="A special file is in the way of 'a'"):
        Tree(root).place(part, entry("a"), "a", None)


def test_a_removed_file_takes_its_empty_folders_along(root):
    write_files(root, {"a/b/c/gone": "x", "a/kept": "y"})
    Tree(root).remove(found(root, "a/b/c/gone"))
    assert read_files(root) == {"a/kept": "y"}
    assert not (root / "a/b").exists()
    Tree(root).remove(found(root, "a/kept"))
    assert root.exists()
    assert os.listdir(root) == []


def test_a_changed_file_is_not_removed(root):
    write_files(root, {"a": "x"})
    seen = found(root, "a")
    write_files(root, {"a": "mine!"})
    with pytest.raises(ConflictError, match="'a' changed here during the pull"):
        Tree(root).remove(seen)
    assert read_files(root) == {"a": "mine!"}


def test_a_file_is_stamped_and_keeps_its_other_permissions(root):
    write_files(root, {"a": "x"}, mtime_ns=5)
    (root / "a").chmod(0o640)
    now = Tree(root).stamp(found(root, "a"), EXECUTABLE, OLD)
    assert ((root / "a").stat().st_mode & 0o777, now.mtime_ns, now.mode) == (0o750, OLD, EXECUTABLE)
    assert Tree(root).stamp(now, REGULAR, OLD).mode == REGULAR
    assert (root / "a").stat().st_mode & 0o777 == 0o640


def test_a_folder_of_empty_folders_can_be_removed(root):
    (root / "a/b/c").mkdir(parents=True)
    Tree(root).remove_empty("a")
    assert os.listdir(root) == []


def test_a_folder_that_cannot_be_written_is_reported(root, part):
    root.chmod(0o555)
    with as_ordinary_user(root, part), pytest.raises(EbulkError) as caught:
        Tree(root).place(part, entry("a"), "a", None)
    assert str(caught.value) == "'a' cannot be written: permission denied."
    assert caught.value.hint == "What was pulled so far is kept."


def test_a_full_disk_is_reported(root, part, monkeypatch):
    def full(*arguments, **options):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "rename", full)
    with pytest.raises(DiskFullError) as caught:
        Tree(root).place(part, entry("a"), "a", None)
    assert str(caught.value) == "There is no room for 'a'."
    assert caught.value.hint == "Make room, then run the same command again: it goes on."
