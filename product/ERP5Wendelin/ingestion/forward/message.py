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

TAG_SIZE = 2 * KIB
"""The most bytes of a tag: 512 characters of any kind. What is refused is remembered by its tag."""

CHUNK_ID_SIZE = 1024
"""The most characters of a chunk's id: fluentd's have 25."""

OPTIONS_SIZE = 64 * KIB
"""The most bytes of a message's options: unlike entries they are made into objects."""

MEMBERS = 100_000
"""The most gzip members, or zstd frames, of a message: fluentd makes one whenever it adds events to a chunk."""

WINDOW_LOG_MAX = 23
"""8 MiB: the most that a zstd frame may ask to keep, as for a content coding (RFC 9659)."""

JOINED_SIZE = 256 * KIB
"""The most bytes of a message that others are joined to: one of 64 MiB with another is more than is stored at once."""

PIECE = 256 * KIB
"""Bytes of entries that are checked at a time: with one byte for each value that takes 25 ms."""

WINDOW = 4 * KIB
"""Bytes that a decompressor is given first, as what is behind its member comes back as a copy."""

PLAIN = "text"
"""What fluentd calls entries that are not compressed."""

NIL = 0xC0
SINGLE = 0x93
"""How a message begins that has one event, and no options."""

ENTRY = b"\x92"
ENTRIES = (ENTRY, b"\xdc\x00\x02", b"\xdd\x00\x00\x00\x02")
"""How an entry begins: an array of two. Fluent Bit writes the length in four bytes where it sends no metadata."""

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


Buffer = bytes | bytearray


class Events(NamedTuple):
    """What one message, or several joined, bring for a tag.

    `data` has whole entries if `compressed` is empty. Otherwise `expand`, which takes long, has to decompress it, or if
    that is PLAIN only to check it.
    """

    tag: str
    data: bytes
    chunk: str | bytes | None = None
    compressed: str = ""
    size: int | None = None


def read(messages: Iterable[Buffer]) -> Iterator[Events | WendelinError]:
    """What messages bring, in order; in the place of a message that brings nothing, what is wrong with it.

    A NotForward is the last.
    """
    begin = b"\xc1"  # how a message begins that is joined to those before it; none begins with that
    time = 0
    tag = ""
    entries: list[Buffer] = []
    splitter = _Splitter()
    try:
        for message in messages:
            if message.startswith(begin):
                entries.append(message[time:])
                continue
            if entries:
                yield _joined(tag, entries)
                entries = []
            try:
                start = _time_of_single(message) if len(message) <= JOINED_SIZE else 0
                if start:
                    tag = _tag(message, 1)
                    time = start
                    begin = bytes(message[: time + 1])
                    entries.append(message[time:])
                elif message[0] != NIL:  # which is a heartbeat
                    yield decode(message, splitter)
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


def decode(message: Buffer, splitter: _Splitter) -> Events:
    """What one message brings. BadInput, TooLarge: what is wrong with it; NotForward: it is no message at all."""
    first = message[0]
    if first not in ARRAYS:
        hint = OTHERS.get(first, "Let it send MessagePack to this port, as fluentd's out_forward does.")
        raise NotForward(f"it does not speak the Forward protocol. {hint}")
    header = ARRAY_HEADERS.get(first, 1)
    length = first & 0x0F if header == 1 else int.from_bytes(message[1:header], "big")
    _, start = string_at(message, header)
    if length < 2 or not start:
        raise BadInput("a message has a tag and entries, and this one has not")
    tag = _tag(message, header)
    kind = message[start]
    values = 2 if kind in TIMES else 1
    if length - values not in (1, 2):
        raise BadInput(f"a message of the tag {tag!r} has {length} elements, which is none of the modes of events")
    has_options = length - values == 2
    if kind in STRINGS:
        begin, end = string_at(message, start)
        options = splitter.split(message, end, 0)[1] if has_options else {}
        data = bytes(message[begin:end])
        compressed = _compressed(options) or (PLAIN if len(data) > PIECE else "")
        events = Events(tag, data, _chunk(options), compressed, options.get("size"))
        if not compressed:
            check(events)
        return events
    end, options = splitter.split(message, start, values) if has_options else (len(message), {})
    if kind in TIMES:
        return Events(tag, ENTRY + message[start:end], _chunk(options))
    if kind not in ARRAYS:
        raise BadInput(f"behind the tag {tag!r} stand neither entries nor a time and a record")
    data = bytes(message[start + ARRAY_HEADERS.get(kind, 1) : end])
    _check_first(tag, data)
    return Events(tag, data, _chunk(options))


class _Splitter:
    """Finds the options of messages that are known to be MessagePack."""

    def __init__(self) -> None:
        self._scanner: Any = None

    def split(self, message: Buffer, start: int, values: int) -> tuple[int, dict[Any, Any]]:
        """Where so many values end that begin at `start`, and the options that follow them, to the message's end."""
        scanner = self._scanner or msgpack.Unpacker(
            max_buffer_size=0, read_size=KIB, strict_map_key=False, unicode_errors="surrogateescape"
        )
        self._scanner = None  # until it has come to the end again
        base = start - scanner.tell()
        scanner.feed(message[start:])
        for _ in range(values):
            scanner.skip()
        end: int = base + scanner.tell()
        size = len(message) - end
        if size > OPTIONS_SIZE:
            raise TooLarge(f"the options of a message have {size} bytes, and {OPTIONS_SIZE} is the most that is taken")
        try:
            options = scanner.unpack()
        except (ValueError, TypeError) as error:  # such as a map whose key is a map
            raise BadInput(f"the options of a message can't be read: {error}") from error
        self._scanner = scanner
        if options is None:
            return end, {}
        if not isinstance(options, dict):
            raise BadInput("the options of a message are not a map")
        return end, options


def expand(events: Events) -> Events:
    """Events whose entries are decompressed, and checked. Errors: as `decode`'s."""
    data = events.data
    if events.compressed != PLAIN:
        data = _decompress(data, DECOMPRESSORS[events.compressed])
    expanded = events._replace(data=data, compressed="")
    check(expanded)
    return expanded


def check(events: Events) -> None:
    """BadInput unless packed entries are whole MessagePack values of which the first is an entry."""
    data = events.data
    _check_first(events.tag, data)
    if not (_has(data, events.size) or _is_whole(data)):
        raise BadInput(f"a chunk of the tag {events.tag!r} does not consist of whole entries in MessagePack")


def _check_first(tag: str, data: bytes) -> None:
    if data and not data.startswith(ENTRIES):
        raise BadInput(f"a chunk of the tag {tag!r} does not consist of entries [time, record]")


def _has(data: bytes, size: Any) -> bool:
    """Whether data consists of so many values: as one array."""
    if type(size) is not int or not 0 < size <= len(data):
        return False
    scanner = _scanner()
    scanner.feed(struct.pack(">BI", 0xDD, size))
    for piece in _pieces(data):
        scanner.feed(piece)
        try:
            scanner.skip()
        except msgpack.OutOfData:
            continue
        except (ValueError, msgpack.UnpackException):
            return False
        return bool(scanner.tell() == len(data) + 5)
    return False


def _is_whole(data: bytes) -> bool:
    """Whether data consists of whole values."""
    scanner = _scanner()
    skip, tell = scanner.skip, scanner.tell
    fed = 0
    is_whole = True
    for piece in _pieces(data):
        scanner.feed(piece)
        fed += len(piece)
        try:
            while tell() < fed:
                skip()
            is_whole = True
        except msgpack.OutOfData:
            is_whole = False
        except (ValueError, msgpack.UnpackException):
            return False
    return is_whole


def _pieces(data: bytes) -> Iterator[memoryview]:
    """Data in pieces that the cache holds: a scanner keeps a copy of what it is given, and forgets what it has seen."""
    view = memoryview(data)
    return (view[offset : offset + PIECE] for offset in range(0, len(view), PIECE))


def _scanner() -> Any:
    return msgpack.Unpacker(max_buffer_size=0, read_size=KIB)


def _time_of_single(message: Buffer) -> int:
    """Where the time begins in a message of one event without options; 0 in any other."""
    if message[0] != SINGLE:
        return 0
    _, end = string_at(message, 1)
    return end if end and message[end] in TIMES else 0


def _joined(tag: str, entries: list[Buffer]) -> Events:
    return Events(tag, ENTRY + ENTRY.join(entries))


def _tag(message: Buffer, offset: int) -> str:
    """The tag whose header is at an offset. BadInput: it is not UTF-8."""
    start, end = string_at(message, offset)
    value = bytes(message[start : min(end, start + TAG_SIZE)])
    if end - start > TAG_SIZE:
        raise BadInput(
            f"a tag has at most {TAG_SIZE} bytes, and the one that begins with {value[:50]!r} has {end - start}"
        )
    try:
        return value.decode()
    except UnicodeDecodeError:
        raise BadInput(f"the tag {value!r} is not UTF-8") from None


def _chunk(options: dict[Any, Any]) -> str | bytes | None:
    chunk = options.get("chunk")
    if chunk is not None and not (isinstance(chunk, (str, bytes)) and 0 < len(chunk) <= CHUNK_ID_SIZE):
        raise BadInput(f"the option chunk is not a text of 1 to {CHUNK_ID_SIZE} characters")
    return chunk


def _compressed(options: dict[Any, Any]) -> str:
    """In what the entries are compressed, if they are."""
    name = options.get("compressed", PLAIN)
    if name == PLAIN or name is None:
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
