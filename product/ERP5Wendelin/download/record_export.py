"""Records of a stream as one answer of unknown length, in the memory of a block and a piece, however many there are."""

from __future__ import annotations

import logging
from collections.abc import Callable, Generator, Iterator
from functools import partial

from Products.ERP5Wendelin.content.records import Batch
from Products.ERP5Wendelin.content.timed_records import Finder, Gap, Wanted
from Products.ERP5Wendelin.download.body import Pieces
from Products.ERP5Wendelin.download.record_array import array_file
from Products.ERP5Wendelin.download.record_format import entries, lines
from Products.ERP5Wendelin.download.stored_stream import StoredStream

Reader = Callable[[bool], Iterator[Batch]]
"""Reads the records, the same ones each time: decoded, or as they are; see `content.records.Batch`."""

Format = Callable[[Reader], Iterator[bytes]]
"""Makes the pieces of an answer."""

FORMATS: dict[str, Format] = {
    "msgpack": lambda read: entries(read(False)),
    "jsonl": lambda read: lines(read(True)),
    "npy": lambda read: array_file(partial(read, True)),
}

logger = logging.getLogger(__name__)


class RecordExport(Pieces):
    """The pieces that a format makes of the records that are wanted. What is no record is left out, and logged."""

    def __init__(self, stream: StoredStream, wanted: Wanted, form: str) -> None:
        self._stream = stream
        self._wanted = wanted
        self._form = form
        self._logged_up_to = 0
        super().__init__(stream.close)

    def _together(self) -> Generator[bytes, None, None]:
        """The pieces of the format."""
        yield from FORMATS[self._form](self._read)

    def _read(self, decode: bool) -> Iterator[Batch]:
        finder = Finder(self._stream.read, self._stream, self._stream.name, self._skip)
        return finder.find_batches(self._wanted, decode)

    def _skip(self, gap: Gap) -> None:
        if gap.start >= self._logged_up_to:
            logger.warning("bytes %d to %d were left out of an export: %s", *gap)
            self._logged_up_to = gap.stop
