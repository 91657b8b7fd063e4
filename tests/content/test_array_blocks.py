"""What documents that are arrays offer block by block, to trusted code and to scripts."""

from __future__ import annotations

from typing import Any

import numpy
import pytest
import transaction

from Products.ERP5Wendelin import errors
from support.scripts import add_script, run_text
from support.site import as_user

ROWS = 10_000


@pytest.fixture
def array(site: Any) -> Any:
    """A committed Data Array of two columns."""
    document = site.data_array_module.newContent(reference="numbers", portal_type="Data Array")
    document.initArray((0, 2), "f8")
    document.appendArray(numpy.arange(2 * ROWS, dtype="f8").reshape(ROWS, 2))
    transaction.commit()
    return document


def test_blocks_are_iterated_over_and_commits_change_none_of_them(site: Any, array: Any) -> None:
    seen = []
    for start, stop, data in array.iter_blocks(rows=3000, start=1000, stop=9000):
        seen.append((start, stop, float(data[0, 0])))
        array.setArrayIndex(slice(None), 0)
        transaction.commit()
    assert seen == [(1000, 4000, 2000.0), (4000, 7000, 8000.0), (7000, 9000, 14000.0)]


def test_lines_and_temporary_arrays_are_iterated_over_too(site: Any, array: Any) -> None:
    line = array.newContent(portal_type="Data Array Line", reference="second", index_expression=":,1")
    assert line.statistics(("mean", "count")) == {"mean": float(ROWS), "count": ROWS}
    temporary = site.data_array_module.newContent(portal_type="Data Array", temp_object=True)
    temporary.initArray((5,), "i4")
    temporary.setArrayIndex(slice(1, 3), 7)
    assert [block.data.tolist() for block in temporary.iter_blocks(rows=2)] == [[0, 7], [7, 0], [0]]


def test_a_function_is_mapped_into_another_data_array(site: Any, array: Any) -> None:
    out = site.data_array_module.newContent(reference="sums", portal_type="Data Array")
    out.initArray((ROWS,), "f4")
    assert array.map_blocks(lambda data: data.sum(axis=1), out, rows=999, commit=transaction.commit) is out
    transaction.abort()
    assert out.getArraySlice(0, 3).tolist() == [1, 5, 9]
    in_memory = numpy.zeros((ROWS, 2))
    array.map_blocks(lambda data: data + 1, in_memory)
    assert in_memory[-1].tolist() == [2 * ROWS - 1, 2 * ROWS]


def test_blocks_are_written_to_arrays_and_to_nothing_else(site: Any, array: Any) -> None:
    mapped = site.data_array_module.newContent(reference="mapped", portal_type="Data Array").initArray((ROWS, 2), "f8")
    assert array.map_blocks(lambda data: data, mapped)[3].tolist() == [6, 7]
    with pytest.raises(errors.BadInput) as caught:
        array.map_blocks(lambda data: data, [0] * ROWS)
    assert str(caught.value) == "Blocks are written to a Data Array or an ndarray, and not to a list."


def test_who_may_not_push_maps_into_nothing(site: Any, array: Any) -> None:
    array.publish()
    out = site.data_array_module.newContent(reference="theirs", portal_type="Data Array")
    out.initArray((ROWS, 2), "f8")
    out.publish()
    line = array.newContent(portal_type="Data Array Line", reference="line", index_expression="...")
    with pytest.raises(errors.BadInput, match="is a window on other arrays, and only read: give a Data Array.$"):
        array.map_blocks(lambda data: data, line)
    with (
        as_user(site, "dan"),
        pytest.raises(
            errors.NotAuthorised, match="^You may not write to .*'theirs'.*: ask its owner for the permission"
        ),
    ):
        array.map_blocks(lambda data: data, out)
    assert not out.getArraySlice(0, ROWS).any()


def test_results_are_reduced_and_statistics_are_ready(array: Any) -> None:
    assert array.reduce(lambda data: data.max(), max, rows=100) == 2 * ROWS - 1
    assert array.reduce(len, lambda a, b: a + b, nbytes=1600, initial=5) == ROWS + 5
    values = numpy.arange(2 * ROWS, dtype="f8").reshape(ROWS, 2)
    found = array.statistics(axis=0)
    assert found["mean"].tolist() == values.mean(0).tolist()
    assert found["std"] == pytest.approx(values.std(0))
    counts, edges = array.histogram(bins=4)
    assert (counts.tolist(), edges.tolist()) == tuple(each.tolist() for each in numpy.histogram(values, 4))
    assert array.quantiles([0.5])[0] == pytest.approx(ROWS, rel=0.011)


def test_before_there_is_an_array_there_are_no_blocks(site: Any) -> None:
    document = site.data_array_module.newContent(reference="empty", portal_type="Data Array")
    for method in (document.iter_blocks, document.statistics, lambda: document.quantiles(0.5)):
        with pytest.raises(errors.Conflict, match="has no array yet: give it one with initArray.$"):
            method()


def test_scripts_go_over_blocks_with_functions_of_their_own(site: Any, array: Any) -> None:
    body = """
        def largest(data):
            return data.max()

        def larger(a, b):
            return max(a, b)

        total = 0
        for block in context.iter_blocks(rows=3000):
            total += block.data.sum()
            last = block.start, block.stop
        context.map_blocks(lambda data: data * 2, context)
        return total, last, context.reduce(largest, larger), context.statistics(["min", "max"])
    """
    add_script(site, "DataArray_try", body)
    total, last, largest, found = array.DataArray_try()
    assert total == sum(range(2 * ROWS))
    assert last == (9000, 10000)
    assert largest == 4 * ROWS - 2
    assert found == {"min": 0, "max": 4 * ROWS - 2}


def test_scripts_of_who_may_not_view_it_see_nothing(site: Any, array: Any) -> None:
    with as_user(site, "nobody"), pytest.raises(errors.NotAuthorised):
        run_text(site, f"return context.data_array_module[{array.getId()!r}].statistics()")
