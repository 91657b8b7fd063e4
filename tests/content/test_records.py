from __future__ import annotations

import json
import struct
import tracemalloc
from itertools import pairwise

import msgpack
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from Products.ERP5Wendelin.content import records as module
from Products.ERP5Wendelin.content.records import TIME_MAX, TIME_MIN, WINDOW, Record, Zone, length_of, records, zones
from Products.ERP5Wendelin.errors import BadInput, TooLarge
from support.streams import NOON, SECOND, event, events


def read(*chunks, start=0):
    return list(records(chunks, start, "the log"))


def times(data):
    return [record.time for record in read(data)]


def entry(time, record=None):
    return msgpack.packb([time, record or {}])


def folded(data):
    """The zones of bytes as one."""
    found = list(zones(data))
    return Zone(
        sum(zone.size for zone in found),
        min((zone.earliest for zone in found), default=TIME_MAX),
        max((zone.latest for zone in found), default=TIME_MIN),
        any(zone.timeless for zone in found),
        all(zone.clean for zone in found),
    )


FORMS = {
    "EventTime": event(NOON + 5, {"a": 1}),
    "EventTime in a longer form": b"\x92\xc7\x08\x00"
    + struct.pack(">II", *divmod(NOON + 5, SECOND))
    + b"\x81\xa1a\x01",
    "seconds": entry(NOON // SECOND, {"a": 1}),
    "a float of seconds": entry(NOON / SECOND + 0.25, {"a": 1}),
    "a Timestamp": entry(msgpack.Timestamp(NOON // SECOND, 7), {"a": 1}),
    "Fluent Bit's metadata": msgpack.packb([[NOON // SECOND, {}], {"a": 1}]),
    "Fluent Bit without metadata": b"\xdd\x00\x00\x00\x02" + event(NOON + 5, {"a": 1})[1:],
    "metadata in a long header": b"\xdc\0\x02\xdd\0\0\0\x02" + event(NOON + 5, {})[1:] + b"\x81\xa1a\x01",
    "a map": msgpack.packb({"a": 1, "date": NOON // SECOND}),
    "JSON with seconds": b'{"a": 1, "timestamp": %d.5}' % (NOON // SECOND),
    "JSON with a date": b'{"@timestamp": "2026-11-22T13:00:00.000000009+01:00", "a": 1}',
}
TIMES = [NOON + 5, NOON + 5, NOON, NOON + SECOND // 4, NOON + 7, NOON, NOON + 5, NOON + 5]
TIMES += [NOON, NOON + SECOND // 2, NOON + 9]


@pytest.mark.parametrize(("data", "time"), list(zip(FORMS.values(), TIMES, strict=True)), ids=FORMS)
def test_records_come_with_their_time_in_nanoseconds_and_where_they_end(data, time):
    assert [(found.time, found.end) for found in read(data, start=100)] == [(time, 100 + len(data))]
    assert folded(data) == Zone(len(data), time, time)


@pytest.mark.parametrize(
    "data",
    [
        entry(2**40),
        entry(float("nan")),
        entry(1e308),
        entry(msgpack.ExtType(5, b"12345678")),
        entry(msgpack.ExtType(0, b"\0\0\0\0\xff\xff\xff\xff")),
        entry(msgpack.Timestamp(2**40, 0)),
        msgpack.packb({}),
        msgpack.packb({"time": [1], "date": 1}),
        msgpack.packb({"time": True}),
        msgpack.packb({1: "time", b"time": 1, "Time": 1}),
        b'{"time": null}',
        b'{"time": true}',
        b'{"time": "noon"}',
        b'{"time": "2400-01-01T00:00:00Z"}',
        b'{"time": NaN}',
        b'{"Time": 1}',
        b'{"time": 1700000000000}',  # milliseconds: the year 55840
    ],
)
def test_times_that_cannot_be_understood_are_none(data):
    assert times(data) == [None]
    assert folded(data) == Zone(len(data), timeless=True)


def test_entries_of_any_content_are_records():
    assert read(entry(1, "text")) == [Record(SECOND, "text", 7)]


def test_arrays_and_lines_of_json_are_read_alike():
    values = [{"a": 1}, {"b": ["é", {"c": "]}"}]}, {}]
    texts = [json.dumps(value, ensure_ascii=False) for value in values]
    for text in (
        "\n".join(texts),
        f"[{', '.join(texts)}]\n",
        "".join(texts),
        f"\x1e{texts[0]}\n\x1e{texts[1]}{texts[2]}",
    ):
        data = text.encode()
        found = read(data)
        assert [record.value for record in found] == values
        for record in found:
            assert [later.value for later in read(data[record.end :])] == values[found.index(record) + 1 :]
        assert folded(data) == Zone(len(data), timeless=True)


def test_messagepack_and_json_may_follow_one_another():
    data = b"".join(FORMS.values()) * 3
    assert times(data) == TIMES * 3
    assert folded(data) == Zone(len(data), min(TIMES), max(TIMES))


def test_what_is_no_utf_8_keeps_its_bytes():
    assert [record.value for record in read(b'{"a": "\xff"}', b"\x92\x01\x81\xa1a\xa1\xff")] == [{"a": "\udcff"}] * 2


chunks = st.lists(st.sampled_from([*FORMS.values(), b"\n", b"[", b"]\n", events(50)]), max_size=20)


@given(chunks, st.lists(st.integers(0, 5_000), max_size=6))
@settings(max_examples=150, deadline=None)
def test_records_may_be_cut_into_chunks_anywhere(parts, cuts):
    data = b"".join(parts)
    borders = sorted({0, len(data), *(min(cut, len(data)) for cut in cuts)})
    pieces = [data[start:stop] for start, stop in pairwise(borders)]
    whole = read(data)
    assert read(*pieces) == whole
    known = [record.time for record in whole]
    assert folded(data) == Zone(len(data), min(known, default=TIME_MAX), max(known, default=TIME_MIN))


@given(chunks.map(b"".join), st.data())
@settings(max_examples=100, deadline=None)
def test_what_is_cut_off_at_the_end_is_left_for_the_next_time(data, draw):
    stop = draw.draw(st.integers(0, len(data)))
    found = read(data[:stop])
    end = found[-1].end if found else 0
    assert end <= stop
    assert found + read(data[end:], start=end) == read(data)


@given(
    chunks.map(b"".join),
    st.lists(st.tuples(st.integers(0, 2_000), st.integers(0, 9), st.binary(max_size=9)), max_size=4),
)
@settings(max_examples=200, deadline=None)
def test_whatever_arrives_has_zones_that_say_what_a_reader_finds(data, changes):
    for start, length, new in changes:
        data = data[:start] + new + data[start + length :]
    found = list(zones(data))
    assert sum(zone.size for zone in found) == len(data)
    clean = sum(zone.size for zone in found if zone.clean)
    times, failed = [], len(data)
    try:
        times.extend(record.time for record in records([data], 0, "it") if record.end <= clean)
    except BadInput as error:
        failed = error.extra["offset"]
    known = [time for time in times if time is not None]
    zone = folded(data[:clean])
    assert zone.earliest <= min(known, default=TIME_MAX)
    assert zone.latest >= max(known, default=TIME_MIN)
    assert zone.timeless >= (None in times)
    if failed >= clean:  # otherwise there is a record that cannot be made, such as a map whose key is a list
        assert (zone.earliest, zone.latest) == (min(known, default=TIME_MAX), max(known, default=TIME_MIN))
        assert zone.timeless == (None in times)


def test_records_longer_than_any_window_are_read():
    long = [entry(1, {"a": "x" * 3_000_000}), json.dumps({"a": "é" * 100_000}, ensure_ascii=False).encode()]
    data = events(3) + long[0] + long[1] + events(3)
    found = read(*(data[start : start + 2**20] for start in range(0, len(data), 2**20)))
    assert [len(record.value.get("a", "")) for record in found] == [0, 0, 0, 3_000_000, 100_000, 0, 0, 0]
    assert folded(data) == Zone(len(data), SECOND, NOON + 2 * SECOND, timeless=True)


BAD = {
    "\x00": "none begins with 0x00",
    "no record": "none begins with 0x6e",
    b"\xc1": "none begins with 0xc1",
    b"\x92\xc1": "no value begins like that",
    b"\x81\xa1a" + b"\x91" * 3_000: "it is nested too deeply",
    b"\x92\xa1a\x80": "an entry is a time and a record, and str is no time",
    b"\xdc\x00\x03\x00\x01\x02": "an entry is a time and a record, and not 3 values",
    b"\x92\xc3\x80": "an entry is a time and a record, and bool is no time",
    b"\xdc\0\x03\1\2\3": "an entry is a time and a record, and not 3 values",
    '{"a": 1 "b"}' + " " * 20: "it is not JSON: Expecting ',' delimiter",
    '{"a": ' + "[" * 100_000 + "{": "it is nested too deeply",
    '{"a": "line\nend"}': "it is not JSON: Invalid control character at",
}


@pytest.mark.parametrize(("bad", "reason"), list(BAD.items()), ids=range(len(BAD)))
def test_what_is_no_record_is_bad_input_with_the_offset_where_it_begins(bad, reason):
    bad = bad.encode() if isinstance(bad, str) else bad
    before = events(3)
    found = []
    with pytest.raises(BadInput) as caught:
        found.extend(record.end for record in records([before + bad + events(300)], 10, "the log"))
    offset = 10 + len(before)
    assert str(caught.value) == (
        f"What begins at byte {offset} of the log is no record: {reason}. What is before it can be read by itself."
    )
    assert caught.value.extra == {"offset": offset}
    assert folded(before) == Zone(len(before), NOON, NOON + 2 * SECOND)
    assert list(zones(before + bad))[-1] == Zone(len(bad), clean=False)


def test_numbers_of_thousands_of_digits_are_refused():
    with pytest.raises(BadInput, match="is no record: it is not JSON: Exceeds the limit"):
        read(b'{"a": ' + b"1" * 100_000 + b"}")


def test_a_record_that_is_too_long_is_refused_with_its_offset(monkeypatch):
    monkeypatch.setattr(module, "RECORD_SIZE", 4 * WINDOW)
    with pytest.raises(TooLarge) as caught:
        read(events(1), b'{"a": "' + b"x" * 5 * WINDOW + b'"}')
    offset = len(events(1))
    assert str(caught.value) == (
        f"The record that begins at byte {offset} of the log is longer than 0 MiB: read it as bytes."
    )
    assert caught.value.extra == {"offset": offset}


EMPTY_LISTS = b"\xdd\x00\x20\x00\x00" + b"\x90" * 2**21


@pytest.mark.parametrize(
    "bomb",
    [
        b"\x92\xcb" + bytes(8) + EMPTY_LISTS,
        b"\x92\x92\x01" + EMPTY_LISTS + b"\x80",
        b"\x82\xa1a" + EMPTY_LISTS + EMPTY_LISTS + b"\x01",
        b"\x81\xa4time" + EMPTY_LISTS,
        b'{"a": [' + b"[]," * 2**19 + b"1]}",
    ],
    ids=["record", "metadata", "key", "time", "JSON"],
)
def test_zones_of_what_would_be_millions_of_objects_take_little_memory(bomb):
    tracemalloc.start()
    try:
        folded(bomb)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert len(bomb) > 2**20
    assert peak < 32 * 2**20  # decoded, each of these takes 36 MiB or more


@pytest.mark.parametrize(
    "tiny", [b"\x80", b"{}", b"{}\x80", b"\x92\x00\x80{}", b"\x92\xd7\x00" + bytes(8) + b"\x80\x80"]
)
def test_only_so_many_tiny_records_are_looked_at_and_nothing_is_known_of_the_others(tiny, monkeypatch):
    monkeypatch.setattr(module, "EFFORT_FREE", 100)
    looked_at = []
    zone_of = module._zone

    def counted(window, most):
        zone, count = zone_of(window, most)
        looked_at.append(1 + len(window) // 64 + count)
        return zone, count

    monkeypatch.setattr(module, "_zone", counted)
    data = tiny * (2**18 // len(tiny))
    found = list(zones(data))
    assert sum(zone.size for zone in found) == len(data)
    assert [zone.clean for zone in found[-2:]] == [True, False]
    assert sum(looked_at) <= 100 + len(data) // 16 + 2**18 // 64
    assert found[-1].size > len(data) // 2


def test_all_records_of_an_agent_that_sends_small_ones_are_looked_at():
    data = b"".join(b'{"time":%d,"a":1}\n' % (1_700_000_000 + number) for number in range(50_000))
    assert folded(data) == Zone(len(data), 1_700_000_000 * SECOND, 1_700_049_999 * SECOND)


@pytest.mark.parametrize("count", [4_000, 5_000, 300_000])
@pytest.mark.parametrize("time", [NOON // SECOND, (NOON + 0.5) / SECOND])
def test_record_may_have_more_elements_than_are_read_at_a_time(count, time):
    wave, tones = [number % 100 for number in range(count)], {f"{number}": 0 for number in range(count // 2)}
    data = entry(time, {"wave": wave}) + entry(time, tones) + event(NOON, {"a": 1})
    assert [record.value for record in read(data)][:2] == [{"wave": wave}, tones]
    assert len(read(data)) == 3
    assert len(read(data[: len(entry(time, {"wave": wave})) - 1])) == 0


def test_keys_may_be_no_text_in_records_that_are_not_long():
    values = [{"a": 1}, {1: 2, None: {1.5: 3}}, {"b": {2: 3}}, {"c": 4}]
    assert [record.value for record in read(b"".join(entry(1, value) for value in values))] == values
    for long in ({1: 1, "text": "x" * 16_384}, dict.fromkeys(range(9_000), 1)):
        with pytest.raises(BadInput) as error:
            read(entry(1, {1: 1}) + entry(1, long))
        assert str(error.value) == (
            "What begins at byte 5 of the log is no record: with keys that are no text it has over 16384 bytes. "
            "What is before it can be read by itself."
        )


def test_length_of_a_record_is_known_without_making_it():
    data = entry(1, {"a": "x" * 100_000})
    assert length_of([data[:10], data[10:] + b"more"]) == len(data)
    assert length_of([data[:-1]]) is None
    assert length_of([b"\xc1"]) is None
    assert length_of([b'{"a": 1']) is None


@pytest.mark.parametrize("inner", [b"\x92\xd7\x00" + b"\xff" * 8 + b"\x80", b"\x92\xce\xff\xff\xff\xff\x80"])
def test_entries_within_a_record_are_no_times_of_the_stream(inner):
    data = b"".join(
        b"\x92\xd7\x00" + struct.pack(">II", *divmod(NOON + number, SECOND)) + b"\x81\xa1a" + inner
        for number in range(100)
    )
    assert folded(data) == Zone(len(data), NOON, NOON + 99)


def test_zones_are_of_a_size_and_end_with_a_record():
    data = events(20_000, size=60)
    found = list(zones(data))
    assert max(zone.size for zone in found) <= module.ZONE
    offset = 0
    for zone in found:
        numbers = [record.time for record in read(data[offset : offset + zone.size])]
        assert (numbers[0], numbers[-1]) == (zone.earliest, zone.latest)
        offset += zone.size
    assert offset == len(data)


@pytest.mark.parametrize("data", [bytearray(events(100)), memoryview(events(100)), b""])
def test_zones_of_whatever_has_bytes(data):
    assert folded(data).size == len(data)
