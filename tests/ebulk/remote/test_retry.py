"""Time without progress is counted, waited for and told; progress forgets it."""

from __future__ import annotations

import pytest

from ebulk.errors import NetworkError
from ebulk.remote.failure import TransientError
from ebulk.remote.retry import Notices, Retry, full_jitter


class Told:
    """A Retry's surroundings, written down; its clock goes on while it waits, and when `now` is moved."""

    def __init__(self, limit: float = 600.0, reached: bool = True, delay: float = 1.0) -> None:
        self.now = 1000.0
        self.waits: list[float] = []
        self.lines: list[str] = []
        self.reached = reached
        self.retry = Retry(
            limit,
            longest=60.0,
            backoff=lambda failures: failures * delay,
            wait=self.wait,
            tell=lambda line, delay: self.lines.append(line),
            reached=lambda: self.reached,
            clock=lambda: self.now,
        )

    def wait(self, delay: float) -> None:
        self.waits.append(delay)
        self.now += delay

    def fail_until_given_up(self, seconds: float = 0.0) -> NetworkError:
        """Attempts of so many seconds, until the error is raised."""
        for _ in range(1000):
            try:
                self.retry.failed(TransientError("It broke."))
            except NetworkError as error:
                return error
            self.now += seconds
        raise AssertionError("it is never given up")


def test_each_retry_is_told_with_the_time_that_is_left():
    told = Told(limit=600, delay=20.0)
    for _ in range(3):
        told.retry.failed(TransientError("It broke."))
        told.now += 5
    assert told.waits == [20.0, 40.0, 60.0]
    assert told.lines == [
        "It broke. Trying again in 20 s; giving up in 10 min.",
        "It broke. Trying again in 40 s; giving up in 9 min 35 s.",
        "It broke. Trying again in 1 min; giving up in 8 min 50 s.",
    ]


def test_it_is_given_up_after_the_time_with_a_last_attempt_at_its_end():
    told = Told(limit=5)
    error = told.fail_until_given_up()
    assert told.waits == [1.0, 2.0, 2.0]
    assert str(error) == "It broke. Nothing got through for 5 s."
    assert error.hint == "Run the same command again: it goes on where it stopped."
    assert not isinstance(error, TransientError)


def test_without_time_the_first_error_is_raised_as_it_is():
    told = Told(limit=0)
    error = TransientError("It broke.")
    with pytest.raises(TransientError) as raised:
        told.retry.failed(error)
    assert raised.value is error
    assert told.waits == []


def test_progress_starts_the_time_anew():
    told = Told(limit=2)
    for _ in range(5):
        told.retry.failed(TransientError("It broke."))
        told.retry.progress()
    assert told.waits == [1.0] * 5


def test_first_attempt_counts_nothing_however_long_it_took():
    told = Told(limit=10)
    told.now += 3600
    told.retry.failed(TransientError("It broke."))
    assert told.waits == [1.0]


def test_an_attempt_during_which_the_machine_slept_counts_as_one_that_stalled():
    told = Told(limit=600)
    told.retry.failed(TransientError("It broke."))
    told.now += 8 * 3600
    told.retry.failed(TransientError("It broke."))
    assert told.lines[-1] == "It broke. Trying again in 2 s; giving up in 8 min 59 s."


def test_a_wait_during_which_the_machine_slept_counts_as_what_was_to_be_waited():
    told = Told(limit=600)

    def sleep(delay: float) -> None:
        told.now += 8 * 3600

    told.retry._wait = sleep
    for _ in range(3):
        told.retry.failed(TransientError("It broke."))
    assert told.lines[-1] == "It broke. Trying again in 3 s; giving up in 9 min 57 s."


def test_a_clock_that_is_set_back_gives_no_time():
    told = Told(limit=600)
    told.retry.failed(TransientError("It broke."))
    told.now -= 3600
    told.retry.failed(TransientError("It broke."))
    assert told.lines[-1] == "It broke. Trying again in 2 s; giving up in 9 min 59 s."


def test_retry_after_is_honoured_up_to_five_minutes():
    told = Told()
    told.retry.failed(TransientError("Busy.", retry_after=20.0))
    told.retry.failed(TransientError("Busy.", retry_after=0.0))
    told.retry.failed(TransientError("Busy.", retry_after=86400.0))
    assert told.waits == [20.0, 2.0, 300.0]


def test_lake_that_was_never_there_is_not_tried_again():
    told = Told(reached=False)
    with pytest.raises(TransientError, match="No connection") as raised:
        told.retry.failed(TransientError("No connection.", connecting=True))
    assert told.waits == []
    assert raised.value.hint == (
        "Check the lake's URL, http or https too, and that it is served there; then try again."
    )


def test_lake_that_never_answers_is_given_up_after_a_minute():
    told = Told(reached=False, delay=20.0)
    error = told.fail_until_given_up()
    assert sum(told.waits) == 60.0
    assert str(error) == "It broke. Nothing got through for 1 min."
    assert error.hint.startswith("Check the lake's URL, ")


def test_lake_that_was_there_before_is_waited_for():
    told = Told(reached=True)
    told.retry.failed(TransientError("No connection.", connecting=True))
    assert told.waits == [1.0]


def test_full_jitter_stays_below_a_ceiling_that_doubles_up_to_half_a_minute():
    for failures, ceiling in ((1, 0.5), (2, 1.0), (5, 8.0), (7, 30.0), (5000, 30.0)):
        waits = [full_jitter(failures) for _ in range(200)]
        assert 0 <= min(waits) < ceiling / 4
        assert ceiling * 3 / 4 < max(waits) <= ceiling


def test_failures_in_quick_succession_are_one_line_and_the_next_counts_them():
    lines: list[str] = []
    now = 0.0
    notices = Notices(lines.append, clock=lambda: now)
    for number in range(5):
        notices.tell(f"It broke, {number}.", 0.1)
    now = 9.9
    notices.tell("Held back.", 0.1)
    now = 10.1
    notices.tell("It broke again.", 0.1)
    assert lines == ["It broke, 0.", "It broke again. (5 more since the last such line.)"]


def test_no_line_comes_before_the_wait_that_the_last_one_told_of_is_over():
    lines: list[str] = []
    now = 0.0
    notices = Notices(lines.append, clock=lambda: now)
    notices.tell("It is away.", 30.0)
    now = 29.0
    notices.tell("It is away.", 30.0)
    now = 31.0
    notices.tell("It is still away.", 30.0)
    assert lines == ["It is away.", "It is still away. (1 more since the last such line.)"]
