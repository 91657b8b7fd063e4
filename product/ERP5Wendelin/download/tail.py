"""The records of a stream as they arrive, as Server-Sent Events (WHATWG HTML, section 9.2).

::

    retry: 1000                       milliseconds until the client asks again, once the answer has ended

    id: 1280                          the offset behind the record
    data: {"time": …, "record": …}    a line as `record_format` writes it

    event: gap                        bytes that are no records, or were dropped before they were read
    id: 2048
    data: {"start": 1280, "end": 2048, "reason": …}

    id: 4096                          nothing for its reader up to here

An answer ends after `growth.LONGEST` seconds: its client asks again, from the last id on, as browsers do by themselves.
Meanwhile a comment each few seconds shows the server whether somebody still listens. Where too many wait already, the
answer has what is there, and a longer `retry`.
"""

from __future__ import annotations

import json
import time
from collections.abc import Generator
from contextlib import suppress

from Products.ERP5Wendelin.content.records import TIME_MAX, TIME_MIN
from Products.ERP5Wendelin.content.timed_records import Finder, Gap, Wanted
from Products.ERP5Wendelin.download import record_format
from Products.ERP5Wendelin.download.body import Pieces
from Products.ERP5Wendelin.download.growth import LONGEST, grown, is_over, turn
from Products.ERP5Wendelin.download.record_format import PIECE_SIZE
from Products.ERP5Wendelin.download.stored_stream import StoredStream
from Products.ERP5Wendelin.errors import Gone

RETRY = 1_000
RETRY_CROWDED = 5_000
"""Milliseconds."""

SIGN_OF_LIFE = 2
"""Seconds between two comments."""

MEDIA_TYPE = "text/event-stream"


class Tail(Pieces):
    """The records from offset `start` on, or, where that is None, from the end on, of times from `since` on."""

    def __init__(self, stream: StoredStream, start: int | None, since: int = TIME_MIN, until: int = TIME_MAX) -> None:
        self._stream = stream
        self._start = start
        self._since = since
        self._until = until
        self._gaps: list[Gap] = []
        super().__init__(stream.close)

    def _together(self) -> Generator[bytes, None, None]:
        with turn() as may_wait, suppress(Gone):  # what is dropped before it was read, the next answer tells of
            deadline = time.monotonic() + LONGEST
            extent = self._stream.extent()
            position = extent.size if self._start is None else self._start
            yield b"retry: %d\n\n" % (RETRY if may_wait else RETRY_CROWDED)
            if self._start is None:
                yield _position(position)
            if position < extent.start:
                start = self._stream.beginning(extent.start)
                yield _gap(Gap(position, start, "these bytes were dropped, to keep the stream small"))
                position = start
            while True:
                position = yield from self._events(position, extent.size, deadline)
                if not may_wait or is_over(deadline):
                    return
                seen = extent.size
                while (extent := grown(self._stream, seen, _soon(deadline))).size == seen:
                    if is_over(deadline):
                        return
                    yield b":\n\n"

    def _events(self, start: int, stop: int, deadline: float) -> Generator[bytes, None, int]:
        """The events of what lies within these offsets; returns up to where all was looked at, before the deadline."""
        finder = Finder(self._stream.read, self._stream, self._stream.name, self._gaps.append)
        pending = bytearray()
        told = start
        for found in finder.find(Wanted(start, stop, self._since, self._until)):
            pending += self._told_gaps()
            line = record_format.line(found.time, found.value)
            pending += b"id: %d\ndata: %b\n" % (found.end, line)
            told = found.end
            if len(pending) >= PIECE_SIZE:
                yield bytes(pending)
                pending.clear()
                if is_over(deadline):
                    break
        pending += self._told_gaps()
        if finder.position > told:
            pending += _position(finder.position)
        if pending:
            yield bytes(pending)
        return finder.position

    def _told_gaps(self) -> bytes:
        told = b"".join(map(_gap, self._gaps))
        self._gaps.clear()
        return told


def _soon(deadline: float) -> float:
    return min(deadline, time.monotonic() + SIGN_OF_LIFE)


def _position(offset: int) -> bytes:
    """An event without data: browsers take its id, and tell nobody."""
    return b"id: %d\n\n" % offset


def _gap(gap: Gap) -> bytes:
    data = json.dumps({"start": gap.start, "end": gap.stop, "reason": gap.reason}, ensure_ascii=False)
    return f"event: gap\nid: {gap.stop}\ndata: {data}\n\n".encode("utf-8", "backslashreplace")
