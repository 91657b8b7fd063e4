"""Array: slices read and written block by block, compared with numpy and with wendelin.core's mapping."""

import pickle
from collections.abc import Iterator
from typing import Any

import numpy
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hypothesis_numpy
from ZODB import DB
from ZODB.Connection import Connection
from ZODB.MappingStorage import MappingStorage
from zope.interface.verify import verifyObject

from Products.ERP5Wendelin import errors
from Products.ERP5Wendelin.interfaces import IArray
from Products.ERP5Wendelin.storage import array as array_module
from Products.ERP5Wendelin.storage.array import Array
from Products.ERP5Wendelin.storage.block import BLOCK_SIZE
from Products.ERP5Wendelin.storage.transaction import separate_connection

DTYPES = ["u1", ">i4", "f8", "c16", "S3", "U2", "M8[s]", "m8[ns]", "?", [("time", "M8[ns]"), ("value", "f4", (2,))]]


@pytest.fixture
def connection() -> Iterator[Connection]:
    database = DB(MappingStorage())
    with separate_connection(database) as connection:
        yield connection
    database.close()


def stored(connection: Connection, array: Array) -> Array:
    connection.root()["array"] = array
    connection.transaction_manager.commit()
    return array


def values(shape: tuple[int, ...], dtype: Any = "i8") -> numpy.ndarray:
    """Elements that differ from their neighbours, whatever their dtype."""
    numbers = numpy.arange(numpy.prod(shape, dtype=int)).reshape(shape)
    if numpy.dtype(dtype).names:
        elements = numpy.zeros(shape, dtype)
        elements["time"] = numbers
        elements["value"] = numbers[..., numpy.newaxis]
        return elements
    return numbers.astype(dtype)


def test_it_provides_its_interface() -> None:
    verifyObject(IArray, Array((2, 3), "f8"))


def test_it_is_zeros_of_its_shape_and_dtype(connection: Connection) -> None:
    array = stored(connection, Array((2, 3), "f8"))
    assert (array.shape, array.dtype, array.ndim, array.size, array.nbytes) == ((2, 3), numpy.dtype("f8"), 2, 6, 48)
    assert len(array) == 2
    assert numpy.array_equal(array[...], numpy.zeros((2, 3)))


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_elements_of_any_fixed_size_are_kept(connection: Connection, dtype: Any) -> None:
    expected = numpy.zeros((7, 3), dtype)
    expected[1:6] = values((5, 3), dtype)
    array = stored(connection, Array((7, 3), dtype))
    array[1:6] = expected[1:6]
    connection.transaction_manager.commit()
    assert array[:].tobytes() == expected.tobytes()
    assert array.zarray[:].tobytes() == expected.tobytes()
    assert array[:].dtype == expected.dtype


def test_rows_are_appended_over_borders_of_blocks(connection: Connection) -> None:
    row = 1000
    expected = values((3 * BLOCK_SIZE // (8 * row), row))
    array = stored(connection, Array((0, row), "i8"))
    for begin in range(0, len(expected), 100):
        array.append(expected[begin : begin + 100])
        connection.transaction_manager.commit()
    assert array.shape == expected.shape
    assert numpy.array_equal(array[:], expected)
    assert numpy.array_equal(array.zarray[:], expected)
    assert numpy.array_equal(array[200:600:7, 5:900:31], expected[200:600:7, 5:900:31])
    assert numpy.array_equal(array[:, -1], expected[:, -1])


def test_a_row_longer_than_a_block_is_read_in_parts(connection: Connection) -> None:
    expected = values((2, 3, BLOCK_SIZE // 4))
    array = stored(connection, Array(expected.shape, "i8"))
    array[:] = expected
    connection.transaction_manager.commit()
    assert numpy.array_equal(array[:, ::2, 10:-10:1000], expected[:, ::2, 10:-10:1000])
    assert array[1, 2, -1] == expected[1, 2, -1]


def test_one_element_is_a_scalar(connection: Connection) -> None:
    array = stored(connection, Array((2, 2), "i4"))
    array[1, -1] = 7
    assert array[-1, 1] == 7
    assert isinstance(array[1, 1], numpy.int32)


def test_functions_of_numpy_take_it_as_an_array(connection: Connection) -> None:
    array = stored(connection, Array((3,), "i4"))
    array[1:] = 2
    assert numpy.add(array, 1).tolist() == [1, 3, 3]
    assert numpy.asarray(array, "f8").tolist() == [0, 2, 2]


def test_what_is_read_is_a_copy(connection: Connection) -> None:
    array = stored(connection, Array((3,), "i4"))
    array[:][1] = 5
    assert array[1] == 0


def test_rows_cut_off_are_zeros_when_the_array_grows_again(connection: Connection) -> None:
    size = BLOCK_SIZE + 100
    array = stored(connection, Array((size,), "u1"))
    array[:] = 1
    connection.transaction_manager.commit()
    for shorter in (BLOCK_SIZE + 50, 70):
        array.resize((shorter,))
        connection.transaction_manager.commit()
        array.resize((size,))
        connection.transaction_manager.commit()
        assert array[:].tobytes() == bytes([1] * shorter).ljust(size, b"\0")
        assert array.zarray[:].tobytes() == bytes([1] * shorter).ljust(size, b"\0")


def test_a_mapping_shows_what_was_written_once_it_is_committed(connection: Connection) -> None:
    array = stored(connection, Array((1000,), "i8"))
    assert not array.zarray[:].any()
    array[10:20] = 5
    connection.transaction_manager.commit()
    assert numpy.array_equal(array.zarray[:], array[:])
    assert array[:].sum() == 50


def test_an_aborted_write_leaves_nothing(connection: Connection) -> None:
    array = stored(connection, Array((BLOCK_SIZE,), "i8"))
    array[:] = 1
    connection.transaction_manager.commit()
    array[5:-5] = 2
    array.append([3])
    connection.transaction_manager.abort()
    assert array.shape == (BLOCK_SIZE,)
    assert (array[:] == 1).all()


@pytest.mark.parametrize("dtype", ["O", [("a", "i4"), ("b", "O")]], ids=str)
def test_objects_are_bad_input(dtype: Any) -> None:
    with pytest.raises(errors.BadInput) as caught:
        Array((1,), dtype)
    assert str(caught.value) == (
        f"An array of {numpy.dtype(dtype)} cannot be stored: its elements are references to objects, not values. "
        "Choose a dtype of fixed size, such as float64 or S20."
    )


def test_elements_without_a_size_are_bad_input() -> None:
    with pytest.raises(errors.BadInput) as caught:
        Array((1,), "S")
    assert str(caught.value) == "An array of |S0 cannot be stored: its elements have no size. Choose one such as S20."


@pytest.mark.parametrize(
    ("shape", "dtype", "message"),
    [
        ((1,) * 33, "i4", "An array of 33 axes cannot be made: it may have 32 axes."),
        ((2**60,), "i4", f"An array of shape (2**60,) and int32 is larger than {2**62} bytes."),
        ((0, 2**70), "i4", f"An array of shape (0, 2**70) and int32 is larger than {2**62} bytes."),
        ((1,), "no dtype", "'no dtype' is no dtype: data type 'no dtype' not understood."),
        (
            (1,),
            "S3000000",
            "An array of |S3000000 cannot be stored: an element has 3000000 bytes, and may have 2097152 "
            "bytes. Make more axes of it.",
        ),
        (
            (1,),
            "(2,3)f8",
            "An array of ('<f8', (2, 3)) cannot be stored: its elements are arrays themselves. Let their "
            "axes be the array's last ones.",
        ),
    ],
)
def test_what_cannot_be_addressed_or_read_by_blocks_is_bad_input(shape: Any, dtype: str, message: str) -> None:
    with pytest.raises(errors.BadInput) as caught:
        Array(shape, dtype)
    assert str(caught.value) == message.replace("2**60", str(2**60)).replace("2**70", str(2**70))


@pytest.mark.parametrize("shape", [(), (2, -1), "axes", (1, None), float("inf")])
def test_no_axis_or_a_negative_length_is_bad_input(shape: Any) -> None:
    with pytest.raises(errors.BadInput) as caught:
        Array(shape, "i4")
    assert str(caught.value) == (
        f"{shape} is no shape of an array: give a length of at least 0 for each of one or more axes."
    )


@pytest.mark.parametrize("more", [[1, 2], [[1, 2, 3]], 5])
def test_appending_another_shape_is_bad_input_and_changes_nothing(connection: Connection, more: Any) -> None:
    array = stored(connection, Array((1, 2), "i4"))
    with pytest.raises(errors.BadInput) as caught:
        array.append(more)
    assert str(caught.value) == (
        f"Values of shape {numpy.shape(more)} cannot be appended to an array of shape (1, 2): "
        "only the first axis may differ."
    )
    assert array.shape == (1, 2)


def test_resizing_another_axis_is_bad_input() -> None:
    with pytest.raises(errors.BadInput) as caught:
        Array((1, 2), "i4").resize((1, 3))
    assert str(caught.value) == "An array of shape (1, 2) cannot become (1, 3): only the first axis may change."


def test_writing_another_shape_is_bad_input(connection: Connection) -> None:
    array = stored(connection, Array((4, 4), "i4"))
    with pytest.raises(errors.BadInput) as caught:
        array[:2, 0] = [1, 2, 3]
    assert str(caught.value) == "Values of shape (3,) cannot be written to a slice of shape (2,)."


@pytest.mark.parametrize(
    ("index", "kind"), [([0, 1], "list"), (numpy.array([True]), "ndarray"), (None, "NoneType"), (1.5, "float")]
)
def test_an_index_that_is_not_basic_is_bad_input(index: Any, kind: str) -> None:
    with pytest.raises(errors.BadInput) as caught:
        Array((4,), "i4")[index]
    assert str(caught.value) == (
        f"An array is read by integers, slices and ..., not by {kind}: read a slice, and select from it."
    )


@pytest.mark.parametrize("index", [(0, 0), (..., ...), (0, ..., 0)])
def test_more_indices_than_axes_are_bad_input(index: Any) -> None:
    with pytest.raises(errors.BadInput, match=r"^The index has more parts than the array has axes: 1\.$"):
        Array((4,), "i4")[index]


@pytest.mark.parametrize("position", [4, -5])
def test_a_position_outside_is_an_index_error(position: int) -> None:
    with pytest.raises(IndexError) as caught:
        Array((9, 4), "i4")[0, position]
    assert str(caught.value) == f"Index {position} is out of bounds for axis 1, which has a length of 4."


@pytest.mark.parametrize("action", [lambda array: array.append(["x"]), lambda array: array.__setitem__(0, "x")])
def test_values_of_another_kind_are_bad_input_and_change_nothing(action: Any) -> None:
    array = Array((1,), "i4")
    with pytest.raises(errors.BadInput) as caught:
        action(array)
    assert str(caught.value) == ("The values can't be converted to int32: invalid literal for int() with base 10: 'x'.")
    assert array.shape == (1,)


def test_columns_are_renamed_where_they_are(connection: Connection) -> None:
    array = stored(connection, Array((2,), [("x", "i4"), ("y", "f8", (2,))]))
    array[1] = (1, [2, 3])
    array.rename(["a", "b"])
    connection.transaction_manager.commit()
    assert array.dtype == [("a", "i4"), ("b", "f8", (2,))]
    assert array[1]["b"].tolist() == array.zarray[1]["b"].tolist() == [2, 3]


@pytest.mark.parametrize("names", [["a"], ["a", "b", "c"]])
def test_more_or_fewer_names_than_columns_are_bad_input(names: list[str]) -> None:
    with pytest.raises(errors.BadInput) as caught:
        Array((2,), [("x", "i4"), ("y", "f8")]).rename(names)
    assert str(caught.value) == (
        f"An array of [('x', '<i4'), ('y', '<f8')] has 2 columns, which can't have {len(names)} names."
    )
    with pytest.raises(errors.BadInput, match=r"^An array of float64 has 0 columns, which can't have 1 names\.$"):
        Array((2,), "f8").rename(["x"])


@pytest.mark.parametrize("names", [["a", "a"], ["a", ""], ["a", 1]])
def test_names_that_no_columns_can_have_are_bad_input(names: Any) -> None:
    with pytest.raises(errors.BadInput) as caught:
        Array((2,), [("x", "i4"), ("y", "f8")]).rename(names)
    assert str(caught.value) == f"{names} can't be the names of columns: give texts that all differ."


@pytest.mark.parametrize(("name", "shown"), [("\x1b[2J", r"'\x1b[2J'"), ("a\x00", r"'a\x00'"), ("\ud800", r"'\ud800'")])
def test_names_that_cannot_be_shown_to_others_are_bad_input(name: str, shown: str) -> None:
    message = f"{shown} can't be the name or title of a column: it must be text without control characters."
    for dtype in ([(name, "i4")], [((name, "a"), "i4")], [("a", [(name, "i4")], (2,))]):
        with pytest.raises(errors.BadInput) as caught:
            Array((2,), dtype)
        assert str(caught.value) == message
    for title in (1, ["a"]):
        with pytest.raises(errors.BadInput) as caught:
            Array((2,), [((title, "a"), "i4")])
        assert str(caught.value) == message.replace(shown, repr(title))
    array = Array((2,), [("Größe in\nmm", "i4")])
    with pytest.raises(errors.BadInput) as caught:
        array.rename([name])
    assert str(caught.value) == message
    assert array.dtype.names == ("Größe in\nmm",)


def test_rows_without_elements_are_appended_as_long_as_they_can_be_counted(connection: Connection) -> None:
    array = stored(connection, Array((2**61, 0), "u1"))
    with pytest.raises(errors.BadInput) as caught:
        array.append(numpy.empty((2**61, 0), "u1"))
    assert str(caught.value) == f"An array of shape {(2**62, 0)} and uint8 is larger than {2**62} bytes."
    assert array.shape == (2**61, 0)


def test_its_class_and_attribute_are_those_of_the_first_release() -> None:
    assert list(Array((1,), "u1").__getstate__()) == ["zarray"]
    assert pickle.dumps(Array, 0).startswith(b"cProducts.ERP5Wendelin.storage.array\nArray\n")


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_any_basic_slice_is_read_and_written_as_numpy_does(
    data: st.DataObject, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Pieces of 64 bytes make small arrays take all the ways that large ones take.
    monkeypatch.setattr(array_module, "BLOCK_SIZE", 64)
    monkeypatch.setattr(array_module, "READ_ROW", 16)
    shape = data.draw(hypothesis_numpy.array_shapes(max_dims=3, max_side=9))
    dtype = data.draw(st.sampled_from(["u1", "f8", [("a", "i2"), ("b", "f4")]]))
    array, expected = Array(shape, dtype), numpy.zeros(shape, dtype)
    for turn in range(3):
        index = data.draw(hypothesis_numpy.basic_indices(shape))
        part = (
            numpy.full(expected[index].size * expected.itemsize, turn + 1, "u1")
            .view(dtype)
            .reshape(expected[index].shape)
        )
        array[index] = part
        expected[index] = part
        index = data.draw(hypothesis_numpy.basic_indices(shape))
        assert array[index].tobytes() == expected[index].tobytes()
        assert numpy.shape(array[index]) == numpy.shape(expected[index])
