"""Sizes as options have them: 1000000, 512M, 64MiB. Units are powers of 1024, in letters of any case."""

from __future__ import annotations

import argparse
import re

from Products.ERP5Wendelin.protocol import KIB, MIB

_SIZE = re.compile(r"(\d{1,18}) ?(?:([kmgt])(?:i?b)?|b)?", re.ASCII | re.IGNORECASE)
_UNITS = {"": 1, "k": KIB, "m": MIB, "g": 1024 * MIB, "t": 1024 * 1024 * MIB}


def size(text: str) -> int:
    """A number of bytes, one at the least; another text is wrong usage."""
    found = _SIZE.fullmatch(text.strip())
    if found is None or not int(found[1]):
        raise argparse.ArgumentTypeError(f"{text!r} is no size, such as 512M or 2GiB")
    return int(found[1]) * _UNITS[(found[2] or "").lower()]
