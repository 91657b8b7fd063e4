"""Run one command and account for it: wall seconds, CPU seconds, peak resident memory of it and of a server."""

from __future__ import annotations

import os
import subprocess
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.workload import MIB


@dataclass(frozen=True, slots=True)
class Figure:
    """What one command cost."""

    wall: float
    """Seconds."""
    client_cpu: float
    """User and system seconds of the command and its children."""
    server_cpu: float
    """The same of the server meanwhile."""
    resident: float
    """MiB: the highest sum of the resident memory of command and server, sampled every 20 ms."""
    client_resident: float
    """The same of the command alone."""
    output: str = ""
    """What the command printed."""

    def rate(self, size: int) -> float:
        """Megabytes (10^6) a second for `size` bytes."""
        return size / 1e6 / self.wall


def process_tree(pid: int) -> list[int]:
    """`pid` and its descendants."""
    found, todo = [], [pid]
    while todo:
        found.append(pid := todo.pop())
        for children in Path(f"/proc/{pid}/task").glob("*/children"):
            try:
                todo += map(int, children.read_text().split())
            except OSError:
                continue
    return found


def resident_bytes(pid: int) -> int:
    """Resident memory of a process tree; 0 once it is gone."""
    total = 0
    for one in process_tree(pid):
        try:
            total += int(Path(f"/proc/{one}/statm").read_text().split()[1])
        except OSError:
            continue
    return total * os.sysconf("SC_PAGE_SIZE")


def peak_bytes(pid: int) -> int:
    """The highest resident memory that the processes of a tree had so far, summed up."""
    total = 0
    for one in process_tree(pid):
        try:
            status = Path(f"/proc/{one}/status").read_text()
        except OSError:
            continue
        total += next(int(line.split()[1]) * 1024 for line in status.splitlines() if line.startswith("VmHWM"))
    return total


def cpu_seconds(pid: int) -> float:
    """CPU time of a process tree so far, reaped children included."""
    ticks = 0
    for one in process_tree(pid):
        try:
            fields = Path(f"/proc/{one}/stat").read_text().rsplit(")", 1)[1].split()
        except OSError:
            continue
        ticks += sum(map(int, fields[11:15]))
    return ticks / os.sysconf("SC_CLK_TCK")


def run(command: Sequence[str | Path], *, server: int | None = None, cwd: Path | None = None) -> Figure:
    """Run `command` to its end beside the process `server`; CalledProcessError, with what it said, when it fails."""
    os.sync()
    server_before = cpu_seconds(server) if server else 0.0
    children_before = os.times()
    peak = client_peak = 0
    ended = threading.Event()
    start = time.perf_counter()
    process = subprocess.Popen(command, cwd=cwd, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)

    def sample() -> None:
        nonlocal peak, client_peak
        while not ended.wait(0.02):
            client = resident_bytes(process.pid)
            client_peak = max(client_peak, client)
            peak = max(peak, client + (resident_bytes(server) if server else 0))

    sampler = threading.Thread(target=sample)
    sampler.start()
    output, _ = process.communicate()
    wall = time.perf_counter() - start
    ended.set()
    sampler.join()
    children = os.times()
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, command, output)
    return Figure(
        wall=wall,
        client_cpu=children.children_user
        - children_before.children_user
        + children.children_system
        - children_before.children_system,
        server_cpu=(cpu_seconds(server) - server_before) if server else 0.0,
        resident=peak / MIB,
        client_resident=client_peak / MIB,
        output=output,
    )
