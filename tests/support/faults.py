"""A network that breaks where a test says so: a TCP proxy in front of any server, with threads.

    with faulty_network(lake.address) as network:
        network.faults.append(Fault("up", after=5 * MIB, how="reset"))
        requests go to network.address
        assert network.carried("up") < ...

Faults happen one after the other: the first breaks the connection that carries the byte after so many in its direction,
counted over all connections since the fault before it happened. When none is left, the network is sound.

    network.chaos = Chaos(seed=1, troubles=[Trouble("up", 5 * MIB, "reset")], held=0.01)

makes trouble all the time. What happens is drawn from the seed: the same faults after the same numbers of bytes; which
of several connections carries such a byte is up to the threads.
"""

from __future__ import annotations

import socket
import struct
import threading
import time
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from random import Random
from typing import Literal

from .repeats import Requests, repeat

PIECE = 16 * 1024
RESET = struct.pack("ii", 1, 0)
"""SO_LINGER with no time: closing sends RST."""

Direction = Literal["up", "down"]
How = Literal["close", "reset", "stall"]


@dataclass(frozen=True)
class Fault:
    """What happens when `after` bytes have passed in a direction (up: towards the server) and another one would.

    close: both ends see an orderly end (FIN), as when a server is stopped; truncates an answer.
    reset: both ends see RST, as when a firewall forgets the connection or a server is killed.
    stall: nothing more passes, in that direction, and nobody is told.
    """

    direction: Direction
    after: int
    how: How


@dataclass(frozen=True)
class Trouble:
    """A fault that happens again and again, each time after about `every` bytes in its direction."""

    direction: Direction
    every: int
    how: How


@dataclass(frozen=True)
class Chaos:
    """What goes wrong all the time."""

    seed: int = 0
    troubles: Sequence[Trouble] = ()
    held: float = 0.0
    """The share of the pieces of 16 KiB, in both directions, that are held back..."""
    hold: float = 0.2
    """...for up to so many seconds."""
    rate: int | None = None
    """The most bytes a second, in each direction, of all connections together."""
    repeated: float = 0.0
    """The share of the requests that reach the server twice, as through a proxy that stores and tries again. The client
    gets the first answer or the second, and both requests may run at the same time."""


class _Storm:
    """A Chaos under way; not safe for threads."""

    def __init__(self, chaos: Chaos) -> None:
        self.chaos = chaos
        self._holds = Random(f"{chaos.seed} held")
        self._repeats = Random(f"{chaos.seed} repeated")
        self._draws = {trouble: Random(f"{chaos.seed} {trouble}") for trouble in chaos.troubles}
        self._left = {trouble: self._draw(trouble) for trouble in chaos.troubles}
        self._free_at = {"up": 0.0, "down": 0.0}

    def _draw(self, trouble: Trouble) -> int:
        return int(trouble.every * self._draws[trouble].uniform(0.5, 1.5))

    def admit(self, direction: Direction, count: int) -> tuple[int, Fault | None]:
        """How many bytes may pass before a fault happens."""
        mine = [trouble for trouble in self._left if trouble.direction == direction]
        first = min(mine, key=self._left.__getitem__, default=None)
        if first is None or self._left[first] >= count:
            for trouble in mine:
                self._left[trouble] -= count
            return count, None
        passed = self._left[first]
        for trouble in mine:
            self._left[trouble] -= passed
        self._left[first] = self._draw(first)
        return passed, Fault(direction, passed, first.how)

    def hold(self) -> float:
        """Seconds to hold a piece back."""
        return self._holds.uniform(0, self.chaos.hold) if self._holds.random() < self.chaos.held else 0.0

    def queue(self, direction: Direction, count: int) -> float:
        """Seconds until the rate lets so many bytes pass."""
        if self.chaos.rate is None:
            return 0.0
        now = time.monotonic()
        start = max(now, self._free_at[direction])
        self._free_at[direction] = start + count / self.chaos.rate
        return start - now

    def repeats(self) -> tuple[bool, bool]:
        """Whether a request is sent another time before it, and after it."""
        if self._repeats.random() >= self.chaos.repeated:
            return False, False
        before = self._repeats.random() < 1 / 2
        return before, not before


class FaultyNetwork:
    """The proxy; `address` is what clients connect to, as host:port."""

    def __init__(self, server: str, delay: float) -> None:
        self.lead_to(server)
        self.delay = delay
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.address = "{}:{}".format(*self._listener.getsockname())
        self.faults: deque[Fault] = deque()
        self.broken: list[Fault] = []
        """Faults that happened."""
        self.pieces_held = 0
        self.requests_repeated = 0
        self._storm = _Storm(Chaos())
        self.connections = 0
        self.closed = threading.Event()
        self._carried = {"up": 0, "down": 0}
        self._since_fault = 0
        self._live: set[Connection] = set()
        self._lock = threading.Lock()
        self._accepting = threading.Thread(target=self._accept, daemon=True)
        self._accepting.start()

    @property
    def chaos(self) -> Chaos:
        """What goes wrong all the time; nothing unless it is set."""
        return self._storm.chaos

    @chaos.setter
    def chaos(self, chaos: Chaos) -> None:
        with self._lock:
            self._storm = _Storm(chaos)

    def lead_to(self, server: str | None) -> None:
        """Where connections that are made from now on lead to; None: nowhere, they are closed at once.

        While a server is away a port of it may be anybody's, even that of the proxy's own attempt to connect to it.
        """
        host, _, port = (server or "").rpartition(":")
        self.server = (host, int(port)) if server else None

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
            if fault is None:
                count, fault = self._storm.admit(direction, count)
                if fault is not None:
                    self.broken.append(fault)
            self._carried[direction] += count
            return count, fault

    def wait(self, direction: Direction, count: int) -> float:
        """Seconds that a piece of so many bytes has to wait."""
        with self._lock:
            hold = self._storm.hold()
            self.pieces_held += hold > 0
            return self.delay + hold + self._storm.queue(direction, count)

    def deliver(self, request: bytes, target: socket.socket) -> None:
        """Send a request to the server, and maybe another time on a connection of its own, before or after."""
        with self._lock:
            before, after = self._storm.repeats()
            self.requests_repeated += before or after
        if before:
            repeat(self.server, request)
        target.sendall(request)
        if after:
            repeat(self.server, request)

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
            target = self.server
            if target is None:
                client.close()
                continue
            try:
                server = socket.create_connection(target)
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
        self._broken = self._reset = False
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
        try:
            self._forward(direction, source, target)
            if not self._reset:
                target.shutdown(socket.SHUT_WR)
        except OSError:
            # an end that was killed resets its connection, and so the other end's is
            if not self._broken:
                self._break(Fault(direction, 0, "reset"))
        self._ended.wait()

    def _forward(self, direction: Direction, source: socket.socket, target: socket.socket) -> None:
        requests = Requests() if direction == "up" and self._network.chaos.repeated else None
        while data := source.recv(PIECE):
            if self._network.closed.wait(self._network.wait(direction, len(data))):
                return
            count, fault = self._network.admit(direction, len(data))
            if requests is None:
                target.sendall(data[:count])
            else:
                for request in requests.feed(data[:count]):
                    self._network.deliver(request, target)
            if fault:
                self._break(fault)
                return

    def _break(self, fault: Fault) -> None:
        if fault.how == "stall":
            self._network.closed.wait()
        self._broken = True
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
