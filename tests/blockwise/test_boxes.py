"""Boxes of arrays, and arrays of any order put into C order, compared with NumPy."""

from __future__ import annotations

import errno
import math
import os
import tracemalloc
from itertools import chain

import numpy
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from Products.ERP5Wendelin.blockwise import boxes as boxes_module
from Products.ERP5Wendelin.blockwise.boxes import boxes, chunk_boxes, fortran_boxes, in_c_order, shape_of
from Products.ERP5Wendelin.errors import StorageFull
from Products.ERP5Wendelin.protocol import MIB

SHAPES = st.lists(st.integers(0, 7), max_size=4).map(tuple)


def numbered(shape):
    return numpy.arange(math.prod(shape)).reshape(shape)


@settings(max_examples=40)
@given(SHAPES, st.integers(1, 50), st.integers(1, 5))
def test_boxes_follow_one_another_in_c_order_and_cover_the_array(shape, most, align):
    values = numbered(shape)
    parts = [values[box] for box in boxes(shape, most, align)]
    assert list(chain.from_iterable(part.reshape(-1).tolist() for part in parts)) == list(range(values.size))
    assert all(0 < part.size <= most for part in parts)


def test_boxes_of_an_array_larger_than_any_memory_come_one_by_one():
    huge = (2**40, 2**20)
    assert next(boxes(huge, 8)) == (slice(0, 1), slice(0, 8))
    assert next(chunk_boxes(huge, (2, 2), 8)) == (slice(0, 2), slice(0, 4))


def test_boxes_are_cut_at_rows_of_chunks_if_they_fit():
    assert [box[0] for box in boxes((20, 3), 25, 4)] == [slice(0, 8), slice(8, 16), slice(16, 20)]
    assert [box[0] for box in boxes((9, 3), 10, 4)] == [slice(0, 3), slice(3, 6), slice(6, 9)]


@settings(max_examples=40)
@given(SHAPES, st.integers(1, 50))
def test_boxes_in_fortran_order_are_contiguous_in_it(shape, most):
    values = numbered(shape)
    parts = [values[box].reshape(-1, order="F") for box in fortran_boxes(shape, most)]
    assert list(chain.from_iterable(map(list, parts))) == values.reshape(-1, order="F").tolist()


@settings(max_examples=40)
@given(st.data())
def test_boxes_of_chunks_have_whole_chunks_and_cover_the_array(data):
    shape = data.draw(SHAPES)
    chunks = tuple(data.draw(st.integers(1, max(length, 1))) for length in shape)
    most = data.draw(st.integers(1, 100))
    count = numpy.zeros(shape, int)
    for box in chunk_boxes(shape, chunks, most):
        count[box] += 1
        assert all(each.start % chunk == 0 for each, chunk in zip(box, chunks, strict=True))
        assert math.prod(shape_of(box)) <= max(most, math.prod(chunks))
    assert (count == 1).all()


@settings(max_examples=40)
@given(st.data())
def test_an_array_of_any_boxes_is_put_into_c_order_from_anywhere_on(data):
    shape = data.draw(SHAPES)
    chunks = tuple(data.draw(st.integers(1, max(length, 1))) for length in shape)
    most = data.draw(st.integers(1, 100))
    start = data.draw(st.integers(0, math.prod(shape)))
    parts = data.draw(st.sampled_from([chunk_boxes(shape, chunks, most), fortran_boxes(shape, most)]))
    values = numbered(shape)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(boxes_module, "BOX_SIZE", most * values.itemsize)
        pieces = list(in_c_order(shape, values.dtype, parts, values.__getitem__, start))
    assert all(piece.nbytes <= most * values.itemsize for piece in pieces)
    assert list(chain.from_iterable(map(list, pieces))) == list(range(start, values.size))


def test_a_large_array_is_put_into_c_order_in_little_memory(monkeypatch):
    monkeypatch.setattr(boxes_module, "BOX_SIZE", MIB)
    shape, dtype = (512, 64, 256), numpy.dtype("f8")  # 64 MiB
    tracemalloc.start()
    try:
        position = 0

        def read(box):
            start = numpy.ravel_multi_index([each.start for each in box], shape, order="F")
            return numpy.arange(start, start + math.prod(shape_of(box)), dtype=dtype).reshape(shape_of(box), order="F")

        for piece in in_c_order(shape, dtype, fortran_boxes(shape, MIB // 8), read):
            first = numpy.ravel_multi_index(numpy.unravel_index(position, shape), shape, order="F")
            assert piece[0] == first
            position += piece.size
        assert position == math.prod(shape)
        assert tracemalloc.get_traced_memory()[1] < 6 * MIB
    finally:
        tracemalloc.stop()


def test_a_disk_with_no_room_for_the_temporary_file_is_named(monkeypatch, tmp_path):
    def full(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(boxes_module.tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr(boxes_module.os, "pwrite", full)
    values = numbered((4, 4))
    with pytest.raises(
        StorageFull,
        match=rf"^{tmp_path} has no room for a temporary file of the array's size, by which it is put into C order\. "
        r"Make room; then run the same command again\.$",
    ):
        list(in_c_order((4, 4), values.dtype, fortran_boxes((4, 4), 4), values.__getitem__))
