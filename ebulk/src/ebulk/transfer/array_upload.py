"""Sends arrays, through any number of broken connections, piece by piece: in place of an array, or behind its end.

A new content is a .npy file that the lake collects under a key, unseen until its last byte has come. What is appended
goes in .npy files of some rows, each with a key of its own under which the lake appends it once. Where their borders
are never changes: with another border, the same key would stand for other rows.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from math import prod
from typing import TypeVar

from ebulk.errors import EbulkError
from ebulk.local.npy import make_header
from ebulk.model import Progress
from ebulk.protocol import KIB, MIB, UPLOAD_CHUNK_SIZE
from ebulk.remote.arrays import UploadOffsetError, append_npy, put_npy, put_piece
from ebulk.remote.failure import TransientError
from ebulk.remote.session import Session
from ebulk.transfer.npy_source import NpySource

APPEND_SIZE = 8 * MIB
"""About how many bytes are appended by one request: a row at the least, of which the lake takes 64 MiB."""

LARGEST_ROW = 64 * MIB
"""Bytes of a row: what a lake appends by one request."""

LEAST_PIECE = 256 * KIB
"""A network that breaks all the time is sent pieces of an upload that are ever smaller, down to this."""

READ_SIZE = 8 * MIB
"""Bytes that are read of an array at a time."""

STEP = 256 * KIB
"""Bytes after which progress is told."""


Result = TypeVar("Result")


class Counted:
    """The body of one request, of which progress is told as it is sent: some bytes of an array, behind a header."""

    def __init__(self, source: NpySource, start: int, stop: int, progress: Progress, header: bytes = b"") -> None:
        self._source = source
        self._start = start
        self._stop = stop
        self._progress = progress
        self._header = header
        self._told = 0
        self.length = len(header) + stop - start

    def __iter__(self) -> Iterator[memoryview]:
        self.take_back()
        if self._header:
            yield memoryview(self._header)
        for start in range(self._start, self._stop, READ_SIZE):
            data = self._source.read(start, min(start + READ_SIZE, self._stop))
            for begin in range(0, len(data), STEP):
                block = data[begin : begin + STEP]
                yield block
                self._told += len(block)
                self._progress.advance(self._source.name, len(block))

    def take_back(self) -> None:
        """Tell that they did not arrive."""
        if self._told:
            self._progress.advance(self._source.name, -self._told)
            self._told = 0


def replace(
    session: Session,
    reference: str,
    source: NpySource,
    key: str,
    start: int,
    progress: Progress,
    noted: Callable[[int], None],
) -> None:
    """Put an array in place of what a lake has, from byte `start` of the upload `key` on.

    `noted` is called with `start` first, then with each offset up to which the lake has it. Not for what goes by one
    request: a small one, and one in Fortran's order, which the lake has to have whole before it can turn it around.
    """
    if source.size <= UPLOAD_CHUNK_SIZE or source.fortran_order:
        write(session, reference, None, source, progress)
        return
    noted(start)
    retry = session.retry()
    size, furthest = UPLOAD_CHUNK_SIZE, start
    is_there = False
    while not is_there:
        # the lake takes the header whole
        body = Counted(source, start, min(max(start + size, source.offset), source.size), progress)
        try:
            is_there = put_piece(session, reference, key, start, source.size, body.length, body)
        except TransientError as error:
            body.take_back()
            size = max(LEAST_PIECE, size // 2)
            retry.failed(error)
        except UploadOffsetError as error:
            body.take_back()
            if error.offset == start:
                raise
            progress.advance(source.name, error.offset - start)
            start = error.offset
        else:
            start += body.length
            if is_there and start < source.size:  # the rest was there from a request whose answer was lost
                progress.advance(source.name, source.size - start)
            size = min(UPLOAD_CHUNK_SIZE, 2 * size)
        if start > furthest:
            furthest = start
            retry.progress()
            noted(start)


def write(session: Session, reference: str, slice: str | None, source: NpySource, progress: Progress) -> None:
    """Write an array into a slice of that of a lake, or in place of it, by one request."""
    body = Counted(source, 0, source.size, progress)
    _try_on(session, body, partial(put_npy, session, reference, slice, body.length, body))


def append(
    session: Session,
    reference: str,
    source: NpySource,
    key: str,
    start: int,
    progress: Progress,
    noted: Callable[[int], None],
) -> tuple[int, ...]:
    """Append an array to that of a lake, from row `start` on, at a border of pieces; the lake's shape then.

    `noted` is called with `start` first, then with each row up to which the lake has it.
    """
    row_size = _row_size(source)
    if row_size > LARGEST_ROW:
        raise EbulkError(
            f"{source.name} has rows of {row_size:,} bytes, of which a lake appends {LARGEST_ROW:,} at a time.",
            "Push the whole array instead, or give it a shorter second axis.",
        )
    noted(start)
    shape: tuple[int, ...] = ()
    for row in range(start, source.shape[0], append_length(source)):
        stop = min(row + append_length(source), source.shape[0])
        header = make_header(source.descr, (stop - row, *source.shape[1:]))
        begin, end = source.offset + row * row_size, source.offset + stop * row_size
        body = Counted(source, begin, end, progress, header)
        request = partial(append_npy, session, reference, f"{key}-{row}", body.length, body)
        shape = _try_on(session, body, request)
        noted(stop)
    return shape


def append_length(source: NpySource) -> int:
    """How many rows are appended by one request."""
    return max(1, APPEND_SIZE // max(1, _row_size(source)))


def _row_size(source: NpySource) -> int:
    return source.itemsize * prod(source.shape[1:])


def _try_on(session: Session, body: Counted, request: Callable[[], Result]) -> Result:
    """Send one request until it is answered."""
    retry = session.retry()
    while True:
        try:
            return request()
        except TransientError as error:
            body.take_back()
            retry.failed(error)
