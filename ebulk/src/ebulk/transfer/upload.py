"""Sends files to a lake: large ones by tus, resumed where they stopped; small ones and symbolic links in bundles.

Nothing is held in memory but a few blocks for each job: a bundle is read while it is sent, and again when it must be
sent again. A large file goes in chunks. While the lake commits one, the next is sent on another connection if there is
a job with nothing to do; the lake lets it wait for its turn (docs/protocol.rst). When a connection breaks, a bundle
goes on in halves and a large file in smaller chunks, so that a network which carries a little at a time carries all.
The lake compares what arrives with the digests that were planned; when they differ either the file changed or the
network did it.

Of a large file that was made from a content that the lake has, only what differs is sent: the lake's offset jumps over
the rest. It need not: whatever offset it tells, the upload goes on from there.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import partial
from threading import Event, Lock, Semaphore

from ebulk.errors import ChangedError, IntegrityError, NotFoundError
from ebulk.model import SYMLINK, Ingestion, LocalFile, Progress, Ranges, Upload
from ebulk.protocol import BUNDLE_LENGTH, BUNDLE_SIZE, KIB, MIB, SMALL_FILE_SIZE, UPLOAD_CHUNK_SIZE
from ebulk.remote import content, tus
from ebulk.remote.failure import TransientError
from ebulk.remote.lake import Lake
from ebulk.remote.session import Session
from ebulk.transfer import tar
from ebulk.transfer.crew import work
from ebulk.transfer.disk import unreadable
from ebulk.transfer.ranges import before, beyond, size_of
from ebulk.transfer.read_ahead import ReadAhead
from ebulk.transfer.signature import changed_ranges

BUFFER_SIZE = 2 * MIB
"""Bytes of a bundle that are put together before they are sent."""
SMALLEST_CHUNK = 256 * KIB
"""A chunk whose connection breaks is tried again as a smaller one, down to this."""
CHUNKS_UNDER_WAY = 2
"""Of one large file: one that the lake commits, and one that is sent."""
PLANNED_AGAIN = 1_000
"""Of so many files one request asks whether they arrived: few, for the network is one that breaks."""
LOST_UPLOADS = 3
"""How often the lake may lose an upload that it began."""
WORTHWHILE = 0.9
"""A file of which more than this share differs from its base is sent as a new one: each range costs the lake a jump."""


@dataclass(frozen=True, slots=True)
class Sent:
    """What was sent: complete files, and bytes of content that the lake acknowledged (not those of earlier runs)."""

    files: int
    bytes: int
    reused: int = 0
    """Bytes that the lake took over from the files' bases."""


def send(lake: Lake, ingestion: Ingestion, files: Iterable[LocalFile], *, jobs: int, progress: Progress) -> Sent:
    """Send files that were planned. ChangedError names a file that changed meanwhile; what arrived before is kept."""
    with lake.session(jobs) as session:
        sender = _Sender(lake.through(session), session, ingestion, progress, jobs)
        work(sender.tasks(files), jobs, session.stop)
    return Sent(sender.files, sender.bytes, sender.reused)


class _Sender:
    """What the tasks of one `send` share."""

    def __init__(self, lake: Lake, session: Session, ingestion: Ingestion, progress: Progress, jobs: int) -> None:
        self.lake = lake
        self.session = session
        self.ingestion = ingestion
        self.progress = progress
        self.connections = Semaphore(jobs)
        """Each bundle and each chunk takes one while it is on its way."""
        self._begun = {(upload.path, upload.length, upload.digest): upload for upload in ingestion.uploads}
        self._lock = Lock()
        self.files = 0
        self.bytes = 0
        self.reused = 0

    def tasks(self, files: Iterable[LocalFile]) -> Iterator[Callable[[], None]]:
        """One for each large file, and one for each bundle of small ones."""
        bundle: list[LocalFile] = []
        room = BUNDLE_SIZE
        for file in files:
            entry = file.entry
            if entry.mode != SYMLINK and entry.size >= SMALL_FILE_SIZE:
                begun = self._begun.get((entry.path, entry.size, entry.digest))
                yield _LargeFile(self, file, begun).send
                continue
            if bundle and (entry.size > room or len(bundle) == BUNDLE_LENGTH):
                yield partial(self._send_small, bundle)
                bundle, room = [], BUNDLE_SIZE
            bundle.append(file)
            room -= entry.size
        if bundle:
            yield partial(self._send_small, bundle)

    def finish(self, files: list[LocalFile], sent: int, reused: int = 0) -> None:
        """Count files that are complete, the bytes sent for them, and those that the lake took over."""
        with self._lock:
            self.files += len(files)
            self.bytes += sent
            self.reused += reused
        for file in files:
            self.progress.done(file.entry.path)

    def _send_small(self, bundle: list[LocalFile]) -> None:
        retry = self.session.retry()
        begun: set[str] = set()
        todo = [bundle]
        while todo:
            part = todo.pop()
            try:
                with self.connections:
                    self._send_bundle(part, begun)
            except TransientError as error:
                retry.failed(error)
                missing = self._missing(part, begun)
                if len(missing) < len(part):
                    retry.progress()
                half = (len(missing) + 1) // 2
                todo += [rest for rest in (missing[half:], missing[:half]) if rest]
            else:
                retry.progress()

    def _missing(self, files: list[LocalFile], begun: set[str]) -> list[LocalFile]:
        """Those of the files that the lake lacks; where a bundle arrived and only its answer was lost, none."""
        missing: set[str] = set()
        for start in range(0, len(files), PLANNED_AGAIN):
            missing |= self.lake.plan(self.ingestion, [file.entry for file in files[start : start + PLANNED_AGAIN]])
        arrived = [file for file in files if file.entry.path not in missing]
        for path, size in ((file.entry.path, file.entry.size) for file in arrived):
            if path not in begun:
                self.progress.begin(path, size)
            self.progress.advance(path, size)
        self.finish(arrived, sum(file.entry.size for file in arrived))
        return [file for file in files if file.entry.path in missing]

    def _send_bundle(self, files: list[LocalFile], begun: set[str]) -> None:
        bundle = _Bundle(files, begun, self.progress)
        try:
            received = content.send_bundle(self.session, self.ingestion, bundle.length, bundle.blocks())
        except TransientError:
            bundle.take_back()
            raise
        except IntegrityError:
            for file in files:
                _check_planned(file)
            raise
        stored = {file.path: (file.size, file.digest) for file in received}
        for file in files:
            if stored.get(file.entry.path) != (file.entry.size, file.entry.digest):
                raise IntegrityError(f"The lake did not store {file.entry.path} as it was sent.", "Push again.")
        self.finish(files, sum(file.entry.size for file in files))


class _Bundle:
    """A tar of small files that is made while it is sent; `begun` are the paths whose begin the progress was told."""

    def __init__(self, files: list[LocalFile], begun: set[str], progress: Progress) -> None:
        self._begun = begun
        self._progress = progress
        self._members = [(file, tar.header(file.entry, _target(file))) for file in files]
        self._shown: list[LocalFile] = []
        self.length = len(tar.END) + sum(len(header) + _padded(file) for file, header in self._members)

    def blocks(self) -> Iterator[memoryview]:
        """The tar's bytes, in a buffer that is used over again."""
        buffer = memoryview(bytearray(BUFFER_SIZE))
        filled = 0
        for file, header in self._members:
            if filled + len(header) + _padded(file) > len(buffer):
                yield buffer[:filled]
                filled = 0
            start = filled + len(header)
            filled = start + _padded(file)
            buffer[start - len(header) : start] = header
            if file.entry.mode != SYMLINK:
                end = start + file.entry.size
                if file.content is None:
                    _read_into(file, buffer[start:end])
                else:
                    buffer[start:end] = file.content
                buffer[end:filled] = bytes(filled - end)
            self._show(file)
        yield buffer[:filled]
        yield memoryview(tar.END)

    def _show(self, file: LocalFile) -> None:
        entry = file.entry
        if entry.path not in self._begun:
            self._begun.add(entry.path)
            self._progress.begin(entry.path, entry.size)
        self._progress.advance(entry.path, entry.size)
        self._shown.append(file)

    def take_back(self) -> None:
        """Tell the progress that nothing arrived."""
        for file in self._shown:
            self._progress.advance(file.entry.path, -file.entry.size)
        self._shown.clear()


@dataclass(eq=False, slots=True)
class _Chunk:
    """A part of a large file that is on its way."""

    start: int
    stop: int
    then: int
    """The lake's offset when it has it: `stop`, or where the next range begins if the lake has what is between."""
    early: bool
    """Whether the one before it is not acknowledged yet."""
    sent: bool = False
    """Whether all of it was given to the network."""
    gone: Event = field(default_factory=Event)
    """It was, or something broke."""

    @property
    def length(self) -> int:
        return self.stop - self.start


class _LargeFile:
    """The upload of one file, from whatever offset the lake has, through any number of broken connections."""

    def __init__(self, sender: _Sender, file: LocalFile, begun: Upload | None) -> None:
        self._sender = sender
        self._file = file
        self._entry = file.entry
        self._upload = begun
        self._whole: Ranges = ((0, file.entry.size),)
        self._delta: Ranges | None = None
        """What differs from the file's base, where an upload is begun with that."""
        self._changed: Ranges | None = None
        """What is sent, by this run and those before; None until it is known of an upload of an earlier run."""
        self._retry = sender.session.retry()
        self._chunk_size = UPLOAD_CHUNK_SIZE
        self._overlaps = True
        self._offset = 0
        self._shown = 0
        self._sent = 0
        self._verified = 0

    def send(self) -> None:
        """Send what the lake lacks."""
        status = _stat(self._file)
        if status.st_size != self._entry.size:
            raise _changed(self._file)
        self._sender.progress.begin(self._entry.path, self._entry.size)
        if self._upload is None:
            self._compare()
        try:
            self._send_all()
        except IntegrityError:
            _check_same(self._file, status)
            _check_planned(self._file)
            if self._changed == self._whole:
                raise
            # The base is not what the lake said, or an earlier run began with a file that has changed since.
            self._delta = None
            self._start_over()
            self._send_all()
        _check_same(self._file, status)
        self._sender.finish([self._file], self._sent, self._entry.size - size_of(self._changed or ()))

    def _compare(self) -> None:
        """Find out what is to be sent."""
        changed = changed_ranges(self._sender.session, self._sender.ingestion.reference, self._file)
        if changed is not None and size_of(changed) <= self._entry.size * WORTHWHILE:
            self._delta = changed
        self._start_over()

    def _start_over(self) -> None:
        """Forget the upload; the next one begins with what differs, or with everything."""
        self._upload = None
        self._changed = self._whole if self._delta is None else self._delta

    def _send_all(self) -> None:
        lost = 0
        sure = False
        while self._upload is None or self._offset < self._entry.size:
            try:
                if self._upload is None:
                    self._upload = self._begin()
                    self._go_to(self._upload.offset)
                elif not sure:
                    self._look(self._upload)
                sure = True
                if self._offset < self._entry.size:
                    self._append(self._upload)
                self._show(self._offset)
            except TransientError as error:
                sure = False
                self._chunk_size = max(SMALLEST_CHUNK, self._chunk_size // 2)
                if error.verified > self._verified:
                    self._verified = error.verified
                    self._retry.progress()
                self._retry.failed(error)
                self._upload = self._upload or self._find()
                if self._upload is None and self._is_there():
                    self._go_to(self._entry.size)
                    return
            except NotFoundError:
                # It has expired, or its last chunk arrived and the connection broke before we were told.
                if self._is_there():
                    self._go_to(self._entry.size)
                    return
                lost += 1
                if lost == LOST_UPLOADS:
                    raise
                self._start_over()

    def _begin(self) -> Upload:
        """Begin an upload; with all of a file that is no longer than a chunk, as long as nothing breaks."""
        session, ingestion, size = self._sender.session, self._sender.ingestion, self._entry.size
        if self._delta is not None or size > self._chunk_size or self._chunk_size < UPLOAD_CHUNK_SIZE:
            return tus.create(session, ingestion, self._file, self._delta)
        with self._sender.connections, ReadAhead(self._file.source, self._whole) as ahead:
            blocks = self._blocks(ahead, _Chunk(0, size, size, early=False), Event())
            upload = tus.create(session, ingestion, self._file, blocks=blocks)
        self._sent += upload.offset
        return upload

    def _is_there(self) -> bool:
        """Whether the lake has all of the file: only its answer was lost."""
        return not self._sender.lake.plan(self._sender.ingestion, [self._entry])

    def _look(self, upload: Upload) -> None:
        """Ask where an upload is; and of one that an earlier run has begun, what was to be sent."""
        standing = tus.look(self._sender.session, upload)
        if self._changed is None:
            self._changed = self._whole if standing.changed is None else standing.changed
        self._go_to(standing.offset)

    def _append(self, upload: Upload) -> None:
        """Send the rest, chunk by chunk, until it is complete, something breaks, or the lake is not where we expect."""
        rest = self._rest()
        under_way: deque[tuple[_Chunk, Future[int]]] = deque()
        broken = Event()
        with ExitStack() as stack:
            ahead = stack.enter_context(ReadAhead(self._file.source, rest))
            pool = stack.enter_context(ThreadPoolExecutor(CHUNKS_UNDER_WAY, thread_name_prefix="chunk"))
            stack.callback(broken.set)
            while under_way or rest:
                if rest and self._may_send([answer for _, answer in under_way]):
                    chunk, rest = self._next_chunk(rest, early=bool(under_way))
                    answer = pool.submit(self._send_chunk, upload, ahead, chunk, broken)
                    answer.add_done_callback(self._give_back)
                    under_way.append((chunk, answer))
                    chunk.gone.wait()
                    if not chunk.sent:
                        rest = ()
                elif not self._acknowledge(*under_way.popleft()):
                    return

    def _rest(self) -> Ranges:
        """What is to be sent from the lake's offset on; the lake may take over less of the base than it could."""
        changed = self._changed or ()
        rest = beyond(changed, self._offset)
        if rest is None:
            rest = ((self._offset, self._entry.size),)
            self._changed = (*before(changed, self._offset), *rest)
        return rest

    def _next_chunk(self, rest: Ranges, *, early: bool) -> tuple[_Chunk, Ranges]:
        """The next chunk, which ends with its range at the latest, and what is left."""
        (start, stop), *others = rest
        if stop - start > self._chunk_size:
            middle = start + self._chunk_size
            return _Chunk(start, middle, middle, early), ((middle, stop), *others)
        return _Chunk(start, stop, others[0][0] if others else self._entry.size, early), tuple(others)

    def _may_send(self, under_way: list[Future[int]]) -> bool:
        """Take a connection for another chunk: when there is one, or while others are under way, only a free one."""
        connections = self._sender.connections
        if not under_way:
            return connections.acquire()
        if not self._overlaps or len(under_way) == CHUNKS_UNDER_WAY or not connections.acquire(blocking=False):
            return False
        if under_way[0].done():  # it may be its connection that is free, and its answer comes first
            connections.release()
            return False
        return True

    def _give_back(self, answer: Future[int]) -> None:
        self._sender.connections.release()

    def _acknowledge(self, chunk: _Chunk, answer: Future[int]) -> bool:
        """Note that the lake has a chunk; False if those after it do not begin where the lake goes on."""
        offset = answer.result()
        if chunk.early and offset <= chunk.start:
            self._overlaps = False
            return False
        if offset > self._offset:
            self._retry.progress()
        self._offset = offset
        if not chunk.stop <= offset <= chunk.then:
            raise TransientError(f"The lake has another part of {self._entry.path} than expected.")
        self._sent += chunk.length
        self._chunk_size = min(UPLOAD_CHUNK_SIZE, self._chunk_size * 2)
        return offset == chunk.then

    def _send_chunk(self, upload: Upload, ahead: ReadAhead, chunk: _Chunk, broken: Event) -> int:
        """Send a chunk; the offset that the lake has then."""
        try:
            blocks = self._blocks(ahead, chunk, broken)
            return tus.append(self._sender.session, upload, chunk.start, chunk.length, blocks)
        finally:
            chunk.gone.set()

    def _blocks(self, ahead: ReadAhead, chunk: _Chunk, broken: Event) -> Iterator[memoryview]:
        for block in ahead.take(chunk.length):
            if broken.is_set():
                raise TransientError(f"The chunk of {self._entry.path} before this one was not stored.")
            yield block
            self._show(self._shown + len(block))
        self._pass_over(chunk.then)
        chunk.sent = True
        chunk.gone.set()

    def _go_to(self, offset: int) -> None:
        """Note what the lake has."""
        if offset > self._offset:
            self._retry.progress()
        self._offset = offset
        self._pass_over(offset)
        self._show(offset)

    def _pass_over(self, position: int) -> None:
        """Show that nothing need be sent up to a position."""
        if position > self._shown:
            self._sender.progress.reuse(self._entry.path, position - self._shown)
            self._shown = position

    def _show(self, position: int) -> None:
        if position != self._shown:
            self._sender.progress.advance(self._entry.path, position - self._shown)
            self._shown = position

    def _find(self) -> Upload | None:
        """The upload that the lake began for us though its answer was lost."""
        ingestion = self._sender.lake.ingestion(self._sender.ingestion.reference, self._sender.ingestion.id)
        wanted = (self._entry.path, self._entry.size, self._entry.digest)
        return next((found for found in ingestion.uploads if (found.path, found.length, found.digest) == wanted), None)


def _stat(file: LocalFile) -> os.stat_result:
    try:
        return os.stat(file.source, follow_symlinks=file.entry.mode != SYMLINK)
    except OSError as error:
        raise unreadable(error, file.source) from error


def _check_same(file: LocalFile, before: os.stat_result) -> None:
    """ChangedError if a file is not what it was when it began to be sent."""
    after = _stat(file)
    if (after.st_size, after.st_mtime_ns, after.st_ino) != (before.st_size, before.st_mtime_ns, before.st_ino):
        raise _changed(file)


def _check_planned(file: LocalFile) -> None:
    """ChangedError if a file is not what it was when its digest was made."""
    now = _stat(file)
    if (now.st_size, now.st_mtime_ns) != (file.entry.size, file.entry.mtime_ns):
        raise _changed(file)


def _changed(file: LocalFile) -> ChangedError:
    return ChangedError(f"{file.source} changed while it was sent.", "Push again once it is no longer written to.")


def _target(file: LocalFile) -> str:
    if file.entry.mode != SYMLINK:
        return ""
    try:
        return os.readlink(file.source)
    except OSError as error:
        raise unreadable(error, file.source) from error


def _padded(file: LocalFile) -> int:
    """Bytes of a file's content in a tar; a link's is in its header."""
    return 0 if file.entry.mode == SYMLINK else file.entry.size + tar.padding(file.entry.size)


def _read_into(file: LocalFile, buffer: memoryview) -> None:
    """Read a whole file, which must be as long as the buffer."""
    try:
        descriptor = os.open(file.source, os.O_RDONLY | os.O_CLOEXEC)
        try:
            beyond = bytearray(1)
            position = 0
            while position <= len(buffer) and (count := os.readv(descriptor, [buffer[position:], beyond])):
                position += count
        finally:
            os.close(descriptor)
    except OSError as error:
        raise unreadable(error, file.source) from error
    if position != len(buffer):
        raise _changed(file)
