"""Fetches files from a lake: large ones by GET, resumed where they stopped; small ones and symbolic links in archives.

Nothing is believed of what arrives: a file is placed only when its size and its digest are those of the manifest. A
large file's bytes go to `<sha-256>.part`, which stays when something breaks: the next run hashes what is there and asks
for the rest. A small file is held in memory until it is whole. Files of the same content that are wanted at the same
time are fetched once.

Of a large file of which an older content is here, unchanged, only what differs is fetched: the lake tells which ranges
that are, the rest is copied.

Small files are unpacked by one thread at a time, while the others wait for the network: each file is a dozen calls of
the system, and threads which do this at the same time mostly hand the interpreter to each other.
"""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from http import HTTPStatus
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Generic, Protocol, TypeVar

from ebulk.errors import IntegrityError
from ebulk.model import SYMLINK, FileEntry, LocalFile, Progress, Ranges
from ebulk.protocol import BUNDLE_LENGTH, BUNDLE_SIZE, DELTA_FILE_SIZE, KIB, SMALL_FILE_SIZE
from ebulk.remote import content
from ebulk.remote.failure import TransientError
from ebulk.remote.lake import Lake
from ebulk.remote.session import Reply, Session
from ebulk.transfer import tar
from ebulk.transfer.crew import work
from ebulk.transfer.disk import unwritable
from ebulk.transfer.hash_behind import HashBehind, read_pieces
from ebulk.transfer.old_file import OldFile
from ebulk.transfer.ranges import size_of

if TYPE_CHECKING:
    from io import FileIO

READ_SIZE = 256 * KIB
WORTHWHILE = 0.8
"""A file of which more than this share differs from the one here is fetched as a new one, by one request."""
SMALL_PATHS_LENGTH = 256 * KIB
"""The most bytes of paths that one request for an archive names."""

Where = TypeVar("Where")
Where_contra = TypeVar("Where_contra", contravariant=True)


class Destination(Protocol[Where_contra]):
    """Takes files that are complete and verified. `where` is what `fetch` was given with the file's entry."""

    def place(self, entry: FileEntry, where: Where_contra, part: Path) -> None:
        """Move a file of this content, a part, into its place; called from any thread."""

    def write(self, entry: FileEntry, where: Where_contra, content: bytes) -> None:
        """Write a small file, or the symbolic link whose target is the content; called from one thread at a time."""

    def old(self, entry: FileEntry, where: Where_contra) -> LocalFile | None:
        """A file here with a content of the data set that a large one may have much of; called from any thread."""


@dataclass(frozen=True, slots=True)
class Fetched:
    """What was fetched: files placed, and bytes of content that arrived (not those of earlier runs)."""

    files: int
    bytes: int
    reused: int = 0
    """Bytes that were copied from files here."""


def fetch(
    lake: Lake,
    reference: str,
    version: int,
    files: Iterable[tuple[FileEntry, Where]],
    *,
    parts: Path,
    jobs: int,
    progress: Progress,
    destination: Destination[Where],
) -> Fetched:
    """Fetch files of a version, each with where it goes, and hand each to `destination` once it is verified.

    `parts` is a folder on the disk of the destination.
    """
    with lake.session(jobs) as session:
        fetcher = _Fetcher(session, reference, version, parts=parts, progress=progress, destination=destination)
        work(fetcher.tasks(files), jobs, session.stop)
    return Fetched(fetcher.files, fetcher.bytes, fetcher.reused)


@dataclass(slots=True)
class _Wanted(Generic[Where]):
    """Some content, and where it is to go."""

    entry: FileEntry
    targets: list[tuple[FileEntry, Where]]


class _Fetcher(Generic[Where]):
    """What the tasks of one `fetch` share."""

    def __init__(
        self,
        session: Session,
        reference: str,
        version: int,
        *,
        parts: Path,
        progress: Progress,
        destination: Destination[Where],
    ) -> None:
        self.session = session
        self.reference = reference
        self.version = version
        self.parts = parts
        self.progress = progress
        self._destination = destination
        self._wanted: dict[tuple[str, int, bool], _Wanted[Where]] = {}
        self._lock = Lock()
        self._unpacking = Lock()
        self.files = 0
        self.bytes = 0
        self.reused = 0

    def tasks(self, files: Iterable[tuple[FileEntry, Where]]) -> Iterator[Callable[[], None]]:
        """One for each large content, and one for each batch of small ones."""
        batch: list[_Wanted[Where]] = []
        room, paths_room = BUNDLE_SIZE, SMALL_PATHS_LENGTH
        for entry, where in files:
            wanted = self._want(entry, where)
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

    def old(self, wanted: _Wanted[Where]) -> LocalFile | None:
        """A file here that may have much of a content."""
        with self._lock:
            targets = list(wanted.targets)
        return next(filter(None, (self._destination.old(entry, where) for entry, where in targets)), None)

    def finish(self, wanted: _Wanted[Where], reused: int) -> None:
        """Place a verified part, of which so many bytes were here, wherever it is wanted."""
        with self._lock:
            self.reused += reused
        part = self.part(wanted.entry)
        first, *others = self._taken(wanted)
        for number, (entry, where) in enumerate(others):
            copy = part.with_suffix(f".{number}.part")
            try:
                shutil.copyfile(part, copy)
            except OSError as error:
                raise unwritable(error, copy) from error
            self.progress.begin(entry.path, entry.size)
            self.progress.advance(entry.path, entry.size)
            self._destination.place(entry, where, copy)
            self._done(entry)
        self._destination.place(*first, part)
        self._done(first[0])

    def _done(self, entry: FileEntry) -> None:
        with self._lock:
            self.files += 1
        self.progress.done(entry.path)

    def _want(self, entry: FileEntry, where: Where) -> _Wanted[Where] | None:
        """What is to be fetched for a file; None when its content is on its way for another."""
        key = _key(entry)
        with self._lock:
            wanted = self._wanted.get(key)
            if wanted is not None:
                wanted.targets.append((entry, where))
                return None
            self._wanted[key] = wanted = _Wanted(entry, [(entry, where)])
            return wanted

    def _taken(self, wanted: _Wanted[Where]) -> list[tuple[FileEntry, Where]]:
        """All that want a content which has arrived; who wants it from now on fetches it again."""
        with self._lock:
            del self._wanted[_key(wanted.entry)]
        return wanted.targets

    def _fetch_small(self, batch: list[_Wanted[Where]]) -> None:
        """Ask for an archive, and again for what a broken one did not bring: by halves, if that was everything."""
        retry = self.session.retry()
        wrong: set[str] = set()
        todo = [batch]
        while todo:
            part = todo.pop()
            missing = {wanted.entry.path: wanted for wanted in part}
            try:
                self._unpack(missing, wrong)
                if missing:
                    raise TransientError(f"The lake's archive lacks {next(iter(missing))}.")
            except TransientError as error:
                if len(missing) < len(part):
                    retry.progress()
                if missing:
                    retry.failed(error)
                rest = list(missing.values())
                half = (len(rest) + 1) // 2 if len(rest) == len(part) else len(rest)
                todo += [some for some in (rest[half:], rest[:half]) if some]
            else:
                retry.progress()

    def _unpack(self, todo: dict[str, _Wanted[Where]], wrong: set[str]) -> None:
        """Take from an archive what is asked for, out of `todo`; a file that is wrong twice is an IntegrityError."""
        largest = max(wanted.entry.size for wanted in todo.values())
        with content.open_archive(self.session, self.reference, self.version, list(todo)) as reply:
            try:
                with self._unpacking:
                    for member in tar.members(partial(self._read_aside, reply), largest):
                        wanted = todo.get(member.path)
                        if wanted is None:
                            continue
                        self.count(len(member.content))
                        if _matches(wanted.entry, member.content):
                            self._write(wanted, member.content)
                            del todo[member.path]
                        elif member.path in wrong:
                            raise _differs(wanted.entry)
                        else:
                            wrong.add(member.path)
            except tar.TruncatedError:
                raise TransientError("The lake's archive was cut short.") from None
            reply.drain()

    def _read_aside(self, reply: Reply, size: int) -> bytes:
        """Read from the network while another thread may unpack."""
        self._unpacking.release()
        try:
            return reply.read(size)
        finally:
            self._unpacking.acquire()

    def _write(self, wanted: _Wanted[Where], data: bytes) -> None:
        """Have a verified content written wherever it is wanted."""
        for entry, where in self._taken(wanted):
            self.progress.begin(entry.path, len(data))
            self.progress.advance(entry.path, len(data))
            self._destination.write(entry, where, data)
            self._done(entry)


class _LargeFile(Generic[Where]):
    """The download of one content to its part, through any number of broken connections.

    The part is at any time the beginning of the content, and grows by what is received and by what is copied from a
    file here, in order: so whatever breaks, the next run can go on.
    """

    def __init__(self, fetcher: _Fetcher[Where], wanted: _Wanted[Where]) -> None:
        self._fetcher = fetcher
        self._wanted = wanted
        self._entry = wanted.entry
        self._part = fetcher.part(wanted.entry)
        self._hash = HashBehind(wanted.entry.size, self._part.name)
        self._position = 0
        self._reused = 0

    def fetch(self) -> None:
        """Fetch what the part lacks, verify it, and have it placed."""
        self._fetcher.progress.begin(self._entry.path, self._entry.size)
        try:
            with self._hash, open(self._part, "r+b", buffering=0, opener=_create) as file:
                self._hash_part(file)
                self._complete(file)
        except OSError as error:
            raise unwritable(error, self._part) from error
        self._fetcher.finish(self._wanted, self._reused)

    def _hash_part(self, file: FileIO) -> None:
        """Take up what an earlier run left."""
        if os.fstat(file.fileno()).st_size > self._entry.size:
            file.truncate(0)
        for piece in read_pieces(file, self._entry.size):
            self._fetcher.session.check()
            self._hash.update(piece)
            self._position += len(piece)
            self._fetcher.progress.reuse(self._entry.path, len(piece))

    def _complete(self, file: FileIO) -> None:
        """Fetch until the digest is right; what is complete but wrong is fetched anew once, without the file here."""
        old, changed = self._old()
        for last in (False, True):
            self._fetch_changed(file, old, changed)
            if self._hash.hexdigest() == self._entry.digest.removeprefix("sha-256:"):
                return
            self._start_over(file)
            if last:
                raise _differs(self._entry)
            old, changed = None, ((0, self._entry.size),)

    def _old(self) -> tuple[LocalFile | None, Ranges]:
        """A file here from which most of the content can be copied, and the ranges that cannot; None and all of it."""
        fetcher, entry = self._fetcher, self._entry
        if self._position < entry.size and entry.size >= DELTA_FILE_SIZE and (old := fetcher.old(self._wanted)):
            changed = content.changed_ranges(fetcher.session, fetcher.reference, fetcher.version, entry, old.entry)
            if changed is not None and size_of(changed) <= entry.size * WORTHWHILE:
                return old, changed
        return None, ((0, entry.size),)

    def _fetch_changed(self, file: FileIO, old: LocalFile | None, changed: Ranges) -> None:
        """Fetch these ranges, copy what is between them; what cannot be copied is fetched, too."""
        with ExitStack() as stack:
            source = stack.enter_context(OldFile(old)) if old else None
            for start, stop in (*changed, (self._entry.size, self._entry.size)):
                if source:
                    self._copy_old(source, file, start)
                self._fetch_up_to(file, stop)

    def _copy_old(self, source: OldFile, file: FileIO, stop: int) -> None:
        """Copy from a file here up to `stop`, or less if it ends before."""
        for piece in source.pieces(self._position, stop):
            self._fetcher.session.check()
            if not source.clone(file, self._position, len(piece)):
                _write(file, piece)
            self._hash.update(piece)
            self._position += len(piece)
            self._reused += len(piece)
            self._fetcher.progress.reuse(self._entry.path, len(piece))

    def _fetch_up_to(self, file: FileIO, stop: int) -> None:
        """Ask until all is there. Only a new furthest position is progress: who ignores Range is not asked forever."""
        retry = self._fetcher.session.retry()
        furthest = self._position
        while self._position < stop:
            try:
                self._receive(file, stop)
            except TransientError as error:
                if self._position > furthest:
                    furthest = self._position
                    retry.progress()
                retry.failed(error)

    def _receive(self, file: FileIO, stop: int) -> None:
        """Send one request and write what it brings."""
        fetcher, entry, start = self._fetcher, self._entry, self._position
        with content.open_file(fetcher.session, fetcher.reference, fetcher.version, entry, start, stop) as reply:
            if not content.is_range(reply, entry, start, stop):
                self._start_over(file)
                if reply.status != HTTPStatus.OK:
                    return
                stop = entry.size
            if reply.headers.get("Content-Length") not in (None, str(stop - self._position)):
                raise _differs(entry)
            self._take(reply, file, stop)
        if self._position < stop:
            raise TransientError(f"The download of {entry.path} was cut short.")

    def _take(self, reply: Reply, file: FileIO, stop: int) -> None:
        """Write what arrives; whatever breaks, what arrived before is written."""
        while data := reply.read(READ_SIZE):
            if self._position + len(data) > stop:
                raise _differs(self._entry)
            _write(file, data)
            self._hash.update(data)
            self._fetcher.count(len(data))
            self._advance(len(data))

    def _start_over(self, file: FileIO) -> None:
        file.seek(0)
        file.truncate()
        self._hash.reset()
        self._advance(-self._position)
        self._reused = 0

    def _advance(self, count: int) -> None:
        self._position += count
        self._fetcher.progress.advance(self._entry.path, count)


def _create(path: str, flags: int) -> int:
    """Open a part that may be there or not; not to append, since ranges cannot be cloned to a file opened so."""
    return os.open(path, flags | os.O_CREAT, 0o666)


def _write(file: FileIO, data: bytes | memoryview) -> None:
    position = file.write(data)
    while position < len(data):
        position += file.write(memoryview(data)[position:])


def _key(entry: FileEntry) -> tuple[str, int, bool]:
    """What files have in common that are fetched once."""
    return entry.digest, entry.size, entry.mode == SYMLINK


def _matches(entry: FileEntry, data: bytes) -> bool:
    return entry.digest == f"sha-256:{hashlib.sha256(data).hexdigest()}"


def _differs(entry: FileEntry) -> IntegrityError:
    return IntegrityError(
        f"What the lake sends for {entry.path} is not what its digest says.",
        "Pull again; if it stays so, tell who runs the lake: what it has stored is damaged.",
    )
