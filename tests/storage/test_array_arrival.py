"""ArrayArrival: an array written in slices, which is one in the end without a byte being copied."""

from __future__ import annotations

import io
from datetime import datetime, timedelta, timezone

import numpy
import pytest
from ZODB import DB

from Products.ERP5Wendelin.protocol import UPLOAD_LIFETIME
from Products.ERP5Wendelin.storage.array_arrival import ArrayArrival
from Products.ERP5Wendelin.storage.block import BLOCK_SIZE
from Products.ERP5Wendelin.storage.transaction import append_slices, in_transaction, separate_connection

TIME = datetime(2026, 5, 1, tzinfo=timezone.utc)


@pytest.fixture
def oid(database: DB) -> bytes:
    """The object id of an arrival that was just begun."""
    with separate_connection(database) as connection:
        arrival = connection.root()["arrival"] = ArrayArrival({"path": "table.npy"}, TIME)
        connection.transaction_manager.commit()
        return arrival._p_oid


def arrive(database: DB, oid: bytes, data: bytes, offset: int = 0) -> int:
    return append_slices(database, oid, io.BytesIO(data), len(data), offset=offset, note="test", slice_size=BLOCK_SIZE)


def test_what_arrived_in_slices_is_an_array_in_the_end(database: DB, oid: bytes) -> None:
    values = numpy.arange(700_000, dtype="f8").reshape(7, 100_000)
    data = values.tobytes()
    assert arrive(database, oid, data[:3_000_000]) == 3_000_000
    assert arrive(database, oid, data[3_000_000:], 3_000_000) == len(data)
    with separate_connection(database) as connection:

        def finish() -> None:
            arrival = connection.root().pop("arrival")
            connection.root()["array"] = arrival.finish((7, 100_000), numpy.dtype("f8"))

        in_transaction(connection, finish, note="test")
    with separate_connection(database) as connection:
        array = connection.root()["array"]
        assert (array.shape, array.dtype) == ((7, 100_000), "f8")
        assert numpy.array_equal(array[...], values)
        array[6, 99_998:] = [-1, -2]
        array.append(values[:1])
        connection.transaction_manager.commit()
        assert array[6, -3:].tolist() == [699_997, -1, -2]
        assert array[7].tolist() == values[0].tolist()
        assert array.zarray[6, -3:].tolist() == [699_997, -1, -2]


def test_an_array_of_other_bytes_than_arrived_is_refused(database: DB, oid: bytes) -> None:
    arrive(database, oid, bytes(24))
    with separate_connection(database) as connection:
        arrival = connection.get(oid)
        with pytest.raises(ValueError, match=r"^24 bytes are no array of shape \(4,\) and dtype float64\.$"):
            arrival.finish((4,), numpy.dtype("f8"))


def test_it_expires_when_nobody_goes_on_with_it() -> None:
    arrival = ArrayArrival({}, TIME)
    assert not arrival.is_expired(TIME + timedelta(seconds=UPLOAD_LIFETIME))
    assert arrival.is_expired(TIME + timedelta(seconds=UPLOAD_LIFETIME + 1))
