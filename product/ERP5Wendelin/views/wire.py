"""How values are written on the wire, both ways (`docs/protocol.rst`, Conventions)."""

from __future__ import annotations

import re
from datetime import datetime, timezone
from decimal import Decimal
from email.utils import format_datetime
from json.encoder import encode_basestring
from urllib.parse import quote

from Products.ERP5Wendelin.errors import BadInput
from Products.ERP5Wendelin.protocol import FILE_MODES

_DIGEST = re.compile(r"sha-256:([0-9a-f]{64})")
_MTIME = re.compile(r"-?[0-9]{1,11}(\.[0-9]{1,9})?")
_MTIME_NS_MAX = 2**63 - 1
_DECIMALS = 9
_MAGNITUDE = 10
"""Decimal exponent of the seconds in 2**63 nanoseconds: checked first, for as an integer 1e999999999 fills memory."""

_ATTR_CHARS = "!#$&+-.^_`|~"
"""RFC 8187: what an extended parameter value has besides letters and digits."""


def format_date(date: datetime) -> str:
    """RFC 3339 in UTC, to the second."""
    return date.astimezone(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


def format_http_date(date: datetime) -> str:
    """RFC 9110, section 5.6.7."""
    return format_datetime(date.astimezone(timezone.utc), usegmt=True)


def format_digest(digest: bytes) -> str:
    """`sha-256:` and 64 hexadecimal digits."""
    return f"sha-256:{digest.hex()}"


def parse_digest(text: str, name: str = "digest") -> bytes:
    """The 32 bytes of a digest; BadInput names the member it was given as."""
    found = _DIGEST.fullmatch(text)
    if found is None:
        raise BadInput(f"{name} must be 'sha-256:' and 64 hexadecimal digits in lower case.")
    return bytes.fromhex(found[1])


def format_mtime(mtime_ns: int) -> str:
    """Seconds with as many decimals as it takes, at most nine: `1700000000.5`."""
    seconds, fraction = divmod(abs(mtime_ns), 10**_DECIMALS)
    sign = "-" if mtime_ns < 0 else ""
    return f"{sign}{seconds}.{fraction:09d}".rstrip("0") if fraction else f"{sign}{seconds}"


def parse_mtime(value: int | Decimal, name: str = "mtime") -> int:
    """Nanoseconds of a JSON number that was read as int or Decimal, exactly."""
    if isinstance(value, Decimal):
        if value.adjusted() > _MAGNITUDE or int(value.as_tuple().exponent) < -_DECIMALS:
            raise _bad_mtime(name)
        nanoseconds = int(value.scaleb(_DECIMALS))
    else:
        nanoseconds = value * 10**_DECIMALS
    if abs(nanoseconds) > _MTIME_NS_MAX:
        raise _bad_mtime(name)
    return nanoseconds


def parse_mtime_text(text: str, name: str = "mtime") -> int:
    """Nanoseconds of the same as text, as in Upload-Metadata."""
    if not _MTIME.fullmatch(text):
        raise _bad_mtime(name)
    return parse_mtime(Decimal(text), name)


def _bad_mtime(name: str) -> BadInput:
    return BadInput(f"{name} must be seconds since 1970 with at most nine decimals, between the years 1678 and 2262.")


def parse_mode(text: str, name: str = "mode") -> str:
    """One of git's modes."""
    if text not in FILE_MODES:
        raise BadInput(f"{name} must be one of {', '.join(FILE_MODES)}.")
    return text


def format_entry(path: str, size: int, digest: bytes, mtime_ns: int, mode: str) -> str:
    """A manifest row as JSON, written by hand: json.dumps would round mtime to a float, and take four times as long."""
    return (
        f'{{"path":{encode_basestring(path)},"size":{size},"digest":"sha-256:{digest.hex()}",'
        f'"mtime":{format_mtime(mtime_ns)},"mode":"{mode}"}}'
    )


def content_disposition(name: str) -> str:
    """`attachment` with a file name: RFC 6266, with the extended form of RFC 8187 for what is not plain ASCII."""
    plain = "".join(c if " " <= c < "\x7f" and c not in '"\\%' else "_" for c in name)
    value = f'attachment; filename="{plain}"'
    if plain != name:
        value += f"; filename*=UTF-8''{quote(name, safe=_ATTR_CHARS)}"
    return value
