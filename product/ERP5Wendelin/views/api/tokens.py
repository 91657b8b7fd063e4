"""`/tokens`: the caller's bearer tokens."""

from __future__ import annotations

from typing import Any

from Products.ERP5Wendelin.interfaces import IAccessTokens
from Products.ERP5Wendelin.views.answer import Answer, created
from Products.ERP5Wendelin.views.call import Call
from Products.ERP5Wendelin.views.paging import decode_cursor, limit_of, page
from Products.ERP5Wendelin.views.wire import format_date


def search(call: Call) -> dict[str, Any]:
    """GET /tokens."""
    position = decode_cursor(call.query, str)
    listed = sorted(_plugin(call).listTokens(call.user_id), key=lambda token: token["id"])
    rest = [token for token in listed if position is None or token["id"] > position[0]]
    return page(rest, limit_of(call.query), describe, lambda token: token["id"])


def create(call: Call) -> Answer:
    """POST /tokens."""
    title = call.members().text("title", "")
    identity, token = _plugin(call).newToken(call.user_id, title)
    listed = next(each for each in _plugin(call).listTokens(call.user_id) if each["id"] == identity)
    data = {"id": identity, "title": title, "token": token, "created": format_date(listed["created"])}
    return created(call.url("tokens", identity), data)


def remove(call: Call) -> None:
    """DELETE /tokens/{token}."""
    _plugin(call).removeToken(call.user_id, call.names["token"])


def describe(token: dict[str, Any]) -> dict[str, Any]:
    """A token as its owner sees it later."""
    return {
        "id": token["id"],
        "title": token["title"],
        "created": format_date(token["created"]),
        "used": token["used"].isoformat() if token["used"] else None,
    }


def _plugin(call: Call) -> IAccessTokens:
    return call.site.acl_users.access_tokens
