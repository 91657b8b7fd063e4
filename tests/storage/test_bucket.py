"""DataBucket: an ordered mapping whose values are records of their own."""

import pickle
from collections.abc import Iterator

import pytest
from persistent import GHOST
from ZODB import DB
from ZODB.Connection import Connection
from ZODB.MappingStorage import MappingStorage
from zope.interface.verify import verifyObject

from Products.ERP5Wendelin import errors
from Products.ERP5Wendelin.interfaces import IDataBucket
from Products.ERP5Wendelin.protocol import SLICE_SIZE
from Products.ERP5Wendelin.storage.bucket import DataBucket, Value
from Products.ERP5Wendelin.storage.transaction import separate_connection


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


def test_a_key_that_is_no_text_is_bad_input(bucket: DataBucket) -> None:
    with pytest.raises(errors.BadInput, match=r"^A key of a data bucket is text, not bytes\.$"):
        bucket.set(b"a", b"")


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
