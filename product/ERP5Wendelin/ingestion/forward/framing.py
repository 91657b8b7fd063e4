"""Messages in the bytes of a connection: where each MessagePack value ends, in whatever pieces the bytes arrive.

msgpack's `Unpacker.skip` finds the end of a value without making objects, and goes on where it was when bytes were
missing (85 ns for an event of 100 bytes). A long string of entries, which is what PackedForward consists of, is not
given to it: its length stands before it, so its bytes are only counted, and held once.

Nothing is believed before it has arrived: a length costs nothing but the comparison with the limit.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgpack

from Products.ERP5Wendelin.errors import BadInput
from Products.ERP5Wendelin.protocol import KIB

HEAD_SIZE = 4 * KIB
"""Bytes in which the length of a message's entries is looked for: more than any tag has."""

LENGTHS = {0xD9: 1, 0xC4: 1, 0xDA: 2, 0xC5: 2, 0xDB: 4, 0xC6: 4}
"""Bytes of the length behind the first byte of a string (str 8, 16, 32) or of bytes (bin 8, 16, 32)."""

FIXSTR = range(0xA0, 0xC0)
"""First bytes of strings that have their length in them."""

REST = {0x92: b"\x90", 0x93: b"\x91"}
"""By the first byte of a message in PackedForward mode: what stands for it once its entries are counted, an array of
what is then to come, nothing or the options."""


class NotForward(BadInput):
    """Bytes after which nobody knows where the next message begins, if they are messages at all."""


class Framing:
    """Cuts the bytes of one connection into messages of at most `limit` bytes."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self._begun = bytearray()
        self._scanner: Any = None
        self._fed = 0  # bytes that the scanner was given
        self._counting = 0  # bytes of entries that are to come before the scanner gets any

    @property
    def held(self) -> int:
        """Bytes of the message that has begun and is not complete."""
        return len(self._begun)

    def feed(self, data: bytes) -> Iterator[bytes | bytearray]:
        """The messages that are complete with `data`; to be iterated over to the end before the next `feed`.

        NotForward: they are not MessagePack, or of a message over the limit.
        """
        start = min(self._counting, len(data))
        if self._counting:
            self._counting -= start
            if self._counting:
                self._begun += data
                return
            self._scan(REST[self._begun[0]])
        elif self._scanner is None:
            self._scan(b"")
        offset = self._fed - start  # what the scanner tells of the first byte of `data`
        self._scanner.feed(data[start:] if start else data)
        self._fed = offset + len(data)
        try:
            yield from self._complete(data, offset)
        except msgpack.OutOfData:
            pass
        except (ValueError, msgpack.UnpackException) as error:
            raise NotForward(f"it sent what is not MessagePack: {_reason(error)}") from error
        self._look_ahead()

    def _scan(self, begun: bytes) -> None:
        """Begin to look for ends of messages, of the first of which `begun` has come."""
        self._scanner = msgpack.Unpacker(max_buffer_size=0, read_size=KIB)
        self._scanner.feed(begun)
        self._fed = len(begun)

    def _complete(self, data: bytes, offset: int) -> Iterator[bytes | bytearray]:
        """The messages that end in `data`; OutOfData at its end, when what follows them is in `_begun`."""
        skip, tell = self._scanner.skip, self._scanner.tell
        start = 0
        try:
            if self._begun:
                skip()
                start = tell() - offset
                self._begun += data[:start]
                message = self._begun
                self._begun = bytearray()
                self._check(len(message))
                yield message
            while True:
                skip()
                end = tell() - offset
                yield data[start:end]
                start = end
        finally:
            self._begun += data[start:]

    def _look_ahead(self) -> None:
        """Drop the scanner if no message has begun, or bytes of entries are only to be counted."""
        held = len(self._begun)
        self._check(held)
        if not held:
            self._scanner = None
        elif held <= HEAD_SIZE:
            end = _end_of_entries(self._begun)
            self._check(end)
            if end > held:
                self._counting = end - held
                self._scanner = None

    def _check(self, size: int) -> None:
        if size > self.limit:
            raise NotForward(
                f"it sent a message of {size} bytes or more, and {self.limit} is the most that is taken: "
                "set its chunk_limit_size to less, or raise --max-message"
            )


def _end_of_entries(message: bytearray) -> int:
    """Where the entries of a message in PackedForward mode end, by what has come of it; 0 where it does not say."""
    if message[0] not in REST:
        return 0
    _, end_of_tag = string_at(message, 1)
    return string_at(message, end_of_tag)[1] if end_of_tag else 0


def string_at(data: bytes | bytearray, offset: int) -> tuple[int, int]:
    """Where a string, or bytes, begins and ends whose header is at an offset; (0, 0): there is no whole such header."""
    if offset >= len(data):
        return 0, 0
    first = data[offset]
    if first in FIXSTR:
        return offset + 1, offset + 1 + (first & 0x1F)
    size = LENGTHS.get(first, 0)
    start = offset + 1 + size
    if not size or start > len(data):
        return 0, 0
    return start, start + int.from_bytes(data[offset + 1 : start], "big")


def _reason(error: Exception) -> str:
    if isinstance(error, msgpack.StackError):
        return "it is nested too deeply"
    return str(error) or "no value begins like that"  # FormatError has no words
