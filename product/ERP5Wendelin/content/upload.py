"""Upload: a file that arrives in pieces (tus), and how much of it is here.

State (public format): `ingestion` (the Data Ingestion it belongs to), `id`, `path`, `length`, `offset` (bytes),
`digest` (the sha-256 that the content must have, 32 raw bytes; None: not known), `mtime_ns`, `mode`, `metadata` (the
text of Upload-Metadata, which HEAD repeats), `stream` (IByteStream), `created`, `modified` (aware datetimes, UTC),
`planned` (whether the ingestion expected the path before), `dropped` (whether it was taken out of its ingestion).

Of one that starts from another content, until it is complete: `base` (IByteStream), `base_digest` (its sha-256, 32 raw
bytes), `reused` (tuple of ranges (start, stop), ascending and apart: what the base has at the same place).
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from persistent import Persistent

from Products.ERP5Wendelin.content.base import now
from Products.ERP5Wendelin.content.entry import Entry
from Products.ERP5Wendelin.protocol import UPLOAD_LIFETIME
from Products.ERP5Wendelin.storage.block import BLOCK_SIZE
from Products.ERP5Wendelin.storage.stream import ByteStream

LIFETIME = timedelta(seconds=UPLOAD_LIFETIME)


class Upload(Persistent):
    """A file of an ingestion, under way or complete; two writers of one upload conflict in this record."""

    planned = False
    dropped = False
    base: ByteStream | None = None
    base_digest = b""
    reused: tuple[tuple[int, int], ...] = ()

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

    def reusable(self, offset: int) -> int:
        """Up to where the base has what follows an offset: the offset itself, where it has not."""
        return next((stop for start, stop in self.reused if start <= offset < stop), offset)

    def take_over(self) -> bool:
        """Move on over what the base has, as far as one transaction may; tell whether it has moved.

        The end of the file is left for `take_over_end`, the last block at the most.
        """
        stop = self.reusable(self.offset)
        if stop == self.length:
            stop = max(self.offset, (stop - 1) // BLOCK_SIZE * BLOCK_SIZE)
        if self.base is None or stop == self.offset:
            return False
        self.offset = self.stream.take_over(self.base, stop)
        return True

    def take_over_end(self) -> None:
        """Move on to the end, of which `take_over` has left the last block at the most."""
        if self.base is not None:
            self.offset = self.stream.take_over(self.base, self.length)

    def forget_base(self) -> None:
        """Keep the base alive no longer."""
        if self.base is not None:
            del self.base, self.base_digest, self.reused

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
