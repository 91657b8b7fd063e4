"""A small receiver of the Forward protocol: takes messages of the mode Message, and keeps them."""

from __future__ import annotations

import contextlib
import queue
import socket
import threading
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import msgpack

TIMEOUT = 60


class Received(NamedTuple):
    """A message."""

    tag: str
    time: int
    """Nanoseconds since the epoch."""
    record: dict[str, Any]


class Receiver:
    """Has a port, and listens there from `listen` on; what came is in `messages`."""

    def __init__(self) -> None:
        self._listening = socket.socket()
        self._listening.bind(("127.0.0.1", 0))  # nobody else gets this port, and who connects is refused
        self.address: tuple[str, int] = self._listening.getsockname()
        self.messages: queue.Queue[Received] = queue.Queue()
        self._connections: list[socket.socket] = []
        self._threads: list[threading.Thread] = []

    def listen(self) -> None:
        """Take what is sent."""
        self._listening.listen()
        self._start(self._accept)

    def get(self, timeout: float = TIMEOUT) -> Received:
        """The next message."""
        return self.messages.get(timeout=timeout)

    def disconnect(self) -> None:
        """End all connections."""
        for connection in self._connections:
            with contextlib.suppress(OSError):  # the other side was first
                connection.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """End all connections, and listen no more."""
        with contextlib.suppress(OSError):  # it did not listen
            self._listening.shutdown(socket.SHUT_RDWR)  # which wakes the thread that accepts, as a close would not
        self.disconnect()
        for thread in self._threads:
            thread.join(TIMEOUT)
        for each in (self._listening, *self._connections):
            each.close()

    def _start(self, target: Callable[..., None], *arguments: object) -> None:
        self._threads.append(threading.Thread(target=target, args=arguments))
        self._threads[-1].start()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):  # it is closed
            while True:
                connection, _ = self._listening.accept()
                self._connections.append(connection)
                self._start(self._read, connection)

    def _read(self, connection: socket.socket) -> None:
        unpacker = msgpack.Unpacker()
        with contextlib.suppress(OSError):
            while data := connection.recv(64 * 1024):
                unpacker.feed(data)
                for tag, time, record in unpacker:
                    seconds, nanoseconds = (int.from_bytes(part, "big") for part in (time.data[:4], time.data[4:]))
                    self.messages.put(Received(tag, seconds * 10**9 + nanoseconds, record))


@contextlib.contextmanager
def receiving() -> Iterator[Receiver]:
    """A receiver that listens, until the block ends."""
    receiver = Receiver()
    receiver.listen()
    try:
        yield receiver
    finally:
        receiver.close()
