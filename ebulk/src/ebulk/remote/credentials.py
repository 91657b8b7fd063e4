"""Who asks: a user with a password, or a token that a user created."""

from __future__ import annotations

from base64 import b64encode
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Basic:
    """A user's name and password (RFC 7617, in UTF-8)."""

    user: str
    password: str = field(repr=False)

    def header(self) -> str:
        """The value of the Authorization header."""
        return "Basic " + b64encode(f"{self.user}:{self.password}".encode()).decode("ascii")


@dataclass(frozen=True, slots=True)
class Bearer:
    """An access token (RFC 6750)."""

    token: str = field(repr=False)

    def header(self) -> str:
        """The value of the Authorization header."""
        return f"Bearer {self.token}"


Credentials = Basic | Bearer
