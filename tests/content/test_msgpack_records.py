from __future__ import annotations

import msgpack
import pytest

from Products.ERP5Wendelin.content import msgpack_records
from Products.ERP5Wendelin.content.msgpack_records import PIECE, RECORD_SIZE, records
from Products.ERP5Wendelin.errors import BadInput, TooLarge

VALUES = [["tag", 1, {"a": 1.5}], "é", b"\xff" * 300, None, list(range(1000))]
PACKED = [msgpack.packb(value) for value in VALUES]
ENDS = [sum(map(len, PACKED[: index + 1])) for index in range(len(PACKED))]


def read(*chunks, start=0):
    return list(records(chunks, start, "the log"))


def test_each_record_comes_with_the_offset_where_it_ends():
    assert read(b"".join(PACKED)) == list(zip(VALUES, ENDS, strict=True))
    assert [end for _, end in read(b"".join(PACKED), start=1000)] == [1000 + end for end in ENDS]
    assert read() == read(b"") == []


def test_records_may_be_cut_into_chunks_anywhere():
    whole = b"".join(PACKED)
    for cut in range(len(whole)):
        assert read(whole[:cut], whole[cut:]) == list(zip(VALUES, ENDS, strict=True))


def test_a_record_that_is_cut_off_at_the_end_is_left_for_the_next_time():
    whole = b"".join(PACKED)
    for stop in range(len(whole)):
        found = read(whole[:stop])
        end = found[-1][1] if found else 0
        assert end == max((end for end in ENDS if end <= stop), default=0)
        assert found + read(whole[end:], start=end) == list(zip(VALUES, ENDS, strict=True))


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        (b"\xc1", "no value begins like that"),
        (b"\x93\x01\xc1", "no value begins like that"),
        (b"\x91" * 3000, "it is nested too deeply"),
    ],
    ids=["never used", "in an array", "nested too deeply"],
)
def test_bytes_that_are_no_msgpack_are_bad_input_with_the_offset_where_they_begin(bad, reason):
    found = []
    with pytest.raises(BadInput) as caught:
        found.extend(records([PACKED[0], PACKED[1] + bad], 10, "the log"))
    assert str(caught.value) == (
        f"What begins at byte {10 + ENDS[1]} of the log is not MessagePack: {reason}. "
        "What is before it can be read by itself."
    )
    assert caught.value.extra == {"offset": 10 + ENDS[1]}
    assert read((PACKED[0] + PACKED[1])[: caught.value.extra["offset"] - 10]) == list(
        zip(VALUES[:2], ENDS, strict=False)
    )


def test_records_before_malformed_bytes_are_given_first():
    iterator = records([PACKED[0] + b"\xc1"], 0, "the log")
    assert next(iterator) == (VALUES[0], ENDS[0])
    with pytest.raises(BadInput):
        next(iterator)


def test_a_map_with_keys_that_no_dict_can_have_is_bad_input():
    with pytest.raises(
        BadInput, match=r"^What begins at byte 0 of the log is not MessagePack: unhashable type: 'list'\."
    ):
        read(b"\x81\x91\x01\x02")


def test_text_that_is_not_utf_8_keeps_its_bytes_and_maps_have_any_keys():
    [(record, _)] = read(b"\x81\x05\xa2\xff\x61")
    assert record == {5: "\udcffa"}
    assert record[5].encode("utf-8", "surrogateescape") == b"\xffa"


def test_a_record_longer_than_a_transaction_may_write_is_too_large(monkeypatch):
    assert RECORD_SIZE == 64 * 2**20
    monkeypatch.setattr(msgpack_records, "RECORD_SIZE", 2 * PIECE)
    fits = bytes(2 * PIECE - 5)
    assert read(msgpack.packb(1) + msgpack.packb(fits)) == [(1, 1), (fits, 2 * PIECE + 1)]
    taken = []

    def chunks():
        yield b"\x01\xc6" + (100 * PIECE).to_bytes(4, "big")
        for index in range(100):
            taken.append(index)
            yield bytes(PIECE)

    with pytest.raises(TooLarge) as caught:
        list(records(chunks(), 0, "the log"))
    assert str(caught.value) == "The record that begins at byte 1 of the log is longer than 2 MiB: read it as bytes."
    assert caught.value.extra == {"offset": 1}
    assert len(taken) == 2
