"""Users with passwords: a plugin of PluggableAuthService.

Passwords are kept as bcrypt hashes, which take a fifth of a second to check on purpose. An HTTP client sends its
password with every request, so a password that was right is remembered for some minutes, by a keyed hash that is worth
nothing outside this process and that covers the stored bcrypt hash: once that changes, nothing is remembered.

Who guesses is slowed down: after some failures of one user from one address, each further attempt waits before the
password is looked at. Few may wait at the same time, lest the waiting take all of the server's threads; one more is
refused at once, whatever it says.

State (public format): that of ZODBUserManager, with passwords as AuthEncoding's `{BCRYPT}…`.
"""

from __future__ import annotations

import hmac
import secrets
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

from AccessControl.SecurityInfo import ClassSecurityInfo
from AuthEncoding import AuthEncoding
from Products.PluggableAuthService.plugins.ZODBUserManager import ZODBUserManager

from Products.ERP5Wendelin.content.declaration import declared

FREE_FAILURES = 5
"""Wrong passwords of a user from an address that cost nothing: typing errors, and programs that begin all at once."""
FAILURES_SECONDS = 300
"""For so long a failure counts."""
FIRST_DELAY = 0.25
LONGEST_DELAY = 2.0
"""Seconds; each failure doubles the delay."""
WAITING = 4
"""How many may wait: a quarter of a server's threads (`portal.instance.THREADS`)."""
FAILURES_LENGTH = 10_000

REMEMBERED_SECONDS = 300
REMEMBERED_LENGTH = 1_000


class RememberedPasswords:
    """Which passwords were right lately: at most so many, for at most so long; safe for threads."""

    def __init__(self, seconds: float = REMEMBERED_SECONDS, length: int = REMEMBERED_LENGTH) -> None:
        self._seconds = seconds
        self._length = length
        self._key = secrets.token_bytes(32)
        self._expiry: OrderedDict[bytes, float] = OrderedDict()
        self._lock = threading.Lock()

    def knows(self, stored: bytes, password: str) -> bool:
        """Whether a password is remembered as that of a stored hash."""
        now = time.monotonic()
        with self._lock:
            return self._expiry.get(self._mark(stored, password), now) > now

    def check(self, stored: bytes, password: str) -> bool:
        """Whether a password is the one of a stored hash, asking bcrypt only if it has to."""
        if self.knows(stored, password):
            return True
        now = time.monotonic()
        if not AuthEncoding.pw_validate(stored, password):
            return False
        mark = self._mark(stored, password)
        with self._lock:
            self._expiry.pop(mark, None)
            self._expiry[mark] = now + self._seconds
            while len(self._expiry) > self._length:
                self._expiry.popitem(last=False)
        return True

    def _mark(self, stored: bytes, password: str) -> bytes:
        return hmac.digest(self._key, b"%d:%s%s" % (len(stored), stored, password.encode()), "sha256")


class Failures:
    """How often somebody was wrong lately, and how long they wait for that; safe for threads."""

    def __init__(self, wait: Callable[[float], None] = time.sleep, clock: Callable[[], float] = time.monotonic) -> None:
        self._wait = wait
        self._clock = clock
        self._failures: OrderedDict[tuple[str, str], tuple[int, float]] = OrderedDict()
        self._seats = threading.BoundedSemaphore(WAITING)
        self._lock = threading.Lock()

    def admit(self, who: tuple[str, str]) -> bool:
        """Wait for as long as it takes; False if too many wait already."""
        delay = self.delay(who)
        if not delay:
            return True
        if not self._seats.acquire(blocking=False):
            return False
        try:
            self._wait(delay)
        finally:
            self._seats.release()
        return True

    def delay(self, who: tuple[str, str]) -> float:
        """Seconds that the next attempt waits."""
        with self._lock:
            count, last = self._failures.get(who, (0, 0.0))
        if count < FREE_FAILURES or self._clock() > last + FAILURES_SECONDS:
            return 0.0
        return min(LONGEST_DELAY, FIRST_DELAY * 2.0 ** min(count - FREE_FAILURES, 10))

    def note(self, who: tuple[str, str], right: bool) -> None:
        """Take note of an attempt: a right one makes good for all before."""
        now = self._clock()
        with self._lock:
            count, last = self._failures.pop(who, (0, 0.0))
            if not right:
                self._failures[who] = (count + 1 if now <= last + FAILURES_SECONDS else 1), now
                while len(self._failures) > FAILURES_LENGTH:
                    self._failures.popitem(last=False)


_remembered = RememberedPasswords()
_failures = Failures()


def hash_password(password: str) -> bytes:
    """The bcrypt hash to keep of a password (at most 72 bytes: bcrypt's limit)."""
    return AuthEncoding.pw_encrypt(password, "BCRYPT")


@cache
def nobodys_hash() -> bytes:
    """A hash that no password has, checked for users who do not exist: it takes as long as for those who do."""
    return hash_password(secrets.token_hex())


@declared
class UserManager(ZODBUserManager):
    """Users of the site: name (which is the id, too) and password."""

    security = ClassSecurityInfo()

    meta_type = "Wendelin User Manager"

    @security.private
    def authenticateCredentials(self, credentials: Mapping[str, Any]) -> tuple[str, str] | None:
        """(id, name) of who has these credentials, or None: see IAuthenticationPlugin."""
        name, password = credentials.get("login"), credentials.get("password")
        if not isinstance(name, str) or not isinstance(password, str):
            return None
        stored = self._user_passwords.get(name)
        if stored and _remembered.knows(stored, password):
            return name, name
        who = name, str(credentials.get("remote_address", ""))
        if not _failures.admit(who):
            return None
        right = _remembered.check(stored or nobodys_hash(), password) and stored is not None
        _failures.note(who, right)
        return (name, name) if right else None

    def _pw_encrypt(self, password: str) -> bytes:
        return hash_password(password)
