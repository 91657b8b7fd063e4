"""Bytes pass at a rate, over all connections and both directions together, and stop at once when told to."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from ebulk.remote.failure import StoppedError
from ebulk.remote.pace import Pace
from ebulk.remote.session import Session, Settings
from support.scripted_server import document, reply, scripted

KIB = 1024
MIB = 1024 * KIB


def test_no_rate_is_no_delay():
    pace = Pace(None)
    assert (pace.piece(64 * KIB), pace.delay(10**12)) == (64 * KIB, 0.0)


def test_bytes_are_paid_for_in_time_and_silence_is_made_up_for_a_tenth_of_a_second():
    now = 100.0
    pace = Pace(1000, clock=lambda: now)
    assert pace.delay(100) == pytest.approx(0.0)
    assert pace.delay(500) == pytest.approx(0.5)
    assert pace.delay(500) == pytest.approx(1.0)
    now += 60
    assert pace.delay(600) == pytest.approx(0.5)


@pytest.mark.parametrize(("rate", "piece"), [(10**9, 64 * KIB), (80 * KIB, 10 * KIB), (1000, 256)])
def test_pieces_are_small_at_a_low_rate_so_that_connections_take_turns(rate, piece):
    assert Pace(rate).piece(64 * KIB) == piece


def test_both_directions_and_all_threads_together_keep_to_the_rate():
    size, rate = 256 * KIB, 2 * MIB
    with scripted(reply(200, bytes(size))) as server:
        session = Session(Settings(server.url, stall_timeout=0.5, pace=Pace(rate)), 4)
        with session, ThreadPoolExecutor(4) as pool:

            def exchange(number: int) -> None:
                body = (memoryview(bytes(size)),)
                with session.request("PUT", session.api("/x"), expect=(200,), body=body, length=size) as answer:
                    assert len(answer.read_all()) == size

            start = time.monotonic()
            list(pool.map(exchange, range(4)))
            seconds = time.monotonic() - start
            traffic = session.settings.traffic
            assert (traffic.sent, traffic.received) == (4 * size, 4 * size)
    expected = 8 * size / rate
    assert expected * 0.9 <= seconds
    assert seconds < expected * 1.5  # a busy machine may take longer, and may not be quicker


def test_stop_ends_the_wait_for_the_rate():
    started = threading.Event()

    def blocks():
        yield memoryview(bytes(KIB))
        started.set()
        yield memoryview(bytes(MIB))

    with scripted(document([])) as server, ThreadPoolExecutor(1) as pool:
        session = Session(Settings(server.url, pace=Pace(KIB)))
        future = pool.submit(session.request, "PUT", session.api("/x"), expect=(200,), body=blocks(), length=MIB + KIB)
        assert started.wait(10)
        start = time.monotonic()
        session.stop()
        with pytest.raises(StoppedError):
            future.result(timeout=10)
        assert time.monotonic() - start < 1
        session.close()


def test_a_rate_so_low_that_a_byte_takes_longer_than_the_stall_timeout_is_no_stall():
    with scripted(reply(200, bytes(2 * KIB))) as server:
        session = Session(Settings(server.url, stall_timeout=0.2, pace=Pace(2 * KIB)))
        with session, session.request("GET", session.api("/x"), expect=(200,)) as answer:
            assert len(answer.read_all()) == 2 * KIB
