"""A Forward server in a thread of the test, a writer that keeps what it gets, and an agent to send with."""

from __future__ import annotations

import asyncio
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from hashlib import sha512
from typing import Any

import msgpack

from Products.ERP5Wendelin.errors import WendelinError
from Products.ERP5Wendelin.ingestion.batch import Sent
from Products.ERP5Wendelin.ingestion.forward.committer import Writer
from Products.ERP5Wendelin.ingestion.forward.server import ForwardServer
from Products.ERP5Wendelin.ingestion.forward.settings import Settings

PATIENCE = 60.0
"""Seconds until a test that waits for what never comes fails."""


class Keeper:
    """A writer that keeps in memory what is sent, refuses the tags in `refused`, and raises what is in `failures`."""

    def __init__(self) -> None:
        self.refused: dict[str, WendelinError] = {}
        self.failures: list[Exception] = []
        self.batches: list[list[Sent]] = []
        self.ids: list[bytes | None] = []
        self.open = threading.Event()
        self.open.set()
        self.begun = threading.Semaphore(0)
        self._changed = threading.Condition()

    def write(self, sent: Sequence[Sent], batch: bytes | None = None) -> list[WendelinError | None]:
        """Keep a batch, once `open` is set; `begun` counts the calls."""
        self.begun.release()
        assert self.open.wait(PATIENCE)
        with self._changed:
            self.ids.append(batch)
            self._changed.notify_all()
            if self.failures:
                raise self.failures.pop(0)
            self.batches.append(list(sent))
        return [self.refused.get(each.tag) for each in sent]

    @property
    def sent(self) -> list[Sent]:
        """What was sent and not refused, in order."""
        return [each for batch in self.batches for each in batch if each.tag not in self.refused]

    def data(self, tag: str = "tag") -> bytes:
        """The bytes of a tag."""
        return b"".join(each.data for each in self.sent if each.tag == tag)

    def wait_for(self, size: int, tag: str = "tag") -> bytes:
        """The bytes of a tag, once there are so many."""
        with self._changed:
            assert self._changed.wait_for(lambda: len(self.data(tag)) >= size, PATIENCE)
            return self.data(tag)

    def wait_for_attempts(self, count: int) -> None:
        """Return once `write` was called so many times."""
        with self._changed:
            assert self._changed.wait_for(lambda: len(self.ids) >= count, PATIENCE)


class Served:
    """A server that runs, on an event loop in a thread of its own."""

    def __init__(self, server: ForwardServer, loop: asyncio.AbstractEventLoop, address: tuple[str, int]) -> None:
        self.server = server
        self.address = address
        self._loop = loop
        self._stopped = False

    def stop(self) -> None:
        """Stop the server, as a signal does."""
        if not self._stopped:
            self._stopped = True
            asyncio.run_coroutine_threadsafe(self.server.stop(), self._loop).result(PATIENCE)

    def later(self, seconds: float) -> None:
        """Let the server look who is too slow as if so many seconds had gone by."""
        self.call(lambda: self.server.drop_late(self._loop.time() + seconds))

    @property
    def held(self) -> int:
        """Bytes of messages on their way."""
        held: int = self.call(lambda: self.server.held)
        return held

    def wait_until(self, is_so: Callable[[int], bool]) -> None:
        """Return once it is so of the bytes on their way."""
        self._wait(lambda: is_so(self.server.held))

    def wait_until_paused(self) -> None:
        """Return once a connection is not read."""
        self._wait(lambda: any(connection._pauses for connection in self.server._reception.connections))

    def _wait(self, is_so: Callable[[], bool]) -> None:
        deadline = time.monotonic() + PATIENCE
        while not self.call(is_so):
            assert time.monotonic() < deadline
            time.sleep(0.001)

    def call(self, function: Callable[[], Any]) -> Any:
        """What a function returns that runs in the loop's thread."""

        async def call() -> Any:
            return function()

        return asyncio.run_coroutine_threadsafe(call(), self._loop).result(PATIENCE)


@contextmanager
def served(writer: Writer, host: str = "127.0.0.1", **settings: Any) -> Iterator[Served]:
    """A server on a free port; commits follow one another at once unless `interval` says otherwise."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name="loop")
    thread.start()
    server = ForwardServer(writer, Settings(**{"interval": 0.0, **settings}))
    try:
        address = asyncio.run_coroutine_threadsafe(server.start(host, 0), loop).result(PATIENCE)
        running = Served(server, loop, address)
        try:
            yield running
        finally:
            running.stop()
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join(PATIENCE)
        loop.close()


class Client:
    """An agent."""

    def __init__(self, address: tuple[str, int], tls: ssl.SSLContext | None = None) -> None:
        plain = socket.create_connection(address, timeout=PATIENCE)
        plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket = tls.wrap_socket(plain, server_hostname=address[0]) if tls else plain
        self._unpacker = msgpack.Unpacker()

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *error: object) -> None:
        self.socket.close()

    def send(self, *messages: Any) -> None:
        """Send messages: bytes as they are, and anything else in MessagePack."""
        self.socket.sendall(b"".join(each if isinstance(each, bytes) else msgpack.packb(each) for each in messages))

    def receive(self) -> Any:
        """The next message of the server; None if it closes the connection instead."""
        while True:
            try:
                return self._unpacker.unpack()
            except msgpack.OutOfData:
                try:
                    data = self.socket.recv(65536)
                except ConnectionError:
                    return None
                if not data:
                    return None
                self._unpacker.feed(data)

    def acknowledged(self, count: int) -> list[Any]:
        """The chunks of so many acknowledgements."""
        return [self.receive()["ack"] for _ in range(count)]

    def greet(self, key: str, user: str = "", password: str = "", hostname: str = "turbine") -> Any:
        """Answer HELO with PING, and return the server's PONG."""
        _, options = self.receive()
        return self.ping(options, key, user, password, hostname)

    def ping(self, options: dict[str, bytes], key: str, user: str, password: str, hostname: str) -> Any:
        """Send a PING that fits the options of a HELO, and return the server's PONG."""
        salt = b"\xff\x00salt"  # agents send random bytes as text
        digest = sha512(salt + hostname.encode() + options["nonce"] + key.encode()).hexdigest()
        proof = sha512(options["auth"] + user.encode() + password.encode()).hexdigest() if options["auth"] else ""
        self.send(b"\x96\xa4PING", hostname, b"\xa6" + salt, digest, user, proof)
        return self.receive()


def event(number: int, text: str = "") -> bytes:
    """An entry [EventTime, record]."""
    time = msgpack.ExtType(0, (1_700_000_000 + number).to_bytes(4, "big") + number.to_bytes(4, "big"))
    packed: bytes = msgpack.packb([time, {"n": number, "text": text}])
    return packed


def entries(count: int, text: str = "") -> bytes:
    """So many entries, one after the other."""
    return b"".join(event(number, text) for number in range(count))
