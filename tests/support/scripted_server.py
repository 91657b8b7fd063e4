"""An HTTP server that answers byte for byte what a test tells it to: for answers that no lake would give.

def answer(request): return problem(503, "Later.") if len(server.requests) == 1 else document({"missing": []})
with scripted_server(answer) as server:
    Lake(server.url)
    assert [request.method for request in server.requests] == ["POST", "POST"]
"""

from __future__ import annotations

import json
import socket
import ssl
import struct
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, BinaryIO, Literal

PREFIX = "/erp5"


@dataclass(frozen=True)
class Request:
    """What a client sent; header names are in lower case, `target` begins below the API."""

    method: str
    target: str
    headers: Mapping[str, str]
    body: bytes
    connection: int
    """Requests of the same connection have the same number."""

    @property
    def document(self) -> Any:
        """The body as JSON."""
        return json.loads(self.body)


@dataclass(frozen=True)
class Answer:
    """Bytes to send, and what to do with the connection then; a stall holds it until the server is closed."""

    data: bytes
    then: Literal["keep", "close", "reset", "stall"] = "keep"


def reply(status: int, body: bytes = b"", kind: str = "text/html", **headers: str) -> Answer:
    """A whole answer; header names are given with underscores."""
    named = {"Content-Type": kind, "Content-Length": str(len(body))}
    named |= {name.replace("_", "-"): value for name, value in headers.items()}
    if status == HTTPStatus.NO_CONTENT:
        del named["Content-Length"]
    lines = "".join(f"{name}: {value}\r\n" for name, value in named.items())
    return Answer(f"HTTP/1.1 {status} {HTTPStatus(status).phrase}\r\n{lines}\r\n".encode() + body)


def document(value: Any, status: int = 200, **headers: str) -> Answer:
    """A JSON answer."""
    return reply(status, json.dumps(value).encode(), "application/json", **headers)


def problem(status: int, detail: str, /, headers: Mapping[str, str] | None = None, **members: Any) -> Answer:
    """An error as a lake gives it."""
    body = {"type": "about:blank", "title": "Title", "status": status, "detail": detail, **members}
    return reply(status, json.dumps(body).encode(), "application/problem+json", **(headers or {}))


class ScriptedServer:
    """The server; `requests` are those that arrived whole, in order."""

    def __init__(
        self, answer: Callable[[Request], Answer], *, greeting: bytes = b"", tls: ssl.SSLContext | None = None
    ) -> None:
        self._answer = answer
        self._greeting = greeting
        self._tls = tls
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.address = "{}:{}".format(*self._listener.getsockname())
        self.url = f"{'https' if tls else 'http'}://{self.address}{PREFIX}"
        self.requests: list[Request] = []
        self.connections = 0
        self.closed = threading.Event()
        self._sockets: list[socket.socket] = []
        self._threads = [threading.Thread(target=self._accept, daemon=True)]
        self._threads[0].start()

    def close(self) -> None:
        self.closed.set()
        for sock in (self._listener, *self._sockets):
            with suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join()
        for sock in (self._listener, *self._sockets):
            sock.close()

    def _accept(self) -> None:
        while True:
            try:
                sock, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            self._sockets.append(sock)
            thread = threading.Thread(target=self._serve, args=(sock, self.connections), daemon=True)
            self._threads.append(thread)
            thread.start()

    def _serve(self, sock: socket.socket, number: int) -> None:
        if self._tls is None:
            self._answer_all(sock, number)
            return
        with suppress(OSError), self._tls.wrap_socket(sock.dup(), server_side=True) as secured:
            self._answer_all(secured, number)

    def _answer_all(self, sock: socket.socket, number: int) -> None:
        with suppress(OSError), sock.makefile("rb") as stream:
            sock.sendall(self._greeting)
            if self._greeting:
                sock.shutdown(socket.SHUT_WR)
                self.closed.wait()
            while not self.closed.is_set() and (request := _read(stream, number)):
                self.requests.append(request)
                answer = self._answer(request)
                sock.sendall(answer.data)
                if answer.then == "stall":
                    self.closed.wait()
                if answer.then == "reset":
                    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                if answer.then != "keep":
                    break
        with suppress(OSError):
            if sock.getsockopt(socket.SOL_SOCKET, socket.SO_LINGER):
                sock.close()
            else:
                sock.shutdown(socket.SHUT_RDWR)


def _read(stream: BinaryIO, number: int) -> Request | None:
    first = stream.readline()
    if not first:
        return None
    method, target, _ = first.decode().split(" ")
    headers = {}
    while line := stream.readline().decode().strip():
        name, _, value = line.partition(":")
        headers[name.lower()] = value.strip()
    body = _read_chunks(stream) if headers.get("transfer-encoding") == "chunked" else _read_exactly(stream, headers)
    return None if body is None else Request(method, target.removeprefix(f"{PREFIX}/api/v1"), headers, body, number)


def _read_exactly(stream: BinaryIO, headers: Mapping[str, str]) -> bytes | None:
    length = int(headers.get("content-length", "0"))
    body = stream.read(length)
    return body if len(body) == length else None


def _read_chunks(stream: BinaryIO) -> bytes | None:
    body = b""
    while line := stream.readline():
        length = int(line, 16)
        body += stream.read(length)
        stream.readline()
        if not length:
            return body
    return None


@contextmanager
def scripted_server(answer: Callable[[Request], Answer], tls: ssl.SSLContext | None = None) -> Iterator[ScriptedServer]:
    """A server that gives each request to `answer`, on a free port; over TLS where there is a context."""
    server = ScriptedServer(answer, tls=tls)
    try:
        yield server
    finally:
        server.close()


@contextmanager
def greeting_server(greeting: bytes) -> Iterator[ScriptedServer]:
    """A server that sends these bytes at once, whatever the client says: one of another protocol."""
    server = ScriptedServer(lambda request: Answer(b""), greeting=greeting)
    try:
        yield server
    finally:
        server.close()


@contextmanager
def scripted(*answers: Answer) -> Iterator[ScriptedServer]:
    """A server that gives these answers, one after the other, and the last one ever after."""
    left = list(answers)
    with scripted_server(lambda request: left.pop(0) if len(left) > 1 else left[0]) as server:
        yield server
