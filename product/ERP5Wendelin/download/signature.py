"""Signature: the SHA-256 of each block of a file, by which a sender learns which blocks of another one differ.

They are not stored: each is computed, by reading its block, when the one before has been sent.
"""

from __future__ import annotations

from collections.abc import Generator
from hashlib import sha256

from ZODB import DB
from zope.interface import implementer
from ZPublisher.Iterators import IStreamIterator

from Products.ERP5Wendelin.download.blocks import Blocks
from Products.ERP5Wendelin.download.body import Pieces
from Products.ERP5Wendelin.storage.block import BLOCK_SIZE

DIGEST_SIZE = sha256().digest_size

TOGETHER = 32
"""Digests given out at a time: 64 MiB of the file, read in a tenth of a second or a few."""


def signature_size(size: int) -> int:
    """Bytes of the signature of a file of `size` bytes."""
    return -(-size // BLOCK_SIZE) * DIGEST_SIZE


@implementer(IStreamIterator)
class Signature(Pieces):
    """The bytes from `start` up to `stop` of the signature of a file: `size` bytes at `offset` of the stream `oid`."""

    def __init__(self, database: DB, oid: bytes, offset: int, size: int, start: int, stop: int) -> None:
        self._blocks = Blocks(database)
        super().__init__(self._blocks.clear)
        self._oid = oid
        self._offset = offset
        self._size = size
        self._start = start
        self._stop = stop

    def __len__(self) -> int:
        return self._stop - self._start

    def _together(self) -> Generator[bytes, None, None]:
        """Pieces of TOGETHER digests; of the first and the last digest what was asked for."""
        first, last = self._start // DIGEST_SIZE, -(-self._stop // DIGEST_SIZE)
        for number in range(first, last, TOGETHER):
            digests = b"".join(map(self._digest, range(number, min(number + TOGETHER, last))))
            begin = number * DIGEST_SIZE
            yield digests[max(self._start - begin, 0) : self._stop - begin]

    def _digest(self, number: int) -> bytes:
        """The digest of a block of the file, which in a pack is parts of two of the stream's."""
        digest = sha256()
        position = self._offset + number * BLOCK_SIZE
        stop = min(position + BLOCK_SIZE, self._offset + self._size)
        while position < stop:
            piece = self._blocks.piece(self._oid, position, stop)
            digest.update(piece)
            position += len(piece)
        return digest.digest()
