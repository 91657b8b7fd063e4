"""What messages bring in each mode, and what is wrong with those that bring nothing."""

from __future__ import annotations

import gzip
import struct

import msgpack
import pytest
from backports import zstd
from hypothesis import given
from hypothesis import strategies as st

from Products.ERP5Wendelin.errors import BadInput, TooLarge
from Products.ERP5Wendelin.ingestion.forward import message
from Products.ERP5Wendelin.ingestion.forward.framing import NotForward
from Products.ERP5Wendelin.ingestion.forward.message import (
    CHUNK_ID_SIZE,
    MEMBERS,
    OPTIONS_SIZE,
    TAG_SIZE,
    Events,
    expand,
    read,
)
from Products.ERP5Wendelin.protocol import KIB, MIB, SLICE_SIZE
from support.forward import entries, event

TIMES = {
    "fixext 8": msgpack.packb(msgpack.ExtType(0, bytes(8))),
    "ext 8": b"\xc7\x08\x00" + bytes(8),
    "integer": msgpack.packb(1_700_000_000),
    "small integer": b"\x00",
    "negative": b"\xff",
    "float": msgpack.packb(1.5),
}


def packed(*values: object) -> bytes:
    data: bytes = msgpack.packb(values)
    return data


def only(data: bytes) -> Events:
    """What one message brings."""
    (events,) = read([data])
    assert isinstance(events, Events), events
    return events


def wrong(data: bytes) -> tuple[type, str]:
    """What is wrong with one message."""
    (error,) = read([data])
    return type(error), str(error)


def too_wrong(events: Events) -> str:
    with pytest.raises((BadInput, TooLarge)) as error:
        expand(events)
    return str(error.value)


# modes


@pytest.mark.parametrize("time", TIMES.values(), ids=TIMES)
@pytest.mark.parametrize("form", [lambda data: data, bytearray], ids=["bytes", "bytearray"])
def test_an_event_is_stored_in_the_bytes_of_its_time_and_record(time, form):
    record = b"\x81\xa1n\xcd\x00\x01"  # an integer in more bytes than it takes
    assert only(form(b"\x93\xa3tag" + time + record)) == Events("tag", b"\x92" + time + record)
    with_options = only(form(b"\x94\xa3tag" + time + record + packed_map(chunk="c")))
    assert with_options == Events("tag", b"\x92" + time + record, "c")
    assert only(form(b"\xdc\x00\x03\xa3tag" + time + record)) == Events("tag", b"\x92" + time + record)


def packed_map(**options: object) -> bytes:
    data: bytes = msgpack.packb(options)
    return data


@pytest.mark.parametrize("count", [0, 1, 15, 16, 70_000])
def test_entries_of_an_array_are_stored_in_their_bytes(count):
    header = bytes([0x90 + count]) if count < 16 else struct.pack(">BI", 0xDD, count)
    data = entries(count)
    assert only(b"\x92\xa3tag" + header + data) == Events("tag", data)
    assert only(b"\x93\xa3tag" + header + data + packed_map(chunk="c", size=count)) == Events("tag", data, "c")


@pytest.mark.parametrize(
    "header", [b"\xd9\x1c", b"\xda\0\x1c", b"\xdb\0\0\0\x1c", b"\xc4\x1c", b"\xc5\0\x1c", b"\xc6\0\0\0\x1c"]
)
@pytest.mark.parametrize("options", [b"", b"\x80", b"\xc0"])
def test_packed_entries_are_stored_as_they_are_in_text_or_bytes(header, options):
    data = b"\x92\xcb" + bytes(8) + b"\x81\xa2\xc3\xa9\x00" + b"\x92\x00\x81\xa8" + b"\xff" * 8 + b"\x05"
    assert len(data) == 0x1C
    first = b"\x93" if options else b"\x92"
    assert only(first + b"\xa3tag" + header + data + options) == Events("tag", data)


@pytest.mark.parametrize("size", [None, 0, 3, 2, 4, -1, 2**40, "3", True, 3.0])
def test_whatever_the_option_size_says_entries_are_taken_if_they_are_whole(size):
    data = entries(3)
    events = only(packed("tag", data, {"size": size, "chunk": "c"}))
    assert (events.data, events.chunk) == (data, "c")


@pytest.mark.parametrize("size", [None, 2, 100_000])
def test_many_packed_entries_are_left_to_be_checked_and_then_checked_piece_by_piece(size):
    data = entries(40_000, "x" * 60)
    assert len(data) > 4 * message.PIECE
    events = only(packed("tag", data, {"size": size} if size else {}))
    assert events == Events("tag", data, None, "text", size)
    assert expand(events) == Events("tag", data, None, "", size)
    assert too_wrong(events._replace(data=data[:-1])) == (
        "a chunk of the tag 'tag' does not consist of whole entries in MessagePack"
    )


@pytest.mark.parametrize("chunk", ["abc", b"abc", "\udcff", "x" * CHUNK_ID_SIZE])
def test_a_chunk_is_a_text_or_bytes_and_kept_as_which(chunk):
    data = msgpack.packb(["tag", entries(1), {"chunk": chunk}], unicode_errors="surrogateescape")
    assert only(data).chunk == chunk


def test_fluent_bits_entries_with_metadata_are_stored_as_they_are():
    data = packed([msgpack.ExtType(0, bytes(8)), {"meta": 1}], {"a": 1})
    assert only(packed("tag", data, {"size": 1, "fluent_signal": 0})).data == data


def test_fluent_bits_entries_without_metadata_are_stored_as_they_are():
    long_entry = b"\xdd\x00\x00\x00\x02" + event(1)[1:]
    assert only(b"\x92\xa3tag\x92" + 2 * long_entry).data == 2 * long_entry


def test_a_heartbeat_brings_nothing():
    assert list(read([b"\xc0", b"\xc0"])) == []


def test_events_that_come_together_are_joined_by_tags_in_their_order():
    def one(tag: str, number: int) -> bytes:
        return b"\x93" + msgpack.packb(tag) + event(number)[1:]

    with_options = b"\x94\xa1a" + event(4)[1:] + packed_map(chunk="c")
    messages = [one("a", 0), one("a", 1), one("b", 2), one("a", 3), with_options, one("a", 5), b"\xc0", one("a", 6)]
    assert list(read(messages)) == [
        Events("a", event(0) + event(1)),
        Events("b", event(2)),
        Events("a", event(3)),
        Events("a", event(4), "c"),
        Events("a", event(5)),
        Events("a", event(6)),
    ]


def test_events_whose_tags_begin_alike_are_not_joined():
    messages = [
        b"\x93\xa1a" + event(0)[1:],
        b"\x93\xa2aa" + event(1)[1:],
        b"\x93\xa1a\x05\x80",
        b"\x93\xa1a" + event(2)[1:],
    ]
    assert list(read(messages)) == [
        Events("a", event(0)),
        Events("aa", event(1)),
        Events("a", b"\x92\x05\x80"),
        Events("a", event(2)),
    ]


def test_nothing_is_joined_to_a_large_event_since_both_may_be_more_than_is_stored_at_once():
    large, small = packed("tag", 0, bytes(SLICE_SIZE - 11)), packed("tag", 0, b"")
    assert len(large) == SLICE_SIZE
    sizes = [len(events.data) for events in read([large, small, small])]
    assert sizes == [SLICE_SIZE - 4, 8]


def test_a_message_with_packed_entries_is_not_joined_to_events():
    single, other = b"\x93\xa1a\xd7" + bytes(9) + b"\x80", packed("a", entries(2), {"chunk": "c"})
    assert list(read([single, other, single])) == [
        Events("a", b"\x92" + single[3:]),
        Events("a", entries(2), "c"),
        Events("a", b"\x92" + single[3:]),
    ]


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["a", "b", "ab", "ä"]),
            st.sampled_from([0, 2**20, 2**40, 1.5]),
            st.integers(0, 9),
            st.booleans(),
        )
    )
)
def test_joined_or_not_each_event_arrives_once_and_in_the_order_of_its_tag(sent):
    messages = [
        packed(tag, time, {"n": number}, *([{"chunk": "c"}] if chunk else [])) for tag, time, number, chunk in sent
    ]
    arrived: dict[str, bytes] = {}
    for events in read(messages):
        assert isinstance(events, Events)
        arrived[events.tag] = arrived.get(events.tag, b"") + events.data
    assert arrived == {
        tag: b"".join(packed(time, {"n": number}) for each, time, number, _ in sent if each == tag)
        for tag in {tag for tag, *_ in sent}
    }


# what is wrong


@pytest.mark.parametrize(
    ("data", "error"),
    [
        (packed(), "a message has a tag and entries, and this one has not"),
        (packed("tag"), "a message has a tag and entries, and this one has not"),
        (packed(1, 2, {}), "a message has a tag and entries, and this one has not"),
        (packed(None, b""), "a message has a tag and entries, and this one has not"),
        (packed("tag", 0), "a message of the tag 'tag' has 2 elements, which is none of the modes of events"),
        (
            packed("tag", 0, {}, {}, {}),
            "a message of the tag 'tag' has 5 elements, which is none of the modes of events",
        ),
        (packed("tag", b"", {}, {}), "a message of the tag 'tag' has 4 elements, which is none of the modes of events"),
        (packed("tag", None, {}), "behind the tag 'tag' stand neither entries nor a time and a record"),
        (packed("tag", {}, {}), "behind the tag 'tag' stand neither entries nor a time and a record"),
        (b"\x92\xa1\xff\xc4\x00", "the tag b'\\xff' is not UTF-8"),
        (b"\x93\xa1\xff\x00\x80", "the tag b'\\xff' is not UTF-8"),
        (
            packed("x" * (TAG_SIZE + 1), b""),
            f"a tag has at most 2048 bytes, and the one that begins with {b'x' * 50!r} has 2049",
        ),
        (
            packed("x" * 5000, 0, {}),
            f"a tag has at most 2048 bytes, and the one that begins with {b'x' * 50!r} has 5000",
        ),
        (packed("tag", b"", []), "the options of a message are not a map"),
        (packed("tag", 0, {}, "x"), "the options of a message are not a map"),
        (b"\x93\xa1t\xc4\x00\x81\x80\x01", "the options of a message can't be read: unhashable type: 'dict'"),
        (
            b"\x93\xa1t\xc4\x00\xd7\xff" + b"\xff" * 8,
            "the options of a message can't be read: "
            "nanoseconds must be a non-negative integer not greater than 999999999.",
        ),
        (packed("tag", b"", {"chunk": 1}), "the option chunk is not a text of 1 to 1024 characters"),
        (packed("tag", b"", {"chunk": ""}), "the option chunk is not a text of 1 to 1024 characters"),
        (packed("tag", b"", {"chunk": "x" * 1025}), "the option chunk is not a text of 1 to 1024 characters"),
        (
            packed("tag", b"", {"compressed": "br"}),
            "entries come in 'br', and of compressions gzip and zstd are known here",
        ),
        (packed("tag", b"", {"compressed": 1}), "entries come in 1, and of compressions gzip and zstd are known here"),
        (packed("tag", b"hello"), "a chunk of the tag 'tag' does not consist of entries [time, record]"),
        (packed("tag", [1, 2]), "a chunk of the tag 'tag' does not consist of entries [time, record]"),
        (packed("tag", b'[{"a": 1}]'), "a chunk of the tag 'tag' does not consist of entries [time, record]"),
        (packed("tag", event(1)[:-1]), "a chunk of the tag 'tag' does not consist of whole entries in MessagePack"),
        (
            packed("tag", event(1) + b"\xc1"),
            "a chunk of the tag 'tag' does not consist of whole entries in MessagePack",
        ),
        (
            packed("tag", b"\x92\x00" + b"\x91" * 2000, {"size": 1}),
            "a chunk of the tag 'tag' does not consist of whole entries in MessagePack",
        ),
    ],
)
def test_a_message_in_none_of_the_modes_is_refused_and_the_next_one_taken(data, error):
    good = packed("tag", entries(1))
    found = list(read([data, good]))
    assert found[-1] == Events("tag", entries(1))
    assert (type(found[0]), str(found[0])) == (BadInput, error)


def test_options_are_bounded_since_they_become_objects():
    assert wrong(packed("tag", entries(1), {"x": bytes(OPTIONS_SIZE)})) == (
        TooLarge,
        "the options of a message have 65544 bytes, and 65536 is the most that is taken",
    )


@pytest.mark.parametrize(
    ("data", "hint"),
    [
        (
            b"\x16",
            "It speaks TLS, and this server does not: set --tls-certificate and --tls-key here, or turn TLS off there.",
        ),
        (b"{", "It sends JSON: choose MessagePack there."),
        (b"[", "It sends JSON: choose MessagePack there."),
        (b"G", "It speaks HTTP: send that to the lake's own address, …/portal_ingestion_policies/ID/ingest."),
        (b"\x80", "Let it send MessagePack to this port, as fluentd's out_forward does."),
        (b"\xa3abc", "Let it send MessagePack to this port, as fluentd's out_forward does."),
    ],
)
def test_what_is_no_message_at_all_ends_it_and_says_what_it_may_be(data, hint):
    first, error = read([b"\x93\xa3tag" + event(1)[1:], data, packed("tag", entries(1))])
    assert first == Events("tag", event(1))
    assert (type(error), str(error)) == (NotForward, f"it does not speak the Forward protocol. {hint}")


# compressed


def gzipped(data: bytes) -> bytes:
    return gzip.compress(data, mtime=0)


@pytest.mark.parametrize(("name", "compress"), [("gzip", gzipped), ("zstd", zstd.compress)])
@pytest.mark.parametrize("members", [0, 1, 2, 50])
def test_compressed_entries_are_stored_decompressed_however_many_members_they_come_in(name, compress, members):
    data = b"".join(compress(entries(3, "x" * number * 100)) for number in range(members))
    events = only(packed("tag", data, {"chunk": "c", "compressed": name, "size": 3 * members}))
    assert events == Events("tag", data, "c", name, 3 * members)
    expected = b"".join(entries(3, "x" * number * 100) for number in range(members))
    assert expand(events) == Events("tag", expected, "c", "", 3 * members)


def test_text_is_fluentds_word_for_what_is_not_compressed():
    assert only(packed("tag", entries(2), {"compressed": "text"})) == Events("tag", entries(2))
    assert only(packed("tag", entries(2), {"compressed": None})) == Events("tag", entries(2))


@pytest.mark.parametrize(("name", "compress"), [("gzip", gzipped), ("zstd", zstd.compress)])
def test_what_decompresses_to_no_entries_is_refused(name, compress):
    error = too_wrong(Events("tag", compress(b"\x92\x01"), "c", name))
    assert error == "a chunk of the tag 'tag' does not consist of whole entries in MessagePack"


@pytest.mark.parametrize(("name", "compress"), [("gzip", gzipped), ("zstd", zstd.compress)])
def test_compressed_entries_that_are_cut_off_are_refused(name, compress):
    whole = compress(entries(100))
    for end in (1, len(whole) // 2, len(whole) - 1):
        assert too_wrong(Events("tag", whole[:end], "c", name)) == "compressed entries are cut off"
    assert too_wrong(Events("tag", whole + whole[:-1], "c", name)) == "compressed entries are cut off"


def test_what_is_not_compressed_at_all_is_refused():
    assert too_wrong(Events("tag", entries(1), "c", "gzip")) == (
        "compressed entries can't be decompressed: Error -3 while decompressing data: incorrect header check"
    )
    assert too_wrong(Events("tag", entries(1), "c", "zstd")).startswith("compressed entries can't be decompressed: ")


def test_a_wrong_check_sum_is_refused():
    data = bytearray(gzipped(entries(3)))
    data[-8] ^= 1
    assert "incorrect data check" in too_wrong(Events("tag", bytes(data), "c", "gzip"))


@pytest.mark.parametrize(
    ("name", "bomb"),
    [
        ("gzip", gzip.compress(bytes(SLICE_SIZE + 1))),
        ("gzip", gzip.compress(bytes(4 * MIB)) * 17),
        ("zstd", zstd.compress(bytes(SLICE_SIZE + 1))),
        ("zstd", zstd.compress(bytes(4 * MIB)) * 17),
    ],
)
def test_a_bomb_is_refused_at_the_limit(name, bomb):
    assert len(bomb) < 100 * KIB
    assert too_wrong(Events("tag", bomb, "c", name)) == (
        "compressed entries stand for more than 67108864 bytes, which is the most"
    )


def test_a_zstd_frame_that_asks_for_much_memory_is_refused():
    options = {zstd.CompressionParameter.window_log: 27}
    compressor = zstd.ZstdCompressor(options=options)
    frame = compressor.compress(entries(1)) + compressor.flush()
    assert "can't be decompressed" in too_wrong(Events("tag", frame, "c", "zstd"))


@pytest.mark.parametrize(("name", "empty"), [("gzip", gzipped(b"")), ("zstd", zstd.compress(b""))])
def test_members_without_end_are_refused(name, empty):
    assert expand(Events("tag", empty * 100, "c", name)).data == b""
    assert too_wrong(Events("tag", empty * (MEMBERS + 1), "c", name)) == (
        "compressed entries come in more than 100000 members"
    )
