"""Data Array Lines and Views: windows on arrays, to be read as Data Arrays are."""

from __future__ import annotations

import numpy
import pytest

from Products.ERP5Wendelin.content.scripts import run, script_of
from Products.ERP5Wendelin.errors import BadInput, Conflict, ScriptError
from support.alarms import add_script
from support.site import as_user

RECORD = [("time", "M8[s]"), ("celsius", "<f8"), ("wind", "<f4", (2,))]


@pytest.fixture
def image(site):
    """A Data Array of 4 rows and 3 columns."""
    document = site.data_array_module.newContent(reference="image")
    document.initArray((4, 3), "int64")
    document.setArrayIndex(..., numpy.arange(12).reshape(4, 3))
    return document


@pytest.fixture
def weather(site):
    """A Data Array of records."""
    document = site.data_array_module.newContent(reference="weather")
    document.initArray((3,), RECORD)
    document.setArrayIndex(..., numpy.array([(60 * n, n / 2, (n, -n)) for n in range(3)], RECORD))
    return document


def line_of(document, **properties):
    return document.newContent("Data Array Line", reference="part", **properties)


@pytest.mark.parametrize(
    ("index", "selected"),
    [
        ("", ...),
        ("1:3", numpy.s_[1:3]),
        ("::2, 1", numpy.s_[::2, 1]),
        (":, ::-2", numpy.s_[:, ::-2]),
        ("-1", -1),
        ("..., 0:2", numpy.s_[..., 0:2]),
    ],
)
def test_a_line_shows_what_its_index_selects(image, index, selected):
    expected = numpy.arange(12).reshape(4, 3)[selected]
    line = line_of(image, index_expression=index)
    assert (line.getArrayShape(), line.getArrayDtype()) == (expected.shape, numpy.int64)
    assert (line.getSize(), line.getArrayDtypeNames()) == (expected.nbytes, [])
    assert line.getArrayIndex(...).tolist() == expected.tolist()
    assert line.getArraySlice(0, 2).tolist() == expected[0:2].tolist()
    assert line.getArray().tolist() == expected.tolist()


def test_what_is_written_to_a_lines_view_is_in_the_array(image):
    line_of(image, index_expression="1:3, 1").getArray()[:] = [40, 70]
    assert image.getArrayIndex(...).tolist() == [[0, 1, 2], [3, 40, 5], [6, 70, 8], [9, 10, 11]]


@pytest.mark.parametrize(
    ("expression", "dtype", "expected"),
    [
        ("'celsius'", "<f8", [0.0, 0.5, 1.0]),
        (
            "['wind', 'celsius']",
            [("wind", "<f4", (2,)), ("celsius", "<f8")],
            [([0, 0], 0), ([1, -1], 0.5), ([2, -2], 1)],
        ),
    ],
)
def test_a_line_shows_columns(weather, expression, dtype, expected):
    line = line_of(weather, index_expression=expression)
    part = line.getArraySlice(0, 3)
    assert line.getArrayDtype() == part.dtype == dtype
    assert part.tobytes() == numpy.array(expected, dtype).tobytes()
    mapped = line.getArray()
    for name in part.dtype.names or (...,):
        assert mapped[name][1:].tolist() == part[name][1:].tolist()


def test_a_line_renames_columns_and_sees_elements_as_others(weather):
    names = line_of(weather, name_list=["when", "heat", "storm"])
    assert names.getArrayDtypeNames() == ["when", "heat", "storm"]
    assert names.getArrayIndex(1)["heat"] == names.getArray()[1]["heat"] == 0.5
    seconds = line_of(weather, index_expression="'time'", dtype_expression="<i8")
    assert seconds.getArrayIndex(...).tolist() == [0, 60, 120]


def test_a_line_sees_rows_as_records(image):
    line = line_of(image, index_expression="1:", dtype_expression="[('x', '<i8'), ('y', '<i8'), ('z', '<i8')]")
    assert line.getArrayShape() == (3, 1)
    assert line.getArrayIndex((..., 0))["y"].tolist() == line.getArray()[:, 0]["y"].tolist() == [4, 7, 10]


def test_a_line_grows_with_its_array_and_waits_for_it(site, image):
    line = line_of(image, index_expression="3:")
    image.appendArray([[12, 13, 14]])
    assert line.getArrayIndex(...).tolist() == [[9, 10, 11], [12, 13, 14]]
    early = line_of(site.data_array_module.newContent(reference="none"))
    assert early.getArray(7) == 7
    with pytest.raises(Conflict, match=r"^Data Array 'none' has no array yet: give it one with initArray\.$"):
        early.getArrayShape()


@pytest.mark.parametrize(
    ("properties", "message"),
    [
        ({"index_expression": "1:2:0"}, "The part '1:2:0' of a slice has a step of 0: take 1 or more, or less than 0."),
        (
            {"index_expression": "__import__('os')"},
            "\"__import__('os')\" is no part of a slice: write an integer, start:stop, start:stop:step or '...', with "
            "commas between the axes, as in 0:100,::2.",
        ),
        ({"index_expression": "['x', 1]"}, "\"['x', 1]\" names no columns: write 'x' for one, ['x', 'y'] for several."),
        ({"index_expression": "['x'"}, "\"['x'\" can't be read: write names and dtypes as texts and lists of them."),
        ({"dtype_expression": "[x]"}, "'[x]' can't be read: write names and dtypes as texts and lists of them."),
        ({"index_expression": 5}, "index_expression must be text."),
        ({"dtype_expression": "float65"}, "'float65' is no dtype: data type 'float65' not understood."),
        (
            {"dtype_expression": "O"},
            "An array of object cannot be stored: its elements are references to objects, not values. Choose a dtype "
            "of fixed size, such as float64 or S20.",
        ),
    ],
)
def test_an_expression_that_makes_no_sense_is_refused_when_it_is_set(image, properties, message):
    line = line_of(image)
    for action in (lambda: line_of(image, **properties), lambda: line.edit(**properties)):
        with pytest.raises(BadInput) as caught:
            action()
        assert str(caught.value) == message
    assert line.getArrayShape() == (4, 3)


def test_names_that_do_not_fit_are_told_when_the_line_is_read(image):
    with pytest.raises(BadInput, match=r"^An array of int64 has 0 columns, which can't have 2 names\.$"):
        line_of(image, name_list=["x", "y"]).getArrayDtype()


def test_a_view_has_the_columns_of_its_lines_in_their_order(site, image, weather):
    view = site.data_array_module.newContent("Data Array View", reference="all")
    assert view.getArray(7) == 7
    with pytest.raises(Conflict) as caught:
        view.getArrayShape()
    assert str(caught.value) == "Data Array View 'all' has no line yet: add a Data Array View Line with a predecessor."
    add = view.newContent
    add("Data Array View Line", predecessor_value=image, index_expression=":, 0", int_index=2, name_list=["first"])
    add("Data Array View Line", predecessor_value=weather, index_expression="['celsius']", int_index=1)
    add("Data Array View Line", predecessor_value=image, index_expression=":, 1:", int_index=3, reference="rest")
    add("Data Array View Line", predecessor_value=line_of(image, index_expression=":, 2"), int_index=4)
    assert view.getArrayDtypeNames() == ["celsius", "first", "rest", "f3"]
    assert (view.getArrayShape(), view.getSize()) == ((3,), 3 * 5 * 8)
    expected = numpy.array([(0.5, 3, [4, 5], 5), (1.0, 6, [7, 8], 8)], view.getArrayDtype())
    assert view.getArraySlice(1, 3).tobytes() == view.getArray()[1:].tobytes() == expected.tobytes()
    assert view.getArrayIndex(-1)["rest"].tolist() == [7, 8]


def test_a_view_of_one_element_or_of_nothing_says_so(site, image):
    view = site.data_array_module.newContent("Data Array View", reference="all")
    line = view.newContent("Data Array View Line", reference="part")
    assert line.getArray(7) == 7
    with pytest.raises(Conflict) as caught:
        view.getArrayShape()
    assert str(caught.value) == (
        "Data Array View Line 'part' leads to no array that you may view. Set its predecessor to one."
    )
    line.edit(predecessor_value=image, index_expression="0, 0")
    with pytest.raises(BadInput) as caught:
        view.getArrayShape()
    assert str(caught.value) == (
        "Data Array View Line 'part' shows one element, which can't be a column: select a slice."
    )


def test_who_may_not_view_an_array_reads_it_by_no_view(lake):
    with lake.open("boss") as site:
        secret = site.data_array_module.newContent(reference="secret")
        secret.initArray((2,), "int64")
        view = site.data_array_module.newContent("Data Array View", reference="all")
        view.newContent("Data Array View Line", predecessor_value=secret, reference="part")
        view.validate()
        with as_user(site, "dan"), pytest.raises(Conflict, match="leads to no array that you may view"):
            view.getArrayShape()
        secret.validate()
        with as_user(site, "dan"):
            assert view.getArrayShape() == (2,)


def test_who_may_no_longer_view_an_array_reads_it_by_no_line_of_their_own(lake):
    with lake.open("boss") as site:
        array = site.data_array_module.newContent(reference="array")
        array.initArray((2,), "int64")
        line = line_of(array)
        line.manage_setLocalRoles("eve", ["Owner"])
        with as_user(site, "eve"):
            assert line.getArrayIndex(...).tolist() == [0, 0]
        array.invalidate()
        array.setArrayIndex(..., 7)
        with as_user(site, "eve"):
            for read in (line.getArrayShape, lambda: line.getArrayIndex(...)):
                with pytest.raises(Conflict) as caught:
                    read()
                assert str(caught.value) == (
                    "Data Array Line 'part' leads to no array that you may view. Ask the owner of the Data Array that "
                    "it is in."
                )
            assert line.getArray(7) == 7


def test_a_view_that_shows_itself_says_so(site, image):
    module = site.data_array_module
    views = [module.newContent("Data Array View", reference=f"v{number}") for number in range(20)]
    lines = [view.newContent("Data Array View Line", reference=f"l{n}") for n, view in enumerate(views)]
    for line, following in zip(lines, views[1:], strict=False):
        line.edit(predecessor_value=following)
    lines[-1].edit(predecessor_value=image, index_expression=":, 0")
    assert views[-1].getArrayShape() == views[-7].getArrayShape() == (4,)
    lines[3].edit(predecessor_value=lines[2])
    for read in (views[0].getArray, views[2].getArrayShape, lines[2].getArray, views[5].getSize):
        with pytest.raises(Conflict, match=r" shows itself, or more than 16 others that are within one another\.$"):
            read()


def test_a_view_of_what_is_no_array_says_so(site):
    view = site.data_array_module.newContent("Data Array View", reference="all")
    stream = site.data_stream_module.newContent(portal_type="Data Stream", reference="stream")
    view.newContent("Data Array View Line", reference="part", predecessor_value=stream)
    with pytest.raises(Conflict, match=r"^Data Array View Line 'part' leads to no array that you may view\. "):
        view.getArrayShape()


def test_a_script_reads_lines_and_views_and_writes_to_none(lake):
    with lake.open("boss") as site:
        document = site.data_array_module.newContent(reference="image")
        document.initArray((2, 2), "int64")
        document.setArrayIndex(..., [[1, 2], [3, 4]])
        line = line_of(document, index_expression=":, 1")
        add_script(
            site,
            "DataArray_test",
            "array = context.getArray()\nreturn array.shape, array.ndim, len(array), array[:].tolist(), array[0]",
        )
        assert run(script_of(line, "DataArray_test")) == ((2,), 1, 2, [2, 4], 2)
        add_script(site, "DataArray_test", "context.getArray()[0] = 5")
        with pytest.raises(ScriptError, match="object does not support item or slice assignment"):
            run(script_of(line, "DataArray_test"))
        assert document.getArrayIndex(...).tolist() == [[1, 2], [3, 4]]
