"""Work done by a few threads, until it's all done or one piece fails."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from typing import TypeVar

JOBS = 4
"""Threads, unless a user says otherwise."""

Result = TypeVar("Result")


def work(tasks: Iterable[Callable[[], None]], jobs: int, stop: Callable[[], None]) -> None:
    """Run the tasks on `jobs` threads; they are taken from the iterable as threads become free.

    The first error, or an interrupt of the calling thread, calls `stop`, which must make the running tasks end soon,
    drops those not begun, waits for the running ones, and is raised.
    """
    with ThreadPoolExecutor(jobs, thread_name_prefix="ebulk") as pool:
        try:
            running: set[Future[None]] = set()
            for task in tasks:
                running.add(pool.submit(task))
                # One more than there are threads: a thread that becomes free finds its next task waiting.
                _settle(running, jobs)
            _settle(running, 0)
        except BaseException:
            stop()
            pool.shutdown(wait=True, cancel_futures=True)
            raise


def in_order(tasks: Iterable[Callable[[], Result]], jobs: int, stop: Callable[[], None]) -> Iterator[Result]:
    """What the tasks return, in their order, while `jobs` threads run those that follow: so many are kept at the most.

    The first error, or who closes the iterator before its end, calls `stop`, as for `work`.
    """
    with ThreadPoolExecutor(jobs, thread_name_prefix="ebulk") as pool:
        running: deque[Future[Result]] = deque()
        try:
            for task in tasks:
                running.append(pool.submit(task))
                if len(running) == jobs:
                    yield running.popleft().result()
            while running:
                yield running.popleft().result()
        except BaseException:
            stop()
            pool.shutdown(wait=True, cancel_futures=True)
            raise


def _settle(running: set[Future[None]], most: int) -> None:
    """Take out what is done, until at most so many tasks are left; raise what one of them raised."""
    while True:
        for future in [task for task in running if task.done()]:
            running.remove(future)
            future.result()
        if len(running) <= most:
            return
        wait(running, return_when=FIRST_COMPLETED)
