"""The heartbeat by which fluentd sees that a server is there: a byte over UDP, to the port of the connections."""

from __future__ import annotations

import asyncio
from typing import Any

BEAT = b"\0"


class Heartbeat(asyncio.DatagramProtocol):
    """Answers each datagram with one byte, so never with more than came."""

    def connection_made(self, transport: Any) -> None:
        self._transport = transport

    def datagram_received(self, data: bytes, address: Any) -> None:
        if data:
            self._transport.sendto(BEAT, address)

    def error_received(self, error: Exception) -> None:
        """Somebody asked and went away: nobody is left to tell."""
