"""One agent's connection: what it sends goes to the committer, message by message, in its order.

It is not read while memory is full, while a chunk of it is being decompressed (in a thread, since that takes long and
would hold up all others), and while it does not take the acknowledgements that are due to it.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import msgpack

from Products.ERP5Wendelin.errors import WendelinError
from Products.ERP5Wendelin.ingestion.batch import Sent
from Products.ERP5Wendelin.ingestion.forward.committer import Committer, Delivery
from Products.ERP5Wendelin.ingestion.forward.decompressor import Decompressor
from Products.ERP5Wendelin.ingestion.forward.framing import Framing, NotForward
from Products.ERP5Wendelin.ingestion.forward.handshake import PING_SIZE, Handshake, refusal
from Products.ERP5Wendelin.ingestion.forward.memory import Memory
from Products.ERP5Wendelin.ingestion.forward.message import Events, read
from Products.ERP5Wendelin.ingestion.forward.notices import Notices
from Products.ERP5Wendelin.ingestion.forward.settings import Settings
from Products.ERP5Wendelin.protocol import KIB

PROGRESS = 16 * KIB
"""Bytes by which a message has to come on within the time that it may stall: a link of 300 bytes a second does."""

pack = msgpack.Packer(unicode_errors="surrogateescape").pack

WRITE_LIMIT = 64 * KIB
"""Bytes of acknowledgements that may wait for a client to take them."""


@dataclass
class Reception:
    """What all connections of a server share."""

    settings: Settings
    notices: Notices
    committer: Committer
    decompressor: Decompressor
    memory: Memory
    connections: set[Connection]
    clock: Callable[[], float]


class Connection(asyncio.Protocol):
    """Speaks the server's side of the protocol."""

    def __init__(self, reception: Reception) -> None:
        self._reception = reception
        self._settings = reception.settings
        self._handshake = Handshake(self._settings) if self._settings.greets else None
        self._user = self._settings.user
        self._framing = Framing(PING_SIZE if self._handshake else self._settings.max_message)
        self._events: Iterator[Events | WendelinError] | None = None
        self._unread: deque[bytes] = deque()
        self._transport: Any = None
        self.closed = asyncio.get_running_loop().create_future()
        self._pauses: set[str] = set()
        self._mark = 0
        self.peer = ""
        self.held = 0
        """Bytes of the message that has begun and is not complete."""
        self.deadline: float | None = None
        """When it is dropped unless it gets on, by the clock."""

    # called by the loop

    def connection_made(self, transport: Any) -> None:
        self._transport = transport
        self.peer = shown(transport.get_extra_info("peername"))
        if len(self._reception.connections) >= self._settings.max_connections:
            self.drop(f"it would be more than the {self._settings.max_connections} connections of --max-connections")
            return
        transport.set_write_buffer_limits(WRITE_LIMIT)
        self._reception.connections.add(self)
        if self._reception.memory.full:
            self.pause("memory")
        if self._handshake is not None:
            self.deadline = self._reception.clock() + self._settings.handshake_timeout
            transport.write(self._handshake.helo())

    def data_received(self, data: bytes) -> None:
        self._unread.append(data)
        if self._events is None:
            self._read()

    def pause_writing(self) -> None:
        self.pause("acknowledgements")

    def resume_writing(self) -> None:
        self.resume("acknowledgements")

    def connection_lost(self, error: Exception | None) -> None:
        if self.held and error is None:
            self._complain("broken off", f"closed its connection after {self.held} bytes of a message, which are lost")
        self._forget()
        self._reception.memory.look()
        self.closed.set_result(None)

    # called by the server

    def acknowledge(self, acknowledgements: bytes) -> None:
        """Send acknowledgements, if the agent is still there."""
        if not self._transport.is_closing():
            self._transport.write(acknowledgements)

    def pause(self, reason: str = "memory") -> None:
        """Do not read, until each reason for that is gone."""
        if not self._pauses and not self._transport.is_closing():
            self._transport.pause_reading()
        self._pauses.add(reason)

    def resume(self, reason: str = "memory") -> None:
        """Read again, unless there is another reason not to."""
        self._pauses.discard(reason)
        if not self._pauses and not self._transport.is_closing():
            self._transport.resume_reading()
            if self.held:
                self.deadline = self._reception.clock() + self._settings.stall_timeout

    def check(self, now: float) -> None:
        """Drop it if it is too late, and that is not for want of being read."""
        if self.deadline is not None and now >= self.deadline and not self._pauses:
            if self._handshake is not None:
                self.drop(f"it did not answer HELO with PING in {self._settings.handshake_timeout:g} seconds")
            else:
                self.drop(
                    f"it began a message, sent {self.held} bytes of it, and did not go on for "
                    f"{self._settings.stall_timeout:g} seconds"
                )

    def close(self) -> None:
        """Close it once what was written is sent."""
        self._transport.close()

    def abort(self) -> None:
        """Close it now."""
        self._transport.abort()

    def drop(self, reason: str) -> None:
        """End it at once."""
        self._complain("dropped", f"is dropped: {reason}")
        self._forget()
        self._transport.abort()

    # how it reads

    def _read(self) -> None:
        """Read what came, up to a chunk that has to be decompressed first."""
        while self._unread and self._events is None:
            data = self._unread.popleft()
            messages = self._framing.feed(data)
            if self._handshake is None or self._greet(self._handshake, messages):
                self._events = read(messages)
                self._take()
            self._look(len(data))
        self._reception.memory.look()

    def _take(self) -> None:
        """Take what messages bring, up to a chunk that has to be decompressed first."""
        for events in self._events or ():
            if isinstance(events, NotForward):
                self.drop(str(events))
                return
            if isinstance(events, WendelinError):
                self._complain("malformed", f"sent a message that is not stored: {events}")
            elif events.compressed:
                self.pause("decompression")
                self._reception.decompressor.put(events, self._decompressed)
                return
            else:
                self._deliver(events)
        self._events = None

    def _decompressed(self, outcome: Events | WendelinError) -> None:
        if isinstance(outcome, WendelinError):
            self._complain("malformed", f"sent a message that is not stored: {outcome}")
        else:
            self._deliver(outcome)
        self._take()
        if self._events is None:
            self.resume("decompression")
            self._look(0)
            self._read()

    def _deliver(self, events: Events) -> None:
        """Have entries stored, and acknowledged then; if there are none, that is already so."""
        chunk = events.chunk
        acknowledgement = b"" if chunk is None else pack({"ack": chunk})
        if events.data:
            id = chunk.encode("utf-8", "surrogateescape") if isinstance(chunk, str) else chunk
            sent = Sent(events.tag, events.data, id, self._user, self._settings.policy)
            self._reception.committer.put(Delivery(self, sent, acknowledgement))
        elif acknowledgement:
            self.acknowledge(acknowledgement)

    def _greet(self, handshake: Handshake, messages: Iterator[bytes | bytearray]) -> bool:
        """Whether the first message, a PING, is there and is accepted."""
        try:
            message = next(messages, None)
            if message is None:
                return False
            welcome = handshake.check(bytes(message))
        except WendelinError as error:
            self._complain("refused", f"is turned away: {error}")
            self._transport.write(refusal(str(error)))
            self._transport.close()
            return False
        self._transport.write(welcome.pong)
        self._handshake = None
        self._user = welcome.user or self._settings.user
        self._framing.limit = self._settings.max_message
        self.deadline = None
        return True

    def _look(self, length: int) -> None:
        """See what is held after so many bytes more, and until when it has to come on."""
        if self._transport.is_closing():
            return
        held = self._framing.held
        if held != self.held:
            self._reception.memory.change(held - self.held)
        if self._handshake is None:
            if not held:
                self.deadline = None
            elif held != self.held + length or held >= self._mark + PROGRESS or self.deadline is None:
                self._mark = held
                self.deadline = self._reception.clock() + self._settings.stall_timeout
        self.held = held

    def _forget(self) -> None:
        """Give back all that it holds."""
        self._reception.connections.discard(self)
        self._reception.memory.change(-self.held)
        self.held = 0
        self.deadline = None
        self._unread.clear()
        self._framing = Framing(0)

    def _complain(self, kind: str, text: str) -> None:
        host = self.peer.rpartition(":")[0]
        self._reception.notices.warn((kind, host), f"{self.peer} {text}")


def shown(address: Any) -> str:
    """HOST:PORT or [HOST]:PORT of a socket's address."""
    host, port = address[:2]
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
