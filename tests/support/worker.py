"""`wendelin worker` as operators run it, on a lake whose analyses are made by `support.analyses`."""

from __future__ import annotations

import contextlib
import mmap
import os
import queue
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection
from pathlib import Path
from typing import TypeVar

from Products.ERP5Wendelin.portal.analysis_process import Settings, memory_limited
from Products.ERP5Wendelin.protocol import MIB
from Products.ERP5Wendelin.storage.process import resident
from support.lake import COMMANDS, START_TIMEOUT, wendelin

TESTS = Path(__file__).parents[1]
TIMEOUT = 180
"""Seconds; machines may be busy."""

Found = TypeVar("Found")


def shell(directory: Path, code: str) -> str:
    """What Python prints that is run by `wendelin shell`, where `support` can be imported."""
    path = os.pathsep.join([str(TESTS), os.environ.get("PYTHONPATH", "")])
    return wendelin("shell", directory, "-c", code, env={**os.environ, "PYTHONPATH": path}).stdout


def until(function: Callable[[], Found | None], what: str) -> Found:
    """What a function returns once that is something."""
    deadline = time.monotonic() + TIMEOUT
    while time.monotonic() < deadline:
        found = function()
        if found:
            return found
        time.sleep(0.05)  # of what happens in other processes there is no event
    raise AssertionError(f"{what} did not happen in {TIMEOUT} s")


def command_of(process: int) -> bytes:
    """The command line of a process; none of one that has ended."""
    with contextlib.suppress(OSError):
        return Path(f"/proc/{process}/cmdline").read_bytes()
    return b""


class WorkerProcess:
    """A worker that runs; what it prints is read as it comes."""

    def __init__(self, directory: Path, *options: str) -> None:
        self.errors = directory.parent / "worker.stderr"
        with self.errors.open("a") as errors:
            self.process = subprocess.Popen(
                [COMMANDS / "wendelin", "worker", directory, *options], stdout=subprocess.PIPE, stderr=errors, text=True
            )
        self.lines: list[str] = []
        self._coming: queue.Queue[str] = queue.Queue()
        threading.Thread(target=self._read, daemon=True).start()

    def wait_for(self, text: str) -> str:
        """The next line that has a text."""
        line = self.next_line(text, TIMEOUT)
        assert line is not None, f"no line with {text!r}, but:\n{self.lines}\n{self.errors.read_text()}"
        return line

    def next_line(self, text: str, seconds: float) -> str | None:
        """The next line that has a text; None if none comes in so many seconds."""
        deadline = time.monotonic() + seconds
        with contextlib.suppress(queue.Empty):
            while True:
                line = self._coming.get(timeout=max(0.0, deadline - time.monotonic()))
                self.lines.append(line)
                if text in line:
                    return line
        return None

    def end_a_process(self, number: signal.Signals) -> tuple[int, str]:
        """End a process by a signal while it runs an analysis; its id, and what the worker says of it."""
        deadline = time.monotonic() + TIMEOUT
        while time.monotonic() < deadline:
            process = until(self.children, "a process")[0]
            os.kill(process, number)
            line = self.next_line("failed data_analysis_module/", 10)
            if line is not None:  # otherwise it had nothing to do at the moment
                return process, line
        raise AssertionError("no process ran an analysis")

    def children(self) -> list[int]:
        """The ids of the processes that run analyses."""
        main = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children")
        children = map(int, main.read_text().split())
        return [child for child in children if b"spawn_main" in command_of(child)]

    def stop(self) -> int:
        """Ask it to end after the present steps; its exit code."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(START_TIMEOUT)

    def kill(self) -> None:
        """End it at once, as a power cut would."""
        self.process.kill()
        self.process.wait(START_TIMEOUT)

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self._coming.put(line)


@contextmanager
def working(directory: Path, *options: str) -> Iterator[WorkerProcess]:
    """A worker, until the end of a `with` statement."""
    worker = WorkerProcess(directory, *options)
    try:
        worker.wait_for("ready")
        yield worker
    finally:
        if worker.process.poll() is None:
            worker.kill()


def take_memory(connection: Connection, settings: Settings, worker: int) -> None:
    """What a process does whose script maps more than it may: pages that no limit of the system counts."""
    with memory_limited(connection, sum(resident()) + 64 * MIB):
        pages = mmap.mmap(-1, 256 * MIB)
        for start in range(0, len(pages), mmap.PAGESIZE):
            pages[start] = 1
        time.sleep(TIMEOUT)


def end_by_signal(connection: Connection, settings: Settings, worker: int) -> None:
    """What a process does whose script meets a fault of a library."""
    os.kill(os.getpid(), signal.SIGSEGV)


def exit_early(connection: Connection, settings: Settings, worker: int) -> None:
    """What a process does whose script ends it."""
    os._exit(3)
