"""Of a file made from a content of the lake only what differs is sent, and all of it whatever the lake answers.

The lake here is a small one that gives odd answers where a test says so; `tests/functional` pushes to a real one.
"""

from __future__ import annotations

import hashlib
import os
from base64 import b64decode, b64encode
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ebulk.errors import ChangedError, EbulkError, IntegrityError, NetworkError
from ebulk.model import Base, FileEntry, Ingestion, LocalFile, Upload
from ebulk.protocol import KIB
from ebulk.remote.lake import Lake
from ebulk.transfer.upload import Sent, send
from support.progress import Progress
from support.scripted_server import Answer, Request, ScriptedServer, problem, reply, scripted_server

BASE = "/data-sets/brain/ingestions/i1"
UPLOADS = f"{BASE}/uploads"
SIGNATURE = "/data-sets/brain/signature/"
BLOCK = 64 * KIB
CHUNK = 96 * KIB
OLD = os.urandom(10 * BLOCK + 1000)


def digest(data: bytes) -> str:
    return f"sha-256:{hashlib.sha256(data).hexdigest()}"


class Received:
    """An upload, and the base that the lake takes what is not sent from."""

    def __init__(self, request: Request, contents: dict[str, bytes]) -> None:
        text = request.headers["upload-metadata"]
        self.metadata = {
            key: b64decode(value).decode() for key, _, value in (p.partition(" ") for p in text.split(","))
        }
        self.text = text
        self.length = int(request.headers["upload-length"])
        self.base = contents.get(self.metadata.get("base", ""), b"")
        self.data = bytearray()
        parts = [part.split("-") for part in self.metadata.get("changed", "").split(",") if part]
        self.ranges = [(int(first), int(last) + 1) for first, last in parts]
        self.jump()

    def jump(self) -> None:
        offset = len(self.data)
        if self.base and not any(start <= offset < stop for start, stop in self.ranges):
            stop = min([start for start, _ in self.ranges if start > offset], default=self.length)
            self.data += self.base[offset:stop]


class DeltaLake:
    """Takes uploads that start from a base, and gives signatures; `oddities` are asked first."""

    def __init__(self) -> None:
        self.oddities: list[Callable[[Request], Answer | None]] = []
        self.contents = {digest(OLD): OLD}
        self.signed = OLD
        self.uploads: dict[str, Received] = {}
        self.files: dict[str, bytes] = {}
        self.pieces: list[tuple[int, int]] = []
        """Start and stop of what arrived."""

    def __call__(self, request: Request) -> Answer:
        for oddity in self.oddities:
            if answer := oddity(request):
                return answer
        return getattr(self, request.method.lower())(request)

    def get(self, request: Request) -> Answer:
        assert request.target == f"{SIGNATURE}large"
        if request.headers["if-match"] != f'"{digest(self.signed)}"':
            return problem(412, "It is another one.")
        blocks = [self.signed[start : start + BLOCK] for start in range(0, len(self.signed), BLOCK)]
        data = b"".join(hashlib.sha256(block).digest() for block in blocks)
        start = int(request.headers.get("range", "bytes=0-")[6:-1])
        return reply(206 if start else 200, data[start:], Signature_Block_Size=str(BLOCK))

    def post(self, request: Request) -> Answer:
        upload = Received(request, self.contents)
        location = f"{UPLOADS}/{len(self.uploads) + 1}"
        self.uploads[location] = upload
        return self.stored(request, upload, 201, Location=f"/erp5/api/v1{location}")

    def head(self, request: Request) -> Answer:
        upload = self.uploads[request.target]
        return reply(200, Upload_Offset=str(len(upload.data)), Upload_Metadata=upload.text)

    def patch(self, request: Request) -> Answer:
        upload = self.uploads[request.target]
        offset = len(upload.data)
        if int(request.headers["upload-offset"]) != offset:
            return problem(409, "Wrong offset.", headers={"Upload_Offset": str(offset)}, offset=offset)
        self.pieces.append((offset, offset + len(request.body)))
        upload.data += request.body
        upload.jump()
        return self.stored(request, upload, 204)

    def stored(self, request: Request, upload: Received, status: int, **headers: str) -> Answer:
        if len(upload.data) == upload.length:
            if digest(bytes(upload.data)) != upload.metadata["digest"]:
                return problem(422, "It is not what its digest says.")
            self.files[upload.metadata["path"]] = bytes(upload.data)
        return reply(status, Upload_Offset=str(len(upload.data)), **headers)


class Folder:
    """A folder, a lake and a network between them."""

    def __init__(self, root: Path, lake: DeltaLake, server: ScriptedServer) -> None:
        self.root = root
        self.lake = lake
        self.server = server
        self.progress = Progress()

    def file(self, data: bytes, *, appended: bool = False, base: bytes = OLD) -> LocalFile:
        source = self.root / "large"
        source.write_bytes(data)
        entry = FileEntry("large", len(data), digest(data), source.stat().st_mtime_ns)
        return LocalFile(entry, source, Base(digest(base), len(base), appended))

    def send(
        self, file: LocalFile, jobs: int = 1, uploads: tuple[Upload, ...] = (), retry_max_time: float = 60.0
    ) -> Sent:
        lake = Lake(self.server.url, backoff=lambda n: 0.01, stall_timeout=5.0, retry_max_time=retry_max_time)
        ingestion = Ingestion("brain", "i1", "started", 0, uploads, None)
        return send(lake, ingestion, [file], jobs=jobs, progress=self.progress)

    def methods(self) -> list[str]:
        return [request.method for request in self.server.requests]

    def assert_arrived(self, data: bytes) -> None:
        assert self.lake.files == {"large": data}
        self.progress.assert_complete(["large"])


@pytest.fixture
def folder(tmp_path, monkeypatch) -> Iterator[Folder]:
    monkeypatch.setattr("ebulk.transfer.upload.UPLOAD_CHUNK_SIZE", CHUNK)
    lake = DeltaLake()
    with scripted_server(lake) as server:
        yield Folder(tmp_path, lake, server)


def once(change: Callable[[Request], Answer | None], method: str) -> Callable[[Request], Answer | None]:
    """An oddity: of the first request of a method."""
    left = [change]
    return lambda request: left.pop()(request) if left and request.method == method else None


def overwritten(*places: int) -> bytes:
    """The old content with a byte changed at each of these places."""
    data = bytearray(OLD)
    for place in places:
        data[place] ^= 255
    return bytes(data)


def of(*blocks: int) -> int:
    """Bytes of so many blocks of the old content, by their numbers."""
    return sum(min(BLOCK, len(OLD) - number * BLOCK) for number in blocks)


def test_of_a_file_that_was_appended_to_only_the_end_is_sent_without_a_signature(folder):
    data = OLD + os.urandom(3 * CHUNK)
    assert folder.send(folder.file(data, appended=True)) == Sent(1, 3 * CHUNK, len(OLD))
    assert folder.methods() == ["POST", "PATCH", "PATCH", "PATCH"]
    metadata = folder.lake.uploads[f"{UPLOADS}/1"].metadata
    assert (metadata["base"], metadata["base_length"]) == (digest(OLD), str(len(OLD)))
    assert metadata["changed"] == f"{len(OLD)}-{len(data) - 1}"
    folder.assert_arrived(data)


@pytest.mark.parametrize("jobs", [1, 2])
def test_of_a_file_that_was_changed_inside_only_the_changed_blocks_are_sent(folder, jobs):
    data = overwritten(5, BLOCK + 1, 5 * BLOCK, len(OLD) - 1)
    assert folder.send(folder.file(data), jobs) == Sent(1, of(0, 1, 5, 10), len(OLD) - of(0, 1, 5, 10))
    assert folder.lake.uploads[f"{UPLOADS}/1"].ranges == [
        (0, 2 * BLOCK),
        (5 * BLOCK, 6 * BLOCK),
        (10 * BLOCK, len(OLD)),
    ]
    assert folder.lake.pieces == [
        (0, CHUNK),
        (CHUNK, 2 * BLOCK),
        (5 * BLOCK, 6 * BLOCK),
        (10 * BLOCK, len(OLD)),
    ]
    folder.assert_arrived(data)


@pytest.mark.parametrize(
    ("data", "sent"),
    [
        (OLD[: 4 * BLOCK], 0),
        (OLD[: 4 * BLOCK + 5], 5),
        (overwritten(0)[:-1], BLOCK + 999),
        (overwritten(3 * BLOCK) + b"more", BLOCK + 1004),
        (OLD + bytes(3 * BLOCK), 1000 + 3 * BLOCK),
    ],
    ids=["cut at a block", "cut in a block", "changed and cut", "changed and longer", "longer"],
)
def test_file_of_another_length_is_put_together_from_its_base(folder, data, sent):
    assert folder.send(folder.file(data)) == Sent(1, sent, len(data) - sent)
    folder.assert_arrived(data)


def test_no_more_ranges_are_named_than_the_lake_takes(folder, monkeypatch):
    monkeypatch.setattr("ebulk.transfer.signature.CHANGED_RANGES", 2)
    data = overwritten(0, 2 * BLOCK, 7 * BLOCK)
    assert folder.send(folder.file(data)) == Sent(1, of(0, 1, 2, 7), len(OLD) - of(0, 1, 2, 7))
    assert folder.lake.uploads[f"{UPLOADS}/1"].ranges == [(0, 3 * BLOCK), (7 * BLOCK, 8 * BLOCK)]
    folder.assert_arrived(data)


def test_file_that_differs_nearly_everywhere_is_sent_as_a_new_one(folder):
    data = os.urandom(len(OLD))
    assert folder.send(folder.file(data)) == Sent(1, len(data), 0)
    assert "base" not in folder.lake.uploads[f"{UPLOADS}/1"].metadata
    folder.assert_arrived(data)


@pytest.mark.parametrize("jobs", [1, 2])
@pytest.mark.parametrize("place", [0, 3 * BLOCK])
def test_lake_that_does_not_know_the_base_gets_the_whole_file(folder, place, jobs):
    folder.lake.contents.clear()
    data = overwritten(place, 8 * BLOCK)
    assert folder.send(folder.file(data), jobs) == Sent(1, len(data), 0)
    folder.assert_arrived(data)


def test_lake_that_leaves_the_last_block_to_be_sent_gets_it(folder):
    data = overwritten(0)

    def leave(request: Request) -> Answer:
        upload = folder.lake.uploads[request.target]
        upload.ranges.append((9 * BLOCK, len(OLD)))
        return folder.lake.patch(request)

    folder.lake.oddities.append(once(leave, "PATCH"))
    assert folder.send(folder.file(data)) == Sent(1, of(0, 9, 10), of(1, 2, 3, 4, 5, 6, 7, 8))
    folder.assert_arrived(data)


@pytest.mark.parametrize(
    "answer",
    [
        problem(404, "There is none."),
        problem(405, "Not that."),
        reply(200, bytes(32 * 10), Signature_Block_Size=str(BLOCK)),
        reply(200, bytes(32 * 12), Signature_Block_Size=str(BLOCK)),
        reply(200, bytes(32 * 11)),
        reply(200, bytes(32 * 11), Signature_Block_Size="9" * 30),
        reply(200, bytes(32 * 11), Signature_Block_Size="many"),
    ],
    ids=["none", "older lake", "too short", "too long", "no block size", "large blocks", "no number"],
)
def test_lake_without_a_signature_of_the_base_gets_the_whole_file(folder, answer):
    folder.lake.oddities.append(lambda request: answer if request.method == "GET" else None)
    data = overwritten(7)
    assert folder.send(folder.file(data)) == Sent(1, len(data), 0)
    folder.assert_arrived(data)


def test_newer_content_of_the_lake_is_not_compared(folder):
    folder.lake.signed = os.urandom(len(OLD))
    data = overwritten(7)
    assert folder.send(folder.file(data)) == Sent(1, len(data), 0)
    folder.assert_arrived(data)


def test_signature_that_lies_costs_a_second_upload_of_the_whole_file(folder):
    data = overwritten(7, 4 * BLOCK)
    folder.lake.signed = data
    folder.lake.oddities.append(
        once(lambda request: folder.lake.get(with_headers(request, {"if-match": f'"{digest(data)}"'})), "GET")
    )
    assert folder.send(folder.file(data)).files == 1
    assert folder.methods().count("POST") == 2
    folder.assert_arrived(data)


def with_headers(request: Request, headers: dict[str, str]) -> Request:
    return Request(request.method, request.target, {**request.headers, **headers}, request.body, request.connection)


def test_base_that_is_another_content_than_its_digest_says_costs_a_second_upload(folder):
    folder.lake.contents[digest(OLD)] = os.urandom(len(OLD))
    data = OLD + os.urandom(CHUNK)
    assert folder.send(folder.file(data, appended=True)) == Sent(1, len(data), 0)
    folder.assert_arrived(data)


def test_lake_that_refuses_the_whole_file_too_is_an_integrity_error(folder):
    folder.lake.oddities.append(
        lambda request: problem(422, "It is not what its digest says.") if request.method == "PATCH" else None
    )
    with pytest.raises(IntegrityError, match="It is not what its digest says"):
        folder.send(folder.file(OLD + b"more", appended=True))
    assert folder.methods() == ["POST", "PATCH", "POST", "PATCH"]


def test_broken_signature_goes_on_behind_what_was_compared(folder):
    whole = folder.lake.get(Request("GET", f"{SIGNATURE}large", {"if-match": f'"{digest(OLD)}"'}, b"", 0))
    cut = Answer(whole.data[: -32 * 5 - 7], "close")
    folder.lake.oddities.append(once(lambda request: cut, "GET"))
    data = overwritten(BLOCK, 9 * BLOCK)
    assert folder.send(folder.file(data)) == Sent(1, of(1, 9), len(OLD) - of(1, 9))
    assert [request.headers.get("range") for request in folder.server.requests[:2]] == [None, f"bytes={5 * 32}-"]
    folder.assert_arrived(data)


def test_signature_that_is_sent_whole_again_is_compared_from_where_it_broke(folder):
    whole = folder.lake.get(Request("GET", f"{SIGNATURE}large", {"if-match": f'"{digest(OLD)}"'}, b"", 0))
    answers = [Answer(whole.data[: -32 * 5], "close"), whole]
    folder.lake.oddities.append(lambda request: answers.pop(0) if request.method == "GET" else None)
    data = overwritten(BLOCK, 9 * BLOCK)
    assert folder.send(folder.file(data)) == Sent(1, of(1, 9), len(OLD) - of(1, 9))
    folder.assert_arrived(data)


def test_signature_that_never_comes_is_given_up_as_any_request(folder):
    folder.lake.oddities.append(lambda request: Answer(b"", "reset") if request.method == "GET" else None)
    with pytest.raises(NetworkError) as raised:
        folder.send(folder.file(overwritten(7)), retry_max_time=0.05)
    assert raised.value.hint == "Check the lake's URL, http or https too, and that it is served there; then try again."


@pytest.mark.parametrize("jobs", [1, 2])
def test_broken_connection_costs_nothing_of_what_the_lake_has(folder, jobs):
    def store_and_break(request: Request) -> Answer:
        folder.lake.patch(request)
        return Answer(b"", "reset")

    folder.lake.oddities.append(once(store_and_break, "PATCH"))
    data = overwritten(0, 5 * BLOCK, 9 * BLOCK)
    assert folder.send(folder.file(data), jobs).reused == len(OLD) - of(0, 5, 9)
    assert sum(stop - start for start, stop in folder.lake.pieces) == of(0, 5, 9)
    folder.assert_arrived(data)


def test_upload_of_an_earlier_run_goes_on_with_the_ranges_that_it_announced(folder):
    data = overwritten(0, 5 * BLOCK, 9 * BLOCK)
    breaks: list[bool] = []

    def break_off(request: Request) -> Answer | None:
        return Answer(b"", "reset") if breaks and folder.lake.pieces else None

    breaks.append(True)
    folder.lake.oddities.append(break_off)
    with pytest.raises(NetworkError):
        folder.send(folder.file(data), retry_max_time=0.05)
    breaks.clear()
    folder.progress = Progress()
    begun = Upload(f"/erp5/api/v1{UPLOADS}/1", "large", 0, len(data), digest(data))
    asked = len(folder.server.requests)
    assert folder.send(folder.file(data), uploads=(begun,)) == Sent(1, of(5, 9), len(OLD) - of(0, 5, 9))
    assert folder.methods()[asked:] == ["HEAD", "PATCH", "PATCH"]
    folder.assert_arrived(data)


@pytest.mark.parametrize("text", ["x", "5", "5-1", "0-9,5-7", "0-99999999"])
def test_upload_of_an_earlier_run_with_ranges_that_are_none_is_sent_from_the_offset_on(folder, text):
    data = overwritten(0)
    begun = Upload(f"/erp5/api/v1{UPLOADS}/1", "large", 0, len(data), digest(data))
    file = folder.file(data)
    request = Request("POST", UPLOADS, {"upload-metadata": "path bGFyZ2U=", "upload-length": str(len(data))}, b"", 0)
    folder.lake.uploads[f"{UPLOADS}/1"] = upload = Received(request, {})
    upload.metadata["digest"] = digest(data)
    upload.text = f"changed {b64encode(text.encode()).decode()}"
    assert folder.send(file, uploads=(begun,)) == Sent(1, len(data), 0)
    folder.assert_arrived(data)


def test_lake_that_takes_long_to_verify_what_it_reuses_is_waited_for_while_it_gets_on(folder):
    verified = iter(range(1000, 30_000, 1000))

    def verify(request: Request) -> Answer | None:
        if request.method != "PATCH" or (count := next(verified, None)) is None:
            return None
        return problem(503, "The server verifies 'large'.", headers={"Retry_After": "0"}, verified=count)

    folder.lake.oddities.append(verify)
    data = overwritten(0)
    assert folder.send(folder.file(data), retry_max_time=0.1) == Sent(1, of(0), len(OLD) - of(0))
    assert folder.methods().count("PATCH") == 30
    folder.assert_arrived(data)


def test_lake_that_does_not_get_on_with_verifying_is_given_up(folder):
    answer = problem(503, "The server verifies 'large'.", headers={"Retry_After": "0"}, verified=5)
    folder.lake.oddities.append(lambda request: answer if request.method == "PATCH" else None)
    with pytest.raises(NetworkError, match="The server verifies 'large'"):
        folder.send(folder.file(overwritten(0)), retry_max_time=0.1)


def test_file_that_became_shorter_while_it_was_compared_has_changed(folder):
    file = folder.file(overwritten(0))

    def shrink(request: Request) -> None:
        os.truncate(file.source, 3 * BLOCK)

    folder.lake.oddities.append(once(shrink, "GET"))
    with pytest.raises(ChangedError) as raised:
        folder.send(file)
    assert str(raised.value) == f"{file.source} became shorter while it was sent."
    assert raised.value.hint == "Push again."


def test_file_that_changed_while_its_delta_was_sent_is_named_and_not_sent_whole(folder):
    file = folder.file(overwritten(0))

    def change(request: Request) -> None:
        Path(file.source).write_bytes(os.urandom(len(OLD)))

    folder.lake.oddities.append(once(change, "PATCH"))
    folder.lake.oddities.append(lambda request: problem(422, "Wrong.") if request.method == "PATCH" else None)
    with pytest.raises(ChangedError, match="changed while it was sent"):
        folder.send(file)
    assert folder.methods().count("POST") == 1


def test_offset_beyond_the_file_when_an_upload_begins_is_no_answer(folder):
    answer = reply(201, Location=f"/erp5/api/v1{UPLOADS}/1", Upload_Offset=str(10**12))
    folder.lake.oddities.append(lambda request: answer if request.method == "POST" else None)
    with pytest.raises(EbulkError) as raised:
        folder.send(folder.file(OLD + b"more", appended=True))
    assert str(raised.value) == "The lake's answer cannot be understood: the upload of large is at '1000000000000'."
