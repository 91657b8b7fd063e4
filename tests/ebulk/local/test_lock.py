import subprocess
import sys
import time

import pytest

from ebulk.errors import EbulkError
from ebulk.local.lock import Lock

HOLDER = """
import sys
from pathlib import Path
from ebulk.local.lock import Lock
with Lock(Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def holder(tmp_path):
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDER, tmp_path / "lock"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout.readline() == "held\n"
    yield process
    process.kill()
    process.wait()
    process.stdin.close()
    process.stdout.close()


def test_a_second_ebulk_is_refused_with_the_process_of_the_first(tmp_path, holder):
    with pytest.raises(EbulkError) as caught, Lock(tmp_path / "lock"):
        pass
    assert str(caught.value) == f"Another ebulk (process {holder.pid}) is at work in this data set folder."
    assert caught.value.hint == "Wait for it, or end it, then try again."


def test_a_killed_ebulk_leaves_no_stale_lock(tmp_path, holder):
    holder.kill()
    holder.wait()
    with Lock(tmp_path / "lock"):
        assert not Lock(tmp_path / "lock").acquire()
    assert Lock(tmp_path / "lock").acquire()


def test_the_clock_is_that_of_the_file_system(tmp_path):
    with Lock(tmp_path / "lock") as lock:
        (tmp_path / "before").touch()
        clock = lock.clock()
        (tmp_path / "after").touch()
    assert (tmp_path / "before").stat().st_mtime_ns <= clock <= (tmp_path / "after").stat().st_mtime_ns
    assert abs(clock - time.time_ns()) < 1_000_000_000
