"""Slices as bytes, compared with NumPy's."""

from __future__ import annotations

from itertools import pairwise

import numpy
import pytest
from hypothesis import given
from hypothesis import strategies as st

from Products.ERP5Wendelin.errors import BadInput
from Products.ERP5Wendelin.storage import array_slice
from Products.ERP5Wendelin.storage.array_slice import ArraySlice
from Products.ERP5Wendelin.storage.block import CHUNK_SIZE


@st.composite
def slices(draw):
    """An array, and a basic index of no more parts than it has axes."""
    shape = draw(st.lists(st.integers(0, 7), min_size=1, max_size=4))
    dtype = numpy.dtype(draw(st.sampled_from(["u1", "<i2", ">f8", "V3"])))
    size = int(numpy.prod(shape)) * dtype.itemsize
    array = (numpy.arange(size) % 251).astype("u1").view(dtype).reshape(shape)
    index = []
    for length in shape[: draw(st.integers(0, len(shape)))]:
        if length and draw(st.booleans()):
            index.append(draw(st.integers(-length, length - 1)))
        else:
            border = st.none() | st.integers(-length - 2, length + 2)
            index.append(slice(draw(border), draw(border), draw(st.sampled_from([None, 1, 2, 3, -1, -2, 100, -100]))))
    if len(index) < len(shape) and draw(st.booleans()):
        index.insert(draw(st.integers(0, len(index))), ...)
    return array, tuple(index)


def fits(array, index):
    try:
        array[index]
    except IndexError:
        return False
    return True


@given(slices(), st.sampled_from([1, 7, 40, 200, 10**6]), st.data())
def test_any_range_of_a_slice_s_bytes_is_that_of_numpy_s(drawn, span, data):
    array, index = drawn
    if not fits(array, index):  # behind ... an integer may be out of bounds
        with pytest.raises(BadInput, match="is out of bounds for axis"):
            ArraySlice.of(array.shape, array.dtype.itemsize, index)
        return
    expected = numpy.asarray(array[index], array.dtype).tobytes()  # a scalar's own bytes are in native order
    chosen = ArraySlice.of(array.shape, array.dtype.itemsize, index)
    assert (chosen.shape, chosen.nbytes) == (array[index].shape, len(expected))
    run = chosen.run()
    assert run is None or array.tobytes()[slice(*run)] == expected
    start = data.draw(st.integers(0, len(expected)))
    stop = data.draw(st.integers(start, len(expected)))
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(array_slice, "BOX_SPAN", span)
        boxes = list(chosen.boxes(start, stop)) if expected else []
    found = b""
    for box in boxes:
        part = array[box.slices].tobytes()
        assert len(part) == box.stop - box.start
        found += part[max(start - box.start, 0) : max(stop - box.start, 0)]
    assert found == expected[start:stop]
    assert all(before.stop == after.start for before, after in pairwise(boxes))


@pytest.mark.parametrize(
    ("index", "run"),
    [
        ((), (0, 240)),
        ((slice(1, 3),), (80, 240)),
        ((1, slice(2, 4)), (80 + 40, 80 + 80)),
        ((2, 3, 4), (236, 240)),
        ((slice(0, 0),), (0, 0)),
        ((slice(None), 1), None),
        ((slice(None, None, -1),), None),
        ((slice(None), slice(None), slice(1, 5)), None),
    ],
)
def test_contiguous_slice_is_a_range_of_the_array_s_bytes(index, run):
    assert ArraySlice.of((3, 4, 5), 4, index).run() == run


def test_box_spans_bounded_bytes_of_the_array_however_sparse_the_slice_is():
    chosen = ArraySlice.of((10**9, 1000), 8, (slice(None, None, 5), slice(0, 3)))
    box = next(chosen.boxes(24 * 10**6, chosen.nbytes))
    rows = box.slices[0]
    assert (rows.start, rows.step, box.start) == (5 * 10**6, 5, 24 * 10**6)
    assert rows.stop - rows.start <= array_slice.BOX_SPAN // 8000


def test_same_slice_has_one_text_however_it_is_written():
    texts = {
        ArraySlice.of((10, 4), 8, index).text for index in [(), (...,), (slice(0, 10), slice(0, 4)), (slice(-10, 99),)]
    }
    assert texts == {"0:10:1,0:4:1"}
    assert ArraySlice.of((10, 4), 8, (-1, slice(None, None, -1))).text == "9,3:-1:-1"
    assert ArraySlice.of((10, 4), 8, (slice(7, 2),)).text == "0:0:1,0:4:1"


def test_what_a_slice_touches_counts_its_gaps():
    rows, element = (10**6, 1000), 8
    assert ArraySlice.of(rows, element, (slice(0, 100),)).touched == 800_000
    assert ArraySlice.of(rows, element, (slice(0, 100), 0)).touched == 100 * CHUNK_SIZE
    assert ArraySlice.of((1000,), element, (slice(None, None, 2),)).touched == 999 * element
    assert ArraySlice.of(rows, element, (slice(0, 0),)).touched == 0


@pytest.mark.parametrize(
    ("index", "detail"),
    [
        ((3,), "Index 3 is out of bounds for axis 0, which has a length of 3."),
        ((0, -5), "Index -5 is out of bounds for axis 1, which has a length of 4."),
        ((0, 0, 0), "The index has more parts than the array has axes: 2."),
    ],
)
def test_index_that_does_not_fit_is_refused(index, detail):
    with pytest.raises(BadInput) as caught:
        ArraySlice.of((3, 4), 1, index)
    assert str(caught.value) == detail
