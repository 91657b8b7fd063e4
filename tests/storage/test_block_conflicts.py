"""Of two transactions that write to one block of an array, the second is a conflict, in whatever way each writes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import permutations

import numpy
import pytest
from transaction import TransactionManager
from wendelin.bigfile.file_zodb import ZBlk0, ZBlk1
from ZODB import DB
from ZODB.Connection import Connection
from ZODB.MappingStorage import MappingStorage
from ZODB.POSException import ConflictError

from Products.ERP5Wendelin.storage.array import Array
from Products.ERP5Wendelin.storage.block import BLOCK_SIZE

Write = Callable[[Array, int], None]


def whole(array: Array, number: int) -> None:
    array[:BLOCK_SIZE] = number


def part(array: Array, number: int) -> None:
    array[number * 10_000 : number * 10_000 + 10] = number


def mapped(array: Array, number: int) -> None:
    array.zarray[number * 10_000 : number * 10_000 + 10] = number


@pytest.fixture
def database() -> Iterator[DB]:
    database = DB(MappingStorage())
    yield database
    database.close()


@pytest.fixture
def connections(database: DB) -> Iterator[list[Connection]]:
    connections = [database.open(TransactionManager()) for _ in range(2)]
    yield connections
    for connection in connections:
        connection.transaction_manager.abort()
        connection.close()


@pytest.mark.parametrize(("first", "second"), [*permutations([whole, part, mapped], 2), (part, part)])
@pytest.mark.parametrize(("before", "kind"), [(whole, ZBlk0), (part, ZBlk1)])
def test_a_block_that_another_transaction_has_written_meanwhile_is_a_conflict_and_is_written_by_the_next(
    connections: list[Connection], before: Write, kind: type, first: Write, second: Write
) -> None:
    one, other = connections
    one.root()["array"] = Array((BLOCK_SIZE + 1,), numpy.uint8)
    before(one.root()["array"], 1)
    one.transaction_manager.commit()
    assert type(one.root()["array"].zarray.zfile.blktab[0]) is kind
    other.transaction_manager.begin()
    first(one.root()["array"], 2)
    second(other.root()["array"], 3)
    one.transaction_manager.commit()
    with pytest.raises(ConflictError):
        other.transaction_manager.commit()
    other.transaction_manager.abort()
    second(other.root()["array"], 3)
    other.transaction_manager.commit()
    expected = numpy.zeros(BLOCK_SIZE + 1, numpy.uint8)
    for write, number in ((before, 1), (first, 2), (second, 3)):
        at = slice(0, BLOCK_SIZE) if write is whole else slice(number * 10_000, number * 10_000 + 10)
        expected[at] = number
    one.transaction_manager.begin()
    assert numpy.array_equal(one.root()["array"][:], expected)
