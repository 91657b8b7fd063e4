"""`python -m bench forward`: events a second that come in by the Forward protocol, acknowledged once committed.

Beside the limit of an asyncio server that reads, writes to a file and acknowledges (`raw_forward`), in turns: a ratio
is that of a turn, and the median of these is shown. CPU seconds are of the servers' processes, for a million events.

    fluentd         `wendelin fluentd` alone
    serve           `wendelin serve --fluentd`
    beside serve    `wendelin fluentd` while `wendelin serve` has the file, through its socket

Each sender has a connection, a tag and so a stream of its own; an event has 100 bytes. At the end the streams are as
long as what was acknowledged, or the run has failed. Exit status 1 when a target is missed.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from bench.lake import COMMANDS, make_instance, started
from bench.measure import cpu_seconds, peak_bytes
from bench.raw_forward import EVENT_SIZE, TAG
from bench.workload import MIB
from Products.ERP5Wendelin.content.site import SITE, enter_site
from Products.ERP5Wendelin.portal.instance import find, perform

TARGET = 0.5
"""Of the limit's events a second, for the chunks of one sender and of fifty."""


@dataclass(frozen=True, slots=True)
class Workload:
    """What the senders do."""

    name: str
    senders: int
    chunks: int
    """Of each sender."""
    events: int
    """Of a chunk."""
    window: int
    """Chunks of a sender that are on their way without an acknowledgement."""
    mode: str = "packed"

    @property
    def total(self) -> int:
        """Events of a turn."""
        return self.senders * self.chunks * self.events

    def sizes(self) -> dict[str, int]:
        """Bytes that it adds to the streams of tags."""
        return {f"{TAG}.{number}": self.chunks * self.events * EVENT_SIZE for number in range(self.senders)}

    def once(self) -> Workload:
        """The same with a chunk of each sender."""
        return replace(self, chunks=1)

    def arguments(self) -> list[str]:
        """For the senders' command line."""
        names = ("senders", "chunks", "events", "window", "mode")
        return [text for name in names for text in (f"--{name}", str(getattr(self, name)))]


WORKLOADS = (
    Workload("1 sender", senders=1, chunks=2000, events=1000, window=400),
    Workload("50 senders", senders=50, chunks=40, events=1000, window=8),
    Workload("1 sender, Message", senders=1, chunks=200_000, events=1, window=50_000, mode="message"),
    Workload("50 senders, Message", senders=50, chunks=4000, events=1, window=1000, mode="message"),
)
"""40 MB on their way, in chunks of 100 kB as an agent sends that flushes each second, or each event by itself."""


@dataclass(frozen=True, slots=True)
class Turn:
    """One run of a workload against one server."""

    wall: float
    server_cpu: float
    sender_cpu: float


class Target:
    """A server that runs, and its processes."""

    def __init__(self, url: str, *processes: subprocess.Popen[str]) -> None:
        self._address = urlsplit(url)
        self._pids = [process.pid for process in processes]

    def measure(self, workload: Workload) -> Turn:
        """Let the senders run once."""
        os.sync()
        before = self._cpu()
        command = [sys.executable, "-m", "bench.raw_forward", "send", self._address.hostname, str(self._address.port)]
        output = subprocess.run([*command, *workload.arguments()], check=True, stdout=subprocess.PIPE, text=True).stdout
        figures = json.loads(output)
        return Turn(figures["wall"], self._cpu() - before, figures["cpu"])

    def peak(self) -> float:
        """MiB: the most memory its processes had so far."""
        return sum(map(peak_bytes, self._pids)) / MIB

    def _cpu(self) -> float:
        return sum(map(cpu_seconds, self._pids))


@contextlib.contextmanager
def limit(home: Path) -> Iterator[Target]:
    """The server that only reads, writes and acknowledges."""
    command = [sys.executable, "-m", "bench.raw_forward", "serve", str(home / "raw")]
    with started(command, "tcp") as (process, (url,)):
        yield Target(url, process)


@contextlib.contextmanager
def alone(instance: Path) -> Iterator[Target]:
    """`wendelin fluentd`, which opens the file itself."""
    with started([COMMANDS / "wendelin", "fluentd", instance, "--listen", "127.0.0.1:0"], "tcp") as (process, (url,)):
        yield Target(url, process)


@contextlib.contextmanager
def within(instance: Path) -> Iterator[Target]:
    """`wendelin serve --fluentd`."""
    command = [COMMANDS / "wendelin", "serve", instance, "--listen", "127.0.0.1:0", "--fluentd", "127.0.0.1:0"]
    with started(command, "http", "tcp") as (process, (_, url)):
        yield Target(url, process)


@contextlib.contextmanager
def beside(instance: Path) -> Iterator[Target]:
    """`wendelin fluentd`, which reaches the file through `wendelin serve`."""
    serve = [COMMANDS / "wendelin", "serve", instance, "--listen", "127.0.0.1:0"]
    fluentd = [COMMANDS / "wendelin", "fluentd", instance, "--listen", "127.0.0.1:0"]
    with started(serve, "http") as (server, _), started(fluentd, "tcp") as (process, (url,)):
        yield Target(url, process, server)


SETUPS: dict[str, Callable[[Path], contextlib.AbstractContextManager[Target]]] = {
    "fluentd": alone,
    "serve": within,
    "beside serve": beside,
}


class Row:
    """Turns of one workload: the limit's and ours, in pairs."""

    def __init__(self, setup: str, workload: Workload) -> None:
        self.setup = setup
        self.workload = workload
        self._limit: list[Turn] = []
        self._ours: list[Turn] = []

    def add(self, limit: Turn, ours: Turn) -> None:
        """A pair."""
        self._limit.append(limit)
        self._ours.append(ours)

    @property
    def ratio(self) -> float:
        """Our events a second by the limit's."""
        return statistics.median(limit.wall / ours.wall for limit, ours in zip(self._limit, self._ours, strict=True))

    def __str__(self) -> str:
        total = self.workload.total
        limit, ours = (total / statistics.median(turn.wall for turn in turns) for turns in (self._limit, self._ours))
        cpu = [
            statistics.median(turn.server_cpu for turn in turns) / total * 1e6 for turns in (self._limit, self._ours)
        ]
        senders = statistics.median(turn.sender_cpu for turn in self._ours) / total * 1e6
        return (
            f"{self.setup:<14}{self.workload.name:<22}{limit:11,.0f}{ours:11,.0f}{ours * EVENT_SIZE / 1e6:8.1f}"
            f"{self.ratio:8.2f}{cpu[0]:9.2f}{cpu[1]:9.2f}{senders:9.2f}"
        )


HEADING = (
    f"{'server':<14}{'workload':<22}{'limit ev/s':>11}{'ours ev/s':>11}{'MB/s':>8}{'ratio':>8}"
    f"{'CPU lim':>9}{'CPU ours':>9}{'CPU send':>9}"
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run it and print a table; 1 when a target is missed."""
    parser = argparse.ArgumentParser(
        prog="bench forward", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--home", type=Path, help="work in this folder (about 20 GiB) instead of a temporary one")
    parser.add_argument("--setups", default=",".join(SETUPS), metavar="NAME,...", help="these of them")
    parser.add_argument("--repeat", type=int, default=3, help="turns")
    options = parser.parse_args(arguments)
    setups = options.setups.split(",")
    if unknown := set(setups) - set(SETUPS):
        parser.error(f"there is no setup {', '.join(sorted(unknown))}; there are {', '.join(SETUPS)}")
    with tempfile.TemporaryDirectory(dir=options.home, prefix="bench-") as home:
        rows = measured(Path(home), setups, options.repeat)
    missed = [
        row for row in rows if row.workload.mode == "packed" and row.setup != "beside serve" and row.ratio < TARGET
    ]
    for row in missed:
        print(f"MISSED {row.setup}, {row.workload.name}: {row.ratio:.2f} of the limit, to be {TARGET}")
    return 1 if missed else 0


def measured(home: Path, setups: Sequence[str], repeat: int) -> list[Row]:
    """Run all, print the table as it grows, and see that nothing is missing."""
    instance = make_instance(home / "lake")
    rows, sent = [], Counter[str]()
    print(HEADING, flush=True)
    for setup in setups:
        with limit(home) as peer, SETUPS[setup](instance) as target:
            for workload in WORKLOADS:
                row = Row(setup, workload)
                # the first chunk of a tag begins its ingestion, and makes its stream
                target.measure(workload.once())
                for _ in range(repeat):
                    row.add(peer.measure(workload), target.measure(workload))
                sent.update(workload.once().sizes())
                sent.update({tag: repeat * size for tag, size in workload.sizes().items()})
                rows.append(row)
                print(row, flush=True)
            print(f"{setup:<14}{target.peak():.0f} MiB at the most")
    stored = perform(find(instance), partial(sizes, tags=list(sent)))
    if stored != dict(sent):
        raise AssertionError(f"what is stored is not what was acknowledged: {stored} for {sent}")
    return rows


def sizes(app: Any, tags: Sequence[str]) -> dict[str, int]:
    """Bytes of the streams of these tags."""
    catalogue = enter_site(app, SITE).portal_catalog
    return {tag: catalogue.getResultValue(portal_type="Data Stream", reference=tag).getSize() for tag in tags}
