"""What is placed is what the manifest says, whatever the lake answers.

The lake here is a small one that gives odd answers where a test says so; `tests/functional` pulls from a real one.
"""

from __future__ import annotations

import hashlib
import io
import os
import resource
import signal
import tarfile
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

from ebulk.errors import EbulkError, IntegrityError, NetworkError, NotFoundError
from ebulk.model import SYMLINK, FileEntry, LocalFile
from ebulk.protocol import KIB, MIB, SMALL_FILE_SIZE
from ebulk.remote.lake import Lake
from ebulk.transfer.download import Fetched, fetch
from support.progress import Progress
from support.scripted_server import Answer, Request, ScriptedServer, problem, reply, scripted_server

FILES = "/data-sets/brain/files/"
LARGE = os.urandom(2 * MIB + 300 * KIB + 17)


def entry(path: str, data: bytes, mode: str = "100644") -> FileEntry:
    return FileEntry(path, len(data), f"sha-256:{hashlib.sha256(data).hexdigest()}", 1, mode)


class TinyLake:
    """Gives files and archives; `oddities` are asked first and answer instead, where they return an answer."""

    def __init__(self) -> None:
        self.oddities: list[Callable[[Request], Answer | None]] = []
        self.files: dict[str, bytes] = {}

    def __call__(self, request: Request) -> Answer:
        for oddity in self.oddities:
            answer = oddity(request)
            if answer is not None:
                return answer
        return self.archive(request.document["paths"]) if request.method == "POST" else self.file(request)

    def file(self, request: Request) -> Answer:
        data = self.files[unquote(urlsplit(request.target).path.removeprefix(FILES))]
        asked = request.headers.get("range")
        if asked is None:
            return reply(200, data, "application/octet-stream")
        first, last = asked.removeprefix("bytes=").split("-")
        start, stop = int(first), int(last) + 1 if last else len(data)
        assert request.headers["if-range"] == f'"{entry("", data).digest}"'
        return reply(206, data[start:stop], Content_Range=f"bytes {start}-{stop - 1}/{len(data)}")

    def archive(self, paths: list[str], then: str = "keep", length: int | None = None) -> Answer:
        """A tar of these files, or its first `length` bytes and an end of the connection."""
        target = io.BytesIO()
        with tarfile.open(fileobj=target, mode="w") as archive:
            for path in paths:
                info = tarfile.TarInfo(path)
                info.size = len(self.files[path])
                archive.addfile(info, io.BytesIO(self.files[path]))
        answer = reply(200, target.getvalue(), "application/x-tar")
        head = len(answer.data) - len(target.getvalue())
        return Answer(answer.data if length is None else answer.data[: head + length], then)


class Folder:
    """A folder to fetch into, a lake and a network between them."""

    def __init__(self, root: Path, lake: TinyLake, server: ScriptedServer) -> None:
        self.root = root / "folder"
        self.parts = root / "parts"
        self.root.mkdir()
        self.parts.mkdir()
        self.lake = lake
        self.server = server
        self.progress = Progress()
        self.notes: list[str] = []
        self.olds: dict[str, LocalFile] = {}

    def part(self, data: bytes) -> Path:
        return self.parts / f"{hashlib.sha256(data).hexdigest()}.part"

    def fetch(self, *entries: FileEntry, jobs: int = 1, retry_max_time: float = 60.0) -> Fetched:
        lake = Lake(
            self.server.url,
            retry_max_time=retry_max_time,
            backoff=lambda n: 0.02,
            stall_timeout=5.0,
            notify=self.notes.append,
        )
        files = [(wanted, self.root / wanted.path.replace("/", "-")) for wanted in entries]
        return fetch(lake, "brain", 7, files, parts=self.parts, jobs=jobs, progress=self.progress, destination=self)

    def place(self, wanted: FileEntry, where: Path, part: Path) -> None:
        os.rename(part, where)

    def write(self, wanted: FileEntry, where: Path, content: bytes) -> None:
        where.write_bytes(content)

    def old(self, wanted: FileEntry, where: Path) -> LocalFile | None:
        return self.olds.get(wanted.path)

    def give(self, path: str, data: bytes) -> FileEntry:
        """Have the lake hold a file."""
        self.lake.files[path] = data
        return entry(path, data)

    def contents(self) -> dict[str, bytes]:
        return {path.name: path.read_bytes() for path in self.root.iterdir()}

    def ranges(self) -> list[str | None]:
        return [request.headers.get("range") for request in self.server.requests]


@pytest.fixture
def folder(tmp_path) -> Iterator[Folder]:
    lake = TinyLake()
    with scripted_server(lake) as server:
        yield Folder(tmp_path, lake, server)


def once(answer: Answer) -> Callable[[Request], Answer | None]:
    """An oddity: this answer to the first request."""
    left = [answer]
    return lambda request: left.pop() if left else None


def cut(answer: Answer, length: int, then: str = "close") -> Answer:
    """An answer of which so many bytes come."""
    return Answer(answer.data[:length], then)


def test_files_of_all_kinds_are_placed_and_counted(folder):
    entries = [
        folder.give("large", LARGE),
        folder.give("ä/small", b"small"),
        folder.give("empty", b""),
        folder.give("limit", bytes(SMALL_FILE_SIZE)),
    ]
    folder.lake.files["link"] = b"ziel"
    entries.append(entry("link", b"ziel", SYMLINK))
    fetched = folder.fetch(*entries, jobs=3)
    assert fetched == Fetched(5, sum(wanted.size for wanted in entries))
    assert folder.contents() == {
        "large": LARGE,
        "ä-small": b"small",
        "empty": b"",
        "limit": bytes(SMALL_FILE_SIZE),
        "link": b"ziel",
    }
    assert list(folder.parts.iterdir()) == []
    folder.progress.assert_complete([wanted.path for wanted in entries])
    targets = sorted(request.target for request in folder.server.requests)
    assert targets == [
        "/data-sets/brain/archive?format=tar&version=7",
        f"{FILES}large?version=7",
        f"{FILES}limit?version=7",
    ]


def test_symbolic_link_in_the_tar_has_its_target_as_content(folder):
    target = io.BytesIO()
    with tarfile.open(fileobj=target, mode="w") as archive:
        info = tarfile.TarInfo("link")
        info.type, info.linkname = tarfile.SYMTYPE, "ä/ziel"
        archive.addfile(info)
    folder.lake.oddities.append(once(reply(200, target.getvalue())))
    folder.fetch(entry("link", "ä/ziel".encode(), SYMLINK))
    assert folder.contents() == {"link": "ä/ziel".encode()}


def test_nothing_to_fetch_asks_nothing(folder):
    assert folder.fetch() == Fetched(0, 0)
    assert folder.server.requests == []


def test_download_cut_short_goes_on_where_it_stopped(folder):
    wanted = folder.give("large", LARGE)
    whole = reply(200, LARGE)
    head = len(whole.data) - len(LARGE)
    folder.lake.oddities.append(once(cut(whole, head + 1_234_567)))
    assert folder.fetch(wanted) == Fetched(1, len(LARGE))
    assert folder.ranges() == [None, "bytes=1234567-"]
    assert folder.contents() == {"large": LARGE}
    assert len(folder.notes) == 1
    folder.progress.assert_complete(["large"])


def test_part_of_an_earlier_run_is_gone_on_with(folder):
    wanted = folder.give("large", LARGE)
    folder.part(LARGE).write_bytes(LARGE[:1_000_001])
    assert folder.fetch(wanted) == Fetched(1, len(LARGE) - 1_000_001)
    assert folder.ranges() == ["bytes=1000001-"]
    assert folder.contents() == {"large": LARGE}
    folder.progress.assert_complete(["large"])


def test_part_that_is_complete_is_placed_without_a_request(folder):
    wanted = folder.give("large", LARGE)
    folder.part(LARGE).write_bytes(LARGE)
    assert folder.fetch(wanted) == Fetched(1, 0)
    assert folder.server.requests == []


@pytest.mark.parametrize(
    "rubbish",
    [LARGE + b"+", b"+" + LARGE[1:], b"+" + LARGE[1:1000]],
    ids=["too long", "wrong", "wrong and incomplete"],
)
def test_part_that_is_wrong_is_fetched_anew(folder, rubbish):
    wanted = folder.give("large", LARGE)
    folder.part(LARGE).write_bytes(rubbish)
    folder.fetch(wanted)
    assert folder.ranges()[-1] is None
    assert folder.contents() == {"large": LARGE}
    folder.progress.assert_complete(["large"])


@pytest.mark.parametrize(
    "answer",
    [
        reply(206, LARGE[5:], Content_Range=f"bytes 5-{len(LARGE) - 1}/{len(LARGE)}"),
        reply(206, LARGE[1000:], Content_Range=f"bytes 1000-{len(LARGE) - 1}/*"),
        reply(206, LARGE[1000:]),
        reply(416),
    ],
    ids=["another range", "unknown size", "no range", "not satisfiable"],
)
def test_odd_answer_to_a_range_starts_over(folder, answer):
    wanted = folder.give("large", LARGE)
    folder.part(LARGE).write_bytes(LARGE[:1000])
    folder.lake.oddities.append(once(answer))
    folder.fetch(wanted)
    assert folder.ranges() == ["bytes=1000-", None]
    assert folder.contents() == {"large": LARGE}
    folder.progress.assert_complete(["large"])


def test_whole_file_as_answer_to_a_range_is_taken_from_its_start(folder):
    wanted = folder.give("large", LARGE)
    folder.part(LARGE).write_bytes(LARGE[:1000])
    folder.lake.oddities.append(once(reply(200, LARGE)))
    folder.fetch(wanted)
    assert folder.ranges() == ["bytes=1000-"]
    assert folder.contents() == {"large": LARGE}
    folder.progress.assert_complete(["large"])


def test_lake_that_ignores_ranges_and_always_breaks_is_given_up(folder):
    wanted = folder.give("large", LARGE)
    folder.lake.oddities.append(lambda request: cut(reply(200, LARGE), 1_000_000))
    with pytest.raises(NetworkError) as raised:
        folder.fetch(wanted, retry_max_time=0.1)
    assert raised.value.hint == "Run the same command again: it goes on where it stopped."
    assert len(folder.server.requests) > 1


def test_what_arrived_before_the_network_gave_up_is_kept(folder):
    wanted = folder.give("large", LARGE)
    whole = reply(200, LARGE)
    head = len(whole.data) - len(LARGE)
    folder.lake.oddities.append(once(cut(whole, head + 1_500_000)))
    folder.lake.oddities.append(lambda request: Answer(b"", "reset"))
    with pytest.raises(NetworkError, match="broke"):
        folder.fetch(wanted, retry_max_time=0.1)
    assert folder.part(LARGE).read_bytes() == LARGE[:1_500_000]


def test_bytes_that_are_wrong_once_are_fetched_anew(folder):
    wanted = folder.give("large", LARGE)
    folder.lake.oddities.append(once(reply(200, b"+" + LARGE[1:])))
    folder.fetch(wanted)
    assert folder.contents() == {"large": LARGE}


def test_bytes_that_stay_wrong_are_an_integrity_error_and_not_placed(folder):
    wanted = folder.give("large", LARGE)
    folder.lake.files["large"] = b"+" + LARGE[1:]
    with pytest.raises(IntegrityError) as raised:
        folder.fetch(wanted)
    assert str(raised.value) == "What the lake sends for large is not what its digest says."
    assert raised.value.hint == "Pull again; if it stays so, tell who runs the lake: what it has stored is damaged."
    assert raised.value.exit_code == 6
    assert len(folder.server.requests) == 2
    assert folder.contents() == {}
    assert folder.part(LARGE).read_bytes() == b""


@pytest.mark.parametrize("data", [LARGE[:-1], LARGE + b"+"], ids=["shorter", "longer"])
def test_file_of_another_length_is_an_integrity_error_before_it_is_read(folder, data):
    wanted = folder.give("large", LARGE)
    folder.lake.files["large"] = data
    with pytest.raises(IntegrityError, match="is not what its digest says"):
        folder.fetch(wanted)
    assert folder.contents() == {}
    assert folder.part(LARGE).read_bytes() == b""


def test_stream_without_a_length_that_does_not_end_is_an_integrity_error(folder):
    wanted = folder.give("large", LARGE)
    folder.lake.oddities.append(once(Answer(b"HTTP/1.1 200 OK\r\n\r\n" + LARGE + bytes(MIB), "close")))
    with pytest.raises(IntegrityError, match="is not what its digest says"):
        folder.fetch(wanted)
    assert folder.part(LARGE).stat().st_size <= len(LARGE)


def test_stream_without_a_length_that_ends_early_goes_on(folder):
    wanted = folder.give("large", LARGE)
    folder.lake.oddities.append(once(Answer(b"HTTP/1.1 200 OK\r\n\r\n" + LARGE[:1000], "close")))
    folder.fetch(wanted)
    assert folder.ranges() == [None, "bytes=1000-"]
    assert folder.notes == ["The download of large was cut short. Trying again."]


def test_missing_file_is_not_found(folder):
    folder.lake.oddities.append(once(problem(404, "There is no large in version 7.")))
    with pytest.raises(NotFoundError, match="There is no large in version 7"):
        folder.fetch(folder.give("large", LARGE))


def test_archive_cut_short_is_asked_only_for_what_it_did_not_bring(folder):
    entries = [folder.give(f"f{number}", bytes([number]) * 1000) for number in range(5)]
    broken = folder.lake.archive([wanted.path for wanted in entries], "close", 2 * 1536 + 700)
    folder.lake.oddities.append(once(broken))
    assert folder.fetch(*entries) == Fetched(5, 5000)
    assert folder.server.requests[1].document == {"paths": ["f2", "f3", "f4"]}
    folder.progress.assert_complete([wanted.path for wanted in entries])


def test_archive_without_a_length_that_ends_early_is_asked_again(folder):
    entries = [folder.give(f"f{number}", b"x%d" % number) for number in range(3)]
    tar = folder.lake.archive(["f0", "f1"]).data.partition(b"\r\n\r\n")[2][:1300]
    folder.lake.oddities.append(once(Answer(b"HTTP/1.1 200 OK\r\n\r\n" + tar, "close")))
    folder.fetch(*entries)
    assert folder.server.requests[1].document == {"paths": ["f1", "f2"]}
    assert folder.notes == ["The lake's archive was cut short. Trying again."]


def test_archive_that_breaks_after_its_last_file_is_complete(folder):
    wanted = folder.give("f", b"x")
    folder.lake.oddities.append(once(folder.lake.archive(["f"], "close", 1024)))
    folder.fetch(wanted)
    assert len(folder.server.requests) == 1
    assert folder.notes == []


def test_small_file_that_is_wrong_once_is_fetched_anew(folder):
    entries = [folder.give("a", b"right"), folder.give("b", b"other")]
    folder.lake.files["a"] = b"wrong"
    folder.lake.oddities.append(once(folder.lake.archive(["a", "b"])))
    folder.lake.files["a"] = b"right"
    folder.fetch(*entries)
    assert folder.contents() == {"a": b"right", "b": b"other"}
    assert folder.server.requests[1].document == {"paths": ["a"]}


def test_small_file_that_stays_wrong_is_an_integrity_error_and_not_placed(folder):
    wanted = folder.give("a", b"right")
    folder.lake.files["a"] = b"wrong"
    with pytest.raises(IntegrityError) as raised:
        folder.fetch(wanted)
    assert str(raised.value) == "What the lake sends for a is not what its digest says."
    assert folder.contents() == {}
    assert list(folder.parts.iterdir()) == []


def test_archive_that_keeps_lacking_a_file_is_given_up(folder):
    entries = [folder.give("a", b"x"), folder.give("b", b"y")]
    folder.lake.oddities.append(lambda request: folder.lake.archive(["a"]))
    with pytest.raises(NetworkError) as raised:
        folder.fetch(*entries, retry_max_time=0.1)
    assert str(raised.value) == "The lake's archive lacks b. Nothing got through for 0 s."
    assert folder.contents() == {"a": b"x"}


def test_files_that_were_not_asked_for_are_not_written(folder):
    wanted = folder.give("a", b"x")
    folder.lake.files["../../escaped"] = b"y"
    folder.lake.oddities.append(once(folder.lake.archive(["../../escaped", "a"])))
    folder.fetch(wanted)
    assert folder.contents() == {"a": b"x"}
    assert sorted(path.name for path in folder.root.parent.rglob("*")) == ["a", "folder", "parts"]


def test_stream_that_is_no_tar_is_refused(folder):
    folder.lake.oddities.append(once(reply(200, b"<html>" + bytes(1000))))
    with pytest.raises(EbulkError, match="The lake's archive cannot be understood"):
        folder.fetch(folder.give("a", b"x"))


def test_batches_are_limited_by_count_bytes_and_length_of_paths(folder, monkeypatch):
    monkeypatch.setattr("ebulk.transfer.download.BUNDLE_LENGTH", 3)
    monkeypatch.setattr("ebulk.transfer.download.BUNDLE_SIZE", 1000)
    monkeypatch.setattr("ebulk.transfer.download.SMALL_PATHS_LENGTH", 200)
    entries = [
        *[folder.give(f"c{number}", b"%d" % number) for number in range(4)],
        *[folder.give(f"s{number}", bytes([number]) * 600) for number in range(2)],
        *[folder.give(f"p{number}" + "x" * 90, bytes([number])) for number in range(3)],
    ]
    folder.fetch(*entries)
    asked = [[path.rstrip("x") for path in request.document["paths"]] for request in folder.server.requests]
    assert asked == [["c0", "c1", "c2"], ["c3", "s0"], ["s1", "p0", "p1"], ["p2"]]


@pytest.mark.parametrize("data", [b"same", LARGE], ids=["small", "large"])
def test_same_content_is_fetched_once_and_placed_everywhere(folder, data):
    entries = [folder.give(path, data) for path in ("a", "b", "c")]
    fetched = folder.fetch(*entries)
    assert fetched == Fetched(3, len(data))
    assert folder.contents() == {"a": data, "b": data, "c": data}
    assert len(folder.server.requests) == 1
    assert list(folder.parts.iterdir()) == []
    folder.progress.assert_complete(["a", "b", "c"])


def test_disk_that_takes_no_more_is_told_and_keeps_what_it_took(folder):
    wanted = folder.give("large", LARGE)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (MIB + 1000, limits[1]))
    try:
        with pytest.raises(EbulkError) as raised:
            folder.fetch(wanted)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert str(raised.value) == f"{folder.part(LARGE)} cannot be written: file too large."
    assert folder.part(LARGE).read_bytes() == LARGE[: MIB + 1000]
    assert folder.fetch(wanted) == Fetched(1, len(LARGE) - MIB - 1000)
    assert folder.contents() == {"large": LARGE}


def test_part_that_cannot_be_written_is_named(folder):
    folder.part(LARGE).mkdir()
    with pytest.raises(EbulkError) as raised:
        folder.fetch(folder.give("a", LARGE))
    assert str(raised.value) == f"{folder.part(LARGE)} cannot be written: is a directory."


@pytest.mark.parametrize("data", [b"x", LARGE], ids=["small", "large"])
def test_error_of_placing_is_passed_on_as_it_is(folder, data):
    error = PermissionError(13, "Permission denied")

    def refuse(wanted: FileEntry, where: Path, content: Path | bytes) -> None:
        raise error

    folder.place = folder.write = refuse
    with pytest.raises(PermissionError) as raised:
        folder.fetch(folder.give("a", data))
    assert raised.value is error


def test_first_error_ends_the_other_downloads_at_once(folder):
    begun = threading.Event()

    def answer(request: Request) -> Answer:
        if request.method == "GET":
            begun.set()
            return cut(reply(200, LARGE), 1_000_000, "stall")
        assert begun.wait(5)
        return problem(403, "You may not.")

    folder.lake.oddities.append(answer)
    with pytest.raises(EbulkError, match="You may not"):
        folder.fetch(folder.give("large", LARGE), folder.give("small", b"x"), jobs=2)
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("ebulk")]


def test_interrupt_ends_a_download_at_once_and_keeps_what_arrived(folder):
    whole = reply(200, LARGE)
    head = len(whole.data) - len(LARGE)
    arrived: list[int] = []

    def advance(path: str, count: int) -> None:
        arrived.append(count)
        if sum(arrived) == MIB + 1:
            signal.pthread_kill(threading.main_thread().ident, signal.SIGINT)

    folder.progress.advance = advance
    folder.lake.oddities.append(lambda request: cut(whole, head + MIB + 1, "stall"))
    with pytest.raises(KeyboardInterrupt):
        folder.fetch(folder.give("large", LARGE))
    assert folder.part(LARGE).read_bytes() == LARGE[: MIB + 1]


def test_archive_whose_request_never_gets_through_is_asked_for_by_halves(folder):
    entries = [folder.give(f"f{number}", b"x%d" % number) for number in range(8)]

    def break_long(request: Request) -> Answer | None:
        return Answer(b"", "reset") if len(request.document["paths"]) > 2 else None

    folder.lake.oddities.append(break_long)
    assert folder.fetch(*entries) == Fetched(8, 16)
    asked = [len(request.document["paths"]) for request in folder.server.requests]
    assert asked == [8, 4, 2, 2, 4, 2, 2]
    folder.progress.assert_complete([wanted.path for wanted in entries])
