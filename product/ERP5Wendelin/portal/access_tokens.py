"""Bearer tokens: a plugin of PluggableAuthService for `Authorization: Bearer`.

A token is 256 random bits, so its sha-256 is all that needs to be kept, and no slow hash is needed. The day of its
last use is written at most once a day, so that reading data does not write to the database.

State (public format): `AccessTokens`: BasePlugin's, and `_tokens` (OOBTree sha-256 -> AccessToken), `_users` (OOBTree
user id -> OOBTree token id -> sha-256). `AccessToken`: `id`, `user_id`, `title`, `created` (aware datetime, UTC),
`used` (date, UTC, or None).
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Mapping
from datetime import date, datetime, timezone
from typing import Any

from AccessControl.SecurityInfo import ClassSecurityInfo
from BTrees.OOBTree import OOBTree
from persistent import Persistent
from Products.PluggableAuthService.interfaces.plugins import IAuthenticationPlugin, IExtractionPlugin
from Products.PluggableAuthService.plugins.BasePlugin import BasePlugin
from zope.interface import implementer

from Products.ERP5Wendelin.content.base import now
from Products.ERP5Wendelin.content.declaration import declared
from Products.ERP5Wendelin.content.folder import new_id
from Products.ERP5Wendelin.errors import BadInput, NotFound
from Products.ERP5Wendelin.interfaces import IAccessTokens

PREFIX = "wendelin_"
"""Begins every token, so that programs that look for leaked secrets know one when they see it."""

TITLE_LENGTH = 200


class AccessToken(Persistent):
    """A token of a user, without the secret; see the module for its attributes."""

    used: date | None = None

    def __init__(self, id: str, user_id: str, title: str, created: datetime) -> None:
        self.id = id
        self.user_id = user_id
        self.title = title
        self.created = created

    def _p_resolveConflict(self, old: dict[str, Any], saved: dict[str, Any], new: dict[str, Any]) -> dict[str, Any]:
        """Two requests that note the first use of a day agree: the later day."""
        return saved if saved["used"] >= new["used"] else new


@declared
@implementer(IAccessTokens, IExtractionPlugin, IAuthenticationPlugin)
class AccessTokens(BasePlugin):
    """The tokens of all users."""

    security = ClassSecurityInfo()

    meta_type = "Wendelin Access Tokens"

    def __init__(self, id: str, title: str = "") -> None:
        self._setId(id)
        self.title = title
        self._tokens = OOBTree()
        self._users = OOBTree()

    @security.private
    def newToken(self, user_id: str, title: str) -> tuple[str, str]:
        """Make a token; return (id, token). `token` is shown once and never stored. BadInput for a bad title."""
        if not isinstance(title, str) or not title.strip() or len(title) > TITLE_LENGTH:
            raise BadInput(f"A token needs a title, of at most {TITLE_LENGTH} characters, that says what it is for.")
        secret = PREFIX + secrets.token_urlsafe(32)
        token = AccessToken(new_id(), user_id, title, now())
        self._tokens[_digest(secret)] = token
        self._users.setdefault(user_id, OOBTree())[token.id] = _digest(secret)
        return token.id, secret

    @security.private
    def listTokens(self, user_id: str) -> list[dict[str, Any]]:
        """Dicts with id, title, created, used, the oldest first."""
        tokens = [self._tokens[digest] for digest in self._users.get(user_id, {}).values()]
        tokens.sort(key=lambda token: (token.created, token.id))
        return [{"id": t.id, "title": t.title, "created": t.created, "used": t.used} for t in tokens]

    @security.private
    def removeToken(self, user_id: str, id: str) -> None:
        """Forget a token. NotFound if this user has none of that id."""
        digest = self._users.get(user_id, {}).get(id)
        if digest is None:
            raise NotFound(f"You have no token {id!r}.")
        del self._users[user_id][id]
        del self._tokens[digest]

    @security.private
    def removeUser(self, user_id: str) -> None:
        """Forget all tokens of a user who is removed."""
        for digest in self._users.pop(user_id, {}).values():
            del self._tokens[digest]

    @security.private
    def extractCredentials(self, request: Any) -> dict[str, str]:
        """The token of a request, if it has one: see IExtractionPlugin."""
        scheme, _, token = (getattr(request, "_auth", None) or "").partition(" ")
        return {"bearer_token": token.strip()} if scheme.lower() == "bearer" and token.strip() else {}

    @security.private
    def authenticateCredentials(self, credentials: Mapping[str, Any]) -> tuple[str, str] | None:
        """(user id, name) of whom a token acts for, or None: see IAuthenticationPlugin."""
        secret = credentials.get("bearer_token")
        token = self._tokens.get(_digest(secret)) if isinstance(secret, str) else None
        if token is None:
            return None
        today = datetime.now(timezone.utc).date()
        if token.used != today:
            token.used = today
        return token.user_id, token.user_id


def _digest(secret: str) -> bytes:
    return hashlib.sha256(secret.encode("utf-8", "replace")).digest()
