"""Records of a stream as one answer of unknown length, in the memory of a block and a piece, however many there are."""

from __future__ import annotations

import logging
from collections.abc import Callable, Generator
from typing import Any

from zope.interface import implementer
from ZPublisher.Iterators import IUnboundStreamIterator

from Products.ERP5Wendelin.content.timed_records import Finder, Gap, Wanted
from Products.ERP5Wendelin.download.stored_stream import StoredStream
from Products.ERP5Wendelin.protocol import KIB

PIECE_SIZE = 256 * KIB

logger = logging.getLogger(__name__)


@implementer(IUnboundStreamIterator)
class RecordExport:
    """Pieces of what `encode(time, value)` makes of each record. What is no record is left out, and logged."""

    def __init__(self, stream: StoredStream, wanted: Wanted, encode: Callable[[int, Any], bytes]) -> None:
        self._stream = stream
        self._wanted = wanted
        self._encode = encode
        self._pieces = self._together()

    def __iter__(self) -> RecordExport:
        return self

    def __next__(self) -> bytes:
        return next(self._pieces)

    def close(self) -> None:
        """End it, at whatever place."""
        self._pieces.close()
        self._stream.close()

    def _together(self) -> Generator[bytes, None, None]:
        pending = bytearray()
        finder = Finder(self._stream.read, self._stream, self._stream.name, self._skip)
        for found in finder.find(self._wanted):
            pending += self._encode(found.time, found.value)
            if len(pending) >= PIECE_SIZE:
                yield bytes(pending)
                pending.clear()
        if pending:
            yield bytes(pending)

    def _skip(self, gap: Gap) -> None:
        logger.warning("bytes %d to %d were left out of an export: %s", *gap)
