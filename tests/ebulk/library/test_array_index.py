import numpy
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as st_numpy

from ebulk.library.array_index import select
from Products.ERP5Wendelin.storage.array_index import parse

SHAPES = st_numpy.array_shapes(max_dims=4, min_side=0, max_side=6)


@st.composite
def arrays_and_indices(draw):
    shape = draw(SHAPES)
    values = numpy.arange(numpy.prod(shape)).reshape(shape)
    return values, draw(st_numpy.basic_indices(shape))


@given(arrays_and_indices())
def test_what_a_lake_is_asked_for_is_what_numpy_selects(case):
    values, index = case
    selected, turned = select(index, values.shape)
    sent = values[parse(selected.text)]
    assert sent.shape == selected.shape
    numpy.testing.assert_array_equal(sent[turned], values[index])


@given(arrays_and_indices(), st.integers(1, 40))
def test_parts_are_small_and_cover_all_that_is_selected_once(case, most):
    values, index = case
    selected, _ = select(index, values.shape)
    whole = values[parse(selected.text)]
    found = numpy.zeros(whole.shape, int)
    for part, where in selected.cut(most):
        numpy.testing.assert_array_equal(values[parse(part.text)], whole[where])
        assert whole[where].size <= most
        found[where] += 1
    assert (found == 1).all()


@pytest.mark.parametrize(
    ("index", "text"),
    [
        (..., ""),
        ((), ""),
        (slice(None), ""),
        (slice(0, 100), "0:100"),
        ((slice(0, 100), slice(None, None, 2)), "0:100,0:7:2"),
        ((3, ...), "3"),
        ((..., 3), ":,3"),
        (-1, "999"),
        (slice(None, None, -1), ""),
        (slice(10, 5, -2), "6:11:2"),
        (slice(10, 5), "0:0"),
        (slice(990, 5000), "990:1000"),
        (numpy.int64(4), "4"),
    ],
)
def test_slices_are_written_in_full_with_steps_forward(index, text):
    assert select(index, (1000, 8))[0].text == text


@pytest.mark.parametrize(
    ("index", "message"),
    [
        (1000, "Index 1000 is out of bounds for axis 0 with size 1000."),
        ((0, -9), "Index -9 is out of bounds for axis 1 with size 8."),
        ((1, 2, 3), "Too many indices: the array has 2 axes, and 3 were indexed."),
        ((1, ..., 2, 3), "Too many indices: the array has 2 axes, and 3 were indexed."),
        ((..., ...), "An index has at most one ellipsis ('...')."),
        *(
            (
                index,
                f"An array of a lake is indexed by integers, slices and '...', not by {name}: "
                "read a slice, and select from that.",
            )
            for index, name in (([1, 2], "list"), (None, "NoneType"), (1.0, "float"), ("a", "str"), (True, "bool"))
        ),
    ],
)
def test_other_indices_are_refused_as_numpy_refuses_them(index, message):
    with pytest.raises(IndexError) as caught:
        select(index, (1000, 8))
    assert str(caught.value) == message
