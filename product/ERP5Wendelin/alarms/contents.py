"""Whether stored bytes are what they are said to be: the blocks of a byte stream, and the sha-256 of a content.

A stream must have a block for each 2 MiB of what was not dropped of it, the last one too, and no other; the array that
batch scripts map must have the same length. Nothing is written, and no more than a few blocks are in memory at a time.
"""

from __future__ import annotations

from collections.abc import Iterator
from hashlib import sha256
from typing import Any

from persistent import Persistent
from ZODB import DB
from ZODB.POSException import POSKeyError

from Products.ERP5Wendelin.alarms.budget import Budget
from Products.ERP5Wendelin.download.blocks import Blocks
from Products.ERP5Wendelin.storage.block import BLOCK_SIZE

BLOCKS = 8
"""Blocks kept in memory: neighbours in a folder may come from as many pushes without reading a block twice."""

REMEMBERED = 100_000
"""How many streams are remembered as looked at, for many files may lie in one."""

MISSING = "a record of it is missing in the database"


class ContentCheck:
    """Checks ranges of byte streams, with what several of them share read once."""

    def __init__(self, database: DB, budget: Budget) -> None:
        self._blocks = Blocks(database, BLOCKS)
        self._budget = budget
        self._seen: set[bytes] = set()

    def problems(self, stream: Any, offset: int, size: int, digest: bytes | None) -> Iterator[str]:
        """Sentences, each about something that is wrong with a range; `digest` None: its sha-256 is not known.

        `stream` is of an open connection, or None where there are no bytes. Interrupted when the budget is.
        """
        try:
            found = self._problem(stream, offset, size, digest)
        except POSKeyError:
            found = MISSING
        except EOFError:
            found = "it ends early"
        if found:
            yield found

    def _problem(self, stream: Any, offset: int, size: int, digest: bytes | None) -> str | None:
        if stream is None:
            if size:
                return f"it is said to have {size} bytes, and has no byte stream"
        else:
            if stream._p_oid not in self._seen:
                wrong = wrong_blocks(stream)
                if wrong:
                    return wrong
                self._note(stream)
            if offset + size > stream.size:
                return f"it ends at byte {offset + size} of a byte stream that has {stream.size}"
        if digest is not None and self._digest(stream, offset, size) not in (digest, None):
            return f"its content does not have the sha-256 {digest.hex()}"
        return None

    def _note(self, stream: Persistent) -> None:
        if len(self._seen) >= REMEMBERED:
            self._seen.clear()
        self._seen.add(stream._p_oid)

    def _digest(self, stream: Any, offset: int, size: int) -> bytes | None:
        """The sha-256 of a range, read again; None if it was interrupted."""
        running, position, stop = sha256(), offset, offset + size
        while position < stop:
            if self._budget.interrupted:
                return None
            piece = self._blocks.piece(stream._p_oid, position, stop)
            running.update(piece)
            position += len(piece)
        self._budget.spend(size)
        return running.digest()


def wrong_blocks(stream: Any) -> str | None:
    """What is wrong with the blocks of a byte stream, as a sentence; None if nothing is."""
    try:
        length = stream.array.shape[0]
        if length != stream.size:
            return f"its byte stream is said to have {stream.size} bytes, and its array has {length}"
        expected = _numbered(range(stream.start // BLOCK_SIZE, -(-stream.size // BLOCK_SIZE)))
        found = _numbered(stream.blktab.keys())
        if found != expected:
            return f"its byte stream of {stream.size} bytes has {found}, not {expected}"
        return None
    finally:
        stream.release()


def _numbered(numbers: Any) -> str:
    return f"{len(numbers)} blocks numbered {numbers[0]} to {numbers[-1]}" if len(numbers) else "no blocks"
