"""A batch that is killed, at whatever moment and however often, does every row once.

Each run is a process of its own, forked from this one, which kills itself at its n-th call of a function, Python's or
C's: before, within and after commits, wherever that is. So the moments are the same on every machine.
"""

from __future__ import annotations

import itertools
import os
import random
import shutil
import signal
import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy
import pytest
import transaction

from Products.ERP5Wendelin.compute.batch import Batch
from support.site import Lake, open_data_fs

ROWS = 2000
NAME = "count"
MOMENTS = 24

CALLS = ("call", "c_call")


@pytest.fixture
def path(tmp_path: Path, data_fs: Path) -> Path:
    """A lake with numbers, and as many zeros."""
    path = tmp_path / "Data.fs"
    path.write_bytes(data_fs.read_bytes())

    def make(site: Any) -> None:
        for name in ("numbers", "times"):
            document = site.data_array_module.newContent(id=name, reference=name)
            document.initArray((ROWS,), numpy.int64)
        site.data_array_module["numbers"].array[:] = numpy.arange(ROWS)
        transaction.commit()

    on_site(path, make)
    return path


def on_site(path: Path, function: Callable[[Any], Any]) -> Any:
    db = open_data_fs(path)
    try:
        with Lake(db).open("system") as site:
            return function(site)
    finally:
        db.close()


def count(site: Any) -> None:
    """The script: two loops; the second one over what the first one has written."""
    batch = Batch(site, NAME)
    times = site.data_array_module["times"]
    batch.state.setdefault("sum", 0)
    for block in batch.iterate(site.data_array_module["numbers"], rows=100, every=2):
        times.array[block.start : block.stop] += 1
        batch.state["sum"] += int(block.data.sum())
    for block in batch.iterate(times, rows=300, every=1):
        times.array[block.start : block.stop] = block.data + 10
        batch.state["sum"] += int(block.data.sum())
    site.data_array_module["numbers"].title = str(batch.state["sum"])
    batch.finish()


def run(path: Path, calls: int | None) -> int:
    """Run the script in a process that is killed at so many calls; return the signal that ended it, 0 for none."""
    pid = os.fork()
    if not pid:
        with leaving():
            if calls is None:
                on_site(path, count)
            else:
                on_site(path, profiled(killer(calls)))
    _, status = os.waitpid(pid, 0)
    assert os.WIFSIGNALED(status) or os.WEXITSTATUS(status) == 0
    return os.WTERMSIG(status) if os.WIFSIGNALED(status) else 0


def calls_of(path: Path) -> int:
    """How many calls the script makes, from its beginning to its end."""
    counter = itertools.count()
    reader, writer = os.pipe()
    if not os.fork():
        with leaving():
            on_site(path, profiled(lambda frame, event, argument: next(counter) if event in CALLS else None))
            os.write(writer, b"%d" % next(counter))
    os.wait()
    os.close(writer)
    with os.fdopen(reader) as answer:
        return int(answer.read())


@contextmanager
def leaving() -> Iterator[None]:
    """Leave a forked process at the end, without what pytest would do then."""
    code = 1
    try:
        yield
        code = 0
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(code)


def profiled(profile: Callable[..., Any]) -> Callable[[Any], None]:
    """The script, whose calls are told of."""

    def count_profiled(site: Any) -> None:
        sys.setprofile(profile)
        try:
            count(site)
        finally:
            sys.setprofile(None)

    return count_profiled


def killer(calls: int) -> Callable[..., None]:
    counter = itertools.count(1)

    def profile(frame: Any, event: str, argument: Any) -> None:
        if event in CALLS and next(counter) == calls:
            os.kill(os.getpid(), signal.SIGKILL)

    return profile


def check(path: Path) -> None:
    """Every row was counted once by each loop, and the sum is exact."""

    def look(site: Any) -> tuple[set[int], str, str]:
        [indicator] = site.progress_indicator_module.objectValues()
        arrays = site.data_array_module
        return set(arrays["times"].array[:].tolist()), arrays["numbers"].title, indicator.getProgressState()

    assert on_site(path, look) == ({11}, str(ROWS * (ROWS - 1) // 2 + ROWS), "done")


def test_one_that_nobody_kills_does_every_row_once(path: Path) -> None:
    assert run(path, None) == 0
    check(path)


def test_one_that_is_killed_again_and_again_does_every_row_once(path: Path, tmp_path: Path) -> None:
    calls = calls_of(copied(path, tmp_path / "counted"))
    moments = random.Random(20261122)
    kills = 0
    while run(path, moments.randrange(calls // 5, calls // 2)):
        kills += 1
        assert kills < 100
    assert kills >= 2
    check(path)


def test_one_that_is_killed_at_any_moment_and_run_again_does_every_row_once(path: Path, tmp_path: Path) -> None:
    calls = calls_of(copied(path, tmp_path / "counted"))
    for number in range(MOMENTS):
        killed = copied(path, tmp_path / str(number))
        assert run(killed, calls * (2 * number + 1) // (2 * MOMENTS)) == signal.SIGKILL
        assert run(killed, None) == 0
        check(killed)


def copied(path: Path, folder: Path) -> Path:
    """A copy of the lake."""
    folder.mkdir()
    return Path(shutil.copy(path, folder))
