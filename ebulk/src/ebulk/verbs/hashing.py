"""Hashes many files on a few threads, while their predecessors are on their way to the lake.

Results come in no order, so that one file of 300 GB holds nothing up. Small files are hashed many to a task, since a
task costs about 50 µs and the sha-256 of 4 KiB three; and by who asks for them, as long as the disk is quick: threads
that do little but call the system hand the interpreter to each other at each call, which takes longer than the work.

Of a large file that has grown the digest of its beginning is made on the way: it tells whether the file was appended
to, so that only its end is sent.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from types import TracebackType

from ebulk.local.digest import Measured, measure, to_text
from ebulk.local.index import Pending
from ebulk.model import SYMLINK, Base
from ebulk.protocol import DELTA_FILE_SIZE, MIB, SMALL_FILE_SIZE

TASK_LENGTH = 256
TASK_SIZE = 8 * MIB
TASKS_AHEAD = 4
"""Tasks begun or done for each thread before their results are taken."""

QUICK = 0.002
"""Seconds that a small file of a quick disk takes at the most, while other threads want the interpreter, too."""

Hashed = tuple[Pending, Measured]


class Hasher:
    """A context manager whose threads end with it, also in the middle of a large file."""

    def __init__(self, root: str, threads: int) -> None:
        self._root = root
        self._limit = threads * TASKS_AHEAD
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="hash")
        self._stop = threading.Event()
        self._is_quick = True

    def __enter__(self) -> Hasher:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._stop.set()
        self._pool.shutdown(wait=True, cancel_futures=True)

    def run(self, rows: Iterable[Pending]) -> Iterator[list[Hashed]]:
        """Lists of (row, its file as it is now with its digest); one that has a digest already is not read again."""
        window: set[Future[list[Hashed]]] = set()
        for task in _tasks(rows):
            if self._is_quick and all(row.size < SMALL_FILE_SIZE for row in task):
                yield self._measure_small(task)
                continue
            window.add(self._pool.submit(self._measure_all, task))
            if len(window) >= self._limit:
                done, window = wait(window, return_when=FIRST_COMPLETED)
                yield from (future.result() for future in done)
        while window:
            done, window = wait(window, return_when=FIRST_COMPLETED)
            yield from (future.result() for future in done)

    def _measure_small(self, rows: list[Pending]) -> list[Hashed]:
        """Do a task here; if it took long, as from a network or a cold disk, threads do those that follow."""
        start = time.perf_counter()
        hashed = self._measure_all(rows)
        self._is_quick = time.perf_counter() - start < QUICK * len(rows)
        return hashed

    def _measure_all(self, rows: list[Pending]) -> list[Hashed]:
        return [(row, self._measure(row)) for row in rows]

    def _measure(self, row: Pending) -> Measured:
        if row.digest is not None:
            return Measured(row.found, row.digest)
        head = row.known.size if row.known is not None and min(row.size, row.known.size) >= DELTA_FILE_SIZE else 0
        return measure(self._root, row.found, self._stop, head)


def base_of(row: Pending, measured: Measured) -> Base | None:
    """The content of the lake that a large file was probably made from: what its path had before."""
    known = row.known
    if known is None or min(measured.found.size, known.size) < DELTA_FILE_SIZE or SYMLINK in (row.mode, known.mode):
        return None
    return Base(to_text(known.digest), known.size, appended=measured.head == known.digest)


def _tasks(rows: Iterable[Pending]) -> Iterator[list[Pending]]:
    task: list[Pending] = []
    size = 0
    for row in rows:
        if task and (len(task) == TASK_LENGTH or size + row.size > TASK_SIZE):
            yield task
            task, size = [], 0
        task.append(row)
        size += row.size
    if task:
        yield task
