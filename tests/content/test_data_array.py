from __future__ import annotations

import numpy
import pytest
import transaction
from wendelin.bigarray.array_zodb import ZBigArray

from Products.ERP5Wendelin.content.scripts import run, script_of
from Products.ERP5Wendelin.errors import BadInput, Conflict, NotAuthorised, ScriptError
from Products.ERP5Wendelin.storage.array_reader import Window
from support.alarms import add_script
from support.site import as_user


@pytest.fixture
def data_array(site):
    return site.data_array_module.newContent(reference="table")


def test_array_is_given_a_shape_and_read_in_slices(data_array):
    data_array.initArray((4, 2), numpy.float64)[1:3] = [[1, 2], [3, 4]]
    assert (data_array.getArrayShape(), data_array.getArrayDtype()) == ((4, 2), numpy.float64)
    assert data_array.getArraySlice(1, 3).tolist() == [[1, 2], [3, 4]]
    assert data_array.getArray().shape == (4, 2)


def test_columns_size_and_elements_are_told(data_array):
    data_array.initArray((3,), [("time", "M8[s]"), ("value", "f8")])
    data_array.setArrayIndex(1, ("2026-05-01", 7))
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


def test_a_reference_that_is_taken_is_told_with_whether_one_may_see_by_what(lake):
    with lake.open("boss") as site:
        array = site.data_array_module.newDataArray("mine")
        with pytest.raises(Conflict, match=r"^The reference 'mine' is taken\. Choose another\.$"):
            site.data_array_module.newDataArray("mine")
        array.validate()
        array.invalidate()
        transaction.commit()
    hidden = r"^The reference 'mine' is taken, by an array that you may not see\. Choose another\.$"
    with lake.open("ada") as site, pytest.raises(Conflict, match=hidden):
        site.data_array_module.newDataArray("mine")


def test_dtype_of_objects_is_refused(data_array):
    with pytest.raises(BadInput, match="its elements are references to objects, not values"):
        data_array.initArray((1,), object)
    assert data_array.getArray() is None


def run_script(document, body):
    """What a script returns that is called for a document."""
    add_script(document.getPortalObject(), "DataArray_test", body)
    return run(script_of(document, "DataArray_test"))


def test_a_script_reads_and_writes_an_array(lake):
    with lake.open("boss") as site:
        document = site.data_array_module.newContent(reference="table")
        run_script(
            document,
            "array = context.initArray((2, 2), 'int64')\n"
            "array[0] = [1, 2]\n"
            "array[1, :] = 7\n"
            "array.append([[3, 4]])\n"
            "array.resize((4, 2))",
        )
        body = (
            "array = context.getArray()\nreturn array.shape, array.ndim, array.size, len(array), array[1:, 0].tolist()"
        )
        assert run_script(document, body) == ((4, 2), 2, 8, 4, [7, 3, 0])
        for forbidden in ("return context.getArray().zarray", "context.getArray().zarray = 1"):
            with pytest.raises(NotAuthorised, match="zarray"):
                run_script(document, forbidden)


def test_who_may_only_read_an_array_gets_one_that_can_only_be_read(lake):
    with lake.open("boss") as site:
        document = site.data_array_module.newContent(reference="table")
        document.initArray((2, 2), "int64")[0] = [1, 2]
        document.validate()
        for body in (
            "context.getArray()[0] = 7",
            "context.getArray().append([[3, 4]])",
            "context.getArray().resize((9, 2))",
        ):
            add_script(site, "DataArray_test", body)
            with as_user(site, "dan"), pytest.raises((ScriptError, NotAuthorised)):
                run(script_of(document, "DataArray_test"))
        with as_user(site, "dan"):
            array = document.getArray()
        assert (array.shape, array.ndim, array.size, array.nbytes, len(array)) == ((2, 2), 2, 4, 32, 2)
        assert array.dtype == "int64"
        assert array[:].tolist() == [[1, 2], [0, 0]]
        add_script(site, "DataArray_test", "return context.getArray()[0, 1]")
        with as_user(site, "dan"):
            assert run(script_of(document, "DataArray_test")) == 2


def test_who_may_push_maps_the_array_itself_and_a_script_gets_one_that_is_not_mapped(lake):
    with lake.open("boss") as site:
        document = site.data_array_module.newContent(reference="table")
        assert isinstance(document.initArray((4,), "int64"), ZBigArray)
        document.getArray()[1:3] = 5
        assert document.getArraySlice(0, 4).tolist() == [0, 5, 5, 0]
        assert document.getArray() is document.array.zarray
        add_script(site, "DataArray_test", "array = context.getArray()\narray[0] = 7\nreturn array")
        assert run(script_of(document, "DataArray_test")) is document.array
        assert document.getArray()[:].tolist() == [7, 5, 5, 0]
        document.validate()
        with as_user(site, "dan"):
            assert type(document.getArray()) is Window


def test_array_is_written_directly_by_methods_of_its_document(data_array):
    data_array.initArray((2, 2), "int64")
    data_array.setArrayIndex((0, 1), 5)
    data_array.setArrayIndex(..., [[1, 5], [3, 4]])
    data_array.appendArray([[6, 7]])
    assert data_array.getArray()[:].tolist() == [[1, 5], [3, 4], [6, 7]]
    data_array.resizeArray((1, 2))
    assert data_array.getArrayIndex(...).tolist() == [[1, 5]]


def test_columns_get_other_names(data_array):
    data_array.initArray((1,), [("x", "i4"), ("y", "f8")])
    data_array.setArrayIndex(0, (1, 2))
    data_array.setArrayDtypeNames(["a", "b"])
    assert data_array.getArrayDtypeNames() == ["a", "b"]
    assert data_array.getArraySlice(0, 1)["b"].tolist() == [2]


@pytest.mark.parametrize(
    "call",
    [
        "initArray((1,), 'i4')",
        "setArrayIndex(0, 1)",
        "appendArray([1])",
        "resizeArray((9,))",
        "setArrayDtypeNames(['x'])",
    ],
)
def test_who_may_only_read_an_array_does_not_write_to_it(lake, call):
    with lake.open("boss") as site:
        document = site.data_array_module.newContent(reference="table")
        document.initArray((2,), [("a", "i4")])
        document.validate()
        add_script(site, "DataArray_test", f"context.{call}")
        with as_user(site, "dan"), pytest.raises(NotAuthorised, match=call.partition("(")[0]):
            run(script_of(document, "DataArray_test"))
        assert (document.getArrayShape(), document.getArrayDtypeNames()) == ((2,), ["a"])


def test_an_array_made_in_the_transaction_that_makes_its_document_is_mapped_and_committed(lake):
    with lake.open("boss") as site:
        array = site.data_array_module.newContent(id="table").initArray((3,), "int64")
        array[1:] = 5
        transaction.commit()
    with lake.open("boss") as site:
        assert site.data_array_module["table"].getArray()[:].tolist() == [0, 5, 5]


def test_a_temporary_array_is_in_memory_and_nobody_finds_it(lake):
    with lake.open("ada") as site:
        module = site.data_array_module
        document = module.newContent("Data Array", temp_object=True, reference="scratch", title="Scratch")
        assert document.isTempObject()
        array = document.initArray((2,), "int64")
        array[:] = 5
        document.appendArray([6])
        document.edit(title="Notes")
        assert (document.getArray(), document.getTitle()) == (array, "Notes")
        assert document.getArraySlice(0, 9).tolist() == [5, 5, 6]
        assert document.getRelativeUrl() == f"data_array_module/{document.getId()}"
        assert (len(module.objectIds()), len(site.portal_catalog(reference="scratch"))) == (0, 0)
        assert not module.newContent("Data Array").isTempObject()
        with pytest.raises(BadInput) as caught:
            document.newContent("Data Array Line")
        assert str(caught.value) == "A temporary document can't contain others, unless they are temporary as well."
        transaction.commit()
    with lake.open("ada") as site:
        assert len(site.data_array_module.objectIds()) == 1


def test_a_script_calculates_with_a_temporary_array(data_array):
    body = (
        "array = context.getPortalObject().data_array_module.newContent('Data Array', temp_object=True)\n"
        "numbers = array.initArray((2,), 'float64')\n"
        "numbers[1] = 3\n"
        "numbers.append([5])\n"
        "return numbers[:].sum(), array.getArraySlice(1, 3).tolist()"
    )
    assert run_script(data_array, body) == (8, [3, 5])


def test_a_temporary_data_set_takes_no_reference(site):
    module = site.data_set_module
    assert module.newContent(reference="brain_mri", temp_object=True).isTempObject()
    assert module.getDataSet("brain_mri") is None
