"""The heartbeat by which fluentd sees that a server is there: a byte over UDP, to the port of the connections.

Whose address is in a datagram is not certain. So an answer is never longer than what came, and none goes to where it
would be answered again, without end: to another server's port of the same number, and to system ports (echo, DNS, …).
"""

from __future__ import annotations

import asyncio
from typing import Any

BEAT = b"\0"

SYSTEM_PORTS = range(1024)
"""Of services (RFC 6335), from which no agent sends."""


class Heartbeat(asyncio.DatagramProtocol):
    """Answers each datagram of an agent with one byte."""

    def connection_made(self, transport: Any) -> None:
        self._transport = transport
        self._port = transport.get_extra_info("sockname")[1]

    def datagram_received(self, data: bytes, address: Any) -> None:
        port = address[1]
        if data and port != self._port and port not in SYSTEM_PORTS:
            self._transport.sendto(BEAT, address)

    def error_received(self, error: Exception) -> None:
        """Somebody asked and went away: nobody is left to tell."""
