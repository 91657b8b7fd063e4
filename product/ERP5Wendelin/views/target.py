"""What a request of the API is about, as taken out of it before the publisher saw it."""

from __future__ import annotations

from dataclasses import dataclass, field

TARGET = "wendelin.target"
"""Key of the Target in the request."""


@dataclass(frozen=True)
class Target:
    """The request line; and the headers that the response is to have, be it an answer or a problem."""

    method: str
    segments: tuple[str, ...]
    """What follows `/api/v1`, or the portal where it is one of the portal's own routes; percent-decoded."""
    query_string: str
    has_credentials: bool
    """Whether it has a header Authorization. Of what is in that nothing is kept here: scripts can show a request."""
    headers: dict[str, str] = field(default_factory=dict)
    change: dict[str, str] = field(default_factory=dict)
    """What it is about to change, for the audit trail: `reference`, which may be empty. Nothing: it changes nothing."""
    path: str = ""
    """The path of its URL, as the gateway hands it over (latin-1)."""
    of_portal: bool = False
    """Whether it is one of the portal's own routes."""
