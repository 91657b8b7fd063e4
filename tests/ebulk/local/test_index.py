import hashlib
import os
import shutil
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from ebulk.errors import EbulkError
from ebulk.local.index import Index, Known, Staged, is_settled, known_from
from ebulk.local.scan import Found

RECORDED = Path(__file__).parent / "recorded"

SECOND = 1_000_000_000


def digest(text):
    return hashlib.sha256(text.encode()).digest()


def found(path, size=3, mtime_ns=10, ctime_ns=20, inode=7, mode="100644"):
    return Found(path, path, size, mtime_ns, ctime_ns, inode, mode)


def known(path, text="abc"):
    return known_from(found(path, len(text)), digest(text), 10, settled=True)


@pytest.fixture
def index(tmp_path):
    with Index(tmp_path / "index.db") as index:
        yield index


def test_files_are_remembered_in_order_of_code_points(index, tmp_path):
    paths = ["a0", "a/b", "é", "a-b", "z", "\U0001f642", "\uffff"]
    index.update(map(known, paths))
    with Index(tmp_path / "index.db") as again:
        assert [row.path for row in again.known()] == sorted(paths)
        assert again.find("é") == known("é")
        assert again.find("nothing") is None
        assert again.totals() == (7, 21)


def test_files_are_iterated_over_page_by_page_while_others_are_written(index):
    index.update(known(f"{number:05}") for number in range(4500))
    seen = []
    for row in index.known():
        seen.append(row.path)
        if row.path == "00100":
            index.update([], removed=["04400"])
    assert len(seen) == 4499


def test_a_folder_has_the_files_below_it_only(index):
    index.update(map(known, ["a", "a-b/x", "a/x", "a/y/z", "a0", "ab"]))
    assert [row.path for row in index.known("a")] == ["a/x", "a/y/z"]


def test_inodes_of_64_bits_are_held(index):
    index.update([known_from(found("a", inode=(1 << 63) - 1), digest("x"), 1, settled=True)])
    assert index.find("a").inode == (1 << 63) - 1


@pytest.mark.parametrize(
    ("mtime_ns", "ctime_ns", "clock", "settled"),
    [
        (0, 100 * SECOND, 100 * SECOND, True),  # mtime was set by hand, as a pull does
        (100 * SECOND, 100 * SECOND, 101 * SECOND, False),  # just written: may be written again within the grain
        (100 * SECOND, 100 * SECOND, 102 * SECOND, True),
        (500 * SECOND, 100 * SECOND, 100 * SECOND, True),
    ],
)
def test_stamps_are_trusted_when_another_write_would_change_them(mtime_ns, ctime_ns, clock, settled):
    assert is_settled(found("a", mtime_ns=mtime_ns, ctime_ns=ctime_ns), clock) is settled


def test_a_racy_file_is_remembered_without_its_stamps():
    assert known_from(found("a"), digest("x"), 10, settled=False).ctime_ns == 0
    assert known_from(found("a"), digest("x"), 10, settled=True).ctime_ns == 20


def test_the_base_of_all_is_0_at_first_and_then_what_was_pulled(index):
    assert (index.base_version(), index.base_version("a/b")) == (0, 0)
    index.set_version("", 3)
    assert (index.base_version(), index.base_version("a/b")) == (3, 3)


def test_a_folder_pulled_alone_has_a_base_of_its_own(index):
    index.set_version("", 3)
    index.set_version("a/b", 7)
    assert [index.base_version(path) for path in ("", "a", "a/b", "a/b/c", "a/bc")] == [3, 3, 7, 7, 3]
    index.set_version("a", 8)
    assert index.base_version("a/b") == 8
    index.set_version("", 9)
    assert index.base_version("a/b") == 9


def test_a_push_is_compared_with_the_oldest_base_of_its_files(index):
    index.set_version("", 3)
    index.set_version("a", 7)
    index.replace_pending([("new", found("a/x"))], resume=False)
    assert index.push_base() == 7
    index.replace_pending([("new", found("a/x")), ("new", found("b"))], resume=False)
    assert index.push_base() == 3


def test_a_push_is_compared_with_what_was_left_out_of_a_pull(index):
    def bases():
        """What a push of a file in each folder is compared with."""
        for path in ("a/x", "a/b/x", "c"):
            index.replace_pending([("new", found(path))], resume=False)
            yield index.push_base()

    index.set_version("", 3)
    index.set_version("a", 7, complete=False)
    assert index.base_version("a") == 7
    assert list(bases()) == [3, 3, 3]
    index.set_version("a/b", 8)
    assert list(bases()) == [3, 8, 3]
    index.set_version("a", 9)
    assert list(bases()) == [9, 9, 3]
    index.set_version("", 9, complete=False)
    assert list(bases()) == [3, 3, 3]
    index.set_version("", 2, complete=False)
    assert (list(bases()), index.base_version()) == ([2, 2, 2], 2)
    index.commit_push(3)
    assert (list(bases()), index.base_version()) == ([2, 2, 2], 3)
    index.set_version("", 9)
    assert list(bases()) == [9, 9, 9]


def test_a_push_is_committed_at_once(index):
    index.update([known("changed"), known("gone"), known("same"), known("touched")])
    rows = [
        ("modified", found("changed", 4)),
        ("removed", found("gone", 0)),
        ("new", found("new")),
        ("suspect", found("touched", mtime_ns=99)),
    ]
    index.replace_pending(rows, resume=False)
    assert [row.kind for row in index.pending()] == ["modified", "removed", "new", "suspect"]
    assert [row.path for row in index.pending("new", "suspect")] == ["new", "touched"]
    assert index.pending_totals("modified", "new") == (2, 7)
    index.set_digests(
        [
            (found("changed", 4), digest("abcd"), True),
            (found("new"), digest("abc"), False),
            (found("touched", mtime_ns=99), digest("abc"), True),
        ]
    )
    assert index.renamed_count() == 1
    index.commit_push(1)
    rows = {row.path: row for row in index.known()}
    assert sorted(rows) == ["changed", "new", "same", "touched"]
    assert rows["changed"].digest == digest("abcd")
    assert rows["new"].ctime_ns == 0
    assert (rows["touched"].mtime_ns, rows["touched"].disk_mtime_ns) == (10, 99)
    assert list(index.pending()) == []
    assert index.base_version() == 1


def test_the_base_stays_when_somebody_else_pushed_in_between(index):
    index.set_version("", 3)
    index.commit_push(5)
    assert index.base_version() == 3


def test_a_resumed_push_keeps_the_digests_of_files_that_are_as_they_were(index):
    files = [found("changed"), found("racy"), found("same"), found("vanished")]
    index.replace_pending([("new", file) for file in files], resume=False)
    index.set_digests([(file, digest(file.path), file.path != "racy") for file in files])
    again = [("new", found("changed", mtime_ns=11)), ("new", files[1]), ("new", files[2]), ("new", found("z"))]
    index.replace_pending(again, resume=True)
    assert [(row.path, row.kind, row.digest) for row in index.pending()] == [
        ("changed", "new", None),
        ("racy", "new", None),
        ("same", "new", digest("same")),
        ("vanished", "stale", digest("vanished")),
        ("z", "new", None),
    ]


def test_an_error_while_rows_are_made_leaves_all_as_it_was(index):
    index.replace_pending([("new", found("a"))], resume=False)

    def rows():
        yield "new", found("b")
        raise EbulkError("A file cannot be read.")

    with pytest.raises(EbulkError):
        index.replace_pending(rows(), resume=False)
    assert [row.path for row in index.pending()] == ["a"]


def test_a_damaged_index_is_reported_with_the_way_out(tmp_path):
    (tmp_path / "index.db").write_bytes(b"not a database, but long enough to be looked at" * 100)
    with pytest.raises(EbulkError) as caught, Index(tmp_path / "index.db"):
        pass
    assert str(caught.value) == f"The index {tmp_path}/index.db cannot be used: file is not a database."
    assert caught.value.hint == "Remove it and pull: files that are the same as in the lake stay as they are."


def test_an_index_of_a_newer_ebulk_is_refused(tmp_path):
    connection = sqlite3.connect(tmp_path / "index.db")
    connection.execute("PRAGMA user_version = 3")
    connection.close()
    with pytest.raises(EbulkError, match="was written by a newer ebulk"), Index(tmp_path / "index.db"):
        pass


def test_a_missing_index_can_be_read_as_an_empty_one(tmp_path):
    with Index(tmp_path / "index.db", read_only=True) as index:
        assert list(index.known()) == []
    assert not (tmp_path / "index.db").exists()


KILLED = """
import os, sys
from pathlib import Path
from ebulk.local.index import Index, Known
def rows():
    for number in range(20000):
        yield Known(f"{number:06}", 1, b"x" * 32, 0, "100644", 0, 0, 0)
    os.kill(os.getpid(), 9)
with Index(Path(sys.argv[1])) as index:
    index.update([Known("kept", 1, b"x" * 32, 0, "100644", 0, 0, 0)])
    index._connection.execute("PRAGMA cache_size = 10")  # so that pages are on the disk before the commit
    index.update(rows(), ["kept"])
"""


def test_a_kill_in_the_middle_of_a_write_leaves_what_was_before(tmp_path):
    done = subprocess.run([sys.executable, "-c", KILLED, tmp_path / "index.db"], check=False)
    assert done.returncode == -9
    assert os.path.exists(tmp_path / "index.db-journal")
    with Index(tmp_path / "index.db") as index:
        assert [row.path for row in index.known()] == ["kept"]
        assert isinstance(index.find("kept"), Known)


# what is staged


def test_what_is_staged_is_kept_in_order_and_replaced_by_what_is_staged_later(index):
    index.stage([Staged("b", "b", False), Staged("a/x", "a/x", True), Staged("c", "c", False)])
    index.stage([Staged("b", "b", True)])
    assert list(index.staged()) == [Staged("a/x", "a/x", True), Staged("b", "b", True), Staged("c", "c", False)]
    assert list(index.staged("a")) == [Staged("a/x", "a/x", True)]
    assert index.find_staged("c") == Staged("c", "c", False)
    assert index.find_staged("d") is None
    assert [index.staged_count(path) for path in ("", "a", "b", "a/x", "d")] == [3, 1, 1, 1, 0]
    index.unstage(["b", "d"])
    assert index.staged_count() == 2


def test_an_error_while_paths_are_staged_leaves_all_as_it_was(index):
    def rows():
        yield Staged("b", "b", False)
        raise EbulkError("There is nothing at 'c'.")

    index.stage([Staged("a", "a", False)])
    with pytest.raises(EbulkError):
        index.stage(rows())
    assert [row.path for row in index.staged()] == ["a"]


def test_a_push_unstages_what_it_has_taken_and_not_what_was_staged_since(index):
    index.stage([Staged("in/a", "in/a", False), Staged("in/b", "in/b", False), Staged("out", "out", False)])
    index.take_staged("in")
    index.stage([Staged("in/b", "in/b", False), Staged("in/c", "in/c", False)])
    index.commit_push(1)
    assert [row.path for row in index.staged()] == ["in/b", "in/c", "out"]


def test_a_file_that_takes_the_place_of_a_folder_stages_the_removal_of_its_files(index):
    index.update(map(known, ["a/x", "a/y/z", "a-b", "a0"]))
    index.stage([Staged("a", "a", False)])
    assert [row.path for row in index.staged() if row.removed] == ["a/x", "a/y/z"]


@pytest.fixture
def format_1(tmp_path):
    """An index as the first release wrote it, in the middle of a push."""
    return shutil.copy(RECORDED / "index-format-1.db", tmp_path / "index.db")


def test_an_index_of_format_1_is_taken_over_with_all_that_is_in_it(format_1):
    with Index(format_1) as index:
        assert [(row.path, row.size, row.mode) for row in index.known()] == [("a", 3, "100644"), ("sub/b", 4, "100755")]
        assert (index.base_version(), index.base_version("sub")) == (3, 4)
        assert [(row.path, row.kind, row.digest) for row in index.pending()] == [
            ("a", "modified", None),
            ("c", "new", digest("c")),
        ]
        assert index.staged_count() == 0
        index.stage([Staged("a", "a", False)])
    with Index(format_1) as index:
        assert index.staged_count() == 1


def test_an_index_of_format_1_that_is_only_read_stays_as_it_is(format_1):
    before = format_1.read_bytes()
    with Index(format_1, read_only=True) as index:
        assert index.totals() == (2, 7)
        assert list(index.staged()) == []
    assert format_1.read_bytes() == before
