"""`python -m bench table`: our push and pull beside what users would otherwise pick, in the same run.

The peers, the workloads and the way to measure are those of `peers.py`, a script of its own that is named by its path.
We are one more peer of it. Each turn runs all of them once; ratios are taken within a turn, and of these the median is
shown: whatever mood the machine is in, it is in both figures of a ratio.

    W1   one file of 2 GiB                    W4a  a second push after 200 files of W3 changed
    W2   100 files of 10 MiB                  W4b  a second push after 1 MiB was appended to W1's file
    W3   20,000 files of 4 KiB in 400 folders
"""

from __future__ import annotations

import argparse
import contextlib
import importlib.util
import io
import json
import os
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from types import ModuleType
from typing import Any

from bench.lake import lake
from bench.measure import cpu_seconds, peak_bytes
from bench.workload import MIB

OURS = "ebulk"
FIRST = ("W1", "W2", "W3")
SECOND = {"W3": "W4a", "W1": "W4b"}
"""The workload that follows a first push."""

COLUMNS = tuple((workload, op) for workload in ("W1", "W2", "W3", "W4a", "W4b") for op in ("push", "pull"))
SERVER_MIB, CLIENT_MIB = 400, 200
OUR_FOLDER = ".ebulk"

Column = tuple[str, str]
"""A workload, and "push" or "pull"."""


@dataclass(frozen=True, slots=True)
class Target:
    """How many times as fast we are to be: as each of these peers, or as the fastest of them."""

    name: str
    peers: tuple[str, ...]
    times: dict[Column, float]


def _times(*figures: tuple[str, float, float | None]) -> dict[Column, float]:
    times: dict[Column, float] = {}
    for workload, push, pull in figures:
        times[workload, "push"] = push
        if pull is not None:
            times[workload, "pull"] = pull
    return times


GIT_BASED = _times(("W1", 3, 3), ("W2", 2, 2), ("W3", 15, 15), ("W4a", 1, None), ("W4b", 10, 6))

TARGETS = (
    Target(
        "the faster S3 pair",
        ("rclone-s3", "seaweed-s5cmd"),
        _times(("W1", 1.5, 1.3), ("W2", 1.2, 1.0), ("W3", 10, 10), ("W4a", 2, None), ("W4b", 6, 4)),
    ),
    Target(
        "restic",
        ("restic",),
        _times(("W1", 1.3, 1.2), ("W2", 1.3, 1.2), ("W3", 0.7, 0.8), ("W4a", 1.5, None), ("W4b", 3, 4)),
    ),
    Target("Git LFS", ("git-lfs",), GIT_BASED),
    Target("DVC", ("dvc-seaweed",), GIT_BASED),
    Target("nginx and curl", ("nginx-curl",), _times(("W1", 0.4, 0.6), ("W2", 0.3, 0.5), ("W3", 1, 1))),
)

Document = dict[str, Any]
"""A measurement as the script prints it."""


def load(path: Path, home: Path) -> ModuleType:
    """The script of the peers, working in the folder `home`, with us among them."""
    os.environ["PEERS_HOME"] = str(home)
    spec = importlib.util.spec_from_file_location("peers_script", path)
    if spec is None or spec.loader is None:
        raise SystemExit(f"{path} is not a Python script.")
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    script.OUR_OWN.add(OUR_FOLDER)
    script.PEERS[OURS] = _as_peer(script.Peer)
    return script


def _as_peer(base: Any) -> type[Any]:
    class Ebulk(base):  # type: ignore[misc]
        """Our server and client; it is also what the script asks of the server."""

        def start(self) -> None:
            self._stack = contextlib.ExitStack()
            self._lake = self._stack.enter_context(lake(self.base / "lake"))
            self.server = self

        def cpu(self) -> float:
            return cpu_seconds(self._lake.process.pid)

        def peak(self) -> float:
            return peak_bytes(self._lake.process.pid) / MIB

        def stop(self) -> None:
            self._stack.close()

        def prepare(self) -> None:
            subprocess.run(self._lake.ebulk("init", self.work, "--reference", "d", "-q"), check=True)

        def push(self) -> str:
            return self._command("push", self.work, "--all", "-q")

        def pull(self) -> str:
            return self._command("clone", "d", self.clone, "-q")

        def refresh(self) -> str:
            return self._command("pull", self.clone, "-q")

        def _command(self, *arguments: str | Path) -> str:
            time = shutil.which("time")
            measured = [time, "-f", "%M", "-o", str(_resident_file(self.base.parent))] if time else []
            return shlex.join([*measured, *self._lake.ebulk(*arguments)])

    return Ebulk


def _resident_file(run: Path) -> Path:
    """Where GNU time writes the KiB of our client."""
    return run / "client-kib"


def measure(script: ModuleType, names: Iterable[str], firsts: Iterable[str], turn: int) -> Iterator[Document]:
    """Run each peer once on each workload and on the one that follows it."""
    for workload in firsts:
        for name in names:
            print(f"turn {turn}: {workload} {name}", file=sys.stderr, flush=True)
            output = _Lines(_resident_file(script.RUN) if name == OURS else None)
            with contextlib.redirect_stdout(output):
                script.run([name], [one for one in (workload, SECOND.get(workload)) if one], 1)
            for document in output.documents:
                yield {**document, "turn": turn}


class _Lines(io.StringIO):
    """Takes the script's lines as they come: after each of ours the client's peak can be read."""

    def __init__(self, resident: Path | None) -> None:
        super().__init__()
        self._resident = resident
        self.documents: list[Document] = []

    def write(self, text: str) -> int:
        for line in filter(str.strip, text.splitlines()):
            document = json.loads(line)
            if self._resident is not None and "wall_s" in document:
                with contextlib.suppress(OSError, ValueError):
                    document["client_peak_mib"] = int(self._resident.read_text().split()[-1]) // 1024
            self.documents.append(document)
        return len(text)


class Figures:
    """What was measured."""

    def __init__(self, documents: Iterable[Document]) -> None:
        self._runs: dict[str, dict[Column, dict[int, Document]]] = defaultdict(lambda: defaultdict(dict))
        self.faults: list[str] = []
        for document in documents:
            if document.get("exit") or document.get("equal") is False:
                self.faults.append(json.dumps(document))
            elif "wall_s" in document:
                self._runs[document["peer"]][document["workload"], document["op"]][document["turn"]] = document

    @property
    def peers(self) -> list[str]:
        """Who was measured, we first."""
        return sorted(self._runs, key=lambda name: (name != OURS, name))

    def of(self, peer: str, column: Column, key: str) -> list[float]:
        """One figure of each run."""
        return [document[key] for document in self._runs[peer][column].values() if key in document]

    def ratio(self, peers: Sequence[str], column: Column) -> float | None:
        """How many times as fast as the fastest of these peers we are: the median over the turns."""
        ours = self._runs[OURS][column]
        ratios = []
        for turn, document in ours.items():
            theirs = [self._runs[peer][column][turn]["wall_s"] for peer in peers if turn in self._runs[peer][column]]
            if theirs:
                ratios.append(min(theirs) / document["wall_s"])
        return median(ratios) if ratios else None


def report(figures: Figures) -> Iterator[str]:
    """The tables, in reStructuredText."""
    yield from _seconds(figures)
    yield from _ratios(figures)
    yield from _resources(figures)
    yield from (f"FAULT {fault}" for fault in figures.faults)


def _seconds(figures: Figures) -> Iterator[str]:
    rows = []
    for peer in figures.peers:
        cells = []
        for workload in dict.fromkeys(workload for workload, _ in COLUMNS):
            walls = [figures.of(peer, (workload, op), "wall_s") for op in ("push", "pull")]
            cells.append(" / ".join(f"{median(wall):.1f}" if wall else "-" for wall in walls) if any(walls) else "")
        runs = max(len(figures.of(peer, column, "wall_s")) for column in COLUMNS)
        rows.append([peer, *cells, str(runs)])
    yield from _table(["seconds, push / pull", "W1", "W2", "W3", "W4a", "W4b", "runs"], rows)


def _ratios(figures: Figures) -> Iterator[str]:
    rows = []
    for target in TARGETS:
        cells = [target.name]
        for column in COLUMNS:
            ratio, times = figures.ratio(target.peers, column), target.times.get(column)
            if ratio is None:
                cells.append("")
            else:
                cells.append(
                    f"{ratio:.2f}" + ("" if times is None else f" ({'' if ratio >= times else '< '}{times:g})")
                )
        if any(cells[1:]):
            rows.append(cells)
    yield from _table(["times as fast as (target)", *(f"{workload} {op}" for workload, op in COLUMNS)], rows)


def _resources(figures: Figures) -> Iterator[str]:
    rows = []
    for column in COLUMNS:
        values = [figures.of(OURS, column, key) for key in ("client_cpu_s", "server_cpu_s")]
        peaks = [figures.of(OURS, column, key) for key in ("client_peak_mib", "server_peak_mib")]
        cells = [*(f"{median(value):.1f}" if value else "" for value in values)]
        cells += [f"{max(peak):.0f}" if peak else "" for peak in peaks]
        rows.append([" ".join(column), *cells])
    yield from _table(["ours", "client CPU s", "server CPU s", "client MiB", "server MiB"], rows)


def _table(heading: list[str], rows: list[list[str]]) -> Iterator[str]:
    widths = [max(len(row[number]) for row in [heading, *rows]) for number in range(len(heading))]
    rule = "  ".join("=" * width for width in widths)
    yield ""
    yield rule
    yield "  ".join(cell.ljust(width) for cell, width in zip(heading, widths, strict=True)).rstrip()
    yield rule
    for row in rows:
        # An empty first cell would go on with the row above; ours are never empty.
        yield "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
    yield rule


def missed(figures: Figures) -> list[str]:
    """The targets that were measured and not met."""
    found = []
    for target in TARGETS:
        for column, times in target.times.items():
            ratio = figures.ratio(target.peers, column)
            if ratio is not None and ratio < times:
                found.append(f"{' '.join(column)} {ratio:.2f} times as fast as {target.name}, to be {times:g}")
    for key, limit in (("server_peak_mib", SERVER_MIB), ("client_peak_mib", CLIENT_MIB)):
        peak = max((value for column in COLUMNS for value in figures.of(OURS, column, key)), default=0)
        if peak >= limit:
            found.append(f"{key} {peak:.0f}, to be under {limit}")
    return found


def main(arguments: Sequence[str] | None = None) -> int:
    """Run what was asked for; 1 when something failed or a target is missed."""
    parser = argparse.ArgumentParser(
        prog="bench table", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--peers", type=Path, metavar="PEERS.PY", help="the script that runs the peers")
    parser.add_argument("--home", type=Path, help="work here (16 GiB free), with the peers that `peers.py setup` made")
    parser.add_argument("--only", default="", metavar="NAME,...", help="these peers (all unless given); we always run")
    parser.add_argument("--workloads", default=",".join(FIRST), metavar="W1,...", help="of W1, W2 and W3")
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--save", type=Path, metavar="FILE", help="add each measurement to FILE, a line of JSON each")
    parser.add_argument("--report", action="store_true", help="only print the tables of FILE")
    options = parser.parse_args(arguments)
    if not options.report and (options.peers is None or not options.peers.is_file()):
        parser.error("name the script that runs the peers by --peers")
    if options.report and options.save is None:
        parser.error("--report needs --save FILE")
    documents = _saved(options.save)
    if not options.report:
        documents += _measured(options, first_turn=1 + max((document["turn"] for document in documents), default=0))
    figures = Figures(documents)
    print("\n".join(report(figures)))
    for text in missed(figures):
        print(f"MISSED {text}")
    return 1 if figures.faults or missed(figures) else 0


def _saved(path: Path | None) -> list[Document]:
    if path is None or not path.exists():
        return []
    return [json.loads(line) for line in path.read_text().splitlines()]


def _measured(options: argparse.Namespace, first_turn: int) -> list[Document]:
    documents = []
    with contextlib.ExitStack() as stack:
        home = options.home or Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bench-")))
        script = load(options.peers, home)
        chosen = [name for name in options.only.split(",") if name] or [name for name in script.PEERS if name != OURS]
        save = stack.enter_context(options.save.open("a")) if options.save else io.StringIO()
        for turn in range(first_turn, first_turn + options.repeat):
            for document in measure(script, [OURS, *chosen], options.workloads.split(","), turn):
                documents.append(document)
                print(json.dumps(document), file=save, flush=True)
    return documents
