"""Brings bytes of a stream, through any number of broken connections: each once, in order."""

from __future__ import annotations

from collections.abc import Iterator

from ebulk.protocol import KIB
from ebulk.remote.failure import TransientError
from ebulk.remote.session import Session
from ebulk.remote.streams import Extent, open_bytes

READ_SIZE = 256 * KIB


class StreamBytes:
    """The bytes of a stream from offset `start`, or from the first that is kept, up to `stop`, or to its end.

    Its end is where it was when the lake was last asked: what is appended meanwhile may come, or not.
    """

    def __init__(self, session: Session, reference: str, start: int | None = None, stop: int | None = None) -> None:
        self._session = session
        self._reference = reference
        self._stop = stop
        self._position = start
        self.start = start
        """The offset of the first byte, from the lake's first answer on."""
        self.extent = Extent(0, 0)
        """What the lake keeps, from its first answer on."""

    @property
    def length(self) -> int:
        """How many bytes there are to bring, as far as the lake has said."""
        return max(0, self._end - (self.start or 0))

    def pieces(self) -> Iterator[bytes]:
        """The bytes, in pieces, and one of no bytes for each answer of the lake, in front of what that brings.

        OutsideError: they are not kept any more, or not there yet.
        """
        retry = self._session.retry()
        while True:
            before = self._position
            try:
                yield from self._answered()
                return
            except TransientError as error:
                if self._position not in (self.start, before):
                    retry.progress()
                retry.failed(error)

    @property
    def _end(self) -> int:
        return self.extent.size if self._stop is None else min(self._stop, self.extent.size)

    def _answered(self) -> Iterator[bytes]:
        """What one request brings."""
        opened = open_bytes(self._session, self._reference, self._position, self._stop)
        with opened.reply as reply:
            self.extent = opened.extent
            if self._position is None:
                self.start = self._position = opened.offset
            yield b""
            skip = self._position - opened.offset
            while self._position < self._end and (data := reply.read(READ_SIZE)):
                new = data[skip : skip + self._end - self._position]
                skip = max(0, skip - len(data))
                self._position += len(new)
                if new:
                    yield new
        if self._position < self._end:
            raise TransientError(f"The bytes of the stream {self._reference!r} were cut short.")
