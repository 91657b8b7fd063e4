"""Tasks run side by side; the first error stops the others and is raised."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator

import pytest

from ebulk.transfer.crew import work


def never() -> None:
    raise AssertionError("nothing had to be stopped")


def test_all_tasks_run():
    done: list[int] = []
    work([lambda number=number: done.append(number) for number in range(50)], 3, never)
    assert sorted(done) == list(range(50))


def test_as_many_tasks_as_jobs_run_at_the_same_time():
    together = threading.Barrier(3, timeout=5)
    work([together.wait] * 6, 3, never)


def test_tasks_are_taken_only_as_threads_become_free():
    finished: list[int] = []
    ahead: list[int] = []

    def tasks() -> Iterator[Callable[[], None]]:
        for number in range(100):
            ahead.append(number - len(finished))
            yield lambda: finished.append(1)

    work(tasks(), 3, never)
    assert len(ahead) == 100
    assert max(ahead) <= 3


def test_first_error_stops_the_others_and_is_raised():
    stopped = threading.Event()
    begun = threading.Barrier(2, timeout=5)
    ended: list[str] = []
    later: list[str] = []

    def fail() -> None:
        begun.wait()
        raise ValueError("first")

    def run() -> None:
        begun.wait()
        assert stopped.wait(5)
        ended.append("run")
        raise RuntimeError("because it was stopped")

    with pytest.raises(ValueError, match="first"):
        work([fail, run, *[lambda: later.append("later")] * 5], 2, stopped.set)
    assert ended == ["run"]
    assert threading.active_count() == 1 or not [t for t in threading.enumerate() if t.name.startswith("ebulk")]


def test_error_of_the_iterable_stops_the_tasks():
    stopped = threading.Event()

    def tasks() -> Iterator[Callable[[], object]]:
        yield lambda: stopped.wait(5)
        raise OSError("cannot go on")

    with pytest.raises(OSError, match="cannot go on"):
        work(tasks(), 2, stopped.set)


def test_error_is_noticed_before_the_next_task_begins():
    failed = threading.Event()
    taken: list[int] = []

    def fail() -> None:
        failed.set()
        raise ValueError("first")

    def tasks() -> Iterator[Callable[[], object]]:
        yield fail
        for number in range(100):
            failed.wait(5)
            taken.append(number)
            yield lambda: None

    with pytest.raises(ValueError, match="first"):
        work(tasks(), 8, lambda: None)
    assert len(taken) < 10


def test_interrupt_stops_the_tasks():
    stopped = threading.Event()

    def interrupt() -> None:
        signal.pthread_kill(threading.main_thread().ident, signal.SIGINT)
        assert stopped.wait(5)

    with pytest.raises(KeyboardInterrupt):
        work([interrupt], 2, stopped.set)
    assert stopped.is_set()
