"""`python -m bench main`: the main job beside a plain copy, rsync over loopback and the limit of HTTP with waitress.

    python -m bench main [--home DIR] [--size MIB] [--files N] [--repeat N] [big] [small]

big    one file of random bytes (2 GiB): push at least 150 MB/s, pull at least 300 MB/s,
       client and server together under 400 MiB of resident memory
small  one new file pushed into a data set of N files (100,000): under 2 s more than into an empty one

Absolute figures vary with the machine's mood: read the ratio to the peer of the same run.
Exit status 1 when a target is missed.
"""

from __future__ import annotations

import argparse
import filecmp
import shutil
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

from bench import peers
from bench.lake import lake
from bench.measure import Figure, run
from bench.workload import MIB, big_file, small_files


def row(name: str, figure: Figure, size: int, reference: Figure | None = None) -> None:
    """Print one line of the table."""
    ratio = f"{reference.wall / figure.wall:6.2f}" if reference else "      "
    print(
        f"{name:<34}{figure.wall:8.2f} s {figure.rate(size):8.0f} MB/s {ratio}"
        f"{figure.client_cpu:9.2f}{figure.server_cpu:9.2f}{figure.resident:9.0f}",
        flush=True,
    )


def heading(title: str, reference: str) -> None:
    """Print a table's title and column names."""
    print(f"\n{title}\n{'':<34}{'wall':>10}{'rate':>14}{'x ' + reference:>8}{'cpu c':>8}{'cpu s':>9}{'MiB':>9}")


def target(text: str, met: bool) -> bool:
    """Print whether a target is met."""
    print(f"  {'met   ' if met else 'MISSED'}  {text}", flush=True)
    return met


def median(figures: list[Figure]) -> Figure:
    """The figure with the median wall time; of an even number, the slower of the two in the middle."""
    return sorted(figures, key=lambda figure: figure.wall)[len(figures) // 2]


def big(home: Path, size: int, repeat: int) -> bool:
    """One big file up and down."""
    source = home / "source"
    big_file(source / "big.bin", size)
    pushes, pulls, copies, limits = [], [], [], []
    resident = 0.0
    for turn in range(repeat):
        place = home / f"turn{turn}"
        place.mkdir()
        copies.append(peers.copy(source, place))
        limits.append(peers.raw_wsgi(source / "big.bin", place / "raw"))
        shutil.rmtree(place / "raw")
        with lake(place / "lake") as running:
            folder = place / "copy"
            run(running.ebulk("init", folder, "--reference", "big"))
            pushes.append(run(running.ebulk("push", folder, "-m", "bench"), server=running.process.pid))
            pulls.append(run(running.ebulk("clone", "big", place / "pulled"), server=running.process.pid))
            resident = max(resident, pushes[-1].resident, pulls[-1].resident)
            if not filecmp.cmp(source / "big.bin", place / "pulled" / "big.bin", shallow=False):
                raise AssertionError("what was pulled is not what was pushed")
        shutil.rmtree(place)
    rsync = peers.rsync(source, home / "rsync")
    push, pull, copy = median(pushes), median(pulls), median(copies)
    raw_push, raw_pull = median([up for up, _ in limits]), median([down for _, down in limits])

    heading(f"one file of {size // MIB} MiB, median of {repeat}", "raw")
    row("cp and sync", copy, size)
    row("raw WSGI on waitress, push", raw_push, size)
    row("raw WSGI on waitress, pull", raw_pull, size)
    if rsync is None:
        print("rsync: not installed, not measured")
    else:
        row("rsync daemon, push", rsync[0], size, raw_push)
        row("rsync daemon, pull", rsync[1], size, raw_pull)
    row("ebulk push", push, size, raw_push)
    row("ebulk pull", pull, size, raw_pull)
    return all(
        [
            target(f"push {push.rate(size):.0f} MB/s, at least 150", push.rate(size) >= 150),
            target(f"pull {pull.rate(size):.0f} MB/s, at least 300", pull.rate(size) >= 300),
            target(f"client and server {resident:.0f} MiB resident, under 400", resident < 400),
        ]
    )


def small(home: Path, count: int, repeat: int) -> bool:
    """The cost of one new small file in a large data set."""
    full, empty = home / "full", home / "empty"
    small_files(full, count, 4096)
    empty.mkdir()
    size = count * 4096
    copy = peers.copy(full, home)
    with lake(home / "lake") as running:
        server = running.process.pid
        for folder in (full, empty):
            run(running.ebulk("init", folder))
        first = run(running.ebulk("push", full, "-m", "all"), server=server)
        pulled = run(running.ebulk("clone", "full", home / "pulled"), server=server)
        costs: dict[Path, list[Figure]] = {full: [], empty: []}
        for turn in range(repeat):
            for folder, figures in costs.items():
                (folder / f"new{turn}").write_bytes(b"%d" % turn)
                figures.append(run(running.ebulk("push", folder, "--all", "-m", "one more"), server=server))
    rsync = peers.rsync(full, home / "rsync")
    into_full, into_empty = median(costs[full]), median(costs[empty])

    heading(f"{count} files of 4 KiB", "cp")
    row("cp -r and sync", copy, size)
    if rsync is not None:
        row("rsync daemon, push", rsync[0], size, copy)
        row("rsync daemon, pull", rsync[1], size, copy)
    row("ebulk push, all", first, size, copy)
    row("ebulk pull, all", pulled, size, copy)
    row(f"one new file into {count} (median)", into_full, 1)
    row("one new file into none (median)", into_empty, 1)
    more = into_full.wall - into_empty.wall
    return target(f"one new file into {count} takes {more:.2f} s more than into none, under 2", more < 2)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run what was asked for; 1 when a target is missed."""
    parser = argparse.ArgumentParser(
        prog="bench main", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("what", nargs="*", metavar="big|small", help="both unless named")
    parser.add_argument("--home", type=Path, help="work in this folder (about 12 GiB free) instead of a temporary one")
    parser.add_argument("--size", type=int, default=2048, help="MiB of the big file")
    parser.add_argument("--files", type=int, default=100_000, help="how many small files")
    parser.add_argument("--repeat", type=int, default=3)
    options = parser.parse_args(arguments)
    benches: dict[str, Callable[[Path], bool]] = {
        "big": lambda home: big(home, options.size * MIB, options.repeat),
        "small": lambda home: small(home, options.files, options.repeat),
    }
    if unknown := set(options.what) - set(benches):
        parser.error(f"no such benchmark: {', '.join(sorted(unknown))}; there are big and small")
    met = True
    with tempfile.TemporaryDirectory(dir=options.home, prefix="bench-") as home:
        for name, bench in benches.items():
            if not options.what or name in options.what:
                (place := Path(home) / name).mkdir()
                met &= bench(place)
    return 0 if met else 1
