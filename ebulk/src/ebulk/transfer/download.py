"""Fetches files from a lake: large ones by GET, resumed where they stopped; small ones and symbolic links in archives.

Nothing is believed of what arrives: a file is placed only when its size and its digest are those of the manifest. A
large file's bytes go to `<sha-256>.part`, which stays when something breaks: the next run hashes what is there and asks
for the rest. A small file is held in memory until it is whole. Files of the same content that are wanted at the same
time are fetched once.

Of a large file of which an older content is here, unchanged, only what differs is fetched: the lake tells which ranges
that are, the rest is copied. If it has only grown, nothing is copied, and the end is appended to the file here.

Small files are unpacked by one thread at a time, while the others wait for the network: each file is a dozen calls of
the system, and threads which do this at the same time mostly hand the interpreter to each other.
"""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from threading import Lock
from typing import Generic, Protocol, TypeVar

from ebulk.model import SYMLINK, FileEntry, LocalFile, Progress, Ranges
from ebulk.protocol import BUNDLE_LENGTH, BUNDLE_SIZE, DELTA_FILE_SIZE, KIB, SMALL_FILE_SIZE
from ebulk.remote import content
from ebulk.remote.failure import TransientError
from ebulk.remote.lake import Lake
from ebulk.remote.session import Reply, Session
from ebulk.transfer import tar
from ebulk.transfer.crew import work
from ebulk.transfer.disk import unwritable
from ebulk.transfer.old_file import OldFile
from ebulk.transfer.ranges import size_of
from ebulk.transfer.receive import Receiver, differs
from ebulk.transfer.tail import fetch_tail, tail_start

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

    def can_append(self, entry: FileEntry, where: Where_contra) -> bool:
        """Whether that file may be written to, and is under no other name; called from any thread."""

    def append(self, entry: FileEntry, where: Where_contra, tail: Path, start: int) -> None:
        """Append to that file what it lacks of the tail, its verified new content from `start` on; from any thread."""


@dataclass(frozen=True, slots=True)
class Fetched:
    """What was fetched: files placed, and bytes of content that arrived (not those of earlier runs)."""

    files: int
    bytes: int
    reused: int = 0
    """Bytes that were in files here, and were copied or left where they are."""


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

    def can_append(self, wanted: _Wanted[Where]) -> bool:
        """Whether a content may be made by appending to the file here: it is wanted nowhere else."""
        with self._lock:
            targets = list(wanted.targets)
        return len(targets) == 1 and self._destination.can_append(*targets[0])

    def append(self, wanted: _Wanted[Where], tail: Path, start: int, reused: int) -> bool:
        """Append a verified tail; False if the content is wanted elsewhere, too, by now."""
        with self._lock:
            if len(wanted.targets) > 1:
                return False
            del self._wanted[_key(wanted.entry)]
            self.reused += reused
        entry, where = wanted.targets[0]
        self._destination.append(entry, where, tail, start)
        self._done(entry)
        return True

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
                            raise differs(wanted.entry)
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
    """The download of one content: as a tail of the file here, or else whole, as a part that takes its place."""

    def __init__(self, fetcher: _Fetcher[Where], wanted: _Wanted[Where]) -> None:
        self._fetcher = fetcher
        self._wanted = wanted
        self._entry = wanted.entry
        self._part = fetcher.part(wanted.entry)

    def fetch(self) -> None:
        """Fetch what is not here, verify it, and have it placed."""
        self._fetcher.progress.begin(self._entry.path, self._entry.size)
        there = _size(self._part)
        old, changed = self._old() if there < self._entry.size else (None, ())
        if old and not there and self._append(old, changed):
            return
        try:
            with Receiver(self._fetcher, self._entry, self._part) as receiver:
                receiver.begin()
                self._complete(receiver, old, changed or ((0, self._entry.size),))
        except OSError as error:
            raise unwritable(error, self._part) from error
        self._fetcher.finish(self._wanted, receiver.reused)

    def _old(self) -> tuple[LocalFile | None, Ranges]:
        """A file here from which most of the content can be copied, and the ranges that cannot; None and no ranges."""
        fetcher, entry = self._fetcher, self._entry
        if entry.size >= DELTA_FILE_SIZE and (old := fetcher.old(self._wanted)):
            changed = content.changed_ranges(fetcher.session, fetcher.reference, fetcher.version, entry, old.entry)
            if changed is not None and size_of(changed) <= entry.size * WORTHWHILE:
                return old, changed
        return None, ()

    def _append(self, old: LocalFile, changed: Ranges) -> bool:
        """Append to the file here what it lacks; False if that cannot be done."""
        start = tail_start(self._entry, old, changed)
        if start is None or not self._fetcher.can_append(self._wanted):
            return False
        tail = self._part.with_suffix(".tail")
        try:
            reused = fetch_tail(self._fetcher, self._entry, old, start, tail)
            if reused is None:
                return False
            appended = self._fetcher.append(self._wanted, tail, start, reused)
        except OSError as error:
            raise unwritable(error, tail) from error
        if not appended:
            self._fetcher.progress.advance(self._entry.path, -self._entry.size)
        return appended

    def _complete(self, receiver: Receiver, old: LocalFile | None, changed: Ranges) -> None:
        """Fetch until the digest is right; what is complete but wrong is fetched anew once, without the file here."""
        for last in (False, True):
            self._fetch_changed(receiver, old, changed)
            if receiver.is_right:
                return
            receiver.start_over()
            if last:
                raise differs(self._entry)
            old, changed = None, ((0, self._entry.size),)

    def _fetch_changed(self, receiver: Receiver, old: LocalFile | None, changed: Ranges) -> None:
        """Fetch these ranges, copy what is between them; what cannot be copied is fetched, too."""
        with ExitStack() as stack:
            source = stack.enter_context(OldFile(old)) if old else None
            for start, stop in (*changed, (self._entry.size, self._entry.size)):
                if source:
                    receiver.copy(source, start)
                receiver.fetch_up_to(stop)


def _size(part: Path) -> int:
    """Of what is there of a part."""
    try:
        return part.stat().st_size
    except FileNotFoundError:
        return 0


def _key(entry: FileEntry) -> tuple[str, int, bool]:
    """What files have in common that are fetched once."""
    return entry.digest, entry.size, entry.mode == SYMLINK


def _matches(entry: FileEntry, data: bytes) -> bool:
    return entry.digest == f"sha-256:{hashlib.sha256(data).hexdigest()}"
