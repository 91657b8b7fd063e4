"""An answer's body line by line, each as soon as it is there, and as events (WHATWG HTML, section 9.2)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from ebulk.errors import EbulkError
from ebulk.protocol import KIB, MIB

READ_SIZE = 64 * KIB
LINE_SIZE = 512 * MIB
"""The longest line that is read, in bytes: a record is at most 64 MiB, which JSON can make six times as long."""

MESSAGE = "message"
"""The kind of an event that names none: a record."""

GAP = "gap"
"""The kind of an event about bytes that are no records."""


@dataclass(frozen=True, slots=True)
class Event:
    """What a server sent as one event; what it did not say is None."""

    id: str | None = None
    data: str | None = None
    retry: int | None = None
    """Milliseconds to wait before the next request, once this one has ended."""
    kind: str = MESSAGE
    """MESSAGE, or what `event` says."""


def lines(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """The lines of some bytes, without their ends. The last one may have none."""
    rest: list[bytes] = []
    size = 0
    for piece in pieces:
        first, *others = piece.split(b"\n")
        rest.append(first)
        size += len(first)
        if size > LINE_SIZE:
            raise EbulkError(
                f"The lake sends a line of more than {LINE_SIZE // MIB} MiB.", "Nobody can read that: tell who runs it."
            )
        if others:
            yield b"".join(rest)
            *whole, last = others
            yield from whole
            rest, size = [last], len(last)
    if size:
        yield b"".join(rest)


def read_pieces(read: Callable[[int], bytes]) -> Iterator[bytes]:
    """What `read` gives, up to its end."""
    while piece := read(READ_SIZE):
        yield piece


def events(body: Iterable[bytes]) -> Iterator[Event]:
    """The events in the lines of a body, also those that have no data; one that its end cuts off is none."""
    id = data = retry = None
    kind = MESSAGE
    for line in body:
        name, _, value = line.decode(errors="replace").rstrip("\r").partition(":")
        value = value.removeprefix(" ")
        if name == "id" and "\0" not in value:
            id = value
        elif name == "data":
            data = value if data is None else f"{data}\n{value}"
        elif name == "event":
            kind = value or MESSAGE
        elif name == "retry" and value.isascii() and value.isdigit():
            retry = int(value)
        elif not name and not value:
            if (id, data, retry) != (None, None, None):
                yield Event(id, data, retry, kind)
            id = data = retry = None
            kind = MESSAGE
