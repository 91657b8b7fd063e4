"""Windows on arrays, compared with what NumPy has of the same elements."""

import pickle
import tracemalloc
from collections.abc import Iterator
from typing import Any

import numpy
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hypothesis_numpy
from ZODB import DB
from ZODB.Connection import Connection
from ZODB.MappingStorage import MappingStorage

from Products.ERP5Wendelin.errors import BadInput
from Products.ERP5Wendelin.storage.array import Array
from Products.ERP5Wendelin.storage.array_reader import Column, Columns, Merged, Typed, Window
from Products.ERP5Wendelin.storage.memory_array import MemoryArray
from Products.ERP5Wendelin.storage.transaction import separate_connection

RECORD = numpy.dtype([("time", "<i8"), ("celsius", "<f4"), ("wind", "<f4", (2,))])


@pytest.fixture
def database() -> Iterator[DB]:
    database = DB(MappingStorage())
    yield database
    database.close()


@pytest.fixture
def connection(database: DB) -> Iterator[Connection]:
    with separate_connection(database) as connection:
        yield connection


def in_memory(values: numpy.ndarray) -> MemoryArray:
    array = MemoryArray(values.shape, values.dtype)
    array[...] = values
    return array


def records(length: int) -> numpy.ndarray:
    values = numpy.zeros(length, RECORD)
    values["time"] = numpy.arange(length)
    values["celsius"] = numpy.arange(length) / 2
    values["wind"] = numpy.arange(2 * length).reshape(length, 2)
    return values


@settings(max_examples=200, deadline=None)
@given(data=st.data())
def test_a_window_on_a_window_is_what_numpy_selects(data: st.DataObject) -> None:
    shape = data.draw(hypothesis_numpy.array_shapes(max_dims=3, max_side=6))
    expected = numpy.arange(numpy.prod(shape)).reshape(shape)
    reader: Any = in_memory(expected)
    for _ in range(2):
        index = data.draw(hypothesis_numpy.basic_indices(expected.shape))
        reader, expected = Window(reader, index), numpy.asarray(expected[index])
        assert (reader.shape, reader.dtype, reader.ndim) == (expected.shape, expected.dtype, expected.ndim)
        assert (reader.size, reader.nbytes) == (expected.size, expected.nbytes)
    index = data.draw(hypothesis_numpy.basic_indices(expected.shape))
    assert numpy.array_equal(reader[index], expected[index])
    assert numpy.shape(reader[index]) == numpy.shape(expected[index])


def test_a_window_grows_with_its_array_and_says_what_is_no_longer_there() -> None:
    array = in_memory(numpy.arange(4))
    window, last = Window(array, slice(2, 6)), Window(array, 3)
    assert (len(window), last[()]) == (2, 3)
    array.append([40, 50, 60])
    assert window[:].tolist() == [2, 3, 40, 50]
    array.resize((3,))
    assert window[...].tolist() == [2]
    with pytest.raises(IndexError, match=r"^Index 3 is out of bounds for axis 0, which has a length of 3\.$"):
        last[()]


def test_a_window_of_one_element_has_no_length() -> None:
    with pytest.raises(TypeError, match=r"^A window of no axes, which is one element, has no length\.$"):
        len(Window(in_memory(numpy.arange(4)), 1))


def test_what_a_window_gives_is_a_copy() -> None:
    array = in_memory(numpy.arange(4))
    Window(array)[:][0] = 7
    assert array[0] == 0
    with pytest.raises(TypeError, match="does not support item assignment"):
        Window(array)[0] = 7  # type: ignore[index]


def test_a_column_has_its_own_axes_behind_the_arrays() -> None:
    expected = records(7)
    array = in_memory(expected)
    celsius, wind = Column(array, "celsius"), Column(array, "wind")
    assert (celsius.shape, celsius.dtype) == ((7,), numpy.float32)
    assert celsius[1:5:2].tolist() == expected["celsius"][1:5:2].tolist()
    assert celsius[3] == 1.5
    assert (wind.shape, wind.dtype) == ((7, 2), numpy.float32)
    assert wind[::-2, 1].tolist() == expected["wind"][::-2, 1].tolist()
    assert wind[-1].tolist() == [12, 13]
    assert Window(wind, (slice(1, 3), 0))[:].tolist() == [2, 4]


@settings(max_examples=100, deadline=None)
@given(data=st.data())
def test_what_is_read_in_parts_is_what_numpy_has(data: st.DataObject) -> None:
    """Of 40 records of 1 MB in 2 axes, so that a part has 4 of them."""
    dtype = numpy.dtype([("n", "<i8"), ("m", "<i4", (2, 3)), ("rest", "V1000000")])
    array = Array((8, 5), dtype)
    expected = numpy.zeros((8, 5), [("n", "<i8"), ("m", "<i4", (2, 3))])
    for place in data.draw(st.lists(st.tuples(st.integers(0, 7), st.integers(0, 4)), max_size=3)):
        expected[place] = (sum(place) + 1, numpy.arange(6).reshape(2, 3))
        array[place] = (*expected[place], b"")
    index = data.draw(hypothesis_numpy.basic_indices((8, 5, 2, 3), min_dims=0))
    assert numpy.array_equal(Column(array, "m")[index], expected["m"][index])
    index = data.draw(hypothesis_numpy.basic_indices((8, 5)))
    assert numpy.array_equal(Column(array, "n")[index], expected["n"][index])
    assert numpy.array_equal(Columns(array, ["m", "n"])[index]["m"], expected[index]["m"])


@pytest.mark.parametrize(
    ("reader", "index"),
    [
        (lambda: Column(Array((10**5,), [("n", "i1"), ("rest", "V10000")]), "n"), ...),
        (lambda: Columns(Array((10**5,), [("n", "i1"), ("rest", "V10000")]), ["n"]), ...),
        (
            lambda: Column(Window(Array((10**9,), [("n", "i1"), ("rest", "V10000")]), slice(None, None, 10**6)), "n"),
            ...,
        ),
        (lambda: Typed(Array((2, 10**12), "u1"), numpy.dtype("f8")), numpy.s_[:, 1 :: 10**9]),
        (lambda: Typed(Array((2, 10**12), "u1"), numpy.dtype("f8")), numpy.s_[:, :: -(10**9)]),
    ],
)
def test_little_that_is_asked_for_of_much_takes_little_memory(reader: Any, index: Any) -> None:
    """What lies around it is a gigabyte, or a terabyte."""
    tracemalloc.start()
    try:
        found = reader()[index]
        assert found.size
        assert not found.any()
        assert tracemalloc.get_traced_memory()[1] < 64 * 2**20
    finally:
        tracemalloc.stop()


def test_records_that_are_too_large_together_are_bad_input() -> None:
    with pytest.raises(BadInput, match=r"an element has 8000000 bytes, and may have 2097152 bytes"):
        Merged([("f", Array((4, 1000, 1000), "f8"))]).dtype  # noqa: B018
    with pytest.raises(BadInput, match="is no dtype"):
        Merged([("f", Array((4, 1000, 1000, 1000), "f8"))]).dtype  # noqa: B018


def test_columns_are_packed_in_their_order() -> None:
    expected = records(5)
    reader = Columns(in_memory(expected), ("wind", "time"))
    assert reader.dtype == [("wind", "<f4", (2,)), ("time", "<i8")]
    assert (reader.shape, reader.nbytes) == ((5,), 80)
    assert reader[1:4]["wind"].tolist() == expected["wind"][1:4].tolist()
    assert reader[2]["time"] == 2


@pytest.mark.parametrize("reader", [lambda array: Column(array, "x").dtype, lambda array: Columns(array, ["x"]).dtype])
def test_a_column_that_there_is_not_is_bad_input(reader: Any) -> None:
    with pytest.raises(BadInput) as caught:
        reader(in_memory(records(1)))
    assert str(caught.value) == "There is no column 'x'. Columns: time, celsius, wind."
    with pytest.raises(BadInput) as caught:
        reader(in_memory(numpy.zeros(1)))
    assert str(caught.value) == "There is no column 'x'. Columns: none."


@settings(max_examples=100, deadline=None)
@given(data=st.data())
def test_elements_of_another_dtype_are_what_numpy_sees(data: st.DataObject) -> None:
    old, new = data.draw(
        st.sampled_from([("<f8", "<i8"), ("<u2", "u1"), ("u1", "<u4"), ("<f4", "<f4,<f4"), ("<i4,<i4", "<i8")])
    )
    length = data.draw(st.integers(0, 5)) * max(1, numpy.dtype(new).itemsize // numpy.dtype(old).itemsize)
    shape = (*data.draw(hypothesis_numpy.array_shapes(min_dims=0, max_dims=2, max_side=3)), length)
    expected = numpy.arange(numpy.prod(shape) * numpy.dtype(old).itemsize, dtype="u1").view(old).reshape(shape)
    reader = Typed(in_memory(expected), numpy.dtype(new))
    expected = expected.view(new)
    assert (reader.shape, reader.dtype) == (expected.shape, expected.dtype)
    index = data.draw(hypothesis_numpy.basic_indices(expected.shape))
    assert numpy.asarray(reader[index]).tobytes() == expected[index].tobytes()


@pytest.mark.parametrize(("length", "old", "new"), [(3, "<f4", "<f8"), (4, "S6", "S4")])
def test_no_whole_number_of_elements_is_bad_input(length: int, old: str, new: str) -> None:
    reader = Typed(in_memory(numpy.zeros((2, length), old)), numpy.dtype(new))
    with pytest.raises(BadInput) as caught:
        reader[0]
    assert str(caught.value) == (
        f"An array of shape (2, {length}) and dtype {numpy.dtype(old)} cannot be seen as {numpy.dtype(new)}: "
        f"its last axis is no whole number of elements of {numpy.dtype(new).itemsize} bytes."
    )


def test_elements_are_never_seen_as_objects() -> None:
    with pytest.raises(BadInput, match="its elements are references to objects, not values"):
        Typed(in_memory(numpy.zeros(1)), numpy.dtype("O"))


def test_merged_columns_are_as_long_as_the_shortest_array() -> None:
    stations, pressure, pixels = records(5), numpy.arange(4.0), numpy.arange(12, dtype="u1").reshape(6, 2)
    merged = Merged([("f0", in_memory(stations)), ("pressure", in_memory(pressure)), ("pixels", in_memory(pixels))])
    assert merged.shape == (4,)
    assert merged.dtype == [*RECORD.descr, ("pressure", "<f8"), ("pixels", "u1", (2,))]
    part = merged[3:0:-2]
    for name in RECORD.names or ():
        assert part[name].tolist() == stations[name][3:0:-2].tolist()
    assert part["pressure"].tolist() == [3, 1]
    assert part["pixels"].tolist() == [[6, 7], [2, 3]]
    assert merged[-1]["pressure"] == 3
    assert Column(merged, "wind")[1:3].tolist() == stations["wind"][1:3].tolist()


def test_two_columns_of_one_name_are_bad_input() -> None:
    array = in_memory(records(1))
    with pytest.raises(BadInput) as caught:
        Merged([("f0", array), ("time", in_memory(numpy.zeros(1)))])
    assert str(caught.value) == "Two columns are called 'time': give one of them another name, by a name_list."


def test_functions_of_numpy_take_them_as_arrays() -> None:
    array = in_memory(numpy.arange(4.0))
    for source in (array, Window(array), Typed(array, numpy.dtype("<f8"))):
        assert numpy.add(source, [1, 1, 1, 1]).tolist() == [1, 2, 3, 4]
        assert numpy.asarray(source, "i4").tolist() == [0, 1, 2, 3]


def readers(array: Array) -> list[Any]:
    numbers = Column(array, "time")
    return [
        Window(array, slice(1, None)),
        numbers,
        Columns(array, ["celsius"]),
        Typed(numbers, numpy.dtype("M8[s]")),
        Merged([("f0", array), ("x", Window(numbers, slice(2, None)))]),
    ]


def test_they_read_other_states_of_the_database_over_other_connections(connection: Connection, database: DB) -> None:
    array = connection.root()["array"] = Array((5,), RECORD)
    array[:] = records(5)
    connection.transaction_manager.commit()
    expected = [reader[:].tobytes() for reader in readers(array)]
    with separate_connection(database) as before:
        before.root()
        array[:] = numpy.zeros((), RECORD)
        array.append(records(3))
        connection.transaction_manager.commit()
        for reader, then in zip(readers(array), expected, strict=True):
            assert reader[:].tobytes() != then
            assert reader.arrays == (array,)
            there = reader.on(before)
            assert there[:].tobytes() == then
            assert there.arrays == (before.get(array._p_oid),)


def test_they_can_be_sent_to_other_processes() -> None:
    array = in_memory(records(5))
    for reader in readers(array):  # type: ignore[arg-type]
        assert pickle.loads(pickle.dumps(reader))[:].tobytes() == reader[:].tobytes()
