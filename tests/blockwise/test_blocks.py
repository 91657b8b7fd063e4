"""Blocks: rows of an array at a time, read ahead in one snapshot, in bounded memory."""

from __future__ import annotations

import gc
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy
import pytest
from ZODB import DB
from ZODB.Connection import Connection
from ZODB.MappingStorage import MappingStorage

from Products.ERP5Wendelin import errors
from Products.ERP5Wendelin.blockwise import blocks as blocks_module
from Products.ERP5Wendelin.blockwise.ahead import AHEAD
from Products.ERP5Wendelin.blockwise.blocks import Block, iter_blocks, map_blocks, reduce
from Products.ERP5Wendelin.blockwise.snapshot import Snapshot
from Products.ERP5Wendelin.storage.array import Array
from Products.ERP5Wendelin.storage.array_reader import Column, Window
from Products.ERP5Wendelin.storage.block import BLOCK_SIZE
from Products.ERP5Wendelin.storage.database import open_database
from Products.ERP5Wendelin.storage.memory_array import MemoryArray
from Products.ERP5Wendelin.storage.transaction import separate_connection

ROWS = BLOCK_SIZE // 800
"""Rows of 100 float64 that a block of the storage has room for, and a part of one."""


@pytest.fixture(params=["file", "memory"])
def connection(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Connection]:
    """A connection to a FileStorage, whose blocks come out of the file, and to a storage that has none."""
    database = open_database(f"file://{tmp_path}/Data.fs") if request.param == "file" else DB(MappingStorage())
    with separate_connection(database) as connection:
        yield connection
    database.close()


def stored(connection: Connection, values: numpy.ndarray) -> Array:
    """A committed array."""
    array = Array(values.shape, values.dtype)
    array[...] = values
    connection.root()["array"] = array
    connection.transaction_manager.commit()
    connection.cacheMinimize()
    return array


def numbers(rows: int = 3 * ROWS) -> numpy.ndarray:
    return numpy.arange(rows * 100, dtype="f8").reshape(rows, 100)


def copies(blocks: Iterator[Block]) -> list[tuple[int, int, numpy.ndarray]]:
    return [(each.start, each.stop, each.data.copy()) for each in blocks]


def threads() -> list[threading.Thread]:
    return [each for each in threading.enumerate() if each.name == "wendelin-read-ahead"]


@pytest.mark.parametrize("prefetch", [True, False])
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"rows": 1000},
        {"rows": 10**9},
        {"nbytes": 100_000},
        {"nbytes": 1},
        {"nbytes": BLOCK_SIZE, "start": 5},
        {"rows": 700, "start": 100, "stop": 2 * ROWS + 3},
        {"start": 7, "stop": 7},
    ],
    ids=str,
)
def test_blocks_have_all_rows_in_order(connection: Connection, options: dict[str, Any], prefetch: bool) -> None:
    expected = numbers(ROWS if "nbytes" in options else 3 * ROWS)
    array = stored(connection, expected)
    start, stop = options.get("start", 0), options.get("stop", len(expected))
    found = copies(iter_blocks(array, prefetch=prefetch, **options))
    assert [each[0] for each in found] == [start, *(each[1] for each in found)][: len(found)]
    assert (found[-1][1] if found else start) == stop
    assert numpy.array_equal(numpy.concatenate([expected[:0], *(each[2] for each in found)]), expected[start:stop])
    if "rows" in options:
        assert all(len(each[2]) == options["rows"] for each in found[:-1])
    elif options:
        assert all(each[2].nbytes <= max(options.get("nbytes", 0), 800) for each in found)
    assert not threads()


def test_blocks_end_at_borders_of_the_storages_blocks(connection: Connection) -> None:
    array = stored(connection, numpy.arange(3 * BLOCK_SIZE // 8 + 5))
    per_block = BLOCK_SIZE // 8
    found = [(each.start, each.stop) for each in iter_blocks(array, nbytes=BLOCK_SIZE, start=3)]
    assert found == [
        (3, per_block),
        *((n * per_block, (n + 1) * per_block) for n in (1, 2)),
        (3 * per_block, len(array)),
    ]


@pytest.mark.parametrize(
    "dtype", ["u1", ">i4", "S3", "M8[s]", "?", [("time", "M8[ns]"), ("value", "f4", (2,))]], ids=str
)
def test_elements_of_any_dtype_are_read(connection: Connection, dtype: Any) -> None:
    expected = numpy.arange(1000 * numpy.dtype(dtype).itemsize, dtype="u4").astype("u1")
    if dtype == "?":
        expected %= 2
    values = expected.view(dtype)
    for each in iter_blocks(stored(connection, values), rows=300):
        assert each.data.dtype == values.dtype
        assert each.data.tobytes() == values[each.start : each.stop].tobytes()


def test_zeros_that_were_never_written_and_blocks_in_chunks_are_read(connection: Connection) -> None:
    expected = numpy.zeros(5 * BLOCK_SIZE // 8)
    array = stored(connection, expected)
    for start, stop in ((10, 20), (BLOCK_SIZE // 8 - 1, BLOCK_SIZE // 8 + 1), (4 * BLOCK_SIZE // 8, len(expected) - 7)):
        array[start:stop] = expected[start:stop] = 1
        connection.transaction_manager.commit()
    assert numpy.array_equal(numpy.concatenate([each[2] for each in copies(iter_blocks(array, rows=1000))]), expected)


def test_what_others_commit_meanwhile_is_not_seen(connection: Connection) -> None:
    expected = numbers()
    array = stored(connection, expected)
    blocks = iter_blocks(array, rows=100)
    found = [next(blocks).data.copy()]
    with separate_connection(connection.db()) as other:
        other.get(array._p_oid)[:] = -1
        other.get(array._p_oid).append(numbers(1))
        other.transaction_manager.commit()
    found += [each.data.copy() for each in blocks]
    assert numpy.array_equal(numpy.concatenate(found), expected)


def test_a_loop_that_writes_and_commits_goes_on_in_the_state_of_its_beginning(connection: Connection) -> None:
    expected = numbers()
    array = stored(connection, expected)
    for each in iter_blocks(array, rows=1000):
        assert numpy.array_equal(each.data, expected[each.start : each.stop])
        array[:] = -each.start
        connection.transaction_manager.commit()
    assert (array[:] == -(len(expected) - len(expected) % 1000)).all()


def test_changes_that_are_not_committed_are_seen(connection: Connection) -> None:
    array = stored(connection, numbers())
    array[1] = -1
    new = Array((2, 3), "f8")
    new[1] = 5
    assert next(iter_blocks(array)).data[1, 0] == -1
    assert next(iter_blocks(new)).data.tolist() == [[0, 0, 0], [5, 5, 5]]
    connection.transaction_manager.savepoint()
    assert next(iter_blocks(array)).data[1, 0] == -1
    connection.transaction_manager.abort()
    assert next(iter_blocks(array)).data[1, 0] == 100


def test_a_snapshot_that_is_given_is_read(connection: Connection) -> None:
    array = stored(connection, numbers())
    before = Snapshot.of(connection)
    array[:] = 7
    array.append(numbers(5))
    connection.transaction_manager.commit()
    found = copies(iter_blocks(array, snapshot=before))
    assert numpy.array_equal(numpy.concatenate([each[2] for each in found]), numbers())


def test_windows_and_columns_are_read_in_blocks_too(connection: Connection) -> None:
    records = numpy.zeros(1000, [("a", "i4"), ("b", "f8", (3,))])
    records["a"] = range(1000)
    array = stored(connection, records)
    found = copies(iter_blocks(Column(Window(array, (slice(10, 900, 3),)), "a"), rows=100))
    assert numpy.concatenate([each[2] for each in found]).tolist() == list(range(10, 900, 3))


def test_arrays_in_memory_are_read_as_they_are() -> None:
    values = numbers(10)
    assert next(iter_blocks(values, rows=4)).data.base is not None
    memory = MemoryArray((10, 100), "f8")
    memory[:] = values
    for array in (values, memory):
        assert numpy.array_equal(numpy.concatenate([each.data for each in iter_blocks(array, rows=4)]), values)


def test_a_block_that_is_kept_stays_as_it_is_and_memory_of_others_is_used_again(connection: Connection) -> None:
    expected = numbers(2000)
    array = stored(connection, expected)
    kept, places = [], set()
    for each in iter_blocks(array, rows=10):
        places.add(each.data.ctypes.data)
        if each.start % 500 == 0:
            kept.append((each.start, each.data[3:5, ::2]))
    for start, data in kept:
        assert numpy.array_equal(data, expected[start + 3 : start + 5, ::2])
    assert len(places) <= len(kept) * (AHEAD + 2) + AHEAD + 2 < 200
    everything = list(iter_blocks(array, rows=100))
    assert numpy.array_equal(numpy.concatenate([each.data for each in everything]), expected)


def test_the_thread_ends_with_the_loop_however_that_ends(connection: Connection) -> None:
    array = stored(connection, numbers())
    for _ in iter_blocks(array, rows=10):
        assert len(threads()) == 1
        break
    gc.collect()
    assert not threads()
    blocks = iter_blocks(array, rows=10)
    next(blocks)
    blocks.close()  # type: ignore[attr-defined]
    assert not threads()


def test_no_more_blocks_are_read_than_a_few_ahead(connection: Connection) -> None:
    array = stored(connection, numbers(2000))
    asked = []
    reader = Window(array)
    reader.on = lambda connection: Asked(array.on(connection), asked)  # type: ignore[method-assign]
    blocks = iter_blocks(reader, rows=10)
    for count in range(1, 20):
        next(blocks)
        assert len(asked) <= count + AHEAD
    blocks.close()  # type: ignore[attr-defined]
    assert len(asked) <= 19 + AHEAD


class Asked:
    """Notes what is read of an array."""

    def __init__(self, array: Array, asked: list[Any]) -> None:
        self.shape, self.dtype = array.shape, array.dtype
        self._array, self._asked = array, asked

    def __getitem__(self, index: Any) -> Any:
        self._asked.append(index)
        return self._array[index]


def test_what_goes_wrong_while_reading_ahead_is_raised_in_the_loop(connection: Connection) -> None:
    array = stored(connection, numbers())
    snapshot = Snapshot.of(connection)
    array[:] = 1
    connection.transaction_manager.commit()
    connection.db().pack()
    connection.db().cacheMinimize()
    with pytest.raises(errors.Gone, match="no longer has all of snapshot"):
        list(iter_blocks(array, snapshot=snapshot))
    assert not threads()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"rows": 0}, "A block has at least one row, and at least one byte."),
        ({"nbytes": 0}, "A block has at least one row, and at least one byte."),
        ({"rows": 1, "nbytes": 1}, "Blocks have a number of rows or of bytes: give rows or nbytes, not both."),
        ({"start": -1}, "Rows -1 to 10 are not within the 10 rows of the array."),
        ({"stop": 11}, "Rows 0 to 11 are not within the 10 rows of the array."),
        ({"start": 5, "stop": 4}, "Rows 5 to 4 are not within the 10 rows of the array."),
    ],
)
def test_rows_that_are_not_there_are_refused(options: dict[str, int], message: str) -> None:
    with pytest.raises(errors.BadInput) as caught:
        list(iter_blocks(numbers(10), **options))
    assert str(caught.value) == message


def test_one_element_has_no_blocks() -> None:
    with pytest.raises(errors.BadInput, match="^An array of no axes, which is one element, has no blocks.$"):
        list(iter_blocks(numpy.float64(5)))


def test_a_function_is_mapped_over_an_array_into_another(connection: Connection) -> None:
    array = stored(connection, numbers())
    out = connection.root()["out"] = Array((3 * ROWS,), "f4")
    assert map_blocks(array, lambda data: data.mean(1), out, rows=100) is out
    connection.transaction_manager.commit()
    assert numpy.array_equal(out[:], numbers().mean(1).astype("f4"))


def test_an_array_is_mapped_onto_itself(connection: Connection) -> None:
    array = stored(connection, numbers())
    map_blocks(array, lambda data: data + 1, array, rows=100)
    assert numpy.array_equal(array[:], numbers() + 1)


def test_what_is_mapped_is_committed_in_slices_where_that_is_asked_for(
    connection: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(blocks_module, "SLICE_SIZE", 8000)
    array = stored(connection, numpy.ones(3000, "u1"))
    out = connection.root()["out"] = Array((len(array),), "f8")
    sums: list[int] = []

    def commit() -> None:
        sums.append(int(out[:].sum()))
        connection.transaction_manager.commit()

    map_blocks(array, lambda data: data.astype("f8"), out, rows=400, commit=commit)
    assert sums == [1200, 2400, 3000]
    map_blocks(array, lambda data: data, out, commit=commit)
    assert len(sums) == 4


def test_what_does_not_fit_is_not_mapped(connection: Connection) -> None:
    with pytest.raises(errors.BadInput, match="^The array has 10 rows and `out` has 9: give it as many.$"):
        map_blocks(numbers(10), lambda data: data, numpy.empty(9))
    with pytest.raises(
        errors.BadInput, match=r"of shape \(100,\) of the 4 rows from 0 on: it must return as many rows"
    ):
        map_blocks(numbers(10), lambda data: data.mean(0), numpy.empty(10), rows=4)
    with pytest.raises(errors.TooLarge, match="^1073741832 bytes are too many for one transaction.* Give `commit`"):
        map_blocks(numpy.broadcast_to(0.0, 2**27 + 1), lambda data: data, Array((2**27 + 1,), "f8"))


def test_blocks_are_reduced_from_the_first_to_the_last(connection: Connection) -> None:
    array = stored(connection, numbers())
    assert reduce(array, lambda data: data.max(), max, rows=100) == numbers().max()
    assert reduce(array, lambda data: [len(data)], lambda a, b: a + b, rows=3000) == [3000, 3000, 3 * ROWS - 6000]
    assert reduce(numbers(0), lambda data: data.sum(), max, initial=5) == 5
    with pytest.raises(errors.BadInput, match="^The array has no rows, so there is nothing to combine: give `initial`"):
        reduce(numbers(0), lambda data: data.sum(), max)
