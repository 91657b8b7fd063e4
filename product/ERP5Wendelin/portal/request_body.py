"""Bodies of requests on their way in: in memory while there is room for them, then in files of DIR/var/tmp.

Waitress would write every body above a limit to a new file. Its pages are memory too, got from the kernel one by one,
filled, read and given back: a quarter of the CPU time of an upload. Here a body is kept as the pieces in which it was
received. How much of the process's memory bodies may take is bounded; one that does not fit goes to a file as before.

The application sees a request when its body is here. So a large one from somebody who does not even say who they are is
refused before: whatever takes a large body takes a user.
"""

from __future__ import annotations

import io
import json
from bisect import bisect_right
from threading import Lock
from typing import Any

from waitress.parser import HTTPRequestParser
from waitress.receiver import FixedStreamReceiver
from waitress.utilities import Error

from Products.ERP5Wendelin.protocol import MIB
from Products.ERP5Wendelin.views.problem import CHALLENGE, MEDIA_TYPE

MEMORY = 96 * MIB
"""What bodies may take together: six chunks that `ebulk` sends."""

LARGEST = 32 * MIB
"""The largest body that is kept in memory, so that no single one takes all of it."""


ANONYMOUS = 16 * MIB
"""The largest body of a request without the header Authorization: that of any JSON document."""


class LoginFirst(Error):
    """401 for a large body from nobody, as a problem document (RFC 9457)."""

    code = 401
    reason = "Unauthorized"

    def to_response(self, ident: str | None = None) -> tuple[str, list[tuple[str, str]], bytes]:
        """Status, headers and body."""
        problem = {"type": "about:blank", "title": self.reason, "status": self.code, "detail": self.body}
        headers = [("Content-Type", MEDIA_TYPE), ("WWW-Authenticate", CHALLENGE), ("Cache-Control", "no-store")]
        return f"{self.code} {self.reason}", headers, json.dumps(problem).encode()


class Room:
    """Bytes that may be taken, and are given back."""

    def __init__(self, size: int) -> None:
        self._left = size
        self._lock = Lock()

    def take(self, size: int) -> bool:
        """Take so many bytes, or none if there are fewer left."""
        with self._lock:
            fits = size <= self._left
            if fits:
                self._left -= size
            return fits

    def give_back(self, size: int) -> None:
        """Be given what was taken."""
        with self._lock:
            self._left += size

    @property
    def left(self) -> int:
        """How much can be taken."""
        return self._left


ROOM = Room(MEMORY)


class MemoryBody(io.RawIOBase):
    """A body as the pieces in which it was received: to waitress a buffer, to the application a file.

    `length` bytes of `room` are taken, and given back when it is closed.
    """

    def __init__(self, length: int, room: Room) -> None:
        self._room = room
        self._taken = length
        self._pieces: list[bytes] = []
        self._starts: list[int] = []
        self._size = 0
        self._position = 0

    # what waitress asks of a buffer

    def append(self, data: bytes) -> None:
        """Receive a piece, which is not copied."""
        self._pieces.append(data)
        self._starts.append(self._size)
        self._size += len(data)

    def getfile(self) -> MemoryBody:
        """The body as a file."""
        return self

    def __len__(self) -> int:
        return self._size

    # the file

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._position

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        start = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self._size}[whence]
        self._position = max(0, start + offset)
        return self._position

    def read(self, size: int | None = -1) -> bytes:
        stop = self._size if size is None or size < 0 else min(self._position + size, self._size)
        parts = []
        while self._position < stop:
            number = bisect_right(self._starts, self._position) - 1
            begin = self._position - self._starts[number]
            part = memoryview(self._pieces[number])[begin : begin + stop - self._position]
            parts.append(part)
            self._position += len(part)
        return b"".join(parts)

    def readinto(self, buffer: Any) -> int:
        data = self.read(len(buffer))
        buffer[: len(data)] = data
        return len(data)

    def close(self) -> None:
        """Give the memory back."""
        if not self.closed:
            self._pieces.clear()
            self._starts.clear()
            self._size = 0
            self._room.give_back(self._taken)
        super().close()


class Parser(HTTPRequestParser):
    """Waitress's parser, which keeps a body in memory where there is room, and takes no large one from nobody."""

    def received(self, data: bytes) -> int:
        """Take bytes of a request; how many of them are its."""
        consumed: int = super().received(data)
        if not self.completed and self.body_bytes_received > ANONYMOUS:
            self._refuse_anonymous()
        return consumed

    def parse_header(self, header_plus: bytes) -> None:
        """Read the header; choose where the body goes."""
        super().parse_header(header_plus)
        length = self.content_length
        if length > ANONYMOUS and self._refuse_anonymous():
            return
        if (
            isinstance(self.body_rcv, FixedStreamReceiver)
            and self.adj.inbuf_overflow < length <= LARGEST
            and ROOM.take(length)
        ):
            self.body_rcv.buf = MemoryBody(length, ROOM)

    def _refuse_anonymous(self) -> bool:
        """Whether the request is answered without its body: it has no credentials."""
        refused = "AUTHORIZATION" not in self.headers
        if refused:
            self.error = LoginFirst(f"Log in first: without an account a body has at most {ANONYMOUS // MIB} MiB.")
            self.completed = True
        return refused
