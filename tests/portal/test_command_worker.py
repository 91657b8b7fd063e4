"""`wendelin worker`, as operators run it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from Products.ERP5Wendelin.portal.command import main
from support.lake import ServedLake, wendelin
from support.worker import shell, working

PREPARE = """
from support.analyses import ingest, prepare, transform
prepare(portal, {script!r}, "system")
for name in {names!r}:
    ingest(portal, user="system", reference=name)
transform(portal, "system")
"""

GREEDY = """\
import numpy
if in_stream["Data Stream"].getReference() == "greedy":
    return numpy.ones(2**27)[0] * 0
"""
"""Takes a gigabyte, for a stream of this name."""

APPEND = """
portal.data_stream_module.getDataStream({name!r}).appendData(b"678")
commit()
"""

SIZES = """
for array in portal.data_array_module.objectValues():
    print(array.getReference(), array.getArraySlice(0, 1).tolist())
"""


@pytest.fixture
def directory(tmp_path: Path) -> Iterator[Path]:
    """An instance that nobody serves."""
    lake = ServedLake(tmp_path)
    lake.init()
    yield lake.directory
    lake.end()


def test_new_data_is_analysed_while_nobody_serves_and_a_stop_leaves_nothing_open(directory: Path) -> None:
    script = (
        "array = out_array['Data Array']\n"
        "if array.getArray() is None:\n"
        "    array.initArray((1,), 'int64')\n"
        "array.getArray()[0] = in_stream['Data Stream'].getSize()"
    )
    shell(directory, PREPARE.format(script=script, names=["wind"]))
    with working(directory, "--jobs", "1") as worker:
        assert worker.wait_for("made").startswith("made data_analysis_module/")
        assert " Count (wind) in " in worker.wait_for("ran data_analysis_module/")
        shell(directory, APPEND.format(name="wind"))
        worker.wait_for("ran data_analysis_module/")
        assert shell(directory, SIZES) == "Count-out_array-wind [8]\n"
        assert wendelin("alarm", "run", directory, "wendelin_handle_analysis").stdout == (
            "Data Analyses are made and run by workers: 1.\n"
        )
        assert worker.stop() == 0
    assert worker.errors.read_text() == ""
    report = wendelin("alarm", "run", directory, "wendelin_handle_analysis").stdout
    assert report == "Data Analyses: 0 made, 0 run, 0 failed.\n"


def test_a_script_that_takes_too_much_memory_fails_and_the_others_do_not(directory: Path) -> None:
    shell(directory, PREPARE.format(script=GREEDY, names=["greedy", "modest", "small"]))
    done = wendelin("worker", directory, "--once", "--jobs", "1", "--memory-limit", "500M", code=1)
    assert done.stderr.endswith(
        "wendelin: Runs of analyses that failed: 1, that did not: 2. "
        "The tracebacks are in worker.log, and with the analyses.\n"
    )
    [failed] = [line for line in done.stdout.splitlines() if line.startswith("failed ")]
    assert " Count (greedy) after " in failed
    assert failed.partition(": ")[2].startswith(
        "/erp5/portal_skins/custom/DataAnalysisLine_count failed in line 3: MemoryError: Unable to allocate 1.00 GiB"
    )


def test_a_limit_that_the_program_itself_exceeds_is_an_error(directory: Path) -> None:
    shell(directory, PREPARE.format(script="pass", names=["wind"]))
    done = wendelin("worker", directory, "--once", "--memory-limit", "10M", code=1)
    assert "wendelin: No process that runs analyses can be started. The program itself takes " in done.stderr
    assert "MiB of memory, more than a limit of 10,485,760 bytes" in done.stderr


@pytest.mark.parametrize(
    ("option", "value", "problem"),
    [
        ("--jobs", "0", "0 is no number from 1 to 256"),
        ("--jobs", "257", "257 is no number from 1 to 256"),
        ("--jobs", "two", "two is no number from 1 to 256"),
        ("--memory-limit", "much", "'much' is no size, such as 512M or 2GiB"),
    ],
)
def test_options_that_make_no_sense_are_usage_errors(
    option: str, value: str, problem: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["worker", str(tmp_path), option, value])
    assert caught.value.code == 2
    assert capsys.readouterr().err.endswith(f"wendelin worker: error: argument {option}: {problem}\n")


def test_what_is_no_instance_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["worker", str(tmp_path)]) == 1
    assert capsys.readouterr().err == (
        f"wendelin: {tmp_path} is not an instance. Make one with: wendelin init {tmp_path}\n"
    )
