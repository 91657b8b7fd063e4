"""Streams made arrays by scripts, as Wendelin's skin scripts do it."""

from __future__ import annotations

from typing import Any

import numpy
import pytest
import transaction

from Products.ERP5Wendelin import errors
from Products.ERP5Wendelin.compute import transform as transform_module
from support.scripts import add_script
from support.site import as_user

COPY = "DataStream_copyCSVToDataArray"


@pytest.fixture
def stream(site: Any) -> Any:
    """Numbers from 0 to 9999 in lines of 7, and a line that has not ended."""
    document = site.data_stream_module.newContent(reference="numbers")
    lines = [",".join(map(str, range(begin, min(begin + 7, 10_000)))) for begin in range(0, 10_000, 7)]
    document.appendData("\n".join([*lines, "99"]).encode())
    return document


@pytest.fixture
def array(site: Any) -> Any:
    return site.data_array_module.newContent(reference="numbers", portal_type="Data Array")


@pytest.mark.parametrize("chunk_length", [1, 13, 1000, 10_450, 2**20])
def test_csv_is_copied_with_each_line_once_whatever_chunks_it_is_read_in(
    stream: Any, array: Any, chunk_length: int
) -> None:
    if chunk_length == 1:
        stream = stream.getParentValue().newContent(reference="few")
        stream.appendData(b"0,1\n2\n3,4,5\n99")
    end = stream.DataStream_transform(
        chunk_length=chunk_length, transform_script_id=COPY, data_array_reference="numbers"
    )
    assert end == stream.getSize() - 2
    found = array.getArrayIndex(slice(None))
    assert numpy.array_equal(found, numpy.arange(len(found)))
    assert len(found) == (6 if chunk_length == 1 else 10_000)


def test_what_has_arrived_since_is_copied_from_where_it_ended(stream: Any, array: Any) -> None:
    options = {"transform_script_id": COPY, "data_array_reference": "numbers"}
    end = stream.DataStream_transform(**options)
    assert stream.DataStream_transform(start=end, **options) == end
    stream.appendData(b"99,1.5,\n")
    assert stream.DataStream_transform(start=end, **options) == stream.getSize()
    numpy.testing.assert_equal(array.getArraySlice(10_000, 10_010), [9999, 1.5, numpy.nan])


def test_a_part_is_read_and_all_that_follows_where_that_is_asked_for(stream: Any, array: Any) -> None:
    options = {"transform_script_id": COPY, "data_array_reference": "numbers", "chunk_length": 500}
    end = stream.DataStream_readChunkListAndTransform(0, 300, recursive=0, **options)
    assert 280 < end <= 300
    assert stream.getData(end - 1, end) == b"\n"
    end = stream.DataStream_readChunkListAndTransform(end, end + 500, **options)
    assert end == stream.getSize() - 2
    assert numpy.array_equal(array.getArrayIndex(slice(None)), numpy.arange(10_000))
    assert stream.DataStream_readChunkListAndTransform(end + 2, end + 502, **options) == stream.getSize()


def test_chunks_that_stand_for_themselves_have_each_byte_once(site: Any, stream: Any) -> None:
    add_script(
        site,
        "DataStream_note",
        "seen = list(context.getVersion().split())\n"
        "context.edit(version=' '.join(seen + ['%d-%d-%d' % (start, end, sum(len(chunk) for chunk in chunk_list))]))\n"
        "return start, start",
        "data_stream, chunk_list, start, end, data_array_reference, factor=1",
    )
    size = stream.getSize()
    end = stream.DataStream_transform(
        chunk_length=20_000, transform_script_id="DataStream_note", parallelize=1, factor=2
    )
    assert end == size
    assert stream.getVersion().split() == ["0-20000-20000", "20000-40000-20000", f"40000-{size}-{size - 40_000}"]


def test_lines_are_rows_of_an_array_of_more_axes_and_of_records(site: Any) -> None:
    stream = site.data_stream_module.newContent(reference="rows")
    stream.appendData(b"1,2.5\n3,NA\n")
    options = {"transform_script_id": COPY, "data_array_reference": "rows"}
    array = site.data_array_module.newContent(reference="rows", portal_type="Data Array")
    array.initArray((0, 2), "f4")
    stream.DataStream_transform(**options)
    numpy.testing.assert_equal(array.getArraySlice(0, 2), [[1, 2.5], [3, numpy.nan]])
    array.initArray((0,), [("a", "i4"), ("b", "f8")])
    stream.DataStream_transform(chunk_length=7, **options)
    numpy.testing.assert_equal(array.getArraySlice(0, 2).tolist(), [(1, 2.5), (3, numpy.nan)])
    array.initArray((0, 3), "f8")
    with pytest.raises(
        errors.BadInput, match="'rows', counted from byte 0 on: lines have 2 fields, and rows .* 3 elements"
    ):
        stream.DataStream_transform(**options)


def test_long_streams_are_committed_in_slices(stream: Any, array: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transform_module, "SLICE_SIZE", 10_000)
    monkeypatch.setattr(transform_module, "TRANSACTION_SIZE", 40_000)
    options = {"chunk_length": 3000, "transform_script_id": COPY, "data_array_reference": "numbers"}
    with pytest.raises(
        errors.TooLarge, match="^48892 bytes are too many for one transaction.* Give `commit`, which is"
    ):
        stream.DataStream_transform(**options)
    lengths: list[int] = []

    def commit() -> None:
        transaction.commit()
        lengths.append(array.getArrayShape()[0])

    stream.DataStream_transform(commit=commit, **options)
    transaction.abort()
    assert len(lengths) == 5
    assert lengths == sorted(set(lengths))
    assert array.getArrayShape() == (lengths[-1],) == (10_000,)


def test_what_is_no_number_is_refused_with_its_place(site: Any, array: Any) -> None:
    stream = site.data_stream_module.newContent(reference="words")
    stream.appendData(b"1,2\n3,x\n")
    with pytest.raises(errors.BadInput, match="'words'.*: the line from byte 4 on has b'x', which is no number."):
        stream.DataStream_transform(transform_script_id=COPY, data_array_reference="numbers")


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({}, errors.BadInput, "Say which script transforms the stream: give transform_script_id."),
        ({"transform_script_id": "DataStream_none"}, errors.NotFound, "There is no script 'DataStream_none'"),
        (
            {"transform_script_id": COPY},
            errors.BadInput,
            "Say which Data Array is to be written to: give data_array_ref",
        ),
        (
            {"transform_script_id": COPY, "data_array_reference": "none"},
            errors.NotFound,
            "There is no Data Array 'none', or you may not see it: make it first.",
        ),
        ({"chunk_length": 0}, errors.BadInput, "A chunk has at least one byte: 0 is no chunk_length."),
    ],
)
def test_what_is_missing_is_named(
    stream: Any, options: dict[str, Any], error: type[errors.WendelinError], message: str
) -> None:
    with pytest.raises(error) as caught:
        stream.DataStream_transform(**options)
    assert message in str(caught.value)


def test_a_script_that_goes_back_or_too_far_is_refused(site: Any, stream: Any) -> None:
    parameters = "data_stream, chunk_list, start, end, data_array_reference"
    add_script(site, "DataStream_tooFar", "return start, end + 1", parameters)
    add_script(site, "DataStream_back", "return start, start - 1", parameters)
    for id in ("DataStream_tooFar", "DataStream_back"):
        with pytest.raises(errors.BadInput, match=f"^{id} says that it has used the bytes 0 to .*: it must return"):
            stream.DataStream_transform(chunk_length=10, transform_script_id=id)


def test_who_may_not_push_to_the_array_or_view_the_stream_is_refused(site: Any, stream: Any, array: Any) -> None:
    stream.publish()
    array.publish()
    with (
        as_user(site, "dan"),
        pytest.raises(errors.NotAuthorised, match="^You may not write to .*'numbers'.*: ask its owner"),
    ):
        stream.DataStream_transform(transform_script_id=COPY, data_array_reference="numbers")
    hidden = site.data_stream_module.newContent(reference="hidden")
    with as_user(site, "nobody"), pytest.raises(errors.NotAuthorised, match="^You may not view this stream.$"):
        transform_module.transform(hidden, 10, COPY, "numbers")
