"""A limit of memory that is enforced: a script that takes more ends by itself, and not by the system's choice of whom.

What counts is what the system can't drop: what the process has allocated, and the pages that it has mapped of arrays.
They take two limits, each of which was found out by trying:

* `RLIMIT_DATA` (Linux counts private mappings in it, so NumPy's arrays, too): an allocation above it is a MemoryError
  in the line that makes it. `RLIMIT_AS` won't do: mapping an array of wendelin.core reserves addresses for all of it.
* Pages of mapped arrays are shared memory, which no limit of a process counts. A thread looks at them a hundred times a
  second. Near the limit it has wendelin.core drop those that are not changed (400 MiB read through a mapping then take
  less than 130), and over it ends the process: an error could not be raised where such pages come from, which is in the
  middle of any access to memory.
"""

from __future__ import annotations

import contextlib
import resource
import threading
from collections.abc import Callable, Iterator
from typing import NamedTuple

from wendelin.bigfile._bigfile import ram_reclaim

from Products.ERP5Wendelin.errors import BadInput, Conflict
from Products.ERP5Wendelin.protocol import MIB
from Products.ERP5Wendelin.storage.process import resident

INTERVAL = 0.01
"""Seconds between two looks at the memory: a mapping is filled with 1 GB/s at the most, so with 10 MB in between."""

NEAR = 0.75
"""The part of the limit from which on unchanged pages are dropped."""


class Exceeded(NamedTuple):
    """What a process takes, and may take, in bytes."""

    size: int
    limit: int

    def __str__(self) -> str:
        return (
            f"It took {self.size // MIB} MiB of memory, and {self.limit // MIB} MiB are allowed: pages that it has "
            "changed in mapped arrays stay until a commit. Commit more often, or write slices with setArrayIndex."
        )


def check_limit(limit: int) -> None:
    """BadInput: the process takes more than `limit` bytes already. Conflict: the system has no such limit."""
    taken = sum(resident())
    if not taken:
        raise Conflict("The memory of a process can be limited on Linux only. Run it without --memory-limit.")
    if limit <= taken:
        raise BadInput(
            f"The program itself takes {taken // MIB} MiB of memory, more than a limit of {limit:,} bytes: allow it "
            "256M at least, and what the script needs."
        )


@contextlib.contextmanager
def limit_memory(limit: int, exceeded: Callable[[Exceeded], None]) -> Iterator[None]:
    """Enforce a limit of so many bytes in a `with` statement.

    An allocation over it is a MemoryError. `exceeded` is called, in another thread, when mapped arrays make the process
    take more: it is to end the process. BadInput, Conflict: see `check_limit`.
    """
    check_limit(limit)
    before = resource.getrlimit(resource.RLIMIT_DATA)
    done = threading.Event()
    watcher = threading.Thread(target=_watch, args=(limit, exceeded, done), name="memory", daemon=True)
    watcher.start()
    resource.setrlimit(resource.RLIMIT_DATA, (_lower(limit, before[0]), before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_DATA, before)
        done.set()
        watcher.join()


def _lower(limit: int, before: int) -> int:
    return limit if before == resource.RLIM_INFINITY else min(limit, before)


def _watch(limit: int, exceeded: Callable[[Exceeded], None], done: threading.Event) -> None:
    """Keep pages of mapped arrays within the limit, as far as they can be dropped."""
    while not done.wait(INTERVAL):
        size = sum(resident())
        while size > NEAR * limit and ram_reclaim():
            size = sum(resident())
        if size > limit:
            exceeded(Exceeded(size, limit))
            return
