"""DataBucket: an ordered mapping whose values are records of their own."""

import pickle
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta, timezone

import numpy
import pytest
from persistent import GHOST
from ZODB import DB
from ZODB.Connection import Connection
from ZODB.MappingStorage import MappingStorage
from ZODB.POSException import ConflictError
from zope.interface.verify import verifyObject

from Products.ERP5Wendelin import errors
from Products.ERP5Wendelin.interfaces import IDataBucket
from Products.ERP5Wendelin.protocol import SLICE_SIZE
from Products.ERP5Wendelin.storage.bucket import DataBucket, NumberedBucket, Value
from Products.ERP5Wendelin.storage.transaction import separate_connection

BERLIN = timezone(timedelta(hours=2))
TEN, ELEVEN = (datetime(2026, 5, 1, hour, tzinfo=timezone.utc) for hour in (10, 11))


@pytest.fixture
def connection() -> Iterator[Connection]:
    database = DB(MappingStorage())
    with separate_connection(database) as connection:
        connection.root()["bucket"] = DataBucket()
        connection.transaction_manager.commit()
        yield connection
    database.close()


@pytest.fixture
def bucket(connection: Connection) -> DataBucket:
    bucket = connection.root()["bucket"]
    for key in ("b", "é", "a", "ab"):
        bucket.set(key, key.encode())
    return bucket


def test_it_provides_its_interface() -> None:
    verifyObject(IDataBucket, DataBucket())


def test_keys_and_items_are_in_the_order_of_code_points(bucket: DataBucket) -> None:
    assert list(bucket.keys()) == ["a", "ab", "b", "é"]
    assert list(bucket.items()) == [("a", b"a"), ("ab", b"ab"), ("b", b"b"), ("é", "é".encode())]


@pytest.mark.parametrize(
    ("start", "stop", "expected"),
    [("ab", None, ["ab", "b", "é"]), (None, "b", ["a", "ab"]), ("ab", "é", ["ab", "b"]), ("c", "d", [])],
)
def test_a_range_has_its_start_and_not_its_stop(
    bucket: DataBucket, start: str | None, stop: str | None, expected: list[str]
) -> None:
    assert list(bucket.keys(start, stop)) == expected
    assert [key for key, _ in bucket.items(start, stop)] == expected


def test_get_gives_the_bytes_or_the_default(bucket: DataBucket) -> None:
    assert bucket.get("ab") == b"ab"
    assert bucket.get("none") is None
    assert bucket.get("none", b"x") == b"x"
    assert "ab" in bucket
    assert "none" not in bucket


def test_set_replaces_and_delete_removes(bucket: DataBucket) -> None:
    bucket.set("a", bytearray(b"new"))
    bucket.delete("b")
    assert list(bucket.items(None, "c")) == [("a", b"new"), ("ab", b"ab")]
    assert len(bucket) == 3


def test_deleting_what_is_not_there_is_not_found(bucket: DataBucket) -> None:
    with pytest.raises(errors.NotFound, match=r"^There is no 'none' in this data bucket\.$"):
        bucket.delete("none")
    assert len(bucket) == 4


@pytest.mark.parametrize(
    ("keys", "ordered"),
    [
        ((b"b", b"\xff", b"a"), [b"a", b"b", b"\xff"]),
        ((3, -1, 2.5, numpy.int64(7), 10**400), [-1, 2.5, 3, 7, 10**400]),
        ((datetime(2026, 5, 1, 12, tzinfo=BERLIN), datetime(2026, 5, 1, 11, tzinfo=timezone.utc)), [TEN, ELEVEN]),
    ],
)
def test_keys_may_be_bytes_numbers_or_times_in_their_order(keys: tuple, ordered: list) -> None:
    bucket = DataBucket()
    for key in keys:
        bucket.set(key, repr(key).encode())
    assert list(bucket.keys()) == ordered
    assert {type(key) for key, _ in bucket.items()} <= {bytes, int, float, datetime}
    assert [bucket.get(key) for key in keys] == [repr(key).encode() for key in keys]


@pytest.mark.parametrize("key", [None, True, ("a",), float("nan"), numpy.datetime64("2026-01-01")])
def test_a_key_without_an_order_is_bad_input(key: object) -> None:
    with pytest.raises(errors.BadInput) as caught:
        DataBucket().set(key, b"")
    assert str(caught.value) == (
        f"A key of a data bucket is text, bytes, a number or a time, not {type(key).__name__}."
    )


def test_a_time_without_a_time_zone_is_bad_input() -> None:
    with pytest.raises(errors.BadInput) as caught:
        DataBucket().set(datetime(2026, 5, 1), b"")
    assert str(caught.value) == (
        "The time 2026-05-01 00:00:00 has no time zone, so it cannot be a key of a data bucket."
    )


@pytest.mark.parametrize("call", [DataBucket.get, DataBucket.delete, DataBucket.__contains__])
def test_a_key_of_another_kind_than_the_others_is_bad_input(bucket: DataBucket, call: Callable) -> None:
    with pytest.raises(errors.BadInput, match=r"^The keys of this data bucket are text: 1 cannot be among them\.$"):
        call(bucket, 1)
    with pytest.raises(errors.BadInput, match=r"^The keys of this data bucket are text: b'a' cannot be among them\.$"):
        bucket.set(b"a", b"")
    assert len(bucket) == 4


def test_a_value_that_is_text_is_bad_input(bucket: DataBucket) -> None:
    with pytest.raises(errors.BadInput, match=r"^A value in a data bucket is bytes, not str: encode it\.$"):
        bucket.set("a", "text")


def test_a_value_larger_than_a_transaction_may_write_is_too_large(bucket: DataBucket) -> None:
    size = SLICE_SIZE + 1
    with pytest.raises(errors.TooLarge) as caught:
        bucket.set("large", bytes(size))
    assert str(caught.value) == (
        f"A value of {size} bytes is too large for a data bucket, which takes up to 64 MiB a key. "
        "Put it into a data stream."
    )


def test_each_value_is_a_record_that_leaves_memory_once_it_is_read(connection: Connection, bucket: DataBucket) -> None:
    connection.transaction_manager.commit()
    connection.cacheMinimize()
    for _ in bucket.items():
        assert {value._p_state for value in bucket._values.values()} == {GHOST}


def test_an_uncommitted_value_stays_to_be_committed(connection: Connection, bucket: DataBucket) -> None:
    assert bucket.get("a") == b"a"
    connection.transaction_manager.commit()
    bucket.set("a", b"changed")
    assert bucket.get("a") == b"changed"
    connection.transaction_manager.commit()
    connection.cacheMinimize()
    assert bucket.get("a") == b"changed"


def test_its_classes_and_attributes_are_those_of_the_first_release() -> None:
    assert sorted(DataBucket().__getstate__()) == ["_length", "_values"]
    assert Value(b"x").__getstate__() == {"data": b"x"}
    assert pickle.dumps(DataBucket, 0).startswith(b"cProducts.ERP5Wendelin.storage.bucket\nDataBucket\n")
    assert pickle.dumps(Value, 0).startswith(b"cProducts.ERP5Wendelin.storage.bucket\nValue\n")


@pytest.fixture
def numbered(connection: Connection) -> NumberedBucket:
    numbered = connection.root()["numbered"] = NumberedBucket()
    for key in ("c", "a", "b"):
        numbered.set(key, key.encode())
    connection.transaction_manager.commit()
    return numbered


def pair(first: object, second: object) -> tuple[object, object]:
    return first, second


def test_a_numbered_bucket_is_a_bucket(numbered: NumberedBucket) -> None:
    verifyObject(IDataBucket, numbered)
    assert list(numbered.items()) == [("a", b"a"), ("b", b"b"), ("c", b"c")]


def test_keys_are_numbered_in_the_order_they_came(numbered: NumberedBucket) -> None:
    assert list(numbered.by_number(pair, None, None)) == [(0, "c"), (1, "a"), (2, "b")]
    assert list(numbered.by_key(pair, "a", "b")) == [("a", 1), ("b", 2)]
    assert [numbered.key_of(number) for number in range(3)] == ["c", "a", "b"]
    assert (numbered.has_number(2), numbered.has_number(3)) == (True, False)
    with pytest.raises(errors.NotFound, match=r"^There is no number 3 in this data bucket\.$"):
        numbered.key_of(3)


def test_a_key_that_is_set_again_is_the_newest(numbered: NumberedBucket) -> None:
    numbered.set("c", b"new")
    assert list(numbered.by_number(pair, None, None)) == [(1, "a"), (2, "b"), (3, "c")]
    assert (numbered.get("c"), len(numbered)) == (b"new", 3)


def test_the_number_of_a_removed_key_is_not_given_again(numbered: NumberedBucket) -> None:
    numbered.delete("b")
    numbered.set("d", b"d")
    assert list(numbered.by_number(pair, None, None)) == [(0, "c"), (1, "a"), (3, "d")]


def test_renumbering_follows_the_keys(numbered: NumberedBucket) -> None:
    numbered.set("c", b"new")
    numbered.renumber()
    numbered.set("0", b"0")
    assert list(numbered.by_number(pair, None, None)) == [(0, "a"), (1, "b"), (2, "c"), (3, "0")]


def test_first_and_last_keys_and_numbers_are_found_within_bounds(numbered: NumberedBucket) -> None:
    assert (numbered.first_key(), numbered.first_key("aa"), numbered.first_key("d")) == ("a", "b", None)
    assert (numbered.last_key(), numbered.last_key("bb"), numbered.last_key("0")) == ("c", "b", None)
    assert (numbered.first_number(), numbered.first_number(1), numbered.first_number(3)) == (0, 1, None)
    assert (numbered.last_number(), numbered.last_number(1), numbered.last_number(-1)) == (2, 1, None)
    assert (NumberedBucket().first_key(), NumberedBucket().last_number()) == (None, None)


def test_two_transactions_that_add_at_the_same_time_conflict(numbered: NumberedBucket) -> None:
    with separate_connection(numbered._p_jar.db()) as other:
        other.root()["numbered"].set("theirs", b"1")
        numbered.set("mine", b"2")
        other.transaction_manager.commit()
        with pytest.raises(ConflictError):
            numbered._p_jar.transaction_manager.commit()
    numbered._p_jar.transaction_manager.begin()
    numbered.set("mine", b"2")
    numbered._p_jar.transaction_manager.commit()
    assert list(numbered.by_number(pair, 3, None)) == [(3, "theirs"), (4, "mine")]


def test_the_numbers_state_is_that_of_the_first_release_that_has_them() -> None:
    assert sorted(NumberedBucket().__getstate__()) == ["_keys", "_length", "_next", "_numbers", "_values"]
    assert pickle.dumps(NumberedBucket, 0).startswith(b"cProducts.ERP5Wendelin.storage.bucket\nNumberedBucket\n")
