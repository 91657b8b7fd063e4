from __future__ import annotations

import numpy
import pytest

from Products.ERP5Wendelin.errors import BadInput, Conflict


@pytest.fixture
def data_array(site):
    return site.data_array_module.newContent(reference="table")


def test_array_is_given_a_shape_and_read_in_slices(data_array):
    data_array.initArray((4, 2), numpy.float64)[1:3] = [[1, 2], [3, 4]]
    assert (data_array.getArrayShape(), data_array.getArrayDtype()) == ((4, 2), numpy.float64)
    assert data_array.getArraySlice(1, 3).tolist() == [[1, 2], [3, 4]]
    assert data_array.getArray().shape == (4, 2)


def test_columns_size_and_elements_are_told(data_array):
    data_array.initArray((3,), [("time", "M8[s]"), ("value", "f8")])[1] = ("2026-05-01", 7)
    assert (data_array.getArrayDtypeNames(), data_array.getSize()) == (["time", "value"], 48)
    assert data_array.getArrayIndex(1)["value"] == 7
    assert data_array.getArrayIndex(slice(0, 2)).shape == (2,)
    assert data_array.getArrayIndex((slice(0, 2),))["value"].tolist() == [0, 7]
    data_array.initArray((3,), numpy.uint8)
    assert (data_array.getArrayDtypeNames(), data_array.getSize()) == ([], 3)


def test_array_that_was_not_initialised_says_so(data_array):
    assert (data_array.getArray(), data_array.getArray(7), data_array.getSize()) == (None, 7, 0)
    calls = (
        *(data_array.getArrayShape, data_array.getArrayDtype, data_array.getArrayDtypeNames),
        *(lambda: data_array.getArraySlice(0, 1), lambda: data_array.getArrayIndex(0)),
    )
    for call in calls:
        with pytest.raises(Conflict, match=r"^Data Array 'table' has no array yet: give it one with initArray\.$"):
            call()


def test_dtype_of_objects_is_refused(data_array):
    with pytest.raises(BadInput, match="its elements are references to objects, not values"):
        data_array.initArray((1,), object)
    assert data_array.getArray() is None
