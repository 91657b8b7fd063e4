"""Ids in `data_stream_module` of the files of data sets: `<id of the data set>-<version>-<path>`.

The version is a number of the manifest, so that what an id stands for never changes. The path is in base64url (RFC
4648, section 5), without padding and with `.` for `-`, so that the two `-` before it are the last ones.
"""

from __future__ import annotations

import binascii
from base64 import urlsafe_b64decode, urlsafe_b64encode

VERSION_LENGTH = 18


def format_id(data_set_id: str, version: int, path: str) -> str:
    """The id of a file."""
    encoded = urlsafe_b64encode(path.encode()).rstrip(b"=").replace(b"-", b".").decode()
    return f"{data_set_id}-{version}-{encoded}"


def parse_id(id: str) -> tuple[str, int, str] | None:
    """Id of the data set, version and path; None if it is the id of no file."""
    data_set_id, *rest = id.rsplit("-", 2)
    if len(rest) != 2 or not (rest[0].isascii() and rest[0].isdigit() and len(rest[0]) <= VERSION_LENGTH):
        return None
    encoded = rest[1].replace(".", "-")
    try:
        path = urlsafe_b64decode(encoded + "=" * (-len(encoded) % 4)).decode()
    except (binascii.Error, UnicodeError):
        return None
    found = data_set_id, int(rest[0]), path
    return found if format_id(*found) == id else None
