"""Acting as another user than who asks, for as long as a `with` statement lasts."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

from AccessControl.SecurityManagement import getSecurityManager, newSecurityManager, setSecurityManager
from AccessControl.users import system


@contextmanager
def acting_as(user: Any) -> Iterator[None]:
    """Act as a user, wrapped in the folder of users."""
    before = getSecurityManager()
    newSecurityManager(None, user)
    try:
        yield
    finally:
        setSecurityManager(before)


def as_system() -> AbstractContextManager[None]:
    """Act as the system user, for what who asks has a reason for, and no right to do in another way."""
    return acting_as(system)
