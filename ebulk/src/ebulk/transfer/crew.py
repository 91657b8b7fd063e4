"""Work done by a few threads, until it's all done or one piece fails."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait


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
                running = _finish(running, down_to=jobs)
            _finish(running, down_to=0)
        except BaseException:
            stop()
            pool.shutdown(wait=True, cancel_futures=True)
            raise


def _finish(running: set[Future[None]], down_to: int) -> set[Future[None]]:
    """Wait until no more than this many tasks are left; raise what one of them raised."""
    while len(running) > down_to:
        done, running = wait(running, return_when=FIRST_COMPLETED)
        for future in done:
            future.result()
    return running
