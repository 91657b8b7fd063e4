"""Of a file that replaces another only what differs is fetched; what is placed is right whatever the lake answers.

The lake here is a small one that gives odd answers where a test says so; `tests/functional` pulls from a real one.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest

from ebulk.errors import EbulkError, IntegrityError, NetworkError
from ebulk.model import FileEntry, LocalFile
from ebulk.protocol import DELTA_FILE_SIZE, MIB
from ebulk.remote.lake import Lake
from ebulk.transfer.download import Fetched, fetch
from support.progress import Progress
from support.scripted_server import Answer, Request, ScriptedServer, document, problem, reply, scripted_server

OLD = os.urandom(DELTA_FILE_SIZE + 1_000_003)
NEW = b"".join((OLD[:MIB], os.urandom(MIB), OLD[2 * MIB : 6 * MIB], os.urandom(MIB), OLD[7 * MIB :], os.urandom(5000)))
CHANGED = [[MIB, 2 * MIB], [6 * MIB, 7 * MIB], [len(OLD), len(NEW)]]
RECEIVED = 2 * MIB + 5000


def entry(data: bytes) -> FileEntry:
    return FileEntry("large", len(data), f"sha-256:{hashlib.sha256(data).hexdigest()}", 1)


class DeltaLake:
    """Gives one file, and what of it is not in the old one; `oddities` are asked first."""

    def __init__(self) -> None:
        self.oddities: list[Callable[[Request], Answer | None]] = []
        self.data = NEW
        self.changed = CHANGED

    def __call__(self, request: Request) -> Answer:
        for oddity in self.oddities:
            if answer := oddity(request):
                return answer
        url = urlsplit(request.target)
        if url.path == "/data-sets/brain/delta/large":
            assert parse_qs(url.query) == {"version": ["7"], "base": [entry(OLD).digest]}
            return document({"size": len(NEW), "base_size": len(OLD), "changed": self.changed})
        assert url.path == "/data-sets/brain/files/large"
        if "range" not in request.headers:
            return reply(200, self.data)
        assert request.headers["if-range"] == f'"{entry(NEW).digest}"'
        first, last = request.headers["range"].removeprefix("bytes=").split("-")
        start, stop = int(first), int(last) + 1 if last else len(self.data)
        return reply(206, self.data[start:stop], Content_Range=f"bytes {start}-{stop - 1}/{len(self.data)}")


class Folder:
    """A folder with the old file, a lake with the new one, and a network between them."""

    def __init__(self, root: Path, lake: DeltaLake, server: ScriptedServer) -> None:
        self.target = root / "large"
        self.target.write_bytes(OLD)
        self.parts = root / "parts"
        self.parts.mkdir()
        self.part = self.parts / f"{hashlib.sha256(NEW).hexdigest()}.part"
        self.here: LocalFile | None = LocalFile(entry(OLD), self.target)
        self.lake = lake
        self.server = server
        self.progress = Progress()

    def fetch(self, retry_max_time: float = 60.0) -> Fetched:
        lake = Lake(self.server.url, backoff=lambda n: 0.01, stall_timeout=5.0, retry_max_time=retry_max_time)
        files = [(entry(NEW), self.target)]
        return fetch(lake, "brain", 7, files, parts=self.parts, jobs=1, progress=self.progress, destination=self)

    def place(self, wanted: FileEntry, where: Path, part: Path) -> None:
        os.rename(part, where)

    def write(self, wanted: FileEntry, where: Path, content: bytes) -> None:
        raise AssertionError(wanted)

    def old(self, wanted: FileEntry, where: Path) -> LocalFile | None:
        return self.here

    def ranges(self) -> list[str | None]:
        """Of the requests for bytes."""
        return [request.headers.get("range") for request in self.server.requests if "/files/" in request.target]

    def assert_arrived(self) -> None:
        assert self.target.read_bytes() == NEW
        assert list(self.parts.iterdir()) == []
        self.progress.assert_complete(["large"])


@pytest.fixture
def folder(tmp_path) -> Iterator[Folder]:
    lake = DeltaLake()
    with scripted_server(lake) as server:
        yield Folder(tmp_path, lake, server)


def once(answer: Answer, target: str) -> Callable[[Request], Answer | None]:
    """An oddity: this answer to the first request for a target."""
    left = [answer]
    return lambda request: left.pop() if left and target in request.target else None


def test_only_what_differs_is_fetched(folder):
    assert folder.fetch() == Fetched(1, RECEIVED, len(NEW) - RECEIVED)
    assert folder.ranges() == [
        f"bytes={MIB}-{2 * MIB - 1}",
        f"bytes={6 * MIB}-{7 * MIB - 1}",
        f"bytes={len(OLD)}-",
    ]
    folder.assert_arrived()


def test_file_without_an_old_one_is_fetched_whole_and_nothing_else_is_asked(folder):
    folder.here = None
    assert folder.fetch() == Fetched(1, len(NEW), 0)
    assert folder.ranges() == [None]
    assert len(folder.server.requests) == 1
    folder.assert_arrived()


@pytest.mark.parametrize(
    "answer",
    [
        problem(404, "There is no such content."),
        problem(405, "Not that."),
        document({"size": len(NEW), "base_size": 5, "changed": []}),
        document({"size": 5, "base_size": len(OLD), "changed": []}),
        document({"size": len(NEW), "base_size": len(OLD), "changed": [[0, len(NEW)]]}),
    ],
    ids=["no base", "older lake", "another base", "another file", "all changed"],
)
def test_file_of_which_nothing_is_known_to_be_the_same_is_fetched_whole(folder, answer):
    folder.lake.oddities.append(once(answer, "/delta/"))
    assert folder.fetch() == Fetched(1, len(NEW), 0)
    assert folder.ranges() == [None]
    folder.assert_arrived()


@pytest.mark.parametrize(
    "changed", [[["a", 5]], [5], [[5, 1]], [[0, 10], [5, 20]], [[0, 10**12]], [[-5, 5]], [[1, 2, 3]], [None]]
)
def test_ranges_that_are_none_are_no_answer(folder, changed):
    folder.lake.changed = changed
    with pytest.raises(EbulkError) as raised:
        folder.fetch()
    assert str(raised.value) == f"The lake's answer cannot be understood: 'changed' is {changed!r}."
    assert folder.target.read_bytes() == OLD


def test_delta_that_lies_costs_a_second_download_of_the_whole_file(folder):
    folder.lake.changed = [[MIB, 2 * MIB], [len(OLD), len(NEW)]]
    assert folder.fetch() == Fetched(1, MIB + 5000 + len(NEW), 0)
    assert folder.ranges()[-1] is None
    folder.assert_arrived()


def test_lake_that_lies_about_all_is_an_integrity_error_and_nothing_is_placed(folder):
    folder.lake.data = b"+" + NEW[1:]
    folder.lake.changed = [[0, 1]]
    with pytest.raises(IntegrityError) as raised:
        folder.fetch()
    assert str(raised.value) == "What the lake sends for large is not what its digest says."
    assert folder.target.read_bytes() == OLD
    assert folder.part.read_bytes() == b""


def test_old_file_with_other_bytes_than_were_known_costs_a_second_download_of_the_whole_file(folder):
    folder.target.write_bytes(b"+" + OLD[1:])
    assert folder.fetch() == Fetched(1, RECEIVED + len(NEW), 0)
    folder.assert_arrived()


def test_old_file_that_became_shorter_is_used_as_far_as_it_goes(folder):
    os.truncate(folder.target, 4 * MIB + 17)
    assert folder.fetch() == Fetched(1, len(NEW) - 3 * MIB - 17, 3 * MIB + 17)
    folder.assert_arrived()


def test_old_file_that_vanished_is_done_without(folder):
    folder.here = LocalFile(entry(OLD), folder.target.with_name("gone"))
    assert folder.fetch() == Fetched(1, len(NEW), 0)
    folder.assert_arrived()


def test_range_cut_short_goes_on_where_it_stopped(folder):
    whole = reply(206, NEW[MIB : 2 * MIB], Content_Range=f"bytes {MIB}-{2 * MIB - 1}/{len(NEW)}")
    head = len(whole.data) - MIB
    folder.lake.oddities.append(once(Answer(whole.data[: head + 1234], "close"), "/files/"))
    assert folder.fetch() == Fetched(1, RECEIVED, len(NEW) - RECEIVED)
    assert folder.ranges()[:2] == [f"bytes={MIB}-{2 * MIB - 1}", f"bytes={MIB + 1234}-{2 * MIB - 1}"]
    folder.assert_arrived()


def test_what_was_copied_and_received_before_the_network_gave_up_is_kept_and_not_fetched_again(folder):
    folder.lake.oddities.append(
        lambda request: (
            Answer(b"", "reset") if request.headers.get("range", "").startswith(f"bytes={6 * MIB}") else None
        )
    )
    with pytest.raises(NetworkError):
        folder.fetch(retry_max_time=0.05)
    assert folder.target.read_bytes() == OLD
    assert folder.part.read_bytes() == NEW[: 6 * MIB]
    folder.lake.oddities.clear()
    folder.progress = Progress()
    assert folder.fetch() == Fetched(1, MIB + 5000, len(NEW) - 7 * MIB - 5000)
    folder.assert_arrived()


def test_part_that_ends_within_a_range_goes_on_there(folder):
    folder.part.write_bytes(NEW[: MIB + 100])
    assert folder.fetch() == Fetched(1, RECEIVED - 100, len(NEW) - RECEIVED - MIB)
    assert folder.ranges()[0] == f"bytes={MIB + 100}-{2 * MIB - 1}"
    folder.assert_arrived()


def test_part_that_is_complete_asks_for_nothing(folder):
    folder.part.write_bytes(NEW)
    assert folder.fetch() == Fetched(1, 0, 0)
    assert folder.server.requests == []


def test_part_that_is_wrong_is_fetched_anew(folder):
    folder.part.write_bytes(b"+" + NEW[1 : 3 * MIB])
    folder.fetch()
    assert folder.ranges()[-1] is None
    folder.assert_arrived()


def test_lake_that_ignores_ranges_is_taken_at_its_word(folder):
    folder.lake.oddities.append(lambda request: reply(200, NEW) if "range" in request.headers else None)
    assert folder.fetch() == Fetched(1, len(NEW), 0)
    assert len(folder.ranges()) == 1
    folder.assert_arrived()


def test_odd_answer_to_a_range_starts_over(folder):
    folder.lake.oddities.append(once(reply(416), "/files/"))
    folder.fetch()
    assert folder.ranges()[1] == f"bytes=0-{2 * MIB - 1}"
    folder.assert_arrived()


def test_more_bytes_than_a_range_has_are_an_integrity_error(folder):
    answer = reply(206, NEW[MIB : 2 * MIB + 1], Content_Range=f"bytes {MIB}-{2 * MIB - 1}/{len(NEW)}")
    folder.lake.oddities.append(once(answer, "/files/"))
    with pytest.raises(IntegrityError, match="is not what its digest says"):
        folder.fetch()
    assert folder.target.read_bytes() == OLD
