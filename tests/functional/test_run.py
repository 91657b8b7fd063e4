"""`wendelin run` as users have it: killed, interrupted, out of memory, beside a server that dies."""

from __future__ import annotations

import os
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from support.lake import COMMANDS, START_TIMEOUT, ServedLake, wendelin
from support.terminal import Terminal

ROWS = 1_000_000
"""Of 8 bytes: four blocks of the storage."""

MAKE = f"""
import numpy
numbers = portal.data_array_module.newDataArray("numbers")
numbers.initArray(({ROWS},), numpy.int64)
numbers.setArrayIndex(slice(None), numpy.arange({ROWS}))
"""

COUNT = f"""
import sys
module = portal.data_array_module
times = module.getDataArray(batch.name)
if times is None:
    times = module.newDataArray(batch.name)
    times.initArray(({ROWS},), "i8")
batch.state.setdefault("sum", 0)
for block in batch.iterate(module.getDataArray("numbers"), rows=50_000, every=2):
    print(block.start, flush=True)
    batch.state["sum"] += int(block.data.sum())
    times.setArrayIndex(slice(block.start, block.stop), times.getArraySlice(block.start, block.stop) + 1)
    if str(block.start) in sys.argv[1:]:
        sys.stdin.readline()
counted = times.getArraySlice(0, {ROWS})
print("sum", batch.state["sum"], "each", counted.min(), "to", counted.max(), "times")
"""

RESULT = f"sum {ROWS * (ROWS - 1) // 2} each 1 to 1 times"


@pytest.fixture(scope="module")
def scripts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of scripts."""
    folder = tmp_path_factory.mktemp("scripts")
    for name, source in (("make.py", MAKE), ("count.py", COUNT)):
        (folder / name).write_text(source)
    return folder


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory, scripts: Path) -> Iterator[ServedLake]:
    """An instance with numbers, that nobody serves between two tests."""
    lake = ServedLake(tmp_path_factory.mktemp("instance"))
    lake.init()
    wendelin("run", lake.directory, scripts / "make.py")
    yield lake
    lake.end()


@contextmanager
def running(lake: ServedLake, scripts: Path, name: str) -> Iterator[subprocess.Popen[str]]:
    """A script that runs, until it has printed that it is at 400000, where it waits for a line."""
    command = [COMMANDS / "wendelin", "run", "--name", name, lake.directory, scripts / "count.py", "400000"]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        late = threading.Timer(START_TIMEOUT, process.kill)
        late.start()
        try:
            assert "400000\n" in iter(process.stdout.readline, ""), process.stderr.read()
            yield process
        finally:
            late.cancel()
            process.kill()


def finish(lake: ServedLake, scripts: Path, name: str, first: int) -> None:
    """Run the script again: it goes on at a row, and every row is counted once."""
    lines = wendelin("run", "--name", name, lake.directory, scripts / "count.py").stdout.splitlines()
    assert lines == [*map(str, range(first, ROWS, 50_000)), RESULT]


def test_one_that_is_killed_goes_on_where_it_was_at_once(lake: ServedLake, scripts: Path) -> None:
    with running(lake, scripts, "killed") as process:
        process.kill()
        process.wait(START_TIMEOUT)
    finish(lake, scripts, "killed", 400_000)


def test_beside_a_server_that_is_killed_and_comes_back_it_goes_on_in_the_same_run(
    lake: ServedLake, scripts: Path
) -> None:
    lake.start()
    try:
        with running(lake, scripts, "beside") as process:
            again = wendelin("run", "--name", "beside", lake.directory, scripts / "count.py", code=1)
            lake.kill()
            lake.start()
            shown, errors = process.communicate("\n", START_TIMEOUT)
    finally:
        assert lake.stop() == 0
    assert again.stderr.startswith(f"wendelin: The batch 'beside' is being run already, by process {process.pid} on ")
    assert process.returncode == 0, errors
    rows = shown.splitlines()
    assert rows.pop() == RESULT
    # the slice of the two blocks that were done when the server was gone is done again, unless it was away only before
    rest = [str(row) for row in range(450_000, ROWS, 50_000)]
    assert rows in (rest, ["450000", "400000", *rest])


def test_at_a_terminal_progress_is_one_line_and_ctrl_c_keeps_what_was_committed(
    lake: ServedLake, scripts: Path, tmp_path: Path
) -> None:
    terminal = Terminal(tmp_path, {"PATH": f"{COMMANDS}{os.pathsep}{os.environ['PATH']}"}, START_TIMEOUT)
    try:
        terminal.type(f"wendelin run --name typed '{lake.directory}' '{scripts}/count.py' 400000")
        terminal.wait_for_text("350000\r\n")
        terminal.wait_for_text("400000\r\n")
        terminal.interrupt()
        assert terminal.wait_for_end() == 130
    finally:
        terminal.close()
    assert "0 %  0 of 1,000,000 rows  Data Array 'numbers'" in terminal.screen
    assert (
        "wendelin: interrupted; its last block was rows 400,000 to 450,000 of 1,000,000 of Data Array 'numbers'. "
        "What it did before row 400,000 is kept: run it again to go on there." in terminal.screen
    )
    finish(lake, scripts, "typed", 400_000)


def test_mapped_arrays_over_the_limit_end_the_script_and_nobody_else(lake: ServedLake, tmp_path: Path) -> None:
    (tmp_path / "map.py").write_text(
        "large = portal.data_array_module.newDataArray('large')\n"
        "large.initArray((2**27,), 'f8')\n"  # 1 GiB, of which nothing is stored
        "commit()\n"
        "mapped = large.getArray()[:]\n"
        "print(mapped[::2**18].sum())\n"  # read: pages that are not changed are dropped
        "for _ in batch.iterate([0]):\n"
        "    mapped[:] = 1\n"
    )
    done = wendelin("run", "--memory-limit", "400M", lake.directory, tmp_path / "map.py", code=1)
    assert done.stdout == "0.0\n"
    assert done.stderr.startswith(
        "wendelin: the script was ended; its last block was items 0 to 1 of 1 of a list of 1. Nothing of this loop "
        "is kept: run it again to begin there. It took "
    )
    assert done.stderr.endswith(
        " MiB of memory, and 400 MiB are allowed: pages that it has changed in mapped arrays stay until a commit. "
        "Commit more often, or write slices with setArrayIndex.\n"
    )
