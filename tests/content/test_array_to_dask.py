"""Data Arrays, their lines and views as dask arrays and as xarray has them."""

from __future__ import annotations

import dask.array
import numpy
import pytest
import transaction
import xarray

from Products.ERP5Wendelin.blockwise.snapshot import Snapshot
from Products.ERP5Wendelin.errors import Conflict, NotAuthorised
from support.scripts import run_text

VALUES = numpy.arange(12).reshape(4, 3)
RECORDS = numpy.array([(60 * n, n / 2) for n in range(3)], [("time", "M8[s]"), ("celsius", "<f8")])


@pytest.fixture
def image(site):
    """A Data Array of 4 rows and 3 columns, committed."""
    return new(site, "image", VALUES, title="Heat of a wall", description="Seen by a camera")


def new(site, reference, values, **properties):
    document = site.data_array_module.newContent(reference=reference, **properties)
    document.initArray(values.shape, values.dtype)
    document.setArrayIndex(..., values)
    transaction.commit()
    return document


def computed(array):
    assert isinstance(array, dask.array.Array)
    return array.compute(scheduler="threads").tolist()


def test_a_data_array_becomes_a_dask_array(image):
    assert image.to_dask().chunks == ((4,), (3,))
    assert image.to_dask(chunks=(2, 3)).chunks == ((2, 2), (3,))
    assert computed(image.to_dask(2).T) == VALUES.T.tolist()


def test_lines_and_views_become_dask_arrays_of_what_they_show(site, image):
    line = image.newContent("Data Array Line", index_expression="1:, ::2")
    element = image.newContent("Data Array Line", index_expression="1, 2")
    view = site.data_array_module.newContent("Data Array View", reference="all")
    add = view.newContent
    add("Data Array View Line", predecessor_value=image, index_expression=":, 0", int_index=1, name_list=["first"])
    add("Data Array View Line", predecessor_value=new(site, "weather", RECORDS), int_index=2)
    transaction.commit()
    assert computed(line.to_dask(chunks=1)) == VALUES[1:, ::2].tolist()
    assert computed(element.to_dask()) == 5
    assert computed(view.to_dask(chunks=2)["celsius"]) == [0.0, 0.5, 1.0]
    assert computed(view.to_dask()["first"]) == [0, 3, 6]


def test_a_temporary_array_goes_into_the_graph(site):
    document = site.data_array_module.newContent("Data Array", temp_object=True, reference="scratch")
    document.initArray((3,), "int64")
    document.appendArray([5])
    assert computed(document.to_dask() + 1) == [1, 1, 1, 6]
    assert document.to_xarray().attrs == {"reference": "scratch"}


def test_changes_that_are_not_committed_are_refused(image):
    image.newContent("Data Array Line")  # of the document, and not of its elements
    image.to_dask()
    image.setArrayIndex((0, 0), 7)
    with pytest.raises(Conflict, match=r"^The array has changes that are not committed.* Commit first\.$"):
        image.to_dask()
    transaction.commit()
    assert computed(image.to_dask()[0, 0]) == 7


def test_xarray_is_told_what_the_document_knows(image):
    image.provenance = {"data_set": "walls", "version": 3, "path": "heat.npy", "key": ""}
    transaction.commit()
    made = image.to_xarray(dims=("time", "sensor"), coords={"sensor": ["a", "b", "c"]})
    assert isinstance(made, xarray.DataArray)
    assert (made.name, made.dims) == ("image", ("time", "sensor"))
    assert made.attrs == {
        "reference": "image",
        "long_name": "Heat of a wall",
        "description": "Seen by a camera",
        "data_set": "walls",
        "version": 3,
        "path": "heat.npy",
        "snapshot": Snapshot.of(image._p_jar).text,
    }
    assert made.sel(sensor="b").values.tolist() == [1, 4, 7, 10]


def test_columns_become_variables_with_what_the_document_knows(site):
    made = new(site, "weather", RECORDS).to_xarray(dims=["n"])
    assert isinstance(made, xarray.Dataset)
    assert list(made.data_vars) == ["time", "celsius"]
    assert made.attrs["reference"] == "weather"
    assert float(made["celsius"].max()) == 1.0


@pytest.mark.parametrize("method", ["to_dask", "to_xarray"])
def test_restricted_scripts_get_neither(site, image, method):
    with pytest.raises(NotAuthorised):
        run_text(site, f"return context.getPortalObject().data_array_module['{image.id}'].{method}()")
