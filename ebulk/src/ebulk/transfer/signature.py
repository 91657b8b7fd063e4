"""Finds where a file differs from a content that the lake has, without fetching that: by the digests of its blocks.

Blocks are compared by place: what was changed inside a file or appended to it is found, what an insertion moved is not.
A signature that is wrong does no harm: the lake compares what it puts together with the digest of the whole file.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from http import HTTPStatus
from io import FileIO
from itertools import islice

from ebulk.errors import ChangedError
from ebulk.model import LocalFile, Ranges
from ebulk.protocol import CHANGED_RANGES, KIB, MIB
from ebulk.remote import content
from ebulk.remote.failure import TransientError
from ebulk.remote.session import Reply, Session
from ebulk.transfer.disk import unreadable
from ebulk.transfer.ranges import merged

DIGEST_SIZE = hashlib.sha256().digest_size
READ_SIZE = 64 * KIB
BLOCK_SIZES = range(64 * KIB, 64 * MIB + 1)
"""What a lake's blocks may have: one is held in memory."""
ANSWERED = (HTTPStatus.OK, HTTPStatus.PARTIAL_CONTENT)


def changed_ranges(session: Session, reference: str, file: LocalFile) -> Ranges | None:
    """Where a file differs from its base; None where the lake does not tell.

    ChangedError when the file has become shorter meanwhile.
    """
    base = file.base
    if base is None:
        return None
    if base.appended:
        return ((base.size, file.entry.size),)
    retry = session.retry()
    try:
        with open(file.source, "rb", buffering=0) as source:
            comparison = _Comparison(session, source, file, base.size)
            while True:
                before = comparison.compared
                try:
                    start = before * DIGEST_SIZE
                    with content.open_signature(session, reference, file.entry.path, base.digest, start) as reply:
                        return comparison.go_on(reply) if reply.status in ANSWERED else None
                except TransientError as error:
                    if comparison.compared > before:
                        retry.progress()
                    retry.failed(error)
    except OSError as error:
        raise unreadable(error, file.source) from error


class _Comparison:
    """A file compared with a signature; when the connection breaks it goes on where it was, with another answer."""

    def __init__(self, session: Session, source: FileIO, file: LocalFile, base_size: int) -> None:
        self._session = session
        self._source = source
        self._file = file
        self._base_size = base_size
        self._block_size = 0
        self._buffer = memoryview(b"")
        self._changed: list[tuple[int, int]] = []
        self.compared = 0
        """Blocks of the base."""

    def go_on(self, reply: Reply) -> Ranges | None:
        """Compare with the rest of a signature; None if it is not one of the base."""
        size = reply.headers.get("Signature-Block-Size", "")
        if not size.isdecimal() or int(size) not in BLOCK_SIZES or (self.compared and int(size) != self._block_size):
            return None
        self._block_size = int(size)
        self._buffer = memoryview(bytearray(self._block_size))
        count = -(-self._base_size // self._block_size)
        known = 0 if reply.status == HTTPStatus.PARTIAL_CONTENT else self.compared
        for digest in islice(_digests(reply), known, None):
            if self.compared == count:
                return None
            self._compare(digest)
        return self._result() if self.compared == count else None

    def _compare(self, digest: bytes) -> None:
        """Compare the next block; one that is behind the end of the file differs in nothing that is to be sent."""
        self._session.check()
        start = self.compared * self._block_size
        stop = min(start + self._block_size, self._file.entry.size)
        if start < stop and hashlib.sha256(self._read(stop - start)).digest() != digest:
            self._note(start, stop)
        self.compared += 1

    def _read(self, length: int) -> memoryview:
        """The next bytes of the file."""
        filled = 0
        while filled < length:
            count = self._source.readinto(self._buffer[filled:length])
            if not count:
                raise ChangedError(f"{self._file.source} became shorter while it was sent.", "Push again.")
            filled += count
        return self._buffer[:length]

    def _note(self, start: int, stop: int) -> None:
        if self._changed and self._changed[-1][1] == start:
            start = self._changed.pop()[0]
        self._changed.append((start, stop))

    def _result(self) -> Ranges:
        behind = self.compared * self._block_size
        if behind < self._file.entry.size:
            self._note(behind, self._file.entry.size)
        return merged(tuple(self._changed), CHANGED_RANGES)


def _digests(reply: Reply) -> Iterator[bytes]:
    """What a signature is made of; what is behind the last whole digest is left out."""
    rest = b""
    while data := reply.read(READ_SIZE):
        rest += data
        whole = len(rest) - len(rest) % DIGEST_SIZE
        for start in range(0, whole, DIGEST_SIZE):
            yield rest[start : start + DIGEST_SIZE]
        rest = rest[whole:]
