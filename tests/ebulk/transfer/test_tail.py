"""Of a file that has only grown the end is fetched and appended; whatever the lake answers, nothing wrong is placed."""

from __future__ import annotations

import hashlib
import os
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest

from ebulk.errors import IntegrityError, NetworkError
from ebulk.local.append import append
from ebulk.local.scan import found_from
from ebulk.local.tree import Tree
from ebulk.model import FileEntry, LocalFile
from ebulk.protocol import DELTA_FILE_SIZE, MIB
from ebulk.remote.lake import Lake
from ebulk.transfer.download import Fetched, fetch
from ebulk.transfer.tail import tail_start
from support.progress import Progress
from support.scripted_server import Answer, Request, ScriptedServer, document, reply, scripted_server

START = DELTA_FILE_SIZE
OLD = os.urandom(START + 300_000)
NEW = OLD + os.urandom(MIB)
TAIL = len(NEW) - START


def entry(data: bytes, path: str = "large") -> FileEntry:
    return FileEntry(path, len(data), f"sha-256:{hashlib.sha256(data).hexdigest()}", 1)


class GrowingLake:
    """Gives one file, and says from where on it is not the old one."""

    def __init__(self) -> None:
        self.data = NEW
        self.start = START
        self.ranges = True
        self.whole = NEW
        self.oddity: Callable[[Request], Answer | None] = lambda request: None

    def __call__(self, request: Request) -> Answer:
        if odd := self.oddity(request):
            return odd
        url = urlsplit(request.target)
        if url.path == "/data-sets/brain/delta/large":
            assert parse_qs(url.query) == {"version": ["7"], "base": [entry(OLD).digest]}
            return document({"size": len(NEW), "base_size": len(OLD), "changed": [[self.start, len(NEW)]]})
        assert url.path == "/data-sets/brain/files/large"
        if "range" not in request.headers or not self.ranges:
            return reply(200, self.whole)
        first, last = request.headers["range"].removeprefix("bytes=").split("-")
        start, stop = int(first), int(last) + 1 if last else len(self.data)
        return reply(206, self.data[start:stop], Content_Range=f"bytes {start}-{stop - 1}/{len(self.data)}")


class Folder:
    """A folder with the old file, a lake with the new one, and a network between them."""

    def __init__(self, root: Path, lake: GrowingLake, server: ScriptedServer) -> None:
        self.root = root
        self.target = root / "large"
        self.target.write_bytes(OLD)
        self.inode = self.target.stat().st_ino
        self.parts = root / "parts"
        self.parts.mkdir()
        self.tail = self.parts / f"{hashlib.sha256(NEW).hexdigest()}.tail"
        self.lake = lake
        self.server = server
        self.progress = Progress()
        self.writable = True

    def fetch(self, files: Iterator[FileEntry] | None = None, jobs: int = 1, retry_max_time: float = 60.0) -> Fetched:
        lake = Lake(self.server.url, backoff=lambda n: 0.01, stall_timeout=5.0, retry_max_time=retry_max_time)
        wanted = ((each, self.root / each.path) for each in files or [entry(NEW)])
        return fetch(lake, "brain", 7, wanted, parts=self.parts, jobs=jobs, progress=self.progress, destination=self)

    def place(self, wanted: FileEntry, where: Path, part: Path) -> None:
        os.rename(part, where)

    def write(self, wanted: FileEntry, where: Path, content: bytes) -> None:
        raise AssertionError(wanted)

    def old(self, wanted: FileEntry, where: Path) -> LocalFile | None:
        return LocalFile(entry(OLD), where) if where.exists() else None

    def can_append(self, wanted: FileEntry, where: Path) -> bool:
        return self.writable

    def append(self, wanted: FileEntry, where: Path, tail: Path, start: int) -> None:
        with Tree(self.root) as tree:
            append(tree, wanted, found_from(wanted.path, where.name, where.lstat()), tail, start)

    def ranges(self) -> list[str | None]:
        """Of the requests for bytes."""
        return [request.headers.get("range") for request in self.server.requests if "/files/" in request.target]

    def assert_arrived(self, *, in_place: bool) -> None:
        assert self.target.read_bytes() == NEW
        assert (self.target.stat().st_ino == self.inode) == in_place
        self.progress.assert_complete(["large"])

    def assert_untouched(self) -> None:
        assert self.target.read_bytes() == OLD
        assert self.target.stat().st_ino == self.inode


@pytest.fixture
def folder(tmp_path) -> Iterator[Folder]:
    lake = GrowingLake()
    with scripted_server(lake) as server:
        yield Folder(tmp_path, lake, server)


@pytest.mark.parametrize(
    ("changed", "start"),
    [
        (((START, len(NEW)),), START),
        (((len(OLD), len(NEW)),), len(OLD)),
        (((0, 5), (START, len(NEW))), None),
        (((START, len(NEW) - 1),), None),
        (((len(OLD) + 1, len(NEW)),), None),
        (((MIB, len(NEW)),), None),
        ((), None),
    ],
    ids=["block", "byte", "also before", "not to the end", "a gap", "most of it", "nothing"],
)
def test_tail_is_what_a_file_has_grown_by(changed, start):
    assert tail_start(entry(NEW), LocalFile(entry(OLD), "large"), changed) == start


def test_file_that_became_shorter_has_no_tail(folder):
    assert tail_start(entry(OLD), LocalFile(entry(NEW), "large"), ((START, len(OLD)),)) is None


def test_only_the_end_is_fetched_and_the_file_grows_where_it_is(folder):
    assert folder.fetch() == Fetched(1, TAIL, START)
    assert folder.ranges() == [f"bytes={START}-{len(OLD) - 1}", f"bytes={len(OLD)}-"]
    assert list(folder.parts.iterdir()) == []
    folder.assert_arrived(in_place=True)


def test_file_that_must_not_be_written_to_is_replaced(folder):
    folder.writable = False
    assert folder.fetch() == Fetched(1, TAIL, START)
    folder.assert_arrived(in_place=False)


def test_tail_that_was_given_up_goes_on_where_it_ended(folder):
    whole = reply(206, NEW[len(OLD) :], Content_Range=f"bytes {len(OLD)}-{len(NEW) - 1}/{len(NEW)}")
    cut = Answer(whole.data[: len(whole.data) - MIB + 1234], "close")
    folder.lake.oddity = lambda request: cut if request.headers.get("range") == f"bytes={len(OLD)}-" else None
    with pytest.raises(NetworkError):
        folder.fetch(retry_max_time=0)
    folder.assert_untouched()
    assert folder.tail.read_bytes() == NEW[START : len(OLD) + 1234]
    folder.lake.oddity = lambda request: None
    folder.progress = Progress()
    assert folder.fetch() == Fetched(1, MIB - 1234, START)
    assert folder.ranges()[-1] == f"bytes={len(OLD) + 1234}-"
    folder.assert_arrived(in_place=True)


@pytest.mark.parametrize("there", [NEW[START:], NEW[START:] + b"more"], ids=["complete", "too long"])
def test_tail_of_an_earlier_run_is_taken_up(folder, there):
    folder.tail.write_bytes(there)
    folder.fetch()
    assert len(folder.ranges()) == (0 if there == NEW[START:] else 2)
    folder.assert_arrived(in_place=True)


def test_lake_that_lies_about_the_end_costs_a_download_of_the_whole_file(folder):
    folder.lake.data = NEW[:-1] + bytes([NEW[-1] ^ 255])
    folder.fetch()
    assert folder.ranges()[-1] is None
    folder.assert_arrived(in_place=False)


def test_lake_that_lies_about_all_is_an_integrity_error_and_the_old_file_stays(folder):
    folder.lake.data = folder.lake.whole = NEW[:-1] + bytes([NEW[-1] ^ 255])
    with pytest.raises(IntegrityError) as raised:
        folder.fetch()
    assert str(raised.value) == "What the lake sends for large is not what its digest says."
    folder.assert_untouched()
    assert folder.tail.read_bytes() == b""


def test_delta_that_lies_costs_a_download_of_the_whole_file(folder):
    folder.target.write_bytes(b"+" + OLD[1:])
    folder.fetch()
    assert folder.ranges()[-1] is None
    folder.assert_arrived(in_place=False)


def test_file_that_differs_in_its_last_block_is_found_out_before_the_rest_is_fetched(folder):
    folder.target.write_bytes(OLD[:-1] + bytes([OLD[-1] ^ 255]))
    assert folder.fetch() == Fetched(1, len(OLD) - START + TAIL, START)
    assert folder.ranges() == [f"bytes={START}-{len(OLD) - 1}", f"bytes={START}-"]
    folder.assert_arrived(in_place=False)


def test_file_that_cannot_be_read_to_the_end_is_fetched_from_there(folder):
    os.truncate(folder.target, START - 17)
    assert folder.fetch() == Fetched(1, TAIL + 17, START - 17)
    folder.assert_arrived(in_place=False)


def test_lake_that_ignores_ranges_gives_the_whole_file(folder):
    folder.lake.ranges = False
    folder.fetch()
    folder.assert_arrived(in_place=False)


def test_content_that_is_wanted_twice_by_then_is_fetched_whole_for_both(folder):
    asked, registered = threading.Event(), threading.Event()

    def wait(request: Request) -> None:
        if request.headers.get("range"):
            asked.set()
            assert registered.wait(20)

    def files() -> Iterator[FileEntry]:
        yield entry(NEW)
        assert asked.wait(20)
        yield entry(NEW, "copy")
        registered.set()

    folder.lake.oddity = wait
    assert folder.fetch(files(), jobs=2).files == 2
    assert folder.target.read_bytes() == (folder.root / "copy").read_bytes() == NEW
    folder.progress.assert_complete(["copy", "large"])
