"""Brings a stream into a file: its bytes, of which only new ones come later, or its records of a time, as one file.

The file of the bytes is at any time a beginning of what the lake keeps, or kept: whatever breaks, the next pull goes on
behind it. To see that it is, its last bytes are asked for again and compared. Files of records are replaced as a whole.
"""

from __future__ import annotations

import errno
import fcntl
import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from ebulk.errors import ConflictError, EbulkError, UsageError
from ebulk.local.names import shown
from ebulk.local.origin import read_origin, write_origin
from ebulk.local.output_file import default_path, is_special, replacing
from ebulk.protocol import KIB, RAW, STREAM_FORMATS
from ebulk.remote.lake import Lake
from ebulk.remote.session import Session
from ebulk.remote.streams import Extent, OutsideError
from ebulk.transfer.disk import unwritable
from ebulk.transfer.stream_bytes import StreamBytes
from ebulk.transfer.stream_records import Records
from ebulk.verbs.observer import SILENT, Observer

COMPARED = 64 * KIB
"""How many of the last bytes that are here must be the lake's, too."""

DISCARD_HINT = "--discard-changes replaces it by what the lake keeps; --output names another file."


@dataclass(frozen=True, slots=True)
class StreamReport:
    """What a pull of a stream did."""

    reference: str
    format: str
    file: str
    received: int
    """Bytes that came."""
    size: int
    """Bytes in the file now."""
    start: int | None = None
    """Of raw bytes: the offset in the stream at which the file begins."""

    @property
    def changed(self) -> bool:
        """Whether the file is another now."""
        return self.format != RAW or self.received > 0


@dataclass(frozen=True, slots=True)
class Part:
    """What of a stream is wanted: in a format, records with times from `since` up to `until`, if they are given.

    Times are nanoseconds since the epoch.
    """

    reference: str
    format: str = RAW
    since: int | None = None
    until: int | None = None

    def __post_init__(self) -> None:
        timed = self.since is not None or self.until is not None
        if self.format not in STREAM_FORMATS:
            raise UsageError(f"{self.format!r} is no format.", f"Formats are {', '.join(STREAM_FORMATS)}.")
        if timed and self.format == RAW:
            raise UsageError(
                "Raw bytes cannot be chosen by time.",
                f"Take one of the formats {', '.join(STREAM_FORMATS[1:])}.",
            )
        if self.since is not None and self.until is not None and self.since >= self.until:
            raise UsageError("There is no time between since and until.", "Since is to be before until.")


def default_file(part: Part) -> Path:
    """The file for what has no other. UsageError where a file cannot be named so."""
    return default_path(f"{part.reference}.{part.format}")


def pull_stream(
    part: Part, lake: Lake, file: Path, *, discard: bool = False, observer: Observer = SILENT
) -> StreamReport:
    """Bring part of a stream into a file; raw bytes go behind those that are there.

    ConflictError, with nothing touched: the stream does not go on with them. With `discard` the file is replaced then.
    """
    try:
        if file.is_dir():
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
        with lake.session(1) as session:
            if is_special(file):
                with open(file, "wb") as out:
                    return _copy(session, part, out, str(file), observer)
            if part.format != RAW:
                return _pull_records(session, part, file, observer)
            try:
                return _go_on(session, part.reference, file, observer)
            except ConflictError:
                if not discard:
                    raise
            return _pull_anew(session, part.reference, file, observer)
    except OSError as error:
        raise unwritable(error, file) from error


def copy_stream(part: Part, lake: Lake, out: BinaryIO, observer: Observer = SILENT) -> StreamReport:
    """Write part of a stream to what is open already, such as a pipe."""
    with lake.session(1) as session:
        return _copy(session, part, out, "-", observer)


def _copy(session: Session, part: Part, out: BinaryIO, name: str, observer: Observer) -> StreamReport:
    if part.format == RAW:
        source: StreamBytes | Records = StreamBytes(session, part.reference)
    else:
        source = Records(session, part.reference, part.format, part.since, part.until)
    size = _write_all(source, out, name, observer)
    out.flush()
    return StreamReport(part.reference, part.format, name, size, size)


def _pull_records(session: Session, part: Part, file: Path, observer: Observer) -> StreamReport:
    """Replace a file by the records of a time."""
    with replacing(file) as out:

        def start_over() -> None:
            observer.advance(str(file), -out.tell())
            out.seek(0)
            out.truncate()

        source = Records(session, part.reference, part.format, part.since, part.until, start_over)
        _write_all(source, out, str(file), observer)
        size = out.tell()
    return StreamReport(part.reference, part.format, str(file), size, size)


def _pull_anew(session: Session, reference: str, file: Path, observer: Observer) -> StreamReport:
    """Replace a file by all bytes that the lake keeps."""
    with replacing(file) as out:
        source = StreamBytes(session, reference)
        size = _write_all(source, out, str(file), observer)
        origin = source.start or 0
        write_origin(file, origin)
    return StreamReport(reference, RAW, str(file), size, size, origin)


def _write_all(source: StreamBytes | Records, out: BinaryIO, name: str, observer: Observer) -> int:
    """Write all that comes; how many bytes that was."""
    pieces = source.pieces()
    next(pieces)
    observer.expect(1, source.length or 0)
    observer.begin(name, source.length or 0)
    size = 0
    for piece in pieces:
        out.write(piece)
        observer.advance(name, len(piece))
        size += len(piece)
    observer.done(name)
    return size


def _go_on(session: Session, reference: str, file: Path, observer: Observer) -> StreamReport:
    """Append to a file what the lake has and the file has not."""
    with ExitStack() as stack:
        out = stack.enter_context(_opened(file)) if file.exists() else None
        length = 0 if out is None else os.fstat(out.fileno()).st_size
        origin = read_origin(file) if length else 0
        source, pieces = _asked(session, reference, file, origin, length)
        if out is None:
            out = stack.enter_context(_opened(file))
        if not length:
            origin = source.start or 0
            write_origin(file, origin)
        end = origin + length
        observer.expect(1, source.extent.size - origin)
        observer.begin(str(file), source.extent.size - origin)
        observer.reuse(str(file), length)
        compared = end if source.start is None else source.start
        out.seek(compared - origin)
        for piece in pieces:
            known, new = piece[: end - compared], piece[end - compared :]
            if out.read(len(known)) != known:
                raise _conflict(file, f"it is not the beginning of what the lake keeps of {shown(reference)}")
            compared += len(known)
            out.write(new)
            observer.advance(str(file), len(new))
        size = out.seek(0, os.SEEK_END)
        observer.done(str(file))
    return StreamReport(reference, RAW, str(file), size - length, size, origin)


def _asked(
    session: Session, reference: str, file: Path, origin: int, length: int
) -> tuple[StreamBytes, Iterator[bytes]]:
    """What the lake has behind a file's bytes, with the last of these, as far as it keeps them, in front."""
    end = origin + length
    start = end - min(length, COMPARED) if length else None
    while True:
        source = StreamBytes(session, reference, start)
        pieces = source.pieces()
        try:
            next(pieces)
            extent = source.extent
        except OutsideError as error:
            extent = source.extent = error.extent
            if start is None or extent.start <= start < extent.size:
                raise
        if length:
            _check(file, end, extent)
        if start is None or extent.start <= start:
            return source, pieces
        start = extent.start


def _check(file: Path, end: int, extent: Extent) -> None:
    """ConflictError for a file that ends at an offset of the stream with which nothing goes on."""
    if end > extent.size:
        raise _conflict(file, f"it ends at byte {end:,} of the stream, which has {extent.size:,}")
    if end < extent.start:
        raise _conflict(
            file,
            f"it ends at byte {end:,} of the stream, of which the lake keeps only those from byte {extent.start:,} on",
        )


def _conflict(file: Path, reason: str) -> ConflictError:
    return ConflictError(f"{file} cannot be continued: {reason}.", DISCARD_HINT, (str(file),))


@contextmanager
def _opened(file: Path) -> Iterator[BinaryIO]:
    """A file, made if there is none, that no other ebulk writes to meanwhile."""
    with open(os.open(file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666), "r+b") as out:
        try:
            fcntl.flock(out.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise EbulkError(
                f"Another ebulk is at work on {file}.", "Wait for it, or end it, then try again."
            ) from None
        yield out
