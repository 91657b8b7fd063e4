"""What an agent sends to a lake that is served, by HTTP, to the policy `default`."""

from __future__ import annotations

import urllib.request
from urllib.parse import quote

from support.http_server import basic
from support.lake import PASSWORD
from support.streams import SECOND, events

T0 = 1_795_376_400 * SECOND
"""2026-11-22T19:40:00Z"""


def entries(count: int, first: int = 0) -> bytes:
    """Entries with the numbers from `first` on; one a second, number 0 at T0."""
    return events(count, T0 + first * SECOND, first=first)


def send(url: str, tag: str, data: bytes, user: str = "ada") -> None:
    """Post a chunk as a user whose password is PASSWORD; return once it is committed."""
    request = urllib.request.Request(
        f"{url}/portal_ingestion_policies/default/ingest?reference={quote(tag)}",
        data,
        {"Authorization": basic(user, PASSWORD), "Content-Type": "application/octet-stream"},
    )
    with urllib.request.urlopen(request, timeout=60) as answer:
        assert answer.status == 204
