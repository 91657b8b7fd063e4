"""`python -m bench chaos`: transfers through a network on which something goes wrong all the time.

One file of 1 GiB and 5,000 files of 4 KiB, random bytes, go up and down through the proxy of `tests/support/faults.py`,
for each kind of fault and for all of them together. Printed as the table of docs/chaos.rst, which says how to read it.
"""

from __future__ import annotations

import argparse
import filecmp
import random
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from bench.lake import Lake, lake
from bench.workload import MIB
from tests.support.faults import Chaos, Direction, FaultyNetwork, How, Trouble, faulty_network

KIB = 1024
STALL_TIMEOUT = 5
"""Seconds, for the client: a minute by default, which would be most of what a run with stalls takes."""


@dataclass(frozen=True, slots=True)
class Load:
    """What is sent, how it is made, and about how many of its bytes pass between two faults."""

    name: str
    size: int
    every: int
    write: Callable[[Path, random.Random], None]


@dataclass(frozen=True, slots=True)
class Row:
    """What came of a transfer."""

    fault: str
    load: str
    verb: str
    seconds: float
    faults: int
    carried: int
    right: bool
    again: int = 0


def loads(size: int, count: int) -> tuple[Load, Load]:
    """The two of them."""

    def one(folder: Path, generator: random.Random) -> None:
        with (folder / "large.bin").open("wb") as file:
            for _ in range(size // MIB):
                file.write(generator.randbytes(MIB))

    def many(folder: Path, generator: random.Random) -> None:
        for number in range(count):
            path = folder / f"d{number // 100:03d}" / f"f{number % 100:02d}.bin"
            path.parent.mkdir(exist_ok=True)
            path.write_bytes(generator.randbytes(4 * KIB))

    return (
        Load(f"1 file, {size // MIB:,} MiB", size, max(4 * MIB, size // 12), one),
        Load(f"{count:,} files of 4 KiB", count * 4 * KIB, max(MIB, count * KIB), many),
    )


def kinds(load: Load, bulk: Direction) -> Iterator[tuple[str, Chaos]]:
    """Kinds of trouble: what the table calls each, and what the proxy does."""
    thin: Direction = "down" if bulk == "up" else "up"

    def breaks(how: How) -> list[Trouble]:
        return [Trouble(bulk, load.every, how), Trouble(thin, 16 * KIB, how)]

    stalls = [Trouble(bulk, 3 * load.every, "stall")]
    every = f"{load.every / MIB:.0f} MiB | 16 KiB"
    yield "nothing", Chaos()
    yield f"cut (RST): {every}", Chaos(seed=1, troubles=breaks("reset"))
    yield f"truncate (FIN): {every}", Chaos(seed=2, troubles=breaks("close"))
    yield f"stall: {3 * load.every / MIB:.0f} MiB", Chaos(seed=3, troubles=stalls)
    yield "delay: 1 of 200, 0.2 s", Chaos(seed=4, held=0.005)
    yield "throttle: 32 MiB/s", Chaos(seed=5, rate=32 * MIB)
    yield "duplicate: 1 of 3", Chaos(seed=3, repeated=1 / 3)
    together = breaks("reset") + breaks("close") + stalls
    yield "all of these", Chaos(seed=7, troubles=together, held=0.005, rate=32 * MIB, repeated=1 / 3)


def transfer(
    running: Lake, network: FaultyNetwork, chaos: Chaos, bulk: Direction, *words: str | Path
) -> tuple[float, int, int]:
    """Run a command through trouble: seconds, faults, and bytes that passed in a direction."""
    network.broken.clear()
    network.pieces_held = network.requests_repeated = 0
    before = network.carried(bulk)
    network.chaos = chaos
    start = time.perf_counter()
    try:
        command = running.ebulk(*words, "--stall-timeout", str(STALL_TIMEOUT))
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    finally:
        network.chaos = Chaos()
    faults = len(network.broken) + network.pieces_held + network.requests_repeated
    return time.perf_counter() - start, faults, network.carried(bulk) - before


def same(one: Path, other: Path) -> bool:
    """Whether two folders have the same files, byte by byte."""
    difference = filecmp.dircmp(one, other, ignore=[".ebulk"])
    if difference.left_only or difference.right_only:
        return False
    _, *others = filecmp.cmpfiles(one, other, difference.common_files, shallow=False)
    return others == [[], []] and all(same(one / name, other / name) for name in difference.common_dirs)


def measure(home: Path, load: Load, number: int) -> Iterator[Row]:
    """A push and a pull, through the kind of trouble of this number, of bytes that the lake has not."""
    (source := home / "source").mkdir(parents=True)
    load.write(source, random.Random(f"{load.name} {number}"))  # noqa: S311
    with lake(home / "lake") as running, faulty_network(running.url.split("/")[2]) as network:
        url = f"http://{network.address}/erp5"
        login = ("login", url, "--user", "bench", "--password-file", home / "lake" / "password")
        for words in (login, ("init", source, "--reference", "chaos", "--url", url)):
            subprocess.run(running.ebulk(*words), check=True, stdout=subprocess.DEVNULL)
        fault, chaos = list(kinds(load, "up"))[number]
        figures = transfer(running, network, chaos, "up", "push", source)
        yield Row(fault, load.name, "push", *figures, right=True)
        fault, chaos = list(kinds(load, "down"))[number]
        figures = transfer(running, network, chaos, "down", "clone", "chaos", home / "copy", "--url", url)
        yield Row(fault, load.name, "pull", *figures, right=same(source, home / "copy"))


def table(rows: list[Row]) -> str:
    """The rows as a table in reStructuredText."""
    names = ("fault", "content", "direction", "seconds", "faults", "sent again", "arrived")
    cells = [names] + [
        (
            row.fault,
            row.load,
            row.verb,
            f"{row.seconds:.1f}",
            f"{row.faults:,}",
            f"{row.again / MIB:.1f} MiB",
            "equal" if row.right else "DIFFERENT",
        )
        for row in rows
    ]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    rule = "  ".join("=" * width for width in widths)
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in cells]
    return "\n".join([rule, lines[0], rule, *lines[1:], rule])


def main(arguments: list[str]) -> int:
    """Run all, and print the table; 1 when something did not arrive as it was."""
    parser = argparse.ArgumentParser(
        prog="bench chaos", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--home", type=Path, help="work in this folder (5 GiB free) instead of a temporary one")
    parser.add_argument("--size", type=int, default=1024, help="MiB of the large file; 0: none")
    parser.add_argument("--files", type=int, default=5000, help="how many small files; 0: none")
    options = parser.parse_args(arguments)
    rows: list[Row] = []
    with tempfile.TemporaryDirectory(dir=options.home, prefix="chaos-") as home:
        for load in filter(lambda load: load.size, loads(options.size * MIB, options.files)):
            sound: dict[str, int] = {}
            for number in range(len(list(kinds(load, "up")))):
                place = Path(home) / "place"
                for row in measure(place, load, number):
                    again = max(0, row.carried - sound.setdefault(row.verb, row.carried))
                    rows.append(replace(row, again=again))
                    print(table(rows[-1:]).splitlines()[-2], file=sys.stderr, flush=True)
                shutil.rmtree(place)
    print(table(rows))
    return 0 if all(row.right for row in rows) else 1
