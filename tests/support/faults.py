"""A network that breaks where a test says so: a TCP proxy in front of any server, with threads.

    with faulty_network(lake.address) as network:
        network.faults.append(Fault("up", after=5 * MIB, how="reset"))
        requests go to network.address
        assert network.carried("up") < ...

Faults happen one after the other: the first breaks the connection that carries the byte after so many in its direction,
counted over all connections since the fault before it happened. When none is left, the network is sound.
"""

from __future__ import annotations

import socket
import struct
import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Literal

PIECE = 16 * 1024
RESET = struct.pack("ii", 1, 0)
"""SO_LINGER with no time: closing sends RST."""

Direction = Literal["up", "down"]


@dataclass(frozen=True)
class Fault:
    """What happens when `after` bytes have passed in a direction (up: towards the server) and another one would.

    close: both ends see an orderly end (FIN), as when a server is stopped; truncates an answer.
    reset: both ends see RST, as when a firewall forgets the connection or a server is killed.
    stall: nothing more passes, in that direction, and nobody is told.
    """

    direction: Direction
    after: int
    how: Literal["close", "reset", "stall"]


class FaultyNetwork:
    """The proxy; `address` is what clients connect to, as host:port."""

    def __init__(self, server: str, delay: float) -> None:
        host, _, port = server.rpartition(":")
        self._server = (host, int(port))
        self.delay = delay
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.address = "{}:{}".format(*self._listener.getsockname())
        self.faults: deque[Fault] = deque()
        self.broken: list[Fault] = []
        """Faults that happened."""
        self.connections = 0
        self.closed = threading.Event()
        self._carried = {"up": 0, "down": 0}
        self._since_fault = 0
        self._live: set[Connection] = set()
        self._lock = threading.Lock()
        self._accepting = threading.Thread(target=self._accept, daemon=True)
        self._accepting.start()

    def carried(self, direction: Direction) -> int:
        """Bytes that passed in a direction, of all connections."""
        with self._lock:
            return self._carried[direction]

    def admit(self, direction: Direction, count: int) -> tuple[int, Fault | None]:
        """How many of the bytes that have come may pass, and the fault that happens then."""
        with self._lock:
            fault = self.faults[0] if self.faults and self.faults[0].direction == direction else None
            if fault is not None:
                room = fault.after - self._since_fault
                self._since_fault += count
                if count > room:
                    count = room
                    self._since_fault = 0
                    self.broken.append(self.faults.popleft())
                else:
                    fault = None
            self._carried[direction] += count
            return count, fault

    def close(self) -> None:
        """End everything, stalled connections too."""
        self.closed.set()
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._accepting.join()
        self._listener.close()
        for connection in self._live:
            connection.close()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            try:
                server = socket.create_connection(self._server)
            except OSError:
                client.close()
                continue
            self.connections += 1
            self._live.add(Connection(self, client, server))


class Connection:
    """A client's connection and the one to the server, and a thread for each direction."""

    def __init__(self, network: FaultyNetwork, client: socket.socket, server: socket.socket) -> None:
        self._network = network
        self._sockets = (client, server)
        self._reset = False
        self._ended = threading.Barrier(2, self._close_sockets)
        self._threads = [
            threading.Thread(target=self._pump, args=arguments, daemon=True)
            for arguments in (("up", client, server), ("down", server, client))
        ]
        for thread in self._threads:
            thread.start()

    def close(self) -> None:
        for sock in self._sockets:
            with suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join()

    def _pump(self, direction: Direction, source: socket.socket, target: socket.socket) -> None:
        with suppress(OSError):
            self._forward(direction, source, target)
            if not self._reset:
                target.shutdown(socket.SHUT_WR)
        self._ended.wait()

    def _forward(self, direction: Direction, source: socket.socket, target: socket.socket) -> None:
        while data := source.recv(PIECE):
            if self._network.closed.wait(self._network.delay):
                return
            count, fault = self._network.admit(direction, len(data))
            target.sendall(data[:count])
            if fault:
                self._break(fault)
                return

    def _break(self, fault: Fault) -> None:
        if fault.how == "stall":
            self._network.closed.wait()
        self._reset = fault.how == "reset"
        for sock in self._sockets:
            with suppress(OSError):
                # For a reset nothing may be sent before the RST: only the other thread is woken from its recv.
                sock.shutdown(socket.SHUT_RD if self._reset else socket.SHUT_RDWR)

    def _close_sockets(self) -> None:
        """By the last of the two threads: a socket that a thread still waits on would send its RST only later."""
        for sock in self._sockets:
            if self._reset:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
            sock.close()


@contextmanager
def faulty_network(server: str, delay: float = 0.0) -> Iterator[FaultyNetwork]:
    """A proxy in front of `server` (host:port), which holds every piece of 16 KiB back for `delay` seconds."""
    network = FaultyNetwork(server, delay)
    try:
        yield network
    finally:
        network.close()
