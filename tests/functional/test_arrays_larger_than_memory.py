"""An array four times as large as the memory that a process may take: 8 GiB in 512 MiB, made small.

Its elements are 0, 1, 2, …, whose mean and standard deviation are known without adding them up.
"""

from __future__ import annotations

import math
from pathlib import Path

import numpy
import pytest
import transaction

from support.lake import ServedLake, wendelin
from support.stored_site import opened_site

LIMIT = 256 << 20
SIZE = 4 * LIMIT
LENGTH = SIZE // 8
MEAN, STD = (LENGTH - 1) / 2, math.sqrt((LENGTH**2 - 1) / 12)
ROWS = 8 << 20
"""Of a transaction that makes it: 64 MiB."""

SCRIPT = """\
import sys
array = portal.data_array_module.getDataArray("large")
if sys.argv[1] == "blocks":
    found = array.statistics()
    print(found["mean"], found["std"])
else:
    values = array.getArrayIndex(...)
    print(values.mean(), values.std())
print(next(line for line in open("/proc/self/status") if line.startswith("VmHWM")))
"""


@pytest.fixture(scope="module")
def instance(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An instance with the array, which nobody serves."""
    lake = ServedLake(tmp_path_factory.mktemp("large"))
    lake.init()
    with opened_site(lake.directory / "var" / "Data.fs") as site:
        array = site.data_array_module.newDataArray("large")
        array.initArray((0,), "float64")
        for start in range(0, LENGTH, ROWS):
            array.appendArray(numpy.arange(start, start + ROWS, dtype="float64"))
            transaction.commit()
    return lake.directory


def run(instance: Path, how: str, code: int):
    """The script under the limit."""
    script = instance.parent / "script.py"
    script.write_text(SCRIPT)
    return wendelin("run", "--memory-limit", str(LIMIT), instance, script, how, code=code)


def test_statistics_of_an_array_take_less_memory_than_its_quarter(instance):
    values, peak = run(instance, "blocks", 0).stdout.splitlines()[:2]
    mean, std = map(float, values.split())
    assert mean == pytest.approx(MEAN, rel=1e-14)
    assert std == pytest.approx(STD, rel=1e-12)
    assert int(peak.split()[1]) * 1024 < LIMIT


def test_reading_it_whole_fails_with_the_line_that_asked_for_the_memory(instance):
    done = run(instance, "whole", 1)
    assert done.stdout == ""
    *_, error, message = done.stderr.splitlines()
    assert "values = array.getArrayIndex(...)" in done.stderr
    assert "Unable to allocate 1.00 GiB" in error
    assert message == "wendelin: the script needed more memory than --memory-limit allows, 256 MiB."
