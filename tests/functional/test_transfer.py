"""Files go to a real lake and come back over a network that breaks, and what was committed isn't sent again."""

from __future__ import annotations

import hashlib
import os
import threading
import tracemalloc
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path

import pytest

from ebulk.errors import ChangedError, IntegrityError, NetworkError
from ebulk.model import EXECUTABLE, SYMLINK, FileEntry, Ingestion, LocalFile
from ebulk.protocol import KIB, MIB, UPLOAD_CHUNK_SIZE
from ebulk.remote.credentials import Basic
from ebulk.remote.lake import Lake
from ebulk.transfer.download import Fetched, fetch
from ebulk.transfer.upload import Sent, send
from support.faults import Fault, FaultyNetwork, faulty_network
from support.lake import PASSWORD, ServedLake, served_lake
from support.progress import Progress

OVERHEAD = 128 * KIB
"""What headers and small answers may add to the content."""

numbers = count()


@pytest.fixture(scope="module")
def served(tmp_path_factory) -> Iterator[ServedLake]:
    with served_lake(tmp_path_factory.mktemp("lake")) as lake:
        lake.add_user("ada", "contributor")
        yield lake


@dataclass
class Journey:
    """A data set of its own, a folder to send from and one to fetch into, and a network between them and the lake."""

    root: Path
    network: FaultyNetwork
    reference: str
    notes: list[str] = field(default_factory=list)
    progress: Progress = field(default_factory=Progress)

    def lake(self, retry_max_time: float = 600.0, stall_timeout: float = 20.0) -> Lake:
        return Lake(
            f"http://{self.network.address}/erp5",
            Basic("ada", PASSWORD),
            retry_max_time=retry_max_time,
            stall_timeout=stall_timeout,
            backoff=lambda failures: 0.1,
            notify=self.notes.append,
        )

    def file(self, path: str, data: bytes, mode: str = "100644") -> LocalFile:
        source = self.root / "from" / path
        source.parent.mkdir(parents=True, exist_ok=True)
        if mode == SYMLINK:
            os.symlink(os.fsdecode(data), source)
        else:
            source.write_bytes(data)
        digest = f"sha-256:{hashlib.sha256(data).hexdigest()}"
        return LocalFile(FileEntry(path, len(data), digest, source.lstat().st_mtime_ns, mode), source)

    def begin(self, files: Sequence[LocalFile]) -> Ingestion:
        """Start a push of these files, all of which the lake lacks; the network is sound until then."""
        lake = self.lake()
        lake.create_data_set(self.reference)
        ingestion = lake.start_ingestion(self.reference, "scans", None)
        missing = lake.plan(ingestion, [file.entry for file in files])
        assert missing == {file.entry.path for file in files if file.entry.size}
        lake.close()
        return ingestion

    def send(self, ingestion: Ingestion, files: Sequence[LocalFile], jobs: int = 4, **options: float) -> Sent:
        lake = self.lake(**options)
        try:
            return send(lake, ingestion, files, jobs=jobs, progress=self.progress)
        finally:
            lake.close()

    def push(self, files: Sequence[LocalFile]) -> int:
        """Send files over whatever network there is, and stop."""
        ingestion = self.begin(files)
        self.send(ingestion, files)
        return self.lake().stop(ingestion).version

    def pull(self, jobs: int = 4, **options: float) -> Fetched:
        lake = self.lake(**options)
        for name in ("parts", "to"):
            (self.root / name).mkdir(exist_ok=True)
        version, entries = lake.manifest(self.reference)
        files = [(entry, self.root / "to" / entry.path) for entry in entries]
        try:
            return fetch(
                lake,
                self.reference,
                version,
                files,
                parts=self.root / "parts",
                jobs=jobs,
                progress=self.progress,
                destination=Placer(),
            )
        finally:
            lake.close()

    def assert_arrived(self, files: Sequence[LocalFile]) -> None:
        for file in files:
            target = self.root / "to" / file.entry.path
            same = os.readlink if file.entry.mode == SYMLINK else Path.read_bytes
            assert same(target) == same(file.source), file.entry.path
        assert list((self.root / "parts").iterdir()) == []


class Placer:
    """Puts files where they belong."""

    def place(self, entry: FileEntry, where: Path, part: Path) -> None:
        where.parent.mkdir(parents=True, exist_ok=True)
        os.rename(part, where)

    def write(self, entry: FileEntry, where: Path, content: bytes) -> None:
        where.parent.mkdir(parents=True, exist_ok=True)
        if entry.mode == SYMLINK:
            os.symlink(os.fsdecode(content), where)
        else:
            where.write_bytes(content)

    def old(self, entry: FileEntry, where: Path) -> None:
        return None


@pytest.fixture
def journey(served, tmp_path) -> Iterator[Journey]:
    with faulty_network(served.address) as network:
        yield Journey(tmp_path, network, f"brain-{next(numbers)}")


def test_files_of_all_kinds_come_back_as_they_were(journey):
    files = [
        journey.file("large", os.urandom(2 * UPLOAD_CHUNK_SIZE + 12_345)),
        journey.file("zeros", bytes(3 * MIB)),
        journey.file("ä/ö.txt", "größe".encode()),
        journey.file("run.sh", b"#!/bin/sh\n", EXECUTABLE),
        journey.file("link", "ä/ö.txt".encode(), SYMLINK),
        journey.file("d" * 200 + "/" + "f" * 200, b"long"),
        journey.file("same 1", b"same"),
        journey.file("same 2", b"same"),
        *[journey.file(f"many/{number:03}", os.urandom(4 * KIB)) for number in range(300)],
    ]
    assert journey.push(files) == 1
    journey.progress.assert_complete([file.entry.path for file in files])
    assert journey.pull().files == len(files)
    journey.assert_arrived(files)
    assert journey.notes == []
    _, entries = journey.lake().manifest(journey.reference)
    assert sorted(entries, key=lambda entry: entry.path) == sorted(
        (file.entry for file in files), key=lambda entry: entry.path
    )


@pytest.mark.parametrize("how", ["close", "reset", "stall"])
def test_upload_over_a_network_that_breaks_sends_only_the_broken_chunks_again(journey, how):
    size = 4 * UPLOAD_CHUNK_SIZE
    files = [journey.file("large", os.urandom(size))]
    ingestion = journey.begin(files)
    before = journey.network.carried("up")
    faults = [Fault("up", UPLOAD_CHUNK_SIZE * 3 // 2, how), Fault("up", UPLOAD_CHUNK_SIZE // 4, how)]
    journey.network.faults.extend(faults)
    assert journey.send(ingestion, files, stall_timeout=1.0 if how == "stall" else 20.0) == Sent(1, size)
    assert journey.network.broken == faults
    assert journey.network.carried("up") - before <= size + UPLOAD_CHUNK_SIZE * 3 // 4 + OVERHEAD
    journey.progress.assert_complete(["large"])
    journey.lake().stop(ingestion)
    journey.pull()
    journey.assert_arrived(files)


def test_upload_whose_answers_are_all_lost_sends_no_chunk_twice(journey):
    """The connection breaks when the lake answers: each chunk has been committed by then."""
    size = 2 * UPLOAD_CHUNK_SIZE
    files = [journey.file("large", os.urandom(size))]
    ingestion = journey.begin(files)
    before = journey.network.carried("up")
    # Of the creation (then the upload is looked up), and of three chunks (after each the offset is asked for).
    journey.network.faults.extend([Fault("down", count, "reset") for count in (0, 1 * KIB, 500, 500)])
    journey.send(ingestion, files, jobs=1)
    assert len(journey.network.broken) == 4
    assert journey.network.carried("up") - before <= size + OVERHEAD
    journey.progress.assert_complete(["large"])
    journey.lake().stop(ingestion)
    journey.pull()
    journey.assert_arrived(files)


def test_push_that_was_given_up_goes_on_with_the_next(journey):
    size = 3 * UPLOAD_CHUNK_SIZE
    files = [journey.file("large", os.urandom(size))]
    ingestion = journey.begin(files)
    before = journey.network.carried("up")
    journey.network.faults.append(Fault("up", UPLOAD_CHUNK_SIZE * 5 // 2, "reset"))
    with pytest.raises(NetworkError, match=r"The connection to .* broke"):
        journey.send(ingestion, files, retry_max_time=0)
    resumed = journey.lake().ingestion(journey.reference, ingestion.id)
    (upload,) = resumed.uploads
    assert upload.offset >= 2 * UPLOAD_CHUNK_SIZE
    assert journey.send(resumed, files) == Sent(1, size - upload.offset)
    assert journey.network.carried("up") - before <= size + UPLOAD_CHUNK_SIZE // 2 + OVERHEAD
    assert journey.lake().stop(resumed).added == 1
    journey.pull()
    journey.assert_arrived(files)


def test_push_goes_on_after_the_server_was_killed(served, journey):
    size = 3 * UPLOAD_CHUNK_SIZE
    files = [journey.file("large", os.urandom(size)), journey.file("small", b"small")]
    ingestion = journey.begin(files)
    killed = threading.Event()

    def advance(path: str, count: int) -> None:
        Progress.advance(journey.progress, path, count)
        if journey.progress.arrived["large"] > UPLOAD_CHUNK_SIZE * 3 // 2 and not killed.is_set():
            killed.set()
            served.kill()
            served.start()

    journey.progress.advance = advance
    journey.send(ingestion, files, jobs=1)
    assert killed.is_set()
    assert journey.notes
    assert journey.network.carried("up") <= size + UPLOAD_CHUNK_SIZE + OVERHEAD
    journey.lake().stop(ingestion)
    journey.pull()
    journey.assert_arrived(files)


def test_small_files_get_through_a_network_that_breaks_every_megabyte(journey):
    files = [journey.file(f"s/{number:03}", os.urandom(20 * KIB)) for number in range(200)]
    ingestion = journey.begin(files)
    journey.network.faults.extend([Fault("up", MIB, "reset")] * 5)
    assert journey.send(ingestion, files, jobs=2) == Sent(200, 200 * 20 * KIB)
    assert len(journey.network.broken) == 5
    journey.progress.assert_complete([file.entry.path for file in files])
    journey.lake().stop(ingestion)
    journey.progress = Progress()
    journey.network.faults.extend([Fault("down", MIB, "close")] * 3)
    before = journey.network.carried("down")
    journey.pull(jobs=1)
    assert journey.network.carried("down") - before <= 200 * 22 * KIB + 4 * 300 * KIB
    journey.progress.assert_complete([file.entry.path for file in files])
    journey.assert_arrived(files)


@pytest.mark.parametrize("how", ["close", "reset", "stall"])
def test_download_over_a_network_that_breaks_asks_only_for_the_rest(journey, how):
    size = 24 * MIB
    files = [journey.file("large", os.urandom(size))]
    journey.push(files)
    journey.progress = Progress()
    before = journey.network.carried("down")
    faults = [Fault("down", 7 * MIB, how), Fault("down", 9 * MIB + 1, how)]
    journey.network.faults.extend(faults)
    assert journey.pull(stall_timeout=1.0 if how == "stall" else 20.0) == Fetched(1, size)
    assert journey.network.broken == faults
    # A reset takes along what is in the network's buffers.
    assert journey.network.carried("down") - before <= size + 8 * MIB + OVERHEAD
    if how == "close":
        assert journey.network.carried("down") - before <= size + OVERHEAD
    journey.progress.assert_complete(["large"])
    journey.assert_arrived(files)


def test_pull_that_was_given_up_goes_on_with_the_next(journey):
    size = 24 * MIB
    files = [journey.file("large", os.urandom(size))]
    journey.push(files)
    journey.network.faults.append(Fault("down", 10 * MIB, "close"))
    with pytest.raises(NetworkError, match="the answer was cut short"):
        journey.pull(retry_max_time=0)
    before = journey.network.carried("down")
    fetched = journey.pull()
    assert fetched.bytes <= 14 * MIB + OVERHEAD
    assert journey.network.carried("down") - before <= 14 * MIB + OVERHEAD
    journey.assert_arrived(files)


def test_file_that_changed_since_it_was_planned_is_named_whatever_its_size(journey):
    for size in (10, MIB):
        file = journey.file(f"f{size}", os.urandom(size))
        ingestion = journey.begin([file])
        file.source.write_bytes(os.urandom(size))
        os.utime(file.source, ns=(0, file.entry.mtime_ns + 1_000_000))
        with pytest.raises(ChangedError) as raised:
            journey.send(ingestion, [file])
        assert str(raised.value) == f"{file.source} changed while it was sent."


def test_file_whose_digest_is_another_though_it_did_not_change_is_an_integrity_error(journey):
    for size in (10, MIB):
        file = journey.file(f"f{size}", os.urandom(size))
        wrong = LocalFile(
            FileEntry(file.entry.path, size, "sha-256:" + "0" * 64, file.entry.mtime_ns, file.entry.mode), file.source
        )
        ingestion = journey.begin([wrong])
        with pytest.raises(IntegrityError):
            journey.send(ingestion, [wrong])


def peak(function: Callable[[], object]) -> int:
    """The most memory that Python held while a function ran, in bytes."""
    tracemalloc.start()
    try:
        function()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_memory_of_four_transfers_at_a_time_is_bounded(journey):
    files = [journey.file(f"large {number}", os.urandom(20 * MIB)) for number in range(4)]
    files += [journey.file(f"small {number}", os.urandom(200 * KIB)) for number in range(100)]
    ingestion = journey.begin(files)
    assert peak(lambda: journey.send(ingestion, files)) < 40 * MIB
    journey.lake().stop(ingestion)
    assert peak(journey.pull) < 24 * MIB
    journey.assert_arrived(files)
