"""`python -m bench million`: a data set of a million files is pushed, listed, looked at with `status`, and pulled.

The files are of 100 bytes, in folders of 1,000; the peer is `cp -r` of the same files.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from bench import peers
from bench.lake import lake
from bench.main_job import heading, row, target
from bench.measure import run
from bench.workload import small_files

FILE_SIZE = 100
STATUS_SECONDS = 10
CLIENT_MIB = 1024


def main(arguments: Sequence[str] | None = None) -> int:
    """Run it; 1 when a target is missed."""
    parser = argparse.ArgumentParser(prog="bench million", description=__doc__)
    parser.add_argument(
        "--home", type=Path, help="work in this folder (15 GiB, 3 files of it for each of the data set)"
    )
    parser.add_argument("--files", type=int, default=1_000_000)
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory(dir=options.home, prefix="bench-") as home:
        return 0 if measure(Path(home), options.files) else 1


def measure(home: Path, count: int) -> bool:
    """Print the table; tell whether the targets are met."""
    folder = home / "many"
    small_files(folder, count, FILE_SIZE)
    size = count * FILE_SIZE
    copy = peers.copy(folder, home)
    with lake(home / "lake") as running:
        server = running.process.pid
        run(running.ebulk("init", folder))
        push = run(running.ebulk("push", folder, "-q"), server=server)
        status = run(running.ebulk("status", folder))
        start = time.perf_counter()
        listed = sum(1 for _ in running.lake().files("many"))
        listing = time.perf_counter() - start
        pull = run(running.ebulk("clone", "many", home / "pulled", "-q"), server=server)
        again = run(running.ebulk("status", home / "pulled"))
    heading(f"{count} files of {FILE_SIZE} bytes", "cp")
    row("cp -r and sync", copy, size)
    row("ebulk push", push, size, copy)
    row("ebulk status", status, size, copy)
    print(f"{'manifest, all of it':<34}{listing:8.2f} s")
    row("ebulk pull", pull, size, copy)
    row("ebulk status of what was pulled", again, size, copy)
    slowest = max(status.wall, again.wall)
    largest = max(figure.client_resident for figure in (push, status, pull, again))
    return all(
        [
            target(f"{listed} files listed, of {count}", listed == count),
            target(f"status {slowest:.1f} s, under {STATUS_SECONDS}", slowest < STATUS_SECONDS),
            target(f"client {largest:.0f} MiB resident, under {CLIENT_MIB}", largest < CLIENT_MIB),
        ]
    )
