"""Tasks run side by side; the first error stops the others and is raised."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator

import pytest

from ebulk.transfer.crew import in_order, work


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


def test_results_come_in_the_order_of_their_tasks():
    later = threading.Event()

    def first() -> int:
        assert later.wait(5)
        return 0

    def last() -> int:
        later.set()
        return 2

    assert list(in_order([first, lambda: 1, last], 3, never)) == [0, 1, 2]


def test_no_more_results_wait_than_there_are_jobs():
    begun: list[int] = []

    def tasks() -> Iterator[Callable[[], int]]:
        for number in range(100):
            begun.append(number)
            yield lambda number=number: number

    results = in_order(tasks(), 3, never)
    for number in range(100):
        assert next(results) == number
        assert len(begun) <= number + 3
    assert list(results) == []


def test_the_first_error_in_order_stops_the_others_and_is_raised():
    stopped = threading.Event()

    def fail() -> int:
        raise OSError("broken")

    def wait() -> int:
        assert stopped.wait(5)
        return 2

    results = in_order([lambda: 0, fail, wait], 3, stopped.set)
    assert next(results) == 0
    with pytest.raises(OSError, match="broken"):
        next(results)
    assert stopped.is_set()


def test_who_closes_the_results_stops_the_tasks():
    stopped = threading.Event()

    def wait() -> int:
        assert stopped.wait(5)
        return 1

    results = in_order([lambda: 0, wait, wait], 2, stopped.set)
    assert next(results) == 0
    results.close()
    assert stopped.is_set()
