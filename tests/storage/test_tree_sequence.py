"""TreeSequence: a part of a BTree, of which nothing is loaded but what is asked for."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from BTrees.LOBTree import LOBTree
from ZODB import DB
from ZODB.Connection import Connection
from ZODB.MappingStorage import MappingStorage

from Products.ERP5Wendelin.errors import BadInput
from Products.ERP5Wendelin.storage.transaction import separate_connection
from Products.ERP5Wendelin.storage.tree_sequence import TreeSequence

SIZE = 20_000


@pytest.fixture(scope="module")
def database() -> Iterator[DB]:
    database = DB(MappingStorage(), cache_size=50)
    with separate_connection(database) as connection:
        connection.root()["tree"] = LOBTree({2 * number: str(number) for number in range(SIZE)})
        connection.transaction_manager.commit()
    yield database
    database.close()


@pytest.fixture
def connection(database: DB) -> Iterator[Connection]:
    with separate_connection(database) as connection:
        yield connection


@pytest.fixture
def tree(connection: Connection) -> LOBTree:
    return connection.root()["tree"]


def loads(connection: Connection) -> int:
    """How many records have been loaded since it was last asked."""
    return connection.getTransferCounts(clear=True)[0]


def text(key: int, value: str) -> str:
    return value


@pytest.mark.parametrize(
    ("bounds", "expected"),
    [
        ({}, list(range(10))),
        ({"start": 4}, [2, 3, 4, 5, 6, 7, 8, 9]),
        ({"start": 3, "stop": 8}, [2, 3, 4]),
        ({"start": 4, "stop": 8, "exclude_start": True}, [3, 4]),
        ({"start": 4, "stop": 8, "exclude_stop": True}, [2, 3]),
        ({"start": 4, "limit": 2}, [2, 3]),
        ({"limit": 0}, []),
        ({"start": 100}, []),
    ],
)
def test_it_has_the_items_within_its_bounds(bounds: dict, expected: list[int]) -> None:
    tree = LOBTree({2 * number: str(number) for number in range(10)})
    sequence = TreeSequence(tree, text, **bounds)
    assert list(sequence) == [str(number) for number in expected]
    assert len(sequence) == len(expected)
    assert bool(sequence) == bool(expected)
    assert [sequence[index] for index in range(len(expected))] == list(sequence)
    assert [sequence[index] for index in range(-1, -len(expected) - 1, -1)] == list(sequence)[::-1]


def test_slices_are_those_of_a_list() -> None:
    tree = LOBTree({2 * number: str(number) for number in range(10)})
    for sequence in (TreeSequence(tree, text), TreeSequence(tree, text, 2, 16, limit=5, exclude_start=True)):
        whole = list(sequence)
        ends = (None, *range(-12, 13))
        for start in ends:
            for stop in ends:
                assert list(sequence[start:stop]) == whole[start:stop], (start, stop)
                assert list(sequence[start:stop][1:3]) == whole[start:stop][1:3], (start, stop)


@pytest.mark.parametrize("index", [3, -4, 1000])
def test_an_index_beyond_its_ends_is_an_index_error(index: int) -> None:
    sequence = TreeSequence(LOBTree({1: "a", 2: "b", 3: "c"}), text)
    with pytest.raises(IndexError, match=rf"^Index {index} is beyond the end of the sequence\.$"):
        sequence[index]


def test_a_slice_with_steps_is_bad_input() -> None:
    with pytest.raises(BadInput, match=r"^Slices of a sequence of buckets have no steps, such as 2\.$"):
        TreeSequence(LOBTree(), text)[::2]


def test_elements_are_made_when_they_are_taken(tree: LOBTree) -> None:
    made = []
    sequence = TreeSequence(tree, lambda key, value: made.append(value))
    part = sequence[100:200]
    assert (len(sequence), len(part), bool(part)) == (SIZE, 100, True)
    assert made == []
    _ = part[7]
    assert made == ["107"]
    assert next(iter(part)) is None
    assert made == ["107", "100"]


def test_making_it_and_slicing_it_from_its_beginning_loads_nothing(connection: Connection, tree: LOBTree) -> None:
    loads(connection)
    part = TreeSequence(tree, text)[:1000][:10]
    assert loads(connection) == 0
    assert len(part) == 10
    assert loads(connection) <= 4


def test_one_index_after_the_other_walks_over_each_record_once(connection: Connection, tree: LOBTree) -> None:
    sequence = TreeSequence(tree, text)
    loads(connection)
    assert [sequence[index] for index in range(SIZE)] == list(tree.values())
    once = SIZE // 30
    assert loads(connection) < 3 * once


def test_a_walk_gives_back_what_it_loaded(connection: Connection, tree: LOBTree) -> None:
    loads(connection)
    live = [connection._cache.cache_non_ghost_count for _ in TreeSequence(tree, text)]
    assert loads(connection) > SIZE // 60
    assert max(live) < 150
