"""Requests on their way through a proxy that stores them whole, and may send one twice."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import suppress
from http.client import HTTPException, HTTPResponse

DRAINED = 1024 * 1024
"""Bytes of the answer that nobody gets, which are read: all of it but for downloads."""


class Requests:
    """Cuts what a client sends into whole requests (HTTP/1.1, by Content-Length or chunked)."""

    def __init__(self) -> None:
        self._data = bytearray()
        self._known = 0
        """Bytes of the request that need not be looked at again: its header and whole chunks."""
        self._length: int | None = None
        """Bytes of the whole request, once that is known."""

    def feed(self, data: bytes) -> Iterator[bytes]:
        """Take bytes; the requests that they complete."""
        self._data += data
        while self._is_complete():
            yield bytes(self._data[: self._length])
            del self._data[: self._length]
            self._known, self._length = 0, None

    def _is_complete(self) -> bool:
        if self._length is None and not self._known:
            self._read_header()
        if self._length is None and self._known:
            self._read_chunks()
        return self._length is not None and len(self._data) >= self._length

    def _read_header(self) -> None:
        end = self._data.find(b"\r\n\r\n") + 4
        if end < 4:
            return
        lines = bytes(self._data[:end]).lower().split(b"\r\n")
        headers = dict(line.split(b": ", 1) for line in lines[1:] if line)
        self._known = end
        if headers.get(b"transfer-encoding") != b"chunked":
            self._length = end + int(headers.get(b"content-length", b"0"))

    def _read_chunks(self) -> None:
        while (end := self._data.find(b"\r\n", self._known)) >= 0:
            size = int(self._data[self._known : end], 16)
            following = end + 2 + size + 2
            if following > len(self._data):
                return
            self._known = following
            if not size:
                self._length = following
                return


def repeat(server: tuple[str, int], request: bytes) -> None:
    """Send a request on a connection of its own, and wait for its answer, which nobody gets."""
    with suppress(OSError, HTTPException), socket.create_connection(server, timeout=60) as sock:
        sock.sendall(request)
        answer = HTTPResponse(sock, method=request.split(b" ", 1)[0].decode())
        answer.begin()
        answer.read(DRAINED)
        answer.close()
