"""Users with passwords: a plugin of PluggableAuthService.

Passwords are kept as bcrypt hashes, which take a fifth of a second to check on purpose. An HTTP client sends its
password with every request, so a password that was right is remembered for some minutes, by a keyed hash that is worth
nothing outside this process and that covers the stored bcrypt hash: once that changes, nothing is remembered.

State (public format): that of ZODBUserManager, with passwords as AuthEncoding's `{BCRYPT}…`.
"""

from __future__ import annotations

import hmac
import secrets
import threading
import time
from collections import OrderedDict
from collections.abc import Mapping
from functools import cache
from typing import Any

from AccessControl.SecurityInfo import ClassSecurityInfo
from AuthEncoding import AuthEncoding
from Products.PluggableAuthService.plugins.ZODBUserManager import ZODBUserManager

from Products.ERP5Wendelin.content.declaration import declared

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

    def check(self, stored: bytes, password: str) -> bool:
        """Whether a password is the one of a stored hash, asking bcrypt only if it has to."""
        mark = hmac.digest(self._key, b"%d:%s%s" % (len(stored), stored, password.encode()), "sha256")
        now = time.monotonic()
        with self._lock:
            if self._expiry.get(mark, now) > now:
                return True
        if not AuthEncoding.pw_validate(stored, password):
            return False
        with self._lock:
            self._expiry.pop(mark, None)
            self._expiry[mark] = now + self._seconds
            while len(self._expiry) > self._length:
                self._expiry.popitem(last=False)
        return True


_remembered = RememberedPasswords()


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
        right = _remembered.check(stored or nobodys_hash(), password)
        return (name, name) if right and stored else None

    def _pw_encrypt(self, password: str) -> bytes:
        return hash_password(password)
