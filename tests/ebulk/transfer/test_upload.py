"""What is sent arrives once, whatever the lake answers; a file that changes is named.

The lake here is a small one that gives odd answers where a test says so; `tests/functional` pushes to a real one.
"""

from __future__ import annotations

import hashlib
import io
import os
import signal
import tarfile
import threading
from base64 import b64decode
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ebulk.errors import ChangedError, DiskFullError, EbulkError, IntegrityError, NetworkError, NotFoundError
from ebulk.model import SYMLINK, FileEntry, Ingestion, LocalFile, Upload
from ebulk.protocol import KIB, MIB, SMALL_FILE_SIZE
from ebulk.remote.lake import Lake
from ebulk.transfer.upload import Sent, send
from support.progress import Progress
from support.scripted_server import Answer, Request, ScriptedServer, document, problem, reply, scripted_server

INGESTION = Ingestion("brain", "i1", "started", 0, (), None)
BASE = "/data-sets/brain/ingestions/i1"
UPLOADS = f"{BASE}/uploads"


def digest(data: bytes) -> str:
    return f"sha-256:{hashlib.sha256(data).hexdigest()}"


class TinyLake:
    """Takes bundles and tus uploads; `oddities` are asked first and answer instead, where they return an answer."""

    def __init__(self) -> None:
        self.oddities: list[Callable[[Request], Answer | None]] = []
        self.files: dict[str, bytes] = {}
        self.uploads: dict[str, tuple[FileEntry, bytearray]] = {}
        self.sizes: list[int] = []
        """Of the bodies that arrived."""

    def __call__(self, request: Request) -> Answer:
        for oddity in self.oddities:
            answer = oddity(request)
            if answer is not None:
                return answer
        kind = request.target.removeprefix(f"{BASE}/").partition("/")[0]
        return getattr(self, f"{request.method.lower()}_{kind}")(request)

    def post_plan(self, request: Request) -> Answer:
        return document({"missing": [f["path"] for f in request.document["files"] if f["path"] not in self.files]})

    def post_bundle(self, request: Request) -> Answer:
        self.sizes.append(len(request.body))
        received = []
        with tarfile.open(fileobj=io.BytesIO(request.body)) as archive:
            for member in archive:
                data = member.linkname.encode() if member.issym() else archive.extractfile(member).read()
                self.files[member.name] = data
                received.append({"path": member.name, "size": len(data), "digest": digest(data)})
        return document({"received": received})

    def post_uploads(self, request: Request) -> Answer:
        metadata = dict(pair.split(" ") for pair in request.headers["upload-metadata"].split(","))
        read = {key: b64decode(value).decode() for key, value in metadata.items()}
        entry = FileEntry(read["path"], int(request.headers["upload-length"]), read["digest"], 0, read["mode"])
        location = f"{UPLOADS}/{len(self.uploads) + 1}"
        self.uploads[location] = entry, bytearray()
        return reply(201, Location=f"http://elsewhere.example/erp5/api/v1{location}", Upload_Offset="0")

    def head_uploads(self, request: Request) -> Answer:
        if request.target not in self.uploads:
            return reply(404)
        return reply(200, Upload_Offset=str(len(self.uploads[request.target][1])))

    def patch_uploads(self, request: Request) -> Answer:
        if request.target not in self.uploads:
            return problem(404, "There is no such upload.")
        entry, data = self.uploads[request.target]
        if int(request.headers["upload-offset"]) != len(data):
            return problem(409, "Wrong offset.", headers={"Upload_Offset": str(len(data))}, offset=len(data))
        self.sizes.append(len(request.body))
        data += request.body
        if len(data) == entry.size:
            del self.uploads[request.target]
            if digest(data) != entry.digest:
                return problem(422, "It is not what its digest says.")
            self.files[entry.path] = bytes(data)
        return reply(204, Upload_Offset=str(len(data)))


class Folder:
    """A folder, a lake and a network between them."""

    def __init__(self, root: Path, lake: TinyLake, server: ScriptedServer) -> None:
        self.root = root
        self.lake = lake
        self.server = server
        self.progress = Progress()
        self.notes: list[str] = []

    def file(self, path: str, data: bytes) -> LocalFile:
        source = self.root / path
        source.parent.mkdir(exist_ok=True, parents=True)
        source.write_bytes(data)
        return LocalFile(FileEntry(path, len(data), digest(data), source.stat().st_mtime_ns), source)

    def link(self, path: str, target: str) -> LocalFile:
        source = self.root / path
        os.symlink(target, source)
        data = target.encode()
        return LocalFile(FileEntry(path, len(data), digest(data), source.lstat().st_mtime_ns, SYMLINK), source)

    def send(
        self, *files: LocalFile, uploads: tuple[Upload, ...] = (), jobs: int = 1, retry_max_time: float = 60.0
    ) -> Sent:
        lake = Lake(
            self.server.url,
            retry_max_time=retry_max_time,
            backoff=lambda n: 0.02,
            stall_timeout=5.0,
            notify=self.notes.append,
        )
        ingestion = Ingestion("brain", "i1", "started", 0, uploads, None)
        return send(lake, ingestion, files, jobs=jobs, progress=self.progress)

    def methods(self) -> list[str]:
        return [request.method for request in self.server.requests]


TIMEOUT = 60
CHUNK = MIB
LARGE = os.urandom(2 * CHUNK + 300 * KIB + 17)
"""Two chunks and some more."""


@pytest.fixture
def folder(tmp_path, monkeypatch) -> Iterator[Folder]:
    monkeypatch.setattr("ebulk.transfer.upload.UPLOAD_CHUNK_SIZE", CHUNK)
    lake = TinyLake()
    with scripted_server(lake) as server:
        yield Folder(tmp_path, lake, server)


def once(answer: Answer, method: str) -> Callable[[Request], Answer | None]:
    """An oddity: this answer to the first request of a method, which is not carried out."""
    left = [answer]
    return lambda request: left.pop() if left and request.method == method else None


def test_files_of_all_kinds_arrive_and_are_counted(folder):
    files = [
        folder.file("large", LARGE),
        folder.file("ä/small", b"small"),
        folder.file("empty", b""),
        folder.link("link", "ä/small"),
        folder.file("p" * 200, bytes(SMALL_FILE_SIZE - 1)),
        folder.file("limit", bytes(SMALL_FILE_SIZE)),
    ]
    sent = folder.send(*files, jobs=3)
    assert folder.lake.files == {
        file.entry.path: os.readlink(file.source).encode() if file.entry.mode == SYMLINK else file.source.read_bytes()
        for file in files
    }
    assert sent == Sent(6, sum(file.entry.size for file in files))
    folder.progress.assert_complete([file.entry.path for file in files])
    assert folder.methods().count("POST") == 3  # a bundle and two uploads


def test_nothing_to_send_asks_nothing(folder):
    assert folder.send() == Sent(0, 0)
    assert folder.server.requests == []


def test_bundles_are_limited_by_count(folder, monkeypatch):
    monkeypatch.setattr("ebulk.transfer.upload.BUNDLE_LENGTH", 3)
    folder.send(*[folder.file(f"m/{number}", b"") for number in range(7)])
    assert len(folder.lake.sizes) == 3


def test_bundles_are_limited_by_bytes(folder, monkeypatch):
    monkeypatch.setattr("ebulk.transfer.upload.BUNDLE_SIZE", MIB)
    folder.send(*[folder.file(f"b/{number}", bytes(200 * KIB)) for number in range(7)])
    assert len(folder.lake.sizes) == 2
    assert max(folder.lake.sizes) < MIB + 10 * KIB


def test_large_file_goes_in_chunks_to_the_path_of_the_location_at_our_own_host(folder):
    folder.send(folder.file("large", LARGE))
    assert folder.methods() == ["POST", "PATCH", "PATCH", "PATCH"]
    assert folder.lake.sizes == [CHUNK, CHUNK, len(LARGE) - 2 * CHUNK]
    assert {request.headers["host"] for request in folder.server.requests} == {folder.server.address}
    assert folder.server.connections == 1


class Overlapping:
    """An oddity: holds the chunk at the start until the next one is here, then does with both what a test says.

    What comes behind these two is answered after them, as by a lake, which lets each chunk wait for its turn.
    """

    def __init__(self, lake: TinyLake, first: Callable[[Request], Answer], *, patient: bool) -> None:
        self._lake = lake
        self._first = first
        self._patient = patient
        self._next_is_here = threading.Event()
        self._first_is_done = threading.Event()
        self._next_is_done = threading.Event()

    def __call__(self, request: Request) -> Answer | None:
        if request.method != "PATCH":
            return None
        if self._first_is_done.is_set():
            assert self._next_is_done.wait(TIMEOUT)
            return None
        if request.headers["upload-offset"] != "0":
            if self._patient:
                self._next_is_here.set()
                assert self._first_is_done.wait(TIMEOUT)
            answer = self._lake.patch_uploads(request)
            self._next_is_done.set()
            self._next_is_here.set()
            return answer
        assert self._next_is_here.wait(TIMEOUT)
        answer = self._first(request)
        self._first_is_done.set()
        return answer


def test_next_chunk_is_sent_while_the_lake_commits_the_one_before(folder):
    folder.lake.oddities.append(Overlapping(folder.lake, folder.lake.patch_uploads, patient=True))
    assert folder.send(folder.file("large", LARGE), jobs=2) == Sent(1, len(LARGE))
    assert folder.lake.files == {"large": LARGE}
    assert folder.methods() == ["POST", "PATCH", "PATCH", "PATCH"]
    assert folder.server.connections == 2
    assert folder.notes == []
    folder.progress.assert_complete(["large"])


def test_lake_that_takes_no_early_chunks_gets_one_after_the_other_from_then_on(folder):
    folder.lake.oddities.append(Overlapping(folder.lake, folder.lake.patch_uploads, patient=False))
    assert folder.send(folder.file("large", LARGE), jobs=2) == Sent(1, len(LARGE))
    assert folder.lake.files == {"large": LARGE}
    patches = [request for request in folder.server.requests if request.method == "PATCH"]
    offsets = [int(patch.headers["upload-offset"]) // CHUNK for patch in patches]
    # The third may be on its way before it is known that the second was refused.
    assert offsets in ([0, 1, 1, 2], [0, 1, 2, 1, 2])
    assert folder.notes == []
    folder.progress.assert_complete(["large"])


@pytest.mark.parametrize("patient", [True, False])
def test_chunk_that_breaks_takes_the_next_with_it_and_both_are_sent_again(folder, patient):
    folder.lake.oddities.append(Overlapping(folder.lake, lambda request: Answer(b"", "reset"), patient=patient))
    folder.send(folder.file("large", LARGE), jobs=2)
    assert folder.lake.files == {"large": LARGE}
    assert len(folder.notes) == 1
    folder.progress.assert_complete(["large"])


def test_early_chunk_that_was_stored_though_the_answer_before_it_was_lost_is_not_sent_again(folder):
    def store_and_break(request: Request) -> Answer:
        folder.lake.patch_uploads(request)
        return Answer(b"", "reset")

    folder.lake.oddities.append(Overlapping(folder.lake, store_and_break, patient=True))
    folder.send(folder.file("large", LARGE), jobs=2)
    assert folder.lake.files == {"large": LARGE}
    assert sum(folder.lake.sizes) == len(LARGE)
    folder.progress.assert_complete(["large"])


def test_upload_that_was_begun_goes_on_at_the_offset_of_the_lake(folder):
    file = folder.file("large", LARGE)
    location = f"{UPLOADS}/9"
    folder.lake.uploads[location] = file.entry, bytearray(LARGE[: 1500 * KIB])
    begun = Upload(f"/erp5/api/v1{location}", "large", 0, len(LARGE), file.entry.digest)
    assert folder.send(file, uploads=(begun,)) == Sent(1, len(LARGE) - 1500 * KIB)
    assert folder.methods() == ["HEAD", "PATCH"]
    assert folder.lake.files == {"large": LARGE}
    folder.progress.assert_complete(["large"])


@pytest.mark.parametrize("other", [{"path": "other"}, {"length": 5}, {"digest": "sha-256:" + "0" * 64}])
def test_upload_of_another_file_is_not_gone_on_with(folder, other):
    file = folder.file("large", LARGE)
    begun = {"path": "large", "offset": 0, "length": len(LARGE), "digest": file.entry.digest, **other}
    folder.send(file, uploads=(Upload(f"/erp5/api/v1{UPLOADS}/9", **begun),))
    assert folder.methods()[0] == "POST"
    assert folder.lake.files == {"large": LARGE}


def test_chunk_whose_answer_was_lost_is_not_sent_again(folder):
    def store_and_break(request: Request) -> Answer | None:
        if request.method == "PATCH" and len(folder.lake.sizes) == 0:
            folder.lake.patch_uploads(request)
            return Answer(b"", "reset")
        return None

    folder.lake.oddities.append(store_and_break)
    folder.send(folder.file("large", LARGE))
    assert folder.methods() == ["POST", "PATCH", "HEAD", "PATCH", "PATCH"]
    assert sum(folder.lake.sizes) == len(LARGE)
    folder.progress.assert_complete(["large"])
    assert folder.notes[0].endswith("Trying again.")


def test_last_chunk_whose_answer_was_lost_is_known_by_the_plan_to_have_arrived(folder):
    def store_and_break(request: Request) -> Answer | None:
        if request.method == "PATCH" and len(folder.lake.sizes) == 2:
            folder.lake.patch_uploads(request)
            return Answer(b"", "reset")
        return None

    folder.lake.oddities.append(store_and_break)
    assert folder.send(folder.file("large", LARGE)).files == 1
    assert folder.methods() == ["POST", "PATCH", "PATCH", "PATCH", "HEAD", "POST"]
    folder.progress.assert_complete(["large"])


def test_creation_whose_answer_was_lost_goes_on_with_the_upload_that_it_began(folder):
    file = folder.file("large", LARGE)

    def lose(request: Request) -> Answer | None:
        if request.method == "POST" and not folder.lake.uploads:
            folder.lake.post_uploads(request)
            return Answer(b"", "reset")
        if request.method == "GET":
            (location,) = folder.lake.uploads
            upload = {"id": "1", "location": f"/erp5/api/v1{location}", "path": "large", "offset": 0}
            uploads = [{**upload, "length": len(LARGE), "digest": file.entry.digest}]
            fields = {"data_set": "brain", "id": "i1", "state": "started", "base_version": 0, "result": None}
            return document({**fields, "uploads": uploads})
        return None

    folder.lake.oddities.append(lose)
    folder.send(file)
    assert folder.methods() == ["POST", "GET", "HEAD", "PATCH", "PATCH", "PATCH"]
    assert folder.lake.files == {"large": LARGE}


def test_wrong_offset_goes_on_at_the_right_one(folder):
    file = folder.file("large", LARGE)

    def another_was_faster(request: Request) -> Answer | None:
        if request.method == "PATCH" and request.headers["upload-offset"] == "0" and not folder.lake.sizes:
            folder.lake.uploads[request.target][1].extend(LARGE[: 400 * KIB])
        return None

    folder.lake.oddities.append(another_was_faster)
    folder.send(file)
    assert folder.lake.files == {"large": LARGE}
    assert sum(folder.lake.sizes) == len(LARGE) - 400 * KIB
    folder.progress.assert_complete(["large"])


def test_upload_that_the_lake_forgot_is_begun_anew(folder):
    def forget(request: Request) -> Answer | None:
        if request.method == "PATCH" and len(folder.lake.sizes) == 1 and folder.methods().count("POST") == 1:
            folder.lake.uploads.clear()
        return None

    folder.lake.oddities.append(forget)
    folder.send(folder.file("large", LARGE))
    assert folder.lake.files == {"large": LARGE}
    folder.progress.assert_complete(["large"])


def test_lake_that_forgets_every_upload_is_given_up(folder):
    folder.lake.oddities.append(once(Answer(b""), "NONE"))
    folder.lake.oddities.append(lambda r: problem(404, "No such upload.") if r.method == "PATCH" else None)
    with pytest.raises(NotFoundError, match="No such upload"):
        folder.send(folder.file("large", LARGE))
    assert folder.methods().count("PATCH") > 1


def test_conflict_that_is_not_about_the_offset_is_raised(folder):
    folder.lake.oddities.append(once(problem(409, "This push was cancelled."), "PATCH"))
    with pytest.raises(EbulkError, match="This push was cancelled"):
        folder.send(folder.file("large", LARGE))


def test_offset_beyond_the_file_is_no_answer(folder):
    folder.lake.oddities.append(once(reply(204, Upload_Offset=str(10**12)), "PATCH"))
    with pytest.raises(EbulkError) as raised:
        folder.send(folder.file("large", LARGE))
    assert str(raised.value) == ("The lake's answer cannot be understood: the upload of large is at '1000000000000'.")


def test_network_that_breaks_for_good_is_given_up(folder):
    folder.lake.oddities.append(lambda request: Answer(b"", "reset") if request.method == "PATCH" else None)
    with pytest.raises(NetworkError, match="broke") as raised:
        folder.send(folder.file("large", LARGE), retry_max_time=0.1)
    assert raised.value.hint == "Run the same command again: it goes on where it stopped."
    assert folder.methods().count("PATCH") > 1


def test_chunks_get_smaller_while_connections_break_and_larger_again(folder):
    def break_large(request: Request) -> Answer | None:
        large = request.method == "PATCH" and len(request.body) > 300 * KIB
        return Answer(b"", "reset") if large and not folder.lake.sizes else None

    folder.lake.oddities.append(break_large)
    folder.send(folder.file("large", LARGE))
    assert folder.lake.sizes == [256 * KIB, 512 * KIB, CHUNK, len(LARGE) - 1792 * KIB]
    folder.progress.assert_complete(["large"])


def test_bundle_whose_connection_breaks_goes_on_in_halves(folder):
    def break_large(request: Request) -> Answer | None:
        return Answer(b"", "reset") if len(request.body) > 60 * KIB else None

    folder.lake.oddities.append(break_large)
    files = [folder.file(f"s/{number}", bytes([number]) * 20 * KIB) for number in range(10)]
    assert folder.send(*files) == Sent(10, 200 * KIB)
    assert len(folder.lake.files) == 10
    folder.progress.assert_complete([file.entry.path for file in files])


def test_bundle_whose_answer_was_lost_is_not_sent_again(folder):
    def store_and_break(request: Request) -> Answer | None:
        if request.target != f"{BASE}/bundle":
            return None
        folder.lake.post_bundle(request)
        return Answer(b"", "reset")

    folder.lake.oddities.append(store_and_break)
    files = [folder.file(f"s/{number}", bytes([number]) * 20 * KIB) for number in range(10)]
    assert folder.send(*files) == Sent(10, 200 * KIB)
    assert len(folder.lake.sizes) == 1
    folder.progress.assert_complete([file.entry.path for file in files])


def test_bundle_that_was_stored_otherwise_is_an_integrity_error(folder):
    stored = {"received": [{"path": "a", "size": 1, "digest": digest(b"y")}]}
    folder.lake.oddities.append(once(document(stored), "POST"))
    with pytest.raises(IntegrityError) as raised:
        folder.send(folder.file("a", b"x"))
    assert str(raised.value) == "The lake did not store a as it was sent."


def test_bundle_of_which_a_file_was_not_stored_is_an_integrity_error(folder):
    folder.lake.oddities.append(once(document({"received": []}), "POST"))
    with pytest.raises(IntegrityError, match="The lake did not store a as it was sent"):
        folder.send(folder.file("a", b"x"))


def test_full_disk_of_the_lake_is_told(folder):
    folder.lake.oddities.append(once(problem(507, "The disk has no room."), "PATCH"))
    with pytest.raises(DiskFullError, match="The disk has no room"):
        folder.send(folder.file("large", LARGE))


@pytest.mark.parametrize("size", [10, len(LARGE)])
@pytest.mark.parametrize("change", [-1, 1])
def test_file_of_another_size_than_planned_has_changed(folder, size, change):
    file = folder.file("f", LARGE[:size])
    file.source.write_bytes(LARGE[: size + change] if change < 0 else LARGE[:size] + b"+")
    with pytest.raises(ChangedError) as raised:
        folder.send(file)
    assert str(raised.value) == f"{file.source} changed while it was sent."
    assert raised.value.hint == "Push again once it is no longer written to."
    assert folder.lake.files == {}


@pytest.mark.parametrize("size", [10, len(LARGE)])
def test_file_with_other_bytes_than_planned_has_changed(folder, size):
    file = folder.file("f", LARGE[:size])
    with file.source.open("r+b") as target:
        target.write(b"changed")
    os.utime(file.source, ns=(0, file.entry.mtime_ns + 1))
    if size == 10:
        folder.lake.oddities.append(once(problem(422, "It is not what its digest says."), "POST"))
    with pytest.raises(ChangedError) as raised:
        folder.send(file)
    assert str(raised.value) == f"{file.source} changed while it was sent."


@pytest.mark.parametrize("size", [10, len(LARGE)])
def test_file_that_did_not_change_but_arrived_otherwise_is_an_integrity_error(folder, size):
    method = "POST" if size == 10 else "PATCH"
    folder.lake.oddities.append(once(problem(422, "It is not what its digest says."), method))
    with pytest.raises(IntegrityError, match="It is not what its digest says"):
        folder.send(folder.file("f", LARGE[:size]))


def test_file_that_is_replaced_while_it_is_sent_has_changed(folder):
    file = folder.file("large", LARGE)

    def replace(request: Request) -> None:
        if request.method == "PATCH" and not folder.lake.sizes:
            other = folder.file("other", LARGE)
            os.utime(other.source, ns=(0, file.entry.mtime_ns))
            os.replace(other.source, file.source)

    folder.lake.oddities.append(replace)
    with pytest.raises(ChangedError, match="large changed while it was sent"):
        folder.send(file)


def test_file_that_shrinks_while_it_is_sent_has_changed(folder):
    file = folder.file("large", LARGE * 2)

    def shrink(request: Request) -> None:
        if request.method == "POST":
            os.truncate(file.source, 100)

    folder.lake.oddities.append(shrink)
    with pytest.raises(ChangedError) as raised:
        folder.send(file)
    assert str(raised.value) == f"{file.source} became shorter while it was sent."


@pytest.mark.parametrize("size", [10, len(LARGE)])
def test_file_that_vanished_is_named(folder, size):
    file = folder.file("f", LARGE[:size])
    file.source.unlink()
    with pytest.raises(ChangedError) as raised:
        folder.send(file)
    assert str(raised.value) == f"{file.source} vanished before it was sent."


def test_file_that_cannot_be_read_is_named(folder):
    file = folder.file("f", b"x")
    file.source.unlink()
    file.source.mkdir()
    with pytest.raises(EbulkError) as raised:
        folder.send(file)
    assert str(raised.value) == f"{file.source} cannot be read: is a directory."


def test_first_error_ends_the_other_uploads_at_once(folder):
    begun = threading.Event()

    def answer(request: Request) -> Answer | None:
        if request.method == "PATCH":
            begun.set()
            return Answer(b"", "stall")
        if request.target == f"{BASE}/bundle":
            assert begun.wait(5)
            return problem(403, "You may not.")
        return None

    folder.lake.oddities.append(answer)
    with pytest.raises(EbulkError, match="You may not"):
        folder.send(folder.file("large", LARGE), folder.file("small", b"x"), jobs=2)
    assert not [thread for thread in threading.enumerate() if thread.name.startswith(("ebulk", "read "))]


def test_error_ends_a_question_about_a_lost_upload_at_once(folder):
    asking = threading.Event()

    def answer(request: Request) -> Answer | None:
        if request.method == "PATCH":
            return problem(404, "There is no such upload.")
        if request.target == f"{BASE}/plan":
            asking.set()
            return Answer(b"", "stall")
        if request.target == f"{BASE}/bundle":
            assert asking.wait(5)
            return problem(403, "You may not.")
        return None

    folder.lake.oddities.append(answer)
    with pytest.raises(EbulkError, match="You may not"):
        folder.send(folder.file("large", LARGE), folder.file("small", b"x"), jobs=2)
    assert folder.notes == []


def test_interrupt_ends_an_upload_at_once(folder):
    def interrupt(request: Request) -> Answer | None:
        if request.method == "PATCH":
            signal.pthread_kill(threading.main_thread().ident, signal.SIGINT)
            return Answer(b"", "stall")
        return None

    folder.lake.oddities.append(interrupt)
    with pytest.raises(KeyboardInterrupt):
        folder.send(folder.file("large", LARGE))
    assert not [thread for thread in threading.enumerate() if thread.name.startswith(("ebulk", "read "))]
