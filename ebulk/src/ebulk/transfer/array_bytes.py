"""Brings the bytes of an array's part, through any number of broken connections: in order, several pieces at a time.

All pieces are of one state of the array: that which the caller names, or the one that the first answer is of.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from dataclasses import replace
from functools import partial

from ebulk.errors import EbulkError
from ebulk.protocol import KIB, MIB
from ebulk.remote.arrays import ArrayPart, Opened, open_part
from ebulk.remote.failure import TransientError
from ebulk.remote.lake import Lake
from ebulk.remote.session import Session
from ebulk.transfer.crew import JOBS, in_order

PIECE_SIZE = 8 * MIB
"""Bytes that one request asks for. What a broken connection has brought of them is not asked for again."""

READ_SIZE = 256 * KIB


class ArrayBytes:
    """The bytes of a part from offset `start` up to `stop`, or to its end.

    `total`, how many bytes the part has, is told by the first answer where the caller does not know it.
    """

    def __init__(
        self,
        lake: Lake,
        part: ArrayPart,
        start: int = 0,
        stop: int | None = None,
        *,
        total: int | None = None,
        jobs: int = JOBS,
    ) -> None:
        self._lake = lake
        self.part = part
        self._start = start
        self._stop = stop
        self._jobs = jobs
        self.total = total

    def pieces(self) -> Generator[bytearray, None, None]:
        """The bytes, in pieces. Close it before its end, and requests under way end."""
        start = self._start
        if self.total is None or self._end(start) - start <= PIECE_SIZE:
            first = self._fetch(self._lake.calls, start, start + PIECE_SIZE)
            yield first
            start += len(first)
        if start < self._end(start):
            with self._lake.session(self._jobs) as session:
                yield from in_order(self._tasks(session, start), self._jobs, session.stop)

    def _end(self, stop: int) -> int:
        """Where the bytes end that are asked for, as far as that is known; `stop` where it is not."""
        return min((end for end in (self._stop, self.total) if end is not None), default=stop)

    def _tasks(self, session: Session, start: int) -> Iterator[Callable[[], bytearray]]:
        for offset in range(start, self._end(start), PIECE_SIZE):
            yield partial(self._fetch, session, offset, offset + PIECE_SIZE)

    def _fetch(self, session: Session, start: int, stop: int) -> bytearray:
        """One piece, or less where there is less."""
        piece = bytearray()
        retry = session.retry()
        while start + len(piece) < (end := min(stop, self._end(stop))):
            before = len(piece)
            try:
                self._receive(session, piece, start, end)
            except TransientError as error:
                if len(piece) > before:
                    retry.progress()
                retry.failed(error)
        return piece

    def _receive(self, session: Session, piece: bytearray, start: int, stop: int) -> None:
        """Send one request, and add what it brings to a piece that begins at `start`."""
        position = start + len(piece)
        opened = open_part(session, self.part, position, stop)
        with opened.reply as reply:
            self._learn(opened)
            stop = min(stop, opened.total)
            skip = position - opened.offset
            while start + len(piece) < stop and (data := reply.read(READ_SIZE)):
                piece += data[skip : skip + stop - start - len(piece)]
                skip = max(0, skip - len(data))
        if start + len(piece) < stop:
            raise TransientError(f"The bytes of the array {self.part.reference!r} were cut short.")

    def _learn(self, opened: Opened) -> None:
        """Hold all answers to what the first one says."""
        if self.part.snapshot is None:
            self.part = replace(self.part, snapshot=opened.snapshot)
        if self.total is None:
            self.total = opened.total
        if (self.total, self.part.snapshot) != (opened.total, opened.snapshot or self.part.snapshot):
            raise EbulkError(
                f"The lake has {opened.total:,} bytes of the array {self.part.reference!r} in the state "
                f"{opened.snapshot}, where {self.total:,} in the state {self.part.snapshot} were to come.",
                "Ask for all of it anew.",
            )
