"""Lets a user in, and out again."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress

from ebulk.errors import EbulkError
from ebulk.local.credentials import Credentials, Login
from ebulk.remote.credentials import Basic, Bearer
from ebulk.remote.lake import Lake

MakeLake = Callable[[str, Basic | Bearer], Lake]


def login(make_lake: MakeLake, store: Credentials, url: str, user: str, password: str, title: str) -> Login:
    """Exchange a password for a token, called `title` at the lake, and remember the token: never the password.

    NotAuthorisedError, with nothing stored, when the lake does not know them.
    """
    lake = make_lake(url, Basic(user, password))
    lake.service()
    name = lake.user().name
    id, token = lake.create_token(title)
    before = store.get(lake.url)
    made = Login(lake.url, name, id, token)
    store.store(made)
    if before is not None:
        _remove_token(make_lake, before)
    return made


def logout(make_lake: MakeLake, store: Credentials, url: str) -> bool:
    """Make the token invalid and forget it; whether the lake heard of it. EbulkError when there is none."""
    known = store.get(url)
    if known is None and url not in dict(store.logins()):
        raise EbulkError(
            f"You are not logged in to {url}.", "`ebulk config` lists the lakes that you are logged in to."
        )
    heard = known is not None and _remove_token(make_lake, known)
    store.remove(url)
    return heard


def _remove_token(make_lake: MakeLake, login: Login) -> bool:
    with suppress(EbulkError):
        make_lake(login.url, Bearer(login.token)).remove_token(login.id)
        return True
    return False
