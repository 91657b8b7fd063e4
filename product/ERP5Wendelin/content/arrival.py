"""Arrival: a file of the original ebulk that comes in pieces, until the last one and all before it are here.

Pieces are numbered from 1; the last one, EOF, has no number (LAST stands for it). What comes in order is appended to
one byte stream, and never copied. What comes early waits, in a byte stream of its own, and is appended in its turn.

An arrival that is finished stays until the file is sent again, or for as long as an upload lives: who missed the last
answer sends a piece again, and a piece may have been overtaken by EOF.

State of `Arrival` (public format): `ingestion` (id of its Data Ingestion), `path`, `reference` (the ingestion
reference), `full_size` (bytes that the client announced, or None), `stream` (IByteStream), `offset` (bytes in it),
`taken` (IOBTree number -> (start, stop, sha-256): the pieces in `stream`, one behind the other; EOF has the next number
there), `waiting` (IOBTree number -> Piece, complete), `incoming` (OOBTree token -> Piece, not complete), `fresh`
(IByteStream that will take the place of `stream`, or None), `modified` (aware datetime, UTC), `complete`, `finished`,
`dropped` (booleans), `digest` (sha-256 of the whole once it is finished).

State of `Piece`: `stream`, `offset` (bytes in it), `start`, `stop` (of the piece in the stream), `sha256`.
"""

from __future__ import annotations

from datetime import datetime
from typing import NamedTuple

from BTrees.IOBTree import IOBTree
from BTrees.OOBTree import OOBTree
from persistent import Persistent

from Products.ERP5Wendelin.content.base import now
from Products.ERP5Wendelin.content.upload import LIFETIME
from Products.ERP5Wendelin.storage.stream import ByteStream

FIRST = 1
LAST = 0
"""In place of the number of EOF."""


class Range(NamedTuple):
    """Where a piece is."""

    stream: ByteStream
    start: int
    stop: int
    sha256: bytes

    @property
    def size(self) -> int:
        """How many bytes it has."""
        return self.stop - self.start


class Piece(Persistent):
    """A piece that is not taken: in a stream of its own, or in one that the arrival has left."""

    def __init__(self, stream: ByteStream, start: int = 0, stop: int = 0, sha256: bytes = b"") -> None:
        self.stream = stream
        self.offset = stream.size
        self.start = start
        self.stop = stop
        self.sha256 = sha256

    @property
    def range(self) -> Range:
        """Where it is, once it is complete."""
        return Range(self.stream, self.start, self.stop, self.sha256)


class Arrival(Persistent):
    """A file in pieces; two writers of one arrival conflict in this record."""

    complete = False
    """Whether EOF is in the stream, and so all of the file."""
    finished = False
    """Whether the data set has the file."""
    dropped = False
    digest = b""
    fresh: ByteStream | None = None

    def __init__(self, ingestion: str, path: str, reference: str, full_size: int | None) -> None:
        self.ingestion = ingestion
        self.path = path
        self.reference = reference
        self.full_size = full_size
        self.stream = ByteStream()
        self.offset = 0
        self.taken = IOBTree()
        self.waiting = IOBTree()
        self.incoming = OOBTree()
        self.modified = now()

    @property
    def expires(self) -> datetime:
        """When it is given up, unless something arrives before."""
        return self.modified + LIFETIME

    @property
    def next(self) -> int:
        """The number of the piece that comes next in the stream."""
        return (self.taken.maxKey() if self.taken else 0) + 1

    @property
    def end(self) -> int:
        """Where the pieces taken end; behind it the stream may have the beginning of one that broke off."""
        return int(self.taken[self.taken.maxKey()][1]) if self.taken else 0

    def find(self, number: int) -> Range | None:
        """Where a piece is; None if it is not here."""
        if number in self.waiting:
            return self.waiting[number].range
        place = self.place(number)
        return None if place is None else Range(self.stream, *self.taken[place])

    def place(self, number: int) -> int | None:
        """The place of a piece in the stream, from 1, which is its number but for EOF; None if it is not there."""
        last = self.taken.maxKey() if self.complete else None
        if number == LAST:
            return last
        return number if number in self.taken and number != last else None

    def take(self, number: int, stop: int, sha256: bytes) -> None:
        """Note that the stream has the next piece, up to `stop`."""
        self.waiting.pop(number, None)
        self.taken[self.next] = (self.end, stop, sha256)
        self.complete = number == LAST
        self.touch()

    def touch(self) -> None:
        """Note a change: of all who change an arrival at the same time one succeeds."""
        self.modified = now()
        self._p_changed = True

    def is_next(self, number: int, size: int) -> bool:
        """Whether a piece of this size, which is not here, is the one to append to the stream now."""
        if number != LAST:
            return number == self.next and not self.complete
        return not self.waiting and self._suffices(self.next - 1, self.end + size)

    @property
    def next_waiting(self) -> int | None:
        """The number of the piece that waits and is to be appended now; None if there is none."""
        if self.next in self.waiting:
            return self.next
        if len(self.waiting) == 1 and LAST in self.waiting:
            return LAST if self._suffices(self.next - 1, self.end + self.waiting[LAST].range.size) else None
        return None

    def _suffices(self, numbered: int, size: int) -> bool:
        """Whether EOF completes a file that then has so many numbered pieces, without a gap, and so many bytes.

        Nobody says how many pieces a file has. With EOF go at least 001 and all up to the highest number that is here;
        if the client announced a size, it must also be reached.
        """
        if self.full_size is None:
            return numbered >= FIRST
        return size == self.full_size or (numbered >= FIRST and size > self.full_size)

    @property
    def outdated(self) -> int | None:
        """The first place in the stream whose piece does not belong there, for another waits for it; None: all do.

        EOF does not belong behind any other piece's place.
        """
        places = [place for number in self.waiting if (place := self.place(number)) is not None]
        if self.waiting and self.complete:
            places.append(self.taken.maxKey())
        return min(places, default=None)

    def leave_stream(self, place: int, stream: ByteStream) -> None:
        """Have another stream, with the pieces before a place; the others wait where they are, if not replaced."""
        last = self.place(LAST)
        for taken in list(self.taken.keys(place)):
            number = LAST if taken == last else taken
            if number not in self.waiting:
                self.waiting[number] = Piece(self.stream, *self.taken[taken])
            del self.taken[taken]
        self.complete = False
        self.stream, self.offset, self.fresh = stream, stream.size, None
        self.touch()
