from __future__ import annotations

import subprocess
import sys
import threading
from datetime import datetime, timedelta, timezone

import pytest
from ZODB import DB
from ZODB.POSException import ConflictError

from Products.ERP5Wendelin.storage.lease import DURATION, RENEWAL, SKEW, Lease, LeaseKeeper, renew
from Products.ERP5Wendelin.storage.process import name_of
from Products.ERP5Wendelin.storage.transaction import separate_connection

NOON = datetime(2026, 5, 5, 12, tzinfo=timezone.utc)
MOMENT = timedelta(microseconds=1)


@pytest.fixture
def oid(database: DB) -> bytes:
    """The object id of a stored lease."""
    with separate_connection(database) as connection:
        connection.root.lease = Lease()
        connection.transaction_manager.commit()
        return connection.root.lease._p_oid


def claim(database: DB, oid: bytes, holder: str, time: datetime) -> bool:
    with separate_connection(database) as connection:
        claimed = connection.get(oid).claim(holder, time)
        connection.transaction_manager.commit()
        return claimed


def test_a_new_lease_is_nobody_s():
    assert not Lease().is_held(NOON)
    assert not Lease().is_held_by("", NOON)


def test_a_claim_lasts_for_its_duration():
    lease = Lease()
    assert lease.claim("a", NOON)
    assert lease.is_held_by("a", NOON + DURATION - MOMENT)
    assert not lease.is_held_by("a", NOON + DURATION)
    assert not lease.is_held_by("b", NOON)


def test_a_lease_that_is_held_is_refused_to_another_until_it_expires():
    lease = Lease()
    lease.claim("a", NOON)
    assert not lease.claim("b", NOON + DURATION - MOMENT)
    assert lease.is_held_by("a", NOON)
    assert lease.claim("b", NOON + DURATION)
    assert lease.is_held_by("b", NOON + DURATION)


def test_a_lease_of_a_process_that_has_ended_is_free_at_once():
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        name = name_of(process.pid)
        lease = Lease()
        assert lease.claim(name, NOON)
        assert not lease.claim("b", NOON)
        process.communicate(b"\n")
    assert not lease.is_held(NOON)
    assert lease.claim("b", NOON)


def test_a_lease_that_a_clock_which_was_wrong_has_claimed_in_the_future_is_free():
    lease = Lease()
    lease.claim("a", NOON + SKEW)
    assert lease.is_held(NOON)  # clocks may be so far apart
    lease.claim("a", NOON + SKEW + MOMENT)
    assert not lease.is_held_by("a", NOON)
    assert lease.claim("b", NOON)
    assert lease.is_held_by("b", NOON)


def test_a_lease_that_was_released_is_free_at_once():
    lease = Lease()
    lease.claim("a", NOON)
    lease.release("b")
    assert lease.is_held_by("a", NOON)
    lease.release("a")
    assert not lease.is_held(NOON)
    assert lease.claim("b", NOON)


def test_a_lease_keeps_its_state():
    lease = Lease()
    lease.claim("a", NOON)
    assert f"{Lease.__module__}.{Lease.__qualname__}" == "Products.ERP5Wendelin.storage.lease.Lease"
    assert lease.__getstate__() == {"holder": "a", "expires": NOON + DURATION}


def test_three_renewals_may_fail():
    assert 3 * RENEWAL < DURATION


def test_of_two_that_claim_at_the_same_moment_one_conflicts(database, oid):
    with separate_connection(database) as first, separate_connection(database) as second:
        assert first.get(oid).claim("a", NOON)
        assert second.get(oid).claim("b", NOON)
        first.transaction_manager.commit()
        with pytest.raises(ConflictError):
            second.transaction_manager.commit()


def test_renewing_puts_the_end_off(database, oid):
    claim(database, oid, "a", NOON)
    assert renew(database, oid, "a", NOON + RENEWAL)
    with separate_connection(database) as connection:
        assert connection.get(oid).expires == NOON + RENEWAL + DURATION


def test_a_lease_that_another_has_taken_is_not_renewed(database, oid):
    claim(database, oid, "a", NOON)
    claim(database, oid, "b", NOON + DURATION)
    assert not renew(database, oid, "a", NOON + DURATION)
    with separate_connection(database) as connection:
        assert connection.get(oid).is_held_by("b", NOON + DURATION)


def test_a_keeper_renews_until_it_is_left(database, oid):
    claim(database, oid, "a", NOON)
    times = iter(NOON + number * RENEWAL for number in range(1_000_000))
    twice = threading.Event()

    def clock() -> datetime:
        time = next(times)
        if time > NOON + RENEWAL:  # asked a third time: two renewals are done
            twice.set()
        return time

    with LeaseKeeper(database, oid, "a", clock, timedelta(milliseconds=1)) as keeper:
        assert twice.wait(60)
    assert not keeper.lost
    with separate_connection(database) as connection:
        assert connection.get(oid).expires >= NOON + RENEWAL + DURATION


def test_a_keeper_finds_out_that_the_lease_is_another_s(database, oid):
    claim(database, oid, "a", NOON)
    claim(database, oid, "b", NOON + DURATION)
    with LeaseKeeper(database, oid, "a", lambda: NOON + DURATION, timedelta(0)) as keeper:
        keeper._thread.join(60)
        assert keeper.lost


def test_a_keeper_goes_on_when_a_renewal_fails(database, oid, caplog):
    claim(database, oid, "a", NOON)
    failures = iter([OSError("no route to the storage")])
    again = threading.Event()

    def clock() -> datetime:
        for error in failures:
            raise error
        again.set()
        return NOON

    with LeaseKeeper(database, oid, "a", clock, timedelta(milliseconds=1)) as keeper:
        assert again.wait(60)
    assert not keeper.lost
    assert "a lease could not be renewed" in caplog.text
    assert "no route to the storage" in caplog.text
