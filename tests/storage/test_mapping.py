"""Mapped views beside direct access to an array: each sees what the other has written, until the transaction ends."""

from collections.abc import Iterator
from typing import Any

import numpy
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from persistent.mapping import PersistentMapping
from ZODB import DB
from ZODB.Connection import Connection
from ZODB.MappingStorage import MappingStorage
from ZODB.POSException import ConflictError

from Products.ERP5Wendelin.storage.array import Array
from Products.ERP5Wendelin.storage.block import BLOCK_SIZE
from Products.ERP5Wendelin.storage.mapping import MappedFile
from Products.ERP5Wendelin.storage.transaction import separate_connection

B = BLOCK_SIZE


@pytest.fixture
def database() -> Iterator[DB]:
    database = DB(MappingStorage())
    yield database
    database.close()


@pytest.fixture
def connection(database: DB) -> Iterator[Connection]:
    with separate_connection(database) as connection:
        yield connection


def stored(connection: Connection, blocks: int = 3) -> Array:
    """An array of bytes, of which each block is full of its number and 1."""
    array = connection.root()["array"] = Array((blocks * B,), "u1")
    array[:] = numpy.repeat(numpy.arange(1, blocks + 1, dtype="u1"), B)
    connection.transaction_manager.commit()
    return array


def loaded(array: Array) -> set[int]:
    """Which pages of its mapping are in memory."""
    file = array.zarray.zfile._v_file
    assert isinstance(file, MappedFile)
    return file._loaded


def test_a_view_shows_what_was_written_directly_before_and_after_it_was_mapped(connection: Connection) -> None:
    array = stored(connection)
    array[5] = 50
    view = array.zarray[:]
    assert (view[5], view[6]) == (50, 1)
    array[B : B + 9] = 60
    array[6] = 70
    assert (view[5], view[6], view[B]) == (50, 70, 60)
    connection.transaction_manager.commit()
    assert array[: B + 9].tolist() == view[: B + 9].tolist()
    assert (view[5], view[6], view[B], view[2 * B]) == (50, 70, 60, 3)


@pytest.mark.parametrize("size", [9, B])
def test_a_direct_read_sees_what_was_written_through_a_view(connection: Connection, size: int) -> None:
    array = stored(connection)
    array.zarray[B : B + size] = 60
    assert array[B - 1 : B + 9].tolist() == [1, *[60] * 9]
    connection.transaction_manager.commit()
    assert array[B - 1 : B + 9].tolist() == [1, *[60] * 9]


def test_of_writes_to_one_block_in_turns_all_are_kept(connection: Connection, database: DB) -> None:
    array = stored(connection)
    view = array.zarray[:]
    for turn in range(6):
        if turn % 2:
            array[turn] = 10 + turn
        else:
            view[turn] = 10 + turn
    assert array[:7].tolist() == view[:7].tolist() == [10, 11, 12, 13, 14, 15, 1]
    connection.transaction_manager.commit()
    with separate_connection(database) as other:
        assert other.root()["array"][:7].tolist() == [10, 11, 12, 13, 14, 15, 1]


def test_a_block_that_was_read_by_view_and_directly_before_the_commit_is_committed(
    connection: Connection, database: DB
) -> None:
    array = stored(connection)
    array[:B] = 9
    assert array.zarray[0] == array[0] == array.zarray[1] == 9
    connection.transaction_manager.savepoint()
    assert array.zarray[2] == 9
    connection.transaction_manager.commit()
    with separate_connection(database) as other:
        assert (other.root()["array"][:B] == 9).all()


def test_an_abort_leaves_neither_what_was_written_directly_nor_by_a_view(connection: Connection) -> None:
    array = stored(connection)
    view = array.zarray[:]
    view[0] = 50
    assert array[0] == 50
    array[1] = 51
    view[2] = 52
    array[B] = 53
    connection.transaction_manager.abort()
    assert array[:3].tolist() == view[:3].tolist() == [1, 1, 1]
    assert array[B] == view[B] == 2
    array[4] = 54
    connection.transaction_manager.commit()
    assert array[:5].tolist() == view[:5].tolist() == [1, 1, 1, 1, 54]


def test_what_is_appended_directly_and_by_the_mapping_follows_each_other(connection: Connection) -> None:
    array = stored(connection, 1)
    array.zarray.append(numpy.full(3, 50, "u1"))
    array.append([51, 52])
    array.zarray.append(numpy.full(1, 53, "u1"))
    assert array[B - 1 :].tolist() == array.zarray[B - 1 :].tolist() == [1, 50, 50, 50, 51, 52, 53]
    connection.transaction_manager.commit()
    assert array[B - 1 :].tolist() == array.zarray[B - 1 :].tolist() == [1, 50, 50, 50, 51, 52, 53]


def test_what_was_written_by_a_view_and_then_cut_off_is_zeros_when_the_array_grows_again(
    connection: Connection,
) -> None:
    array = stored(connection)
    array.zarray[B:] = 50
    array.zarray[:1] = 51
    array.resize((B + 1,))
    array.resize((3 * B,))
    for _ in range(2):
        assert array[B : B + 3].tolist() == array.zarray[B : B + 3].tolist() == [50, 0, 0]
        assert array[2 * B] == array.zarray[2 * B] == 0
        assert array[0] == array.zarray[0] == 51
        connection.transaction_manager.commit()


def test_pages_are_forgotten_when_the_transaction_ends_and_views_stay(connection: Connection) -> None:
    array = stored(connection)
    view = array.zarray[:]
    assert loaded(array) == set()
    assert view.sum() == 6 * B
    assert loaded(array) == {0, 1, 2}
    connection.transaction_manager.commit()
    assert loaded(array) == set()
    assert view[B] == 2
    assert loaded(array) == {1}
    connection.transaction_manager.abort()
    assert loaded(array) == set()


def test_a_view_of_an_earlier_transaction_is_written_to_in_this_one(connection: Connection, database: DB) -> None:
    view = stored(connection).zarray[:]
    for value in (50, 51):
        view[B] = value
        connection.transaction_manager.commit()
        with separate_connection(database) as other:
            assert other.root()["array"][B] == value


@pytest.mark.parametrize("blocks", [1, 3], ids=["of a block that there was", "of a block that was added"])
def test_a_view_shows_in_the_next_transaction_what_another_connection_has_committed(
    connection: Connection, database: DB, blocks: int
) -> None:
    array = stored(connection, blocks)
    array.resize((3 * B,))
    connection.transaction_manager.commit()
    view = array.zarray[:]
    before = view[::B].tolist()
    connection.cacheMinimize()
    with separate_connection(database) as other:
        other.root()["array"][::B] = 60
        other.transaction_manager.commit()
    assert view[::B].tolist() == before
    connection.transaction_manager.begin()
    assert view[::B].tolist() == array[::B].tolist() == [60, 60, 60]


def test_an_array_that_another_connection_has_resized_is_mapped_anew(connection: Connection, database: DB) -> None:
    array = stored(connection, 1)
    zarray, view = array.zarray, array.zarray[:]
    assert view[0] == 1
    with separate_connection(database) as other:
        other.root()["array"].append(numpy.full(B, 7, "u1"))
        other.root()["array"][0] = 5
        other.transaction_manager.commit()
    connection.transaction_manager.begin()
    assert zarray[::B].tolist() == array[::B].tolist() == [5, 7]
    assert view[0] == 5
    array[0] = 6
    zarray[1:2] = 7
    assert array[:2].tolist() == zarray[:2].tolist() == [6, 7]
    connection.transaction_manager.commit()
    assert array[:2].tolist() == view[:2].tolist() == [6, 7]


def test_a_connection_that_is_opened_again_forgets_what_was_mapped(database: DB) -> None:
    with separate_connection(database) as connection:
        array = stored(connection, 1)
        view = array.zarray[:]
        assert view[0] == 1
    with separate_connection(database) as other:
        assert other is connection
        view[0] = 5
        assert array[0] == 5
        other.transaction_manager.commit()
    with separate_connection(database):
        assert array[0] == view[0] == 5


def test_a_new_array_is_mapped_in_the_transaction_that_makes_it(connection: Connection, database: DB) -> None:
    array = connection.root()["array"] = Array((2 * B,), "u1")
    array.enter(connection)
    array.zarray[5:7] = 50
    array[6] = 60
    assert array[4:8].tolist() == array.zarray[4:8].tolist() == [0, 50, 60, 0]
    connection.transaction_manager.commit()
    with separate_connection(database) as other:
        assert other.root()["array"][4:8].tolist() == [0, 50, 60, 0]


@pytest.mark.parametrize("conflict", ["", "root", "later"])
def test_a_new_array_that_was_not_committed_is_forgotten_with_its_mapping(
    database: DB, caplog: pytest.LogCaptureFixture, conflict: str
) -> None:
    with separate_connection(database) as connection:
        root = connection.root()
        root["documents"], root["later"] = PersistentMapping(), PersistentMapping()
        connection.transaction_manager.commit()
        documents = root if conflict == "root" else root["documents"]
        documents["array"] = array = Array((B,), "u1")
        array.enter(connection)
        view = array.zarray[:]
        view[0] = 50
        assert array[0] == 50
        if conflict:
            with separate_connection(database) as other:
                changed = other.root() if conflict == "root" else other.root()[conflict]
                changed["other"] = 1
                other.transaction_manager.commit()
            (root if conflict == "root" else root[conflict])["mine"] = 2
            with pytest.raises(ConflictError):
                connection.transaction_manager.commit()
        connection.transaction_manager.abort()
        assert "array" not in documents
        assert view[0] == (0 if conflict == "later" else 50)  # what was stored before the conflict is gone
        root["more"] = 2
        connection.transaction_manager.commit()
    with separate_connection(database) as again:
        assert again is connection
        assert again.root()["more"] == 2
    assert not caplog.records


class Mixed(RuleBasedStateMachine):
    """An array that is written, read, cut and grown in both ways, with commits and aborts, beside a numpy array."""

    def __init__(self) -> None:
        super().__init__()
        self.database = DB(MappingStorage())
        self.connection = self.database.open()
        self.expected = numpy.zeros(2 * B // 1024, "S1024")

    @initialize()
    def make(self) -> None:
        self.array = self.connection.root()["array"] = Array(self.expected.shape, self.expected.dtype)
        self.connection.transaction_manager.commit()
        self.committed = self.expected.copy()

    @rule(start=st.integers(0, 4096), length=st.sampled_from([1, 3, 2048, 5000]), mapped=st.booleans())
    def write(self, start: int, length: int, mapped: bool) -> None:
        value = f"{start}-{length}"
        target: Any = self.array.zarray if mapped else self.array
        target[start : start + length] = value
        self.expected[start : start + length] = value

    @rule(length=st.sampled_from([0, 1, 1000, 2048, 3000]))
    def append(self, length: int) -> None:
        values = numpy.full(length, f"append {length}", "S1024")
        self.array.append(values)
        self.expected = numpy.append(self.expected, values)

    @rule(length=st.integers(0, 5000))
    def resize(self, length: int) -> None:
        self.array.resize((length,))
        self.expected = (
            numpy.resize(self.expected, length)
            if length < len(self.expected)
            else numpy.append(self.expected, numpy.zeros(length - len(self.expected), "S1024"))
        )

    @rule(mapped=st.booleans())
    def read(self, mapped: bool) -> None:
        target: Any = self.array.zarray if mapped else self.array
        assert target[::100].tobytes() == self.expected[::100].tobytes()

    @rule()
    def commit(self) -> None:
        self.connection.transaction_manager.commit()
        self.committed = self.expected.copy()

    @rule()
    def abort(self) -> None:
        self.connection.transaction_manager.abort()
        self.expected = self.committed.copy()

    @invariant()
    def has_the_length(self) -> None:
        assert len(self.array) == len(self.expected)

    def teardown(self) -> None:
        assert self.array[:].tobytes() == self.array.zarray[:].tobytes() == self.expected.tobytes()
        self.connection.transaction_manager.abort()
        self.connection.close()
        self.database.close()


TestMixed = Mixed.TestCase
TestMixed.settings = settings(
    max_examples=15, stateful_step_count=15, deadline=None, suppress_health_check=list(HealthCheck)
)
