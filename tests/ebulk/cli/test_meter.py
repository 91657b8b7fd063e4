import pytest

from ebulk.cli.meter import SETTLED, WINDOW, Meter
from support.clock import Clock


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def meter(clock):
    meter = Meter(clock)
    meter.expect(10, 10_000)
    return meter


def test_there_is_no_rate_at_first(meter, clock):
    meter.transferred(1000)
    assert (meter.rate(), meter.time_left()) == (None, None)
    clock.now += SETTLED
    assert meter.rate() == 1000


def test_what_was_there_from_before_is_done_but_no_speed(meter, clock):
    meter.reused(6000)
    clock.now += 10
    meter.transferred(1000)
    assert (meter.fraction, meter.rate(), meter.time_left()) == (0.7, 100, 30)


def test_what_must_be_sent_again_is_not_done_but_was_transferred(meter, clock):
    clock.now += 10
    meter.transferred(2000)
    meter.transferred(-1000)
    assert (meter.fraction, meter.rate(), meter.time_left()) == (0.1, 200, 45)


def test_the_rate_is_that_of_the_last_seconds(meter, clock):
    for _ in range(20):
        clock.now += 1
        meter.transferred(10)
    assert meter.rate() == 10
    for _ in range(int(WINDOW)):
        clock.now += 1
        meter.transferred(100)
    assert meter.rate() == 100


def test_the_rate_falls_while_nothing_comes(meter, clock):
    clock.now += 10
    meter.transferred(1000)
    clock.now += 90
    assert meter.rate() == 10


def test_a_new_transfer_begins_anew(meter, clock):
    clock.now += 10
    meter.transferred(1000)
    meter.finished()
    meter.expect(1, 0)
    assert (meter.files, meter.files_done, meter.size_done, meter.fraction, meter.rate()) == (1, 0, 0, 1.0, None)
