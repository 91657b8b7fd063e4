"""`make bench`: how fast, and at what cost, always beside a peer or the physical limit in the same run.

    python -m bench [main]     one file of 2 GiB, and one new file into 100,000, beside cp, rsync and plain HTTP
    python -m bench table      W1 to W4 beside what users would otherwise pick: docs/benchmarks.rst
    python -m bench million    a data set of a million files
    python -m bench ingest     chunks a second through an ingestion policy, beside appending them
    python -m bench forward    events a second through the Forward protocol, beside a server that only writes a file
    python -m bench arrays     statistics, appends and random reads of an array, beside memmap, zarr and h5py; workers
    python -m bench chaos      transfers through a network that breaks: docs/chaos.rst

Each takes --help. Absolute figures vary with the machine's mood: read the ratio to the peer of the same run.
Exit status 1 when a target is missed.
"""

from __future__ import annotations

import sys
from importlib import import_module

BENCHES = {
    "main": "bench.main_job",
    "table": "bench.table",
    "million": "bench.million",
    "chaos": "bench.chaos",
    "ingest": "bench.ingest",
    "forward": "bench.forward",
    "arrays": "bench.arrays",
}


def main(arguments: list[str]) -> int:
    """Run the bench that the first argument names."""
    if arguments[:1] in (["-h"], ["--help"]):
        print(__doc__)
        return 0
    name, rest = (arguments[0], arguments[1:]) if arguments and arguments[0] in BENCHES else ("main", arguments)
    return int(import_module(BENCHES[name]).main(rest))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
