"""Brings records of a stream, through any number of broken connections: those of a time, or those that arrive.

What a lake makes of a range of times cannot be asked for from the middle. After a break it is asked for once more, and
what came before is skipped, if it is the same; or whoever takes it starts over.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator

from ebulk.errors import NetworkError
from ebulk.protocol import KIB
from ebulk.remote import documents
from ebulk.remote.failure import TransientError
from ebulk.remote.lines import GAP, MESSAGE, events, lines, read_pieces
from ebulk.remote.session import Reply, Session
from ebulk.remote.streams import open_events, open_records

READ_SIZE = 256 * KIB
RECONNECT = 1000
"""Milliseconds before the next request for what arrives, where the lake does not say."""
LONGEST = 30_000
"""Milliseconds that a lake may have us wait at the most."""
ANEW_HINT = "Run the same command again: a range of times is brought from its beginning."


class Records:
    """The records of a stream with times from `since` up to `until`, in nanoseconds since the epoch, in some format.

    `start_over`, where it is given, forgets what came before a break.
    """

    def __init__(
        self,
        session: Session,
        reference: str,
        format: str,
        since: int | None,
        until: int | None,
        start_over: Callable[[], None] | None = None,
    ) -> None:
        self._session = session
        self._reference = reference
        self._format = format
        self._since = since
        self._until = until
        self._start_over = start_over
        self.size = 0
        """How many bytes came so far."""
        self.length: int | None = None
        """How many there are, where the lake tells."""
        self._hash = hashlib.sha256()

    def pieces(self) -> Iterator[bytes]:
        """The bytes, in pieces, and one of no bytes for each answer of the lake, in front of what that brings."""
        retry = self._session.retry()
        furthest = 0
        while True:
            try:
                yield from self._answered()
                return
            except TransientError as error:
                if self.size > furthest:
                    furthest = self.size
                    retry.progress()
                error.hint = ANEW_HINT
                retry.failed(error)
                if self._start_over is not None:
                    self._start_over()
                    self.size = 0

    def _answered(self) -> Iterator[bytes]:
        """What one request brings that did not come before."""
        with open_records(self._session, self._reference, self._format, self._since, self._until) as reply:
            length = reply.headers.get("Content-Length", "")
            self.length = int(length) if length.isdecimal() else None
            yield b""
            if self._start_over is None:
                yield from self._skip(reply)
            while data := reply.read(READ_SIZE):
                yield self._given(data)

    def _skip(self, reply: Reply) -> Iterator[bytes]:
        """Read what came before, and give what comes with its last piece."""
        left, before = self.size, hashlib.sha256()
        while left:
            data = reply.read(READ_SIZE)
            if not data:
                raise self._changed()
            before.update(data[:left])
            if len(data) >= left and before.digest() != self._hash.digest():
                raise self._changed()
            if new := data[left:]:
                yield self._given(new)
            left -= min(left, len(data))

    def _given(self, data: bytes) -> bytes:
        self.size += len(data)
        if self._start_over is None:
            self._hash.update(data)
        return data

    def _changed(self) -> NetworkError:
        return NetworkError(
            f"The connection broke while records of {self._reference!r} came, and by now they are others.", ANEW_HINT
        )


def follow(session: Session, reference: str, since: int | None, tell: Callable[[str], None]) -> Iterator[str]:
    """What arrives from now on, or all with times from `since` on, a line of JSON each record; without an end.

    A lake ends each of its answers after some seconds, and the next request says where it goes on. `tell` is told of
    bytes that are no records, or were dropped before they could be read.
    """
    retry = session.retry()
    last_id: str | None = None
    while True:
        pause = RECONNECT
        try:
            with open_events(session, reference, last_id, since) as reply:
                retry.progress()
                for event in events(lines(read_pieces(reply.read))):
                    last_id = event.id or last_id
                    pause = pause if event.retry is None else event.retry
                    if event.data is not None and event.kind == MESSAGE:
                        yield event.data
                    elif event.data is not None and event.kind == GAP:
                        tell(documents.gap(event.data))
        except TransientError as error:
            retry.failed(error)
        else:
            session.wait(min(pause, LONGEST) / 1000)
