"""Upload: a file that arrives in pieces (tus), and how much of it is here.

State (public format): `ingestion` (the Data Ingestion it belongs to), `id`, `path`, `length`, `offset` (bytes),
`digest` (the sha-256 that the content must have, 32 raw bytes; None: not known), `mtime_ns`, `mode`, `metadata` (the
text of Upload-Metadata, which HEAD repeats), `stream` (IByteStream), `created`, `modified` (aware datetimes, UTC),
`planned` (whether the ingestion expected the path before), `dropped` (whether it was taken out of its ingestion).
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from persistent import Persistent

from Products.ERP5Wendelin.content.base import now
from Products.ERP5Wendelin.content.entry import Entry
from Products.ERP5Wendelin.protocol import UPLOAD_LIFETIME
from Products.ERP5Wendelin.storage.stream import ByteStream

LIFETIME = timedelta(seconds=UPLOAD_LIFETIME)


class Upload(Persistent):
    """A file of an ingestion, under way or complete; two writers of one upload conflict in this record."""

    planned = False
    dropped = False

    def __init__(
        self,
        ingestion: Any,
        id: str,
        path: str,
        length: int,
        digest: bytes | None,
        mtime_ns: int,
        mode: str,
        metadata: str = "",
    ) -> None:
        self.ingestion = ingestion
        self.id = id
        self.path = path
        self.length = length
        self.offset = 0
        self.digest = digest
        self.mtime_ns = mtime_ns
        self.mode = mode
        self.metadata = metadata
        self.stream = ByteStream()
        self.created = self.modified = now()

    @property
    def complete(self) -> bool:
        """Whether its last byte has arrived."""
        return self.offset == self.length

    @property
    def expires(self) -> datetime:
        """When it is given up, unless something arrives before."""
        return self.modified + LIFETIME

    @property
    def expectation(self) -> tuple[int, bytes | None, int, str]:
        """Size, digest, modification time and mode, as its ingestion expects them."""
        return self.length, self.digest, self.mtime_ns, self.mode

    def entry(self, digest: bytes) -> Entry:
        """The entry that its content makes, whose sha-256 is `digest`."""
        return Entry(self.stream if self.length else None, 0, self.length, digest, self.mtime_ns, self.mode)
