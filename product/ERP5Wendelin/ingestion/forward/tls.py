"""TLS, with a line in the log when it fails, which asyncio's servers pass over."""

from __future__ import annotations

import asyncio
import ssl
from typing import Any

from Products.ERP5Wendelin.ingestion.forward.connection import Connection, Reception, shown

HINTS = {
    "WRONG_VERSION_NUMBER": "It does not speak TLS: turn TLS on there.",
    "HTTP_REQUEST": "It speaks HTTP.",
    "PEER_DID_NOT_RETURN_A_CERTIFICATE": "Give it a certificate by the authority of --tls-client-ca.",
    "CERTIFICATE_VERIFY_FAILED": "Give it a certificate by the authority of --tls-client-ca.",
    "TLSV1_ALERT_UNKNOWN_CA": "Give it the authority of this server's certificate.",
    "SSLV3_ALERT_BAD_CERTIFICATE": "Give it the authority of this server's certificate, or another name to connect to.",
}
"""What to do, by OpenSSL's reasons."""


class TlsAcceptor(asyncio.Protocol):
    """A connection until TLS is agreed on; from then on it is a `Connection`."""

    def __init__(self, reception: Reception, tls: ssl.SSLContext) -> None:
        self._reception = reception
        self._tls = tls

    def connection_made(self, transport: Any) -> None:
        if refusal := self._reception.why_not():
            self._drop(transport, refusal)
            return
        # Its first step runs before anything is read, and pauses that: what comes is for TLS. Here it would be too
        # soon: until Python 3.11 a transport begins to read after this call, paused or not.
        task = asyncio.get_running_loop().create_task(self._upgrade(transport))
        self._reception.upgrades.add(task)
        task.add_done_callback(self._reception.upgrades.discard)

    async def _upgrade(self, transport: Any) -> None:
        connection = Connection(self._reception)
        timeout = self._reception.settings.handshake_timeout
        loop = asyncio.get_running_loop()
        try:
            upgraded = await loop.start_tls(
                transport, connection, self._tls, server_side=True, ssl_handshake_timeout=timeout
            )
        except OSError as error:
            self._drop(transport, _why(error))
        else:
            self._reception.upgrades.discard(asyncio.current_task())
            connection.connection_made(upgraded)

    def _drop(self, transport: Any, reason: str) -> None:
        peer = shown(transport.get_extra_info("peername"))
        self._reception.notices.warn(("dropped", peer.rpartition(":")[0]), f"{peer} is dropped: {reason}")
        transport.abort()


def _why(error: OSError) -> str:
    """What was wrong, and what to do."""
    if isinstance(error, ssl.SSLError) and error.reason:
        return f"no TLS with it: {error.reason.replace('_', ' ').lower()}. {HINTS.get(error.reason, '')}".rstrip()
    return f"no TLS with it: {error or 'it closed the connection'}"
