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

from Products.ERP5Wendelin.errors import NotAuthorised, WendelinError
from Products.ERP5Wendelin.event_log import log_audit
from Products.ERP5Wendelin.ingestion.batch import BATCH_SIZE, Sent
from Products.ERP5Wendelin.ingestion.forward.committer import Committer, Delivery
from Products.ERP5Wendelin.ingestion.forward.decompressor import Decompressor
from Products.ERP5Wendelin.ingestion.forward.framing import Framing, NotForward
from Products.ERP5Wendelin.ingestion.forward.handshake import PING_SIZE, Handshake, negative_pong
from Products.ERP5Wendelin.ingestion.forward.memory import Memory
from Products.ERP5Wendelin.ingestion.forward.message import Events, read
from Products.ERP5Wendelin.ingestion.forward.notices import Notices
from Products.ERP5Wendelin.ingestion.forward.settings import Settings
from Products.ERP5Wendelin.protocol import KIB

PROGRESS = 16 * KIB
"""Bytes by which a message has to come on within the time that it may stall: a link of 300 bytes a second does."""

FAREWELL = 5.0
"""Seconds that an agent has to take what is left for it, once its connection is to be closed."""

MEMORY = "memory"
DECOMPRESSION = "decompression"
ACKNOWLEDGEMENTS = "acknowledgements"
"""Why a connection is not read: memory is full; a chunk of it is being decompressed; it does not take what is due."""

pack = msgpack.Packer(unicode_errors="surrogateescape").pack

REFUSALS = 1000
"""Messages of a connection that are refused before it is dropped: each costs time, and a line to write or to count."""

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
    upgrades: set[asyncio.Task[None]]
    """Connections on which TLS is being agreed on."""
    clock: Callable[[], float]

    def why_not(self) -> str:
        """Why one more connection can't be taken, if so."""
        if len(self.connections) + len(self.upgrades) < self.settings.max_connections:
            return ""
        return (
            f"it would be more than the {self.settings.max_connections} connections of --max-connections or ulimit -n"
        )


class Connection(asyncio.Protocol):
    """Speaks the server's side of the protocol."""

    def __init__(self, reception: Reception) -> None:
        self._reception = reception
        self._settings = reception.settings
        self._handshake = Handshake(self._settings) if self._settings.greets else None
        self._user = self._settings.user
        self._framing = Framing(PING_SIZE if self._handshake else self._settings.max_message)
        self._events: Iterator[Events | WendelinError] | None = None  # of which the next has to wait
        self._unread: deque[bytes] = deque()
        self._sent: list[Sent] = []
        self._acknowledgements: list[bytes] = []
        self._size = 0  # of what is sent
        self._transport: Any = None
        self._pauses: dict[str, float] = {}
        self._deadline: float | None = None
        self._mark = 0
        self._refused = 0
        self._ended = False
        self.peer = ""
        self.held = 0
        self.since = 0.0
        self.closed = asyncio.get_running_loop().create_future()

    # called by the loop

    def connection_made(self, transport: Any) -> None:
        self._transport = transport
        self.peer = shown(transport.get_extra_info("peername"))
        self.since = self._reception.clock()
        if refusal := self._reception.why_not():
            self.drop(refusal)
            return
        self._reception.connections.add(self)
        transport.set_write_buffer_limits(WRITE_LIMIT)
        # not yet: until Python 3.11 a transport begins to read after this call, paused or not
        asyncio.get_running_loop().call_soon(self._pause_if_full)
        if self._handshake is not None:
            self._deadline = self._reception.clock() + self._settings.handshake_timeout
            transport.write(self._handshake.helo())
        self._read()

    def data_received(self, data: bytes) -> None:
        if self._ended:  # TLS may still have some
            return
        self._unread.append(data)
        if self._transport is not None and self._events is None:
            self._read()

    def pause_writing(self) -> None:
        self.pause(ACKNOWLEDGEMENTS)

    def resume_writing(self) -> None:
        self.resume(ACKNOWLEDGEMENTS)

    def connection_lost(self, error: Exception | None) -> None:
        if self.held and not self._ended:
            self._complain("broken off", f"closed its connection after {self.held} bytes of a message, which are lost")
        self._forget()
        self.closed.set_result(None)
        self._reception.memory.look()

    # called by the server

    def acknowledge(self, acknowledgements: bytes) -> None:
        """Send acknowledgements, if the agent is still there."""
        if acknowledgements and not self._ended:
            self._transport.write(acknowledgements)

    def pause(self, reason: str = MEMORY) -> None:
        """Do not read, until each reason for that is gone."""
        if not self._pauses and not self._has_gone:
            self._transport.pause_reading()
        self._pauses[reason] = self._reception.clock()

    def resume(self, reason: str = MEMORY) -> None:
        """Read again, unless there is another reason not to."""
        if self._pauses.pop(reason, None) is None or self._pauses or self._has_gone:
            return
        self._transport.resume_reading()
        if self._deadline is not None:
            self._deadline = self._reception.clock() + self._patience

    def check(self, now: float) -> None:
        """Drop it if it is too late; what is not read is not late."""
        if self._deadline is not None and now >= self._deadline and not self._pauses:
            if self._handshake is not None:
                self.drop(f"it did not answer HELO with PING in {self._patience:g} seconds")
            else:
                self.drop(f"it stopped after {self.held} bytes of a message, for {self._patience:g} seconds")
        elif now >= self._pauses.get(ACKNOWLEDGEMENTS, now) + self._settings.stall_timeout:
            self.drop(f"it did not take acknowledgements for {self._settings.stall_timeout:g} seconds")

    def drop(self, reason: str) -> None:
        """End it at once."""
        self._complain("dropped", f"is dropped: {reason}")
        self.abort()

    def abort(self) -> None:
        """Close it now."""
        self._forget()
        self._transport.abort()

    def close(self) -> None:
        """Close it once what was written is sent, which an agent may not wait with for ever."""
        self._forget()
        self._transport.close()
        asyncio.get_running_loop().call_later(FAREWELL, self._transport.abort)

    # how it reads

    def _pause_if_full(self) -> None:
        if self._reception.memory.full:
            self.pause()

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
            if isinstance(events, WendelinError):
                if isinstance(events, NotForward):
                    self._hand_over()
                    self.drop(str(events))
                    break
                if self._refuse(events):
                    break
            elif events.compressed:
                self._hand_over()
                self.pause(DECOMPRESSION)
                self._reception.decompressor.put(events, self._decompressed)
                return
            else:
                self._add(events)
        self._hand_over()
        self._events = None

    def _decompressed(self, outcome: Events | WendelinError) -> None:
        if not isinstance(outcome, WendelinError):
            self._add(outcome)
        elif self._refuse(outcome):
            self._events = None
        self._take()
        if self._events is None:
            self.resume(DECOMPRESSION)
            self._look(0)
            self._read()

    def _add(self, events: Events) -> None:
        """Have entries stored, and acknowledged then; none are stored at once."""
        tag, data, chunk, *_ = events
        size = len(data)
        if self._size + size > BATCH_SIZE:
            self._hand_over()
        if chunk is None:
            id, acknowledgement = None, b""
        else:
            id = chunk if isinstance(chunk, bytes) else chunk.encode("utf-8", "surrogateescape")
            acknowledgement = pack({"ack": chunk})
        if data:
            self._sent.append(Sent(tag, data, id, self._user, self._settings.policy))
            self._acknowledgements.append(acknowledgement)
            self._size += size
        else:
            self.acknowledge(acknowledgement)

    def _hand_over(self) -> None:
        """Give the committer what was added."""
        if self._sent:
            self._reception.committer.put(Delivery(self, self._sent, self._acknowledgements, self._size))
            self._sent, self._acknowledgements, self._size = [], [], 0

    def _greet(self, handshake: Handshake, messages: Iterator[bytes | bytearray]) -> bool:
        """Whether the first message, a PING, is there and is accepted."""
        try:
            message = next(messages, None)
        except NotForward:
            message = b""  # no PING
        if message is None:
            return False
        try:
            welcome = handshake.check(bytes(message))
        except WendelinError as error:
            mismatch = str(error).partition(":")[0]  # before what the agent calls itself: names must not make kinds
            self._complain(mismatch, f"is turned away: {error}")
            if isinstance(error, NotAuthorised):
                host = self._transport.get_extra_info("peername")[0]
                log_audit("login_refused", {"host": host, "protocol": "forward"})
            self._transport.write(negative_pong(str(error)))
            self.close()
            return False
        self._transport.write(welcome.pong)
        self._handshake = None
        self._deadline = None
        self._user = welcome.user or self._settings.user
        self._framing.limit = self._settings.max_message
        return True

    def _look(self, length: int) -> None:
        """See what is held after so many bytes more, and until when it has to come on."""
        if self._ended:
            return
        held = self._framing.held
        is_another = not self.held or held != self.held + length
        self._reception.memory.change(held - self.held)
        self.held = held
        if self._handshake is not None:
            return
        if not held:
            self._deadline = None
        elif is_another or held >= self._mark + PROGRESS:
            now = self._reception.clock()
            if is_another:
                self.since = now
            self._mark = held
            self._deadline = now + self._patience

    @property
    def _has_gone(self) -> bool:
        """Whether there is nothing left to read from.

        Of TLS that is lost `connection_lost` tells a moment later; until Python 3.11 nothing can be asked of it then.
        """
        return self._ended or self._transport.get_extra_info("socket") is None

    @property
    def _patience(self) -> float:
        """Seconds in which it has to come on."""
        return self._settings.stall_timeout if self._handshake is None else self._settings.handshake_timeout

    def _refuse(self, error: WendelinError) -> bool:
        """Store nothing of a message; whether there were too many like that, and it is dropped."""
        self._refused += 1
        self._complain("refused", f"sent a message that is not stored, nor acknowledged: {error}")
        if self._refused <= REFUSALS:
            return False
        self.drop(f"it sent more than {REFUSALS} messages that are not stored")
        return True

    def _complain(self, kind: str, text: str) -> None:
        """Log what one host does, once in a while."""
        self._reception.notices.warn((kind, self.peer.rpartition(":")[0]), f"{self.peer} {text}")

    def _forget(self) -> None:
        """Read nothing more, and give back all that it holds."""
        self._ended = True
        self._reception.connections.discard(self)
        self._reception.memory.change(-self.held)
        self.held = 0
        self._deadline = None
        self._unread.clear()
        self._framing = Framing(0)


def shown(address: Any) -> str:
    """HOST:PORT or [HOST]:PORT of a socket's address."""
    host, port = address[:2]
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
