"""The four modes of events, as entries [time, record] that a stream keeps, in the bytes that came.

=====================  =======================================  =================================================
mode                   message                                  its entries
=====================  =======================================  =================================================
Message                [tag, time, record, options?]            0x92, then the bytes of time and record
Forward                [tag, [[time, record], …], options?]     what the array consists of
PackedForward          [tag, str or bin, options?]              these bytes
CompressedPackedF.     the same, `compressed`: gzip or zstd     what they stand for
=====================  =======================================  =================================================

Of the options, `chunk` (by which it is acknowledged, and known when it comes again), `compressed` and `size` (the
number of entries) matter. A time is an EventTime (ext type 0) or a number; in an entry it may also be what Fluent Bit
sends, [time, metadata].

A PackedForward is stored as it is, once it is known to be MessagePack: otherwise it would keep readers of the stream
from what comes after it. Where `size` says how many entries there are this is one call, as of an array whose header
stands before them (43 ns for an entry of 100 bytes), and otherwise one for each (85 ns). Messages of one event that
come together, of one tag and without options, are joined: 0.4 µs for each.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple

import msgpack
from backports import zstd

from Products.ERP5Wendelin.errors import BadInput, TooLarge, WendelinError
from Products.ERP5Wendelin.ingestion.forward.framing import NotForward, string_at
from Products.ERP5Wendelin.protocol import KIB, SLICE_SIZE

ENTRIES_SIZE = SLICE_SIZE
"""The most bytes of a message's entries, as they are stored: in one transaction."""

CHUNK_ID_SIZE = 1024
"""The most bytes of a chunk's id: fluentd's have 25."""

OPTIONS_SIZE = 64 * KIB
"""The most bytes of a message's options: unlike entries they are made into objects."""

MEMBERS = 100_000
"""The most gzip members, or zstd frames, of a message: fluentd makes one whenever it adds events to a chunk."""

WINDOW_LOG_MAX = 23
"""8 MiB: the most that a zstd frame may ask to keep, as for a content coding (RFC 9659)."""

WINDOW = 4 * KIB
"""Bytes that a decompressor is given first, as what is behind its member comes back as a copy."""

PLAIN = "text"
"""What fluentd calls entries that are not compressed."""

NIL = 0xC0
SINGLE = 0x93
"""How a message begins that has one event, and no options."""

ENTRY = b"\x92"
"""How an entry begins: an array of two."""

STRINGS = frozenset((*range(0xA0, 0xC0), *range(0xC4, 0xC7), *range(0xD9, 0xDC)))
ARRAYS = frozenset((*range(0x90, 0xA0), 0xDC, 0xDD))
TIMES = frozenset((*range(0x80), *range(0xE0, 0x100), 0xC7, *range(0xCA, 0xD4), 0xD7))
ARRAY_HEADERS = {0xDC: 3, 0xDD: 5}
"""First bytes of values: strings or bytes; arrays; numbers, and EventTime (ext 8 and fixext 8)."""

OTHERS = {
    0x16: "It speaks TLS, and this server does not: set --tls-certificate and --tls-key here, or turn TLS off there.",
    **dict.fromkeys(b"{[", "It sends JSON: choose MessagePack there."),
    **dict.fromkeys(
        b"GHP", "It speaks HTTP: send that to the lake's own address, …/portal_ingestion_policies/ID/ingest."
    ),
}
"""What else is known by its first byte."""


class Events(NamedTuple):
    """What one message, or several joined, bring for a tag: `data` has whole entries once it is not `compressed`."""

    tag: str
    data: bytes
    chunk: str | bytes | None = None
    compressed: str = ""
    size: int | None = None


def read(messages: Iterable[bytes]) -> Iterator[Events | WendelinError]:
    """What messages bring, in order; in the place of a message that brings nothing, what is wrong with it.

    A NotForward is the last.
    """
    begin = b"\xc1"  # how a message begins that joins those before it; none begins with that
    time = 0
    tag = ""
    entries: list[bytes] = []
    try:
        for message in messages:
            if message.startswith(begin):
                entries.append(message[time:])
                continue
            if entries:
                yield _joined(tag, entries)
                entries = []
            try:
                time = _time_of_single(message)
                if time:
                    tag = _tag(message[slice(*string_at(message, 1))])
                    begin = message[: time + 1]
                    entries.append(message[time:])
                elif message[0] != NIL:  # which is a heartbeat
                    yield decode(message)
            except NotForward:
                raise
            except WendelinError as error:
                yield error
    except NotForward as error:
        if entries:
            yield _joined(tag, entries)
            entries = []
        yield error
    if entries:
        yield _joined(tag, entries)


def decode(message: bytes) -> Events:
    """What one message brings. BadInput, TooLarge: what is wrong with it; NotForward: it is no message at all."""
    if message[0] not in ARRAYS:
        hint = OTHERS.get(message[0], "Let it send MessagePack to this port, as fluentd's out_forward does.")
        raise NotForward(f"it does not speak the Forward protocol. {hint}")
    scanner = _scanner(message)
    length = scanner.read_array_header()
    if length < 2 or message[scanner.tell()] not in STRINGS:
        raise BadInput("a message begins with a tag and entries, and this one does not")
    tag = _tag(scanner.unpack())
    start = scanner.tell()
    kind = message[start]
    scanner.skip()
    if kind in STRINGS:
        data = message[slice(*string_at(message, start))]
    elif kind in ARRAYS:
        data = message[start + ARRAY_HEADERS.get(kind, 1) : scanner.tell()]
    elif kind in TIMES and length > 2:
        scanner.skip()
        data = ENTRY + message[start : scanner.tell()]
        length -= 1
    else:
        raise BadInput(f"behind the tag {tag!r} stand neither entries nor a time and a record")
    options = _options(scanner, message, length - 2)
    events = Events(tag, data, _chunk(options), _compressed(options, kind), options.get("size"))
    if not events.compressed:
        check(events)
    return events


def expand(events: Events) -> Events:
    """Events whose entries are decompressed, and checked."""
    data = _decompress(events.data, DECOMPRESSORS[events.compressed])
    expanded = events._replace(data=data, compressed="")
    check(expanded)
    return expanded


def check(events: Events) -> None:
    """BadInput unless the data is whole MessagePack values of which the first is an entry; TooLarge for too many."""
    data = events.data
    if len(data) > ENTRIES_SIZE:
        raise TooLarge(
            f"a chunk of the tag {events.tag!r} has {len(data)} bytes of entries, and {ENTRIES_SIZE} is the most that "
            "one transaction takes: set its chunk_limit_size to less"
        )
    if data and not (data.startswith(ENTRY) and (_has(data, events.size) or _is_whole(data))):
        raise BadInput(f"a chunk of the tag {events.tag!r} does not consist of entries [time, record] in MessagePack")


def _has(data: bytes, size: Any) -> bool:
    """Whether data consists of so many values."""
    if type(size) is not int or not 0 < size <= len(data):
        return False
    scanner = _scanner(struct.pack(">BI", 0xDD, size))
    scanner.feed(data)
    try:
        scanner.skip()
    except (ValueError, msgpack.UnpackException):
        return False
    return bool(scanner.tell() == len(data) + 5)


def _is_whole(data: bytes) -> bool:
    """Whether data consists of whole values."""
    scanner = _scanner(data)
    skip, tell, size = scanner.skip, scanner.tell, len(data)
    try:
        while tell() < size:
            skip()
    except (ValueError, msgpack.UnpackException):
        return False
    return True


def _scanner(data: bytes) -> Any:
    scanner = msgpack.Unpacker(max_buffer_size=0, strict_map_key=False, unicode_errors="surrogateescape")
    scanner.feed(data)
    return scanner


def _time_of_single(message: bytes) -> int:
    """Where the time begins in a message of one event without options; 0 in any other."""
    if message[0] != SINGLE:
        return 0
    _, end = string_at(message, 1)
    return end if end and message[end] in TIMES else 0


def _joined(tag: str, entries: list[bytes]) -> Events:
    return Events(tag, ENTRY + ENTRY.join(entries))


def _tag(value: str | bytes) -> str:
    """A tag as text. BadInput: it is not UTF-8."""
    try:
        if isinstance(value, bytes):
            return value.decode()
        value.encode()
    except UnicodeError:
        raise BadInput(f"the tag {value!r} is not UTF-8") from None
    return value


def _options(scanner: Any, message: bytes, count: int) -> dict[Any, Any]:
    """The options that follow what the scanner has read; none if there are none."""
    if count == 0:
        return {}
    if count > 1:
        raise BadInput("a message has more elements than a tag, entries and options")
    size = len(message) - scanner.tell()
    if size > OPTIONS_SIZE:
        raise TooLarge(f"the options of a message have {size} bytes, and {OPTIONS_SIZE} is the most that is taken")
    try:
        options = scanner.unpack()
    except (ValueError, TypeError) as error:  # a map whose key is a map
        raise BadInput(f"the options of a message can't be read: {error}") from error
    if options is None:
        return {}
    if not isinstance(options, dict):
        raise BadInput("the options of a message are not a map")
    return options


def _chunk(options: dict[Any, Any]) -> str | bytes | None:
    chunk = options.get("chunk")
    if chunk is not None and not (isinstance(chunk, (str, bytes)) and 0 < len(chunk) <= CHUNK_ID_SIZE):
        raise BadInput(f"the option chunk is not a text of 1 to {CHUNK_ID_SIZE} bytes")
    return chunk


def _compressed(options: dict[Any, Any], kind: int) -> str:
    """In what the entries are compressed, if they are."""
    name = options.get("compressed", PLAIN)
    if name == PLAIN or name is None or kind not in STRINGS:
        return ""
    if not isinstance(name, str) or name not in DECOMPRESSORS:
        raise BadInput(f"entries come in {name!r}, and of compressions {' and '.join(DECOMPRESSORS)} are known here")
    return name


def _decompress(data: bytes, begin: Callable[[], Any]) -> bytes:
    """All members, or frames, one after the other; never more than ENTRIES_SIZE, whatever they stand for."""
    view = memoryview(data)
    parts: list[bytes] = []
    room = ENTRIES_SIZE
    offset = 0
    for _ in range(MEMBERS):
        if offset == len(data):
            return b"".join(parts)
        member = begin()
        window = WINDOW
        while not member.eof:
            piece = view[offset : offset + window]
            if not piece:
                raise BadInput("compressed entries are cut off")
            try:
                part = member.decompress(piece, room + 1)
            except (zlib.error, zstd.ZstdError) as error:
                raise BadInput(f"compressed entries can't be decompressed: {error}") from error
            if len(part) > room:
                raise TooLarge(f"compressed entries stand for more than {ENTRIES_SIZE} bytes, which is the most")
            parts.append(part)
            room -= len(part)
            offset += len(piece)
            window = min(2 * window, 64 * WINDOW)
        offset -= len(member.unused_data)
    raise TooLarge(f"compressed entries come in more than {MEMBERS} members")


DECOMPRESSORS: dict[str, Callable[[], Any]] = {
    "gzip": lambda: zlib.decompressobj(wbits=31),
    "zstd": lambda: zstd.ZstdDecompressor(options={zstd.DecompressionParameter.window_log_max: WINDOW_LOG_MAX}),
}
"""What decompresses one gzip member, or one zstd frame."""
