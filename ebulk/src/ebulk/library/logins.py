"""Lets a user in, and out again."""

from __future__ import annotations

import os
import socket

from ebulk.library.lake import logger
from ebulk.remote.credentials import Credentials
from ebulk.remote.lake import Lake
from ebulk.user import User
from ebulk.verbs import login as verb


def login(url: str, *, user: str, password: str) -> None:
    """Exchange a password for a token, and remember the token, as `ebulk login` does: this is the default lake now."""
    me = User(os.environ)
    verb.login(_make_lake, me.store, me.url(url), user, password, f"ebulk on {socket.gethostname()}")


def logout(url: str | None = None) -> bool:
    """Forget the login at a lake, that of the last login unless given; whether the lake heard of it."""
    me = User(os.environ)
    return verb.logout(_make_lake, me.store, me.url(url))


def _make_lake(url: str, credentials: Credentials) -> Lake:
    return User(os.environ).lake(url, credentials, logger.warning)
