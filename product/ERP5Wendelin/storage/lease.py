"""Lease: one holder at a time among the processes that share a database, until a time that the holder puts off.

A claim is a commit of this one record, so of two processes that claim it at the same moment one has a conflict. Whoever
is killed renews no more, and a DURATION after the last renewal another may have the lease; at once where its holder is
named as `storage.process` does, and is known to have ended. The machines' clocks are taken to agree to within a minute,
as they do where NTP runs; so a holder that was suspended for longer may find another one in its place, and what must
happen once is to be committed together with a look at the lease.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from types import TracebackType

from persistent import Persistent
from ZODB import DB

from .process import has_ended
from .transaction import in_transaction, separate_connection

DURATION = timedelta(minutes=4)
"""How long a lease is valid after a claim or a renewal."""

RENEWAL = timedelta(minutes=1)
"""How often it is renewed: three may fail. Each is a record of some 200 bytes, so 300 kB a day."""

SKEW = timedelta(minutes=1)
"""How far two clocks may be apart. What is later than that is of a clock that was wrong, and nobody waits for it."""

Clock = Callable[[], datetime]

logger = logging.getLogger("wendelin.lease")


def utc_now() -> datetime:
    """The current time, aware, in UTC."""
    return datetime.now(timezone.utc)


class Lease(Persistent):
    """State (public format): `holder` (text that names a process; '': nobody), `expires` (aware datetime, or None)."""

    holder = ""
    expires: datetime | None = None

    def is_held(self, time: datetime) -> bool:
        """Whether anybody has it at a time."""
        if not self.holder or self.expires is None or not time < self.expires <= time + DURATION + SKEW:
            return False
        return not has_ended(self.holder)

    def is_held_by(self, holder: str, time: datetime) -> bool:
        """Whether this holder has it at a time."""
        return self.holder == holder and self.is_held(time)

    def claim(self, holder: str, time: datetime) -> bool:
        """In the current transaction take it, or have it for longer; False if another has it."""
        if self.is_held(time) and self.holder != holder:
            return False
        self.holder = holder
        self.expires = time + DURATION
        return True

    def release(self, holder: str) -> None:
        """In the current transaction give it back, unless another has it by now."""
        if self.holder == holder:
            self.holder = ""
            self.expires = None


class LeaseKeeper:
    """Renews a lease that was claimed, in a thread, for as long as a `with` statement lasts."""

    def __init__(
        self, database: DB, oid: bytes, holder: str, clock: Clock = utc_now, interval: timedelta = RENEWAL
    ) -> None:
        """Renew the lease of an object id every `interval`."""
        self._database = database
        self._oid = oid
        self._holder = holder
        self._clock = clock
        self._interval = interval.total_seconds()
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._keep, name="lease", daemon=True)
        self.lost = False
        """Whether another holder was found in place of this one; it is not renewed any more then."""

    def __enter__(self) -> LeaseKeeper:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._done.set()
        self._thread.join()

    def _keep(self) -> None:
        while not self.lost and not self._done.wait(self._interval):
            try:
                self.lost = not renew(self._database, self._oid, self._holder, self._clock())
            except Exception:  # the next may succeed: a storage may be out of reach for a moment
                logger.exception("a lease could not be renewed")


def renew(database: DB, oid: bytes, holder: str, time: datetime) -> bool:
    """Renew, in a transaction of its own, the lease of an object id; False if this holder has it no more."""
    with separate_connection(database) as connection:
        lease = connection.get(oid)

        def extend() -> bool:
            return lease.holder == holder and bool(lease.claim(holder, time))

        return in_transaction(connection, extend, note="renew a lease")
