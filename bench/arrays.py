"""`python -m bench arrays`: arrays in the lake beside NumPy's memmap, zarr 3 and h5py, each doing the same.

    mean     mean and standard deviation of --size of float64, cold, the lake in an enforced 512 MiB of memory: by its
             statistics, and (loop) by the peers' own loop over its blocks
    read     1,000 slices of 64 KiB at random, cold, and then what is in the page cache
    append   --size, 2 GiB at the most, by appends of 16 MiB, each of them on the disk before the next
    workers  two analyses by one worker, and by two at once

The lake and a peer take turns, each in a process of its own; a ratio is that of a turn, and the median of these is
shown. Seconds are those of the work, from the name of an array to the result, without the start of Python. Cold is what
is not in the page cache: files are synchronised and given back (posix_fadvise), and it is seen that they are gone.

What is read does not change, so peers need the disk only one after the other: twice --size is enough, and 8 GiB for
2 GiB that are appended. Exit status 1 when a target is missed.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import shutil
import subprocess
import tempfile
from collections import defaultdict
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

from bench import peer_packages
from bench.array_work import MIB, READS
from bench.lake import COMMANDS, USER, make_instance
from bench.measure import Figure, run

MEMORY_LIMIT_MIB = 512

APPENDED = 2 << 30
"""Bytes that are appended at the most."""

LAKE = Path(__file__).with_name("array_lake.py")

TASKS = ("mean", "read", "append", "workers")

PLAN = {
    "memmap": ("mean", "loop", "read"),
    "h5py": ("mean", "read"),
    "zarr": ("mean",),
    "zarr-2m": ("read",),
    "zarr-shards": ("read",),
}
"""What peers read; zarr as chunks suit it: of 16 MiB, of 2 MiB, and of 64 KiB in shards of 16 MiB."""

APPENDING = ("memmap", "zarr", "h5py")
"""The first stands for a plain file: it is what the disk does."""

TARGETS = {
    ("mean", "memmap"): 0.8,
    ("mean", "zarr"): 1.0,
    ("mean", "h5py"): 1.0,
    ("read, cold", "zarr-2m"): 1.0,
    ("read, cold", "zarr-shards"): 1.0,
    ("read, cached", "zarr-2m"): 1.0,
    ("read, cached", "zarr-shards"): 1.0,
    ("append", "zarr"): 1.0,
}
"""How many times as fast as a peer the lake is to be."""

WORKERS_SIZE = 1 << 30
"""Bytes of the array that analyses read: for less of it the start of two processes would be what is measured."""

WORKERS_TARGET = 0.6
"""The time of two workers by that of one, at the most."""


@dataclass(frozen=True)
class Work:
    """What one did once."""

    seconds: float
    resident: float
    """MiB: the highest, sampled; pages of a file that are mapped count."""
    result: Any


class Row:
    """The lake and a peer doing the same, in turns."""

    def __init__(self, task: str, peer: str, amount: float, unit: str) -> None:
        self.task = task
        self.peer = peer
        self._amount = amount
        self._unit = unit
        self._lake: list[Work] = []
        self._others: list[Work] = []

    def add(self, lake: Work, other: Work) -> None:
        """A turn. AssertionError unless both came to the same."""
        for ours, theirs in zip(_numbers(lake.result), _numbers(other.result), strict=True):
            if not math.isclose(ours, theirs, rel_tol=1e-9):
                raise AssertionError(f"{self.task}: the lake has {ours}, and {self.peer} {theirs}")
        self._lake.append(lake)
        self._others.append(other)

    @property
    def ratio(self) -> float:
        """How many times as fast as the peer the lake was."""
        return median(theirs.seconds / ours.seconds for ours, theirs in zip(self._lake, self._others, strict=True))

    @property
    def resident(self) -> float:
        """MiB: the lake's peak."""
        return max(work.resident for work in self._lake)

    @property
    def target(self) -> float | None:
        """The least that the ratio is to be."""
        return TARGETS.get((self.task, self.peer))

    def __str__(self) -> str:
        ours, theirs = (self._amount / median(work.seconds for work in works) for works in (self._lake, self._others))
        peak = max(work.resident for work in self._others)
        target = "" if self.target is None else f"{self.target:g}"
        return line(
            f"{self.task}, {self._unit}",
            self.peer,
            f"{theirs:,.0f}",
            f"{ours:,.0f}",
            f"{self.ratio:.2f}",
            target,
            f"{peak:,.0f}",
            f"{self.resident:,.0f}",
        )


HEADING = ("work", "peer", "its rate", "ours", "ratio", "target", "its MiB", "our MiB")
WIDTHS = (21, 11, 8, 8, 5, 6, 7, 7)


def line(*cells: str) -> str:
    """A row of a table in reStructuredText."""
    return "  ".join(cell.ljust(width) for cell, width in zip(cells, WIDTHS, strict=True)).rstrip()


RULE = line(*("=" * width for width in WIDTHS))


def _numbers(result: Any) -> list[float]:
    return list(result) if isinstance(result, list) else [result]


class Bench:
    """Works in the folder `home` on arrays of `size` bytes, each peer `turns` times."""

    def __init__(self, home: Path, size: int, turns: int, python: Path) -> None:
        self.home = home
        self.size = size
        self.turns = turns
        self.python = python
        self.rows: list[Row] = []
        self.workers_ratio: float | None = None

    def read(self, tasks: Collection[str]) -> None:
        """What only reads, of these."""
        instance = make_instance(self.home / "lake")
        self._lake(instance, "make", self.size)
        for peer, plan in PLAN.items():
            chosen = [task for task in plan if task in tasks or (task == "loop" and "mean" in tasks)]
            path = self.home / peer
            if chosen:
                self._peer(peer, "make", path, self.size)
            for task in chosen:
                if task == "read":
                    self._turns("read, cold", (task, task), instance, peer, path)
                    self._turns("read, cached", (task, task), instance, peer, path, cold=False)
                else:
                    self._turns(task, (task, "mean"), instance, peer, path)
            if chosen:
                remove(path)
        shutil.rmtree(self.home / "lake")

    def _turns(
        self, task: str, actions: tuple[str, str], instance: Path, peer: str, path: Path, *, cold: bool = True
    ) -> None:
        """The lake's action and the peer's, in turns."""
        row = Row(task, peer, *((READS, "reads/s") if "read" in actions else (self.size / 1e6, "MB/s")))
        for _ in range(self.turns):
            if cold:
                cool(instance)
            lake = self._lake(instance, actions[0], self.size)
            if cold:
                cool(path)
            row.add(lake, self._peer(peer, actions[1], path, self.size))
        self._show(row)

    def append(self) -> None:
        """Appends, each turn to something new."""
        size = min(self.size, APPENDED)
        rows = {peer: Row("append", peer, size / 1e6, "MB/s") for peer in APPENDING}
        for turn in range(self.turns):
            home = self.home / f"append-{turn}"
            lake = self._lake(make_instance(home), "append", size)
            for peer, row in rows.items():
                row.add(lake, self._peer(peer, "append", home / peer, size))
            shutil.rmtree(home)  # not in between: to delete gigabytes keeps a disk busy for some time
        for row in rows.values():
            self._show(row)

    def workers(self) -> None:
        """Two analyses, by one worker and by two: seconds of the whole command."""
        instance = make_instance(self.home / "workers")
        self._lake(instance, "make", WORKERS_SIZE)
        seconds: dict[int, list[float]] = defaultdict(list)
        for _ in range(self.turns):
            for jobs in (1, 2):
                if self._lake(instance, "plan", WORKERS_SIZE).result != 2:
                    raise AssertionError("there are not two analyses to do")
                command = [COMMANDS / "wendelin", "worker", instance, "--jobs", str(jobs), "--once"]
                seconds[jobs].append(checked(command).wall)
        found = _numbers(self._lake(instance, "medians", WORKERS_SIZE).result)
        if len(found) != 4 * self.turns or len(set(found)) != 1:
            raise AssertionError(f"the analyses came to {found}")
        shutil.rmtree(self.home / "workers")
        self.workers_ratio = median(two / one for one, two in zip(seconds[1], seconds[2], strict=True))
        one, two = median(seconds[1]), median(seconds[2])
        print(
            f"two analyses    one worker {one:.1f} s, two {two:.1f} s: {self.workers_ratio:.2f}"
            f" of the time  ({WORKERS_TARGET:g})",
            flush=True,
        )

    def _lake(self, instance: Path, action: str, size: int) -> Work:
        options = ["--user", USER, "--memory-limit", f"{MEMORY_LIMIT_MIB}M"]
        return work([COMMANDS / "wendelin", "run", *options, instance, LAKE, action, str(size)])

    def _peer(self, name: str, action: str, path: Path, size: int) -> Work:
        return work([self.python, "-m", "bench.array_peers", name, action, path, str(size)])

    def _show(self, row: Row) -> None:
        self.rows.append(row)
        print(row, flush=True)

    def missed(self) -> list[str]:
        """The targets that were measured and not met."""
        found = [
            f"{row.task}: {row.ratio:.2f} times as fast as {row.peer}, to be {row.target:g}"
            for row in self.rows
            if row.target is not None and row.ratio < row.target
        ]
        peak = max((row.resident for row in self.rows if row.task == "mean"), default=0)
        if peak >= MEMORY_LIMIT_MIB:
            found.append(f"mean: {peak:.0f} MiB resident, to be under {MEMORY_LIMIT_MIB}")
        if self.workers_ratio is not None and self.workers_ratio > WORKERS_TARGET:
            found.append(f"workers: {self.workers_ratio:.2f} of the time of one, to be {WORKERS_TARGET} at the most")
        return found


def work(command: Sequence[str | Path]) -> Work:
    """Run a command that does something and says so by `array_work.timed`."""
    figure = checked(command)
    said = json.loads(next(text for text in reversed(figure.output.splitlines()) if text.startswith('{"seconds"')))
    return Work(said["seconds"], figure.client_resident, said["result"])


def checked(command: Sequence[str | Path]) -> Figure:
    """Run a command; SystemExit with what it has said when it fails."""
    try:
        return run(command, cwd=peer_packages.REPOSITORY)
    except subprocess.CalledProcessError as error:
        raise SystemExit(f"{' '.join(map(str, command))} has failed:\n{error.output}") from error


def cool(path: Path) -> None:
    """Have no page of a file, or of those in a folder, in the page cache; SystemExit where the kernel keeps them."""
    for each in [path] if path.is_file() else filter(Path.is_file, path.rglob("*")):
        descriptor = os.open(each, os.O_RDONLY)
        try:
            os.fsync(descriptor)
            os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
            if _is_cached(descriptor):
                raise SystemExit(f"{each} stays in the page cache: choose a --home on a disk, which a tmpfs is not.")
        finally:
            os.close(descriptor)


def _is_cached(descriptor: int) -> bool:
    """Whether the first byte of a file is there without waiting for the disk."""
    try:
        return os.preadv(descriptor, [bytearray(1)], 0, os.RWF_NOWAIT) > 0
    except BlockingIOError:
        return False


def remove(path: Path) -> None:
    """A file or a folder, and so its bytes in the page cache."""
    shutil.rmtree(path) if path.is_dir() else path.unlink()


def main(arguments: Sequence[str] | None = None) -> int:
    """Run what was asked for; 1 when a target is missed."""
    parser = argparse.ArgumentParser(
        prog="bench arrays", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("tasks", nargs="*", metavar="|".join(TASKS), help="all unless named")
    parser.add_argument("--home", type=Path, help="work in this folder, on a disk, instead of a temporary one")
    parser.add_argument("--size", type=float, default=1, metavar="GIB", help="of the array (1)")
    parser.add_argument("--turns", type=int, default=3)
    options = parser.parse_args(arguments)
    tasks = options.tasks or TASKS
    if unknown := set(tasks) - set(TASKS):
        parser.error(f"there is no task {', '.join(sorted(unknown))}; there are {', '.join(TASKS)}")
    size = int(options.size * 1024) * MIB
    with tempfile.TemporaryDirectory(dir=options.home, prefix="bench-") as name:
        home = Path(name)
        needed = 2.2 * max(size, 2 * min(size, APPENDED), WORKERS_SIZE)
        if (free := shutil.disk_usage(home).free) < needed:
            parser.error(f"{home} has {free:,} bytes free, and takes {needed:,.0f}: name a larger disk by --home")
        bench = Bench(home, size, options.turns, peer_packages.python())
        print(f"{size / 2**30:g} GiB of float64, medians of {options.turns} turns")
        if set(tasks) - {"workers"}:
            print(RULE, line(*HEADING), RULE, sep="\n", flush=True)
            if {"mean", "read"} & set(tasks):
                bench.read(tasks)
            if "append" in tasks:
                bench.append()
            print(RULE, flush=True)
        if "workers" in tasks:
            bench.workers()
    for text in bench.missed():
        print(f"MISSED {text}")
    return 1 if bench.missed() else 0
