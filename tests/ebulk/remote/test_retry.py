"""Failures are counted, waited for and told; progress forgets them."""

from __future__ import annotations

import pytest

from ebulk.remote.failure import TransientError
from ebulk.remote.retry import Retry, full_jitter


class Told:
    """A Retry's surroundings, written down."""

    def __init__(self, limit: int = 3, reached: bool = True) -> None:
        self.waits: list[float] = []
        self.notes: list[str] = []
        self.retry = Retry(
            limit,
            backoff=float,
            wait=self.waits.append,
            notify=self.notes.append,
            reached=lambda: reached,
        )


def test_each_retry_is_told_and_the_one_too_many_raises_the_error():
    told = Told(limit=2)
    told.retry.failed(TransientError("It broke."))
    told.retry.failed(TransientError("It broke."))
    last = TransientError("It broke for good.")
    with pytest.raises(TransientError) as raised:
        told.retry.failed(last)
    assert raised.value is last
    assert told.waits == [1.0, 2.0]
    assert told.notes == ["It broke. Trying again in 1 s (1 of 2).", "It broke. Trying again in 2 s (2 of 2)."]


def test_progress_starts_the_count_anew():
    told = Told(limit=1)
    for _ in range(5):
        told.retry.failed(TransientError("It broke."))
        told.retry.progress()
    assert told.waits == [1.0] * 5


def test_retry_after_is_honoured_up_to_five_minutes():
    told = Told(limit=3)
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


def test_lake_that_was_there_before_is_waited_for():
    told = Told(reached=True)
    told.retry.failed(TransientError("No connection.", connecting=True))
    assert told.waits == [1.0]


def test_full_jitter_stays_below_a_ceiling_that_doubles_up_to_half_a_minute():
    for failures, ceiling in ((1, 0.5), (2, 1.0), (5, 8.0), (7, 30.0), (50, 30.0)):
        waits = [full_jitter(failures) for _ in range(200)]
        assert 0 <= min(waits) < ceiling / 4
        assert ceiling * 3 / 4 < max(waits) <= ceiling
