"""HELO, PING and PONG: each side shows that it knows the shared key, without sending it.

::

    server  ["HELO", {"nonce": bytes, "auth": bytes, "keepalive": true}]      auth: a salt if users are asked for
    client  ["PING", hostname, salt, sha512(salt + hostname + nonce + key), user, sha512(auth + user + password)]
    server  ["PONG", true, "", hostname, sha512(salt + hostname + nonce + key)]  or  ["PONG", false, reason, "", ""]

Digests are written in hexadecimal. Nonces are made anew for each connection, so nothing that was overheard is of use
again. Without TLS what follows can be read and changed by whoever carries it.
"""

from __future__ import annotations

import hmac
import os
from collections.abc import Sequence
from hashlib import sha512
from typing import Any, NamedTuple

import msgpack

from Products.ERP5Wendelin.errors import BadInput, NotAuthorised
from Products.ERP5Wendelin.ingestion.forward.settings import Settings

NONCE_SIZE = 16
PING_LENGTH = 6
PING_SIZE = 8192
"""The most bytes of a PING."""


class Welcome(NamedTuple):
    """What a PING that was accepted says, and the PONG that answers it."""

    hostname: str
    user: str
    pong: bytes


class Handshake:
    """That of one connection."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._key = (settings.shared_key or "").encode()
        self._nonce = os.urandom(NONCE_SIZE)
        self._salt = os.urandom(NONCE_SIZE) if settings.users else b""

    def helo(self) -> bytes:
        """What the server says first."""
        return _packed(["HELO", {"nonce": self._nonce, "auth": self._salt, "keepalive": True}])

    def check(self, message: bytes) -> Welcome:
        """Check a PING. BadInput: it is none; NotAuthorised: key, user or password are not right."""
        hostname, salt, digest, user, password_digest = _read_ping(message)
        if not hmac.compare_digest(digest, _digest(salt, hostname, self._nonce, self._key)):
            raise NotAuthorised(
                f"shared_key mismatch: {_shown(hostname)!r} has another shared key than this server; give both the same"
            )
        name = ""
        if self._settings.users:
            name = _shown(user)
            password = self._settings.users.get(name, "")
            expected = _digest(self._salt, user, password.encode())
            if not (hmac.compare_digest(password_digest, expected) and name in self._settings.users):
                raise NotAuthorised(
                    f"username/password mismatch: {_shown(hostname)!r} comes as {name!r}, which is no user in the "
                    "users' file of this server, or has another password there"
                )
        own = self._settings.hostname.encode()
        pong = ["PONG", True, "", self._settings.hostname, _digest(salt, own, self._nonce, self._key).decode()]
        return Welcome(_shown(hostname), name, _packed(pong))


def negative_pong(reason: str) -> bytes:
    """The PONG for a client that is turned away."""
    return _packed(["PONG", False, reason, "", ""])


def _read_ping(message: bytes) -> Sequence[bytes]:
    """The five texts of a PING."""
    if len(message) <= PING_SIZE:
        try:
            values = msgpack.unpackb(message, raw=True, strict_map_key=False)
        except (ValueError, TypeError, msgpack.UnpackException):
            values = None
        if (
            isinstance(values, list)
            and len(values) == PING_LENGTH
            and all(isinstance(value, bytes) for value in values)
            and values[0] == b"PING"
        ):
            return values[1:]
    raise BadInput(
        "it does not answer HELO with PING: give the agent the shared key (fluentd: a section <security> in its "
        "out_forward; Fluent Bit: shared_key), or choose one that knows the handshake"
    )


def _digest(*parts: bytes) -> bytes:
    return sha512(b"".join(parts)).hexdigest().encode()


def _packed(message: Any) -> bytes:
    packed: bytes = msgpack.packb(message)
    return packed


def _shown(name: bytes) -> str:
    return name.decode("utf-8", "replace")
