"""Times as people write them: exact ones, days, and how long ago."""

from __future__ import annotations

import re
from datetime import datetime

from ebulk.errors import UsageError
from ebulk.protocol import NANOSECONDS, from_timestamp

UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
"""Seconds of each."""

UNDERSTOOD = (
    "A time is 2026-11-22T19:40:00Z (RFC 3339; local time without a zone), 2026-11-22 (local midnight), "
    "or 30s, 15m, 1h or 2d ago."
)

_AGO = re.compile(r"(?:\d{1,9}(?:\.\d{1,9})?[smhd])+", re.ASCII)
_PART = re.compile(r"([\d.]+)([smhd])", re.ASCII)
_LOCAL = re.compile(r"(\d{4}-\d\d-\d\d)(?:[Tt ](\d\d:\d\d(?::\d\d(?:\.\d+)?)?))?", re.ASCII)


def nanoseconds_of(text: str, now: float) -> int:
    """Nanoseconds since the epoch of a time that somebody wrote at `now`, in seconds since the epoch.

    UsageError for what is none.
    """
    try:
        if _AGO.fullmatch(text):
            ago = sum(float(number) * UNITS[unit] for number, unit in _PART.findall(text))
            return round((now - ago) * 1000) * (NANOSECONDS // 1000)
        if _LOCAL.fullmatch(text):
            return _local(text)
        return from_timestamp(text)
    except (ValueError, OverflowError, OSError):
        raise UsageError(f"{text!r} is not understood as a time.", UNDERSTOOD) from None


def _local(text: str) -> int:
    """A day or a time in this machine's time zone."""
    whole, _, fraction = text.replace(" ", "T").partition(".")
    seconds = int(datetime.fromisoformat(whole.upper()).timestamp())
    return seconds * NANOSECONDS + int(fraction[:9].ljust(9, "0"))
