"""Fetches files from a lake: large ones by GET, resumed where they stopped; small ones and symbolic links in archives.

A file's bytes go to `<sha-256>.part`. Nothing is believed of what arrives: a file is placed only when its size and its
digest are those of the manifest. Large parts stay when something breaks, and the next run hashes what is there and asks
for the rest; small ones arrive whole or not at all. Files of the same content that are wanted at the same time are
fetched once.
"""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from functools import partial
from http import HTTPStatus
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING

from ebulk.errors import IntegrityError
from ebulk.model import SYMLINK, FileEntry, Progress
from ebulk.protocol import BUNDLE_LENGTH, BUNDLE_SIZE, KIB, MIB, SMALL_FILE_SIZE
from ebulk.remote import content
from ebulk.remote.failure import TransientError
from ebulk.remote.lake import Lake
from ebulk.remote.session import Reply, Session
from ebulk.transfer import tar
from ebulk.transfer.crew import work
from ebulk.transfer.disk import unwritable

if TYPE_CHECKING:
    from io import FileIO

READ_SIZE = 256 * KIB
WRITE_SIZE = MIB
SMALL_PATHS_LENGTH = 256 * KIB
"""The most bytes of paths that one request for an archive names."""

Place = Callable[[FileEntry, Path, Path], None]


@dataclass(frozen=True, slots=True)
class Fetched:
    """What was fetched: files placed, and bytes of content that arrived (not those of earlier runs)."""

    files: int
    bytes: int


def fetch(
    lake: Lake,
    reference: str,
    version: int,
    files: Iterable[tuple[FileEntry, Path]],
    *,
    parts: Path,
    jobs: int,
    progress: Progress,
    place: Place,
) -> Fetched:
    """Fetch files of a version and call `place(entry, part, target)`, from any thread, for each once it is verified.

    A symbolic link's part holds its target. `parts` is a folder on the disk of the targets. Parts that were placed are
    gone (`place` renames them).
    """
    with lake.session(jobs) as session:
        fetcher = _Fetcher(session, reference, version, parts=parts, progress=progress, place=place)
        work(fetcher.tasks(files), jobs, session.stop)
    return Fetched(fetcher.files, fetcher.bytes)


@dataclass(slots=True)
class _Wanted:
    """Some content, and where it is to go."""

    entry: FileEntry
    targets: list[tuple[FileEntry, Path]] = field(default_factory=list)


class _Fetcher:
    """What the tasks of one `fetch` share."""

    def __init__(
        self, session: Session, reference: str, version: int, *, parts: Path, progress: Progress, place: Place
    ) -> None:
        self.session = session
        self.reference = reference
        self.version = version
        self.parts = parts
        self.progress = progress
        self._place = place
        self._wanted: dict[tuple[str, int], _Wanted] = {}
        self._lock = Lock()
        self.files = 0
        self.bytes = 0

    def tasks(self, files: Iterable[tuple[FileEntry, Path]]) -> Iterator[Callable[[], None]]:
        """One for each large content, and one for each batch of small ones."""
        batch: list[_Wanted] = []
        room, paths_room = BUNDLE_SIZE, SMALL_PATHS_LENGTH
        for entry, target in files:
            wanted = self._want(entry, target)
            if wanted is None:
                continue
            if entry.mode != SYMLINK and entry.size >= SMALL_FILE_SIZE:
                yield _LargeFile(self, wanted).fetch
                continue
            if batch and (entry.size > room or len(entry.path) > paths_room or len(batch) == BUNDLE_LENGTH):
                yield partial(self._fetch_small, batch)
                batch, room, paths_room = [], BUNDLE_SIZE, SMALL_PATHS_LENGTH
            batch.append(wanted)
            room -= entry.size
            paths_room -= len(entry.path)
        if batch:
            yield partial(self._fetch_small, batch)

    def part(self, entry: FileEntry) -> Path:
        """Where the bytes of a content go. The digest was checked to be hexadecimal when it was received."""
        return self.parts / f"{entry.digest.removeprefix('sha-256:')}.part"

    def count(self, size: int) -> None:
        """Note that bytes have arrived."""
        with self._lock:
            self.bytes += size

    def finish(self, wanted: _Wanted) -> None:
        """Place a verified part wherever it is wanted."""
        with self._lock:
            del self._wanted[wanted.entry.digest, wanted.entry.size]
        part = self.part(wanted.entry)
        first, *others = wanted.targets
        for number, (entry, target) in enumerate(others):
            copy = part.with_suffix(f".{number}.part")
            try:
                shutil.copyfile(part, copy)
            except OSError as error:
                raise unwritable(error, copy) from error
            self.progress.begin(entry.path, entry.size)
            self.progress.advance(entry.path, entry.size)
            self._done(entry, copy, target)
        self._done(first[0], part, first[1])

    def _done(self, entry: FileEntry, part: Path, target: Path) -> None:
        self._place(entry, part, target)
        with self._lock:
            self.files += 1
        self.progress.done(entry.path)

    def _want(self, entry: FileEntry, target: Path) -> _Wanted | None:
        """What is to be fetched for a file; None when its content is on its way for another."""
        key = (entry.digest, entry.size)
        with self._lock:
            wanted = self._wanted.get(key)
            if wanted is not None:
                wanted.targets.append((entry, target))
                return None
            self._wanted[key] = wanted = _Wanted(entry, [(entry, target)])
            return wanted

    def _fetch_small(self, batch: list[_Wanted]) -> None:
        """Ask for an archive, and again for what a broken one did not bring."""
        retry = self.session.retry()
        todo = {wanted.entry.path: wanted for wanted in batch}
        wrong: set[str] = set()
        while todo:
            before = len(todo)
            try:
                self._unpack(todo, wrong)
                if todo:
                    raise TransientError(f"The lake's archive lacks {next(iter(todo))}.")
            except TransientError as error:
                if len(todo) < before:
                    retry.progress()
                if todo:
                    retry.failed(error)

    def _unpack(self, todo: dict[str, _Wanted], wrong: set[str]) -> None:
        """Take from an archive what is asked for, out of `todo`; a file that is wrong twice is an IntegrityError."""
        largest = max(wanted.entry.size for wanted in todo.values())
        with content.open_archive(self.session, self.reference, self.version, list(todo)) as reply:
            try:
                for member in tar.members(reply.read, largest):
                    wanted = todo.get(member.path)
                    if wanted is None:
                        continue
                    self.count(len(member.content))
                    if _matches(wanted.entry, member.content):
                        self._keep(wanted, member.content)
                        del todo[member.path]
                    elif member.path in wrong:
                        raise _differs(wanted.entry)
                    else:
                        wrong.add(member.path)
            except tar.TruncatedError:
                raise TransientError("The lake's archive was cut short.") from None
            reply.drain()

    def _keep(self, wanted: _Wanted, data: bytes) -> None:
        part = self.part(wanted.entry)
        try:
            part.write_bytes(data)
        except OSError as error:
            raise unwritable(error, part) from error
        self.progress.begin(wanted.entry.path, len(data))
        self.progress.advance(wanted.entry.path, len(data))
        self.finish(wanted)


class _LargeFile:
    """The download of one content to its part, through any number of broken connections."""

    def __init__(self, fetcher: _Fetcher, wanted: _Wanted) -> None:
        self._fetcher = fetcher
        self._wanted = wanted
        self._entry = wanted.entry
        self._part = fetcher.part(wanted.entry)
        self._hash = hashlib.sha256()
        self._position = 0

    def fetch(self) -> None:
        """Fetch what the part lacks, verify it, and have it placed."""
        self._fetcher.progress.begin(self._entry.path, self._entry.size)
        try:
            with open(self._part, "a+b", buffering=0) as file:
                self._hash_part(file)
                self._complete(file)
        except OSError as error:
            raise unwritable(error, self._part) from error
        self._fetcher.finish(self._wanted)

    def _hash_part(self, file: FileIO) -> None:
        """Take up what an earlier run left."""
        if os.fstat(file.fileno()).st_size > self._entry.size:
            file.truncate(0)
        file.seek(0)
        buffer = memoryview(bytearray(WRITE_SIZE))
        while count := file.readinto(buffer):
            self._fetcher.session.check()
            self._hash.update(buffer[:count])
            self._advance(count)

    def _complete(self, file: FileIO) -> None:
        """Fetch until the digest is right; what is complete but wrong is fetched anew once."""
        started_over = False
        while True:
            self._fetch_rest(file)
            if self._hash.hexdigest() == self._entry.digest.removeprefix("sha-256:"):
                return
            self._start_over(file)
            if started_over:
                raise _differs(self._entry)
            started_over = True

    def _fetch_rest(self, file: FileIO) -> None:
        """Ask until all is there. Only a new furthest position is progress: who ignores Range is not asked forever."""
        retry = self._fetcher.session.retry()
        furthest = self._position
        while self._position < self._entry.size:
            try:
                self._receive(file)
            except TransientError as error:
                if self._position > furthest:
                    furthest = self._position
                    retry.progress()
                retry.failed(error)

    def _receive(self, file: FileIO) -> None:
        """Send one request and write what it brings."""
        fetcher, entry = self._fetcher, self._entry
        with content.open_file(fetcher.session, fetcher.reference, fetcher.version, entry, self._position) as reply:
            if self._position and not self._goes_on(reply):
                self._start_over(file)
                if reply.status != HTTPStatus.OK:
                    return
            if reply.headers.get("Content-Length") not in (None, str(entry.size - self._position)):
                raise _differs(entry)
            self._copy(reply, file)
        if self._position < entry.size:
            raise TransientError(f"The download of {entry.path} was cut short.")

    def _goes_on(self, reply: Reply) -> bool:
        """Whether an answer is the rest that was asked for."""
        expected = f"bytes {self._position}-{self._entry.size - 1}/{self._entry.size}"
        return reply.status == HTTPStatus.PARTIAL_CONTENT and reply.headers.get("Content-Range") == expected

    def _copy(self, reply: Reply, file: FileIO) -> None:
        """Write what arrives; whatever breaks, what arrived before is written."""
        buffer = memoryview(bytearray(WRITE_SIZE))
        filled = 0
        try:
            while data := reply.read(min(READ_SIZE, len(buffer) - filled)):
                if self._position + filled + len(data) > self._entry.size:
                    raise _differs(self._entry)
                buffer[filled : filled + len(data)] = data
                filled += len(data)
                if filled == len(buffer):
                    self._write(file, buffer)
                    filled = 0
        finally:
            self._write(file, buffer[:filled])

    def _write(self, file: FileIO, data: memoryview) -> None:
        self._hash.update(data)
        position = 0
        while position < len(data):
            position += file.write(data[position:])
        self._fetcher.count(len(data))
        self._advance(len(data))

    def _start_over(self, file: FileIO) -> None:
        file.truncate(0)
        self._hash = hashlib.sha256()
        self._advance(-self._position)

    def _advance(self, count: int) -> None:
        self._position += count
        self._fetcher.progress.advance(self._entry.path, count)


def _matches(entry: FileEntry, data: bytes) -> bool:
    return entry.digest == f"sha-256:{hashlib.sha256(data).hexdigest()}"


def _differs(entry: FileEntry) -> IntegrityError:
    return IntegrityError(
        f"What the lake sends for {entry.path} is not what its digest says.",
        "Pull again; if it stays so, ask who runs the lake to run `wendelin check`.",
    )
