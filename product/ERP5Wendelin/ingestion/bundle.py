"""Bundles: many small files in one request, as a tar, stored in one byte stream (a pack).

A stream of its own would cost a file of 4 KiB five records; in a pack it costs its bytes and an entry. A pack is
written in whole blocks and never appended to again.
"""

from __future__ import annotations

from hashlib import sha256
from typing import Any

from Products.ERP5Wendelin.content.entry import Entry
from Products.ERP5Wendelin.errors import BadInput, DigestMismatch
from Products.ERP5Wendelin.ingestion.session import check_file, check_started
from Products.ERP5Wendelin.ingestion.tar import Member, Source, members
from Products.ERP5Wendelin.protocol import BUNDLE_SIZE
from Products.ERP5Wendelin.storage.block import BLOCK_SIZE
from Products.ERP5Wendelin.storage.stream import ByteStream

STREAM_SIZE = 2 * BUNDLE_SIZE
"""Bytes of a bundle with its tar headers, as a rule 1,536 bytes a file: 40,000 files of a few bytes fit in."""

Received = list[tuple[str, int, bytes]]


def receive(ingestion: Any, source: Source) -> Received:
    """Store a bundle in the current transaction; return path, size and sha-256 of each file, in the bundle's order.

    All of it or nothing: whatever it raises, abort the transaction. BadInput for a malformed tar or what is no regular
    file, symbolic link or folder, BadPath, DigestMismatch for a file that is not what was planned, TooLarge above
    BUNDLE_SIZE.
    """
    check_started(ingestion)
    pack = Pack()
    received: dict[str, Entry] = {}
    for member in members(source, BUNDLE_SIZE, STREAM_SIZE):
        path = member.path
        check_file(path, len(member.content), None, member.mtime_ns, member.mode)
        if path in received:
            raise BadInput(f"The bundle has {path!r} twice.")
        received[path] = _entry(pack, member)
        _refuse_other(ingestion.expected.get(path), path, received[path])
    pack.close()
    for path, entry in received.items():
        ingestion.stage(path, entry)
    ingestion.touch()
    return [(path, entry.size, entry.digest) for path, entry in received.items()]


def _entry(pack: Pack, member: Member) -> Entry:
    content = member.content
    digest = sha256(content).digest()
    if not content:
        return Entry(None, 0, 0, digest, member.mtime_ns, member.mode)
    return Entry(pack.stream, pack.add(content), len(content), digest, member.mtime_ns, member.mode)


def _refuse_other(planned: tuple[Any, ...] | None, path: str, entry: Entry) -> None:
    """DigestMismatch if a file is not what the plan says of its path."""
    if planned is not None and planned[:2] not in ((entry.size, entry.digest), (entry.size, None)):
        raise DigestMismatch(
            f"{path!r} is not what was planned: it has other content. If the file has changed, plan it again.",
            paths=[path],
        )


class Pack:
    """Writes contents one behind the other into a new stream, block by block."""

    def __init__(self) -> None:
        self.stream = ByteStream()
        self._pending = bytearray()

    def add(self, content: bytes) -> int:
        """Add a content; return where it begins in the stream."""
        offset = self.stream.size + len(self._pending)
        self._pending += content
        whole = len(self._pending) - len(self._pending) % BLOCK_SIZE
        if whole:
            self.stream.append(bytes(memoryview(self._pending)[:whole]))
            del self._pending[:whole]
        return offset

    def close(self) -> None:
        """Write what is pending; nothing can be added after."""
        if self._pending:
            self.stream.append(bytes(self._pending), final=True)
            self._pending.clear()
