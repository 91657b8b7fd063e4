"""The URL of a lake, checked before anything is sent."""

from __future__ import annotations

from urllib.parse import SplitResult, urlsplit

from ebulk.errors import UsageError


def checked_url(url: str) -> str:
    """A lake's URL without its last slash; UsageError unless it is the http or https URL of a host, without a user."""
    parts = _split(url)
    if parts is None or parts.scheme not in ("http", "https") or parts.query or parts.fragment:
        raise UsageError(f"{url!r} is not the URL of a lake.", "It looks like http://127.0.0.1:8080/erp5.")
    if parts.username is not None or parts.password is not None:
        raise UsageError(
            "A user or password in the URL would be seen by others.", "Log in by `ebulk login URL` instead."
        )
    return url.rstrip("/")


def _split(url: str) -> SplitResult | None:
    """Its parts; None where there is no host, or host and port are none that a connection can be made to."""
    try:
        parts = urlsplit(url)
        usable = parts.hostname and parts.port != 0
    except ValueError:  # a port that is no number or too large, a bracket that is not closed
        return None
    return parts if usable and not any(map(_is_odd, parts.netloc)) else None


def _is_odd(character: str) -> bool:
    return character.isspace() or not character.isprintable() or character in '\\^`{|}<>"'
