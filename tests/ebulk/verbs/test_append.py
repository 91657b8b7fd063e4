"""A large file that only grew in the lake grows where it is, also if the pull is killed or its disk is full."""

import os
import signal
import subprocess
import sys

import pytest

from ebulk.errors import ConflictError, DiskFullError
from ebulk.local.index import Totals
from ebulk.protocol import MIB
from ebulk.verbs.pull import pull
from ebulk.verbs.push import push
from support.disks import fill, small_disk
from support.lake import PASSWORD

BLOCK = 2 * MIB
SIZE = 5 * BLOCK + 700_000
GROWTH = 3 * MIB + 17
TAIL = 700_000 + GROWTH


@pytest.fixture
def here(lake, make_folder):
    """A folder whose large file has grown since the other folder was pulled."""
    folder = make_folder("here", {"large": os.urandom(SIZE), "small": "x"})
    push(folder, lake)
    return folder


@pytest.fixture
def there(lake, here, make_folder):
    folder = make_folder("there")
    pull(folder, lake)
    grow(here, lake)
    return folder


def grow(folder, lake):
    with (folder.root / "large").open("ab") as file:
        file.write(os.urandom(GROWTH))
    push(folder, lake)


def large(folder):
    return (folder.root / "large").read_bytes()


def inode(folder):
    return (folder.root / "large").stat().st_ino


KILLED = """
import os, signal, sys
from pathlib import Path
from ebulk.local.folder import Folder
from ebulk.remote.credentials import Basic
from ebulk.remote.lake import Lake
from ebulk.verbs.observer import Silent
from ebulk.verbs.pull import pull

root, reference, url, password, when = sys.argv[1:]

class Killer(Silent):
    def advance(self, path, count):
        if when == "the tail arrives":
            os.kill(os.getpid(), signal.SIGKILL)

def write(descriptor, data, offset, real=os.pwrite):
    if len(data) > 100:  # it is not the lock's
        if when == "the half is written":
            real(descriptor, data[: len(data) // 2], offset)
        if when != "all is written":
            os.kill(os.getpid(), signal.SIGKILL)
    return real(descriptor, data, offset)

def stamp(path, *rest, real=os.utime, **named):
    if when == "all is written" and any(Path(root, ".ebulk/parts").glob("*.append")):
        os.kill(os.getpid(), signal.SIGKILL)
    real(path, *rest, **named)

os.pwrite, os.utime = write, stamp
pull(Folder(Path(root), reference, url), Lake(url, Basic("ada", password)), observer=Killer())
"""


def kill_pull(folder, lake, when):
    arguments = [str(folder.root), folder.reference, lake.url, PASSWORD, when]
    done = subprocess.run([sys.executable, "-c", KILLED, *arguments], check=False, timeout=60)
    assert done.returncode == -signal.SIGKILL


def test_file_that_grew_keeps_its_inode_and_only_its_end_travels(lake, here, there):
    before = inode(there)
    report = pull(there, lake)
    assert (report.modified, report.received, report.reused) == (1, Totals(1, TAIL), 5 * BLOCK)
    assert large(there) == large(here)
    assert (there.root / "large").stat().st_mtime_ns == (here.root / "large").stat().st_mtime_ns
    assert inode(there) == before
    assert not there.parts.exists()
    assert not pull(there, lake).changed


def test_file_that_has_another_name_is_replaced_and_that_keeps_the_old_content(lake, here, there, tmp_path):
    old = large(there)
    os.link(there.root / "large", tmp_path / "other")
    report = pull(there, lake)
    assert (report.received, report.reused) == (Totals(1, TAIL), 5 * BLOCK)
    assert large(there) == large(here)
    assert (tmp_path / "other").read_bytes() == old


def test_pull_that_is_killed_while_the_tail_arrives_goes_on_there(lake, here, there):
    old = large(there)
    kill_pull(there, lake, "the tail arrives")
    assert large(there) == old
    (tail,) = there.parts.glob("*.tail")
    arrived = tail.stat().st_size
    assert arrived > 0
    assert pull(there, lake).received == Totals(1, TAIL - arrived)
    assert large(there) == large(here)


@pytest.mark.parametrize(
    ("when", "size"),
    [
        ("the journal is there", SIZE),
        ("the half is written", SIZE + MIB // 2),
        ("all is written", SIZE + GROWTH),
    ],
)
def test_pull_that_is_killed_while_it_appends_is_finished_without_the_network(lake, here, there, when, size):
    before = inode(there)
    kill_pull(there, lake, when)
    assert large(there) == large(here)[:size]
    report = pull(there, lake)
    assert (report.received, report.modified, report.unchanged) == (Totals(0, 0), 0, 2)
    assert large(there) == large(here)
    assert inode(there) == before
    assert not there.parts.exists()


def test_append_that_was_killed_is_no_conflict_with_what_is_pushed_meanwhile(lake, here, there):
    kill_pull(there, lake, "the half is written")
    grow(here, lake)
    report = pull(there, lake)
    assert report.received.size < TAIL + BLOCK
    assert large(there) == large(here)


def test_push_finishes_what_a_killed_pull_has_begun(lake, here, there):
    kill_pull(there, lake, "the half is written")
    (there.root / "small").write_text("changed")
    assert push(there, lake).modified == 1
    assert large(there) == large(here)


def test_what_a_user_appends_after_a_kill_is_kept_and_a_conflict(lake, here, there):
    kill_pull(there, lake, "the half is written")
    with (there.root / "large").open("ab") as file:
        file.write(b"mine")
    before = large(there)
    with pytest.raises(ConflictError) as raised:
        pull(there, lake)
    assert raised.value.paths == ("large",)
    assert large(there) == before
    pull(there, lake, discard=True)
    assert large(there) == large(here)


def test_full_disk_leaves_the_old_file_and_the_next_pull_receives_nothing_again(
    lake, here, there, make_folder, tmp_path
):
    with small_disk(tmp_path / "disk", 32 * MIB) as disk:
        folder = make_folder("disk/folder")
        pull(folder, lake, version=1)
        old = large(folder)
        filler = fill(disk, TAIL + MIB)
        with pytest.raises(DiskFullError) as raised:
            pull(folder, lake)
        assert str(raised.value) == f"The disk is full; {GROWTH:,} bytes are still to come."
        assert large(folder) == old
        filler.unlink()
        report = pull(folder, lake)
        assert (report.modified, report.received.size) == (1, 0)
        assert large(folder) == large(here)
