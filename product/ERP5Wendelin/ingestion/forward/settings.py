"""What an administrator may set of a Forward server."""

from __future__ import annotations

import socket
from collections.abc import Mapping
from dataclasses import dataclass, field
from ssl import SSLContext

from Products.ERP5Wendelin.errors import BadInput
from Products.ERP5Wendelin.protocol import MIB, SLICE_SIZE

MESSAGE_SIZE_MIN = MIB
"""The least limit of messages: more than is read from a connection at a time."""


@dataclass(frozen=True)
class Settings:
    """Sizes are in bytes, times in seconds. BadInput: limits that make no sense."""

    policy: str = "default"
    """The id of the Ingestion Policy that takes what comes."""
    user: str = ""
    """With whose rights it comes, unless agents name their user; '': the built-in `fluentd`."""
    shared_key: str | None = field(default=None, repr=False)
    """What agents have to know; None: nothing."""
    users: Mapping[str, str] = field(default_factory=dict, repr=False)
    """Passwords by the names of the lake's users that agents may come as; none: agents name no user."""
    hostname: str = f"wendelin@{socket.gethostname()}"
    """What the server calls itself: an agent refuses to send to a server of its own name."""
    tls: SSLContext | None = None
    """The server's certificate, key and, if clients need certificates as well, their authority; None: no TLS."""
    interval: float = 0.1
    """The least time from one commit to the next, while less than `commit_size` waits."""
    commit_size: int = 16 * MIB
    max_message: int = SLICE_SIZE
    max_memory: int = 2 * SLICE_SIZE
    """Bytes of all messages that are on their way: what has come of them, and what waits to be committed."""
    max_connections: int = 10_000
    handshake_timeout: float = 10.0
    """In which TLS and PING have to come."""
    stall_timeout: float = 60.0
    """In which a message that has begun has to come on by 16 KiB, or to its end."""

    def __post_init__(self) -> None:
        if not MESSAGE_SIZE_MIN <= self.max_message <= SLICE_SIZE:
            raise BadInput(
                f"A message may have {self.max_message} bytes at most: choose from {MESSAGE_SIZE_MIN} to {SLICE_SIZE}, "
                "which is the most that one transaction stores."
            )
        if self.max_memory < 2 * self.max_message:
            raise BadInput(
                f"{self.max_memory} bytes of memory are too few for messages of {self.max_message}: "
                "allow twice as many at least, or shorter messages."
            )
        if self.max_connections < 1:
            raise BadInput("Let at least one connection be made.")
        if min(self.interval, self.handshake_timeout, self.stall_timeout) < 0:
            raise BadInput("Times are 0 or more seconds.")
        if self.users and self.shared_key is None:
            raise BadInput("Agents name users after the shared key: give a shared key as well.")

    @property
    def greets(self) -> bool:
        """Whether a connection begins with a handshake."""
        return self.shared_key is not None
