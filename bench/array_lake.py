"""The lake's part in `python -m bench arrays`: a script for `wendelin run`, which does what `bench.array_peers` does.

    wendelin run [--memory-limit SIZE] DIR bench/array_lake.py ACTION SIZE

ACTION is `make`, `mean` (the ready statistics), `loop` (the peers' own loop over blocks), `read` or `append`; for the
workers `plan`, which makes two analyses that are due, and `medians`, what they came to.

An analysis sorts each MiB of the array to find its median: work for the processor, beside which reading is little.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

from bench.array_work import DTYPE, appended, blocks, mean_and_std, read_at_random, timed
from Products.ERP5Wendelin.compute.create import create_analyses
from Products.ERP5Wendelin.content.python_script import PythonScript

SLICE_OF_TRANSACTION = 4
"""Blocks of 16 MiB that are committed at once where nobody waits for each of them."""

ANALYSES = 2

SCRIPT = """\
##parameters=in_array, out_array
import numpy
medians = []
for block in in_array["Data Array"].iter_blocks(rows=131072):
    medians.append(float(numpy.median(numpy.sort(block.data))))
array = out_array["Data Array"]
array.initArray((len(medians),), "float64")
array.setArrayIndex(slice(None), numpy.array(medians))
"""


def _new(portal: Any, id: str) -> Any:
    array = portal.data_array_module.newContent(portal_type="Data Array", id=id, reference=id)
    array.initArray((0,), DTYPE)
    return array


def make(portal: Any, commit: Callable[[], None], size: int) -> int:
    """Make the array that is read."""
    array = _new(portal, "signal")
    for number, block in enumerate(blocks(size), 1):
        array.appendArray(block)
        if number % SLICE_OF_TRANSACTION == 0:
            commit()
    commit()
    return size


def mean(portal: Any, commit: Callable[[], None], size: int) -> tuple[float, float]:
    """Mean and standard deviation, as documents offer them."""
    found = portal.data_array_module["signal"].statistics(("mean", "std"))
    return found["mean"], found["std"]


def loop(portal: Any, commit: Callable[[], None], size: int) -> tuple[float, float]:
    """The same by the peers' loop, over blocks that are read ahead."""
    return mean_and_std(block.data for block in portal.data_array_module["signal"].iter_blocks())


def read(portal: Any, commit: Callable[[], None], size: int) -> float:
    """Read at random."""
    return read_at_random(portal.data_array_module["signal"].getArraySlice, size // DTYPE.itemsize)


def append(portal: Any, commit: Callable[[], None], size: int) -> int:
    """Append, each block in a transaction of its own: it is on the disk when that is committed."""
    array = _new(portal, "appended")
    commit()
    for block in appended(size):
        array.appendArray(block)
        commit()
    return size


def plan(portal: Any, commit: Callable[[], None], size: int) -> int:
    """Two ingestions that bring the array, and so two analyses."""
    if not portal.data_operation_module.has_key("medians"):
        _make_transformation(portal)
    for _ in range(ANALYSES):
        ingestion = portal.data_ingestion_module.newContent(portal_type="Data Ingestion", reference="signal")
        ingestion.newContent(
            reference="out_array",
            resource="data_product_module/signals",
            use="big_data/ingestion/stream",
            quantity=1,
            aggregate_value=portal.data_array_module["signal"],
        )
    commit()
    return len(create_analyses(portal, lambda: True).made)


def _make_transformation(portal: Any) -> None:
    script = PythonScript("DataAnalysisLine_medians")
    script.write(SCRIPT)
    portal.portal_skins.custom._setObject(script.id, script)
    portal.data_operation_module.newContent(id="medians", script_id=script.id).validate()
    for id in ("signals", "medians"):
        portal.data_product_module.newContent(id=id).validate()
    transformation = portal.data_transformation_module.newContent(
        title="Medians", reference="medians", resource="data_product_module/signals"
    )
    line = "Data Transformation Resource Line"
    transformation.newContent(line, reference="in_array", quantity=-1, resource="data_product_module/signals")
    transformation.newContent(
        "Data Transformation Operation Line", resource="data_operation_module/medians", quantity=1
    )
    transformation.newContent(
        line,
        reference="out_array",
        resource="data_product_module/medians",
        quantity=1,
        aggregated_portal_type_list=["Data Array"],
    )
    transformation.validate()


def medians(portal: Any, commit: Callable[[], None], size: int) -> list[float]:
    """For each analysis the sum of its medians."""
    lines = (
        line
        for analysis in portal.data_analysis_module.objectValues()
        for line in analysis.objectValues()
        if line.getReference() == "out_array"
    )
    return [float(line.getAggregateValue(portal_type="Data Array").getArrayIndex(...).sum()) for line in lines]


ACTIONS = {
    "make": make,
    "mean": mean,
    "loop": loop,
    "read": read,
    "append": append,
    "plan": plan,
    "medians": medians,
}

if __name__ == "__main__":
    action, size = sys.argv[1:]
    timed(lambda: ACTIONS[action](portal, commit, int(size)))  # noqa: F821
