"""The headers of tus 1.0.0, resumable uploads (https://tus.io/protocols/resumable-upload), both ways."""

from __future__ import annotations

import base64
import binascii
import re

from Products.ERP5Wendelin.errors import BadInput, PreconditionFailed
from Products.ERP5Wendelin.protocol import TUS_CHECKSUM_ALGORITHMS, TUS_EXTENSIONS, TUS_VERSION

MEDIA_TYPE = "application/offset+octet-stream"

CAPABILITIES = {
    "Tus-Version": TUS_VERSION,
    "Tus-Extension": ",".join(TUS_EXTENSIONS),
    "Tus-Checksum-Algorithm": ",".join(TUS_CHECKSUM_ALGORITHMS),
}
"""What OPTIONS tells."""

SIZE_MAX = 2**63 - 1

RANGES = 256
"""The most ranges that an upload may name."""

_RANGE = re.compile(r"([0-9]{1,19})-([0-9]{1,19})")


class WrongVersion(PreconditionFailed):
    """A request of another version of tus, or of none."""


def check_version(version: str | None) -> None:
    """Refuse a request that does not say Tus-Resumable: 1.0.0."""
    if version != TUS_VERSION:
        raise WrongVersion(f"This server speaks tus {TUS_VERSION}. Send the header Tus-Resumable: {TUS_VERSION}.")


def parse_size(name: str, value: str | None) -> int:
    """Upload-Length and Upload-Offset: a count of bytes."""
    return _parse_size(f"The header {name}", value)


def parse_metadata_size(key: str, value: str | None) -> int:
    """A count of bytes in Upload-Metadata."""
    return _parse_size(f"Upload-Metadata: {key!r}", value)


def _parse_size(place: str, value: str | None) -> int:
    if value is None:
        raise BadInput(f"{place} is missing.")
    if not (value.isascii() and value.isdigit()) or len(value) > len(str(SIZE_MAX)) or int(value) > SIZE_MAX:
        raise BadInput(f"{place} must be a whole number of bytes from 0.")
    return int(value)


def parse_metadata(value: str | None) -> dict[str, str]:
    """Upload-Metadata: keys, each with text in base64, separated by commas."""
    metadata: dict[str, str] = {}
    for pair in filter(str.strip, (value or "").split(",")):
        key, _, encoded = pair.strip().partition(" ")
        if key in metadata:
            raise BadInput(f"Upload-Metadata has {key!r} more than once.")
        try:
            metadata[key] = base64.b64decode(encoded.strip().encode(), validate=True).decode("utf-8")
        except ValueError as error:
            raise BadInput(f"Upload-Metadata: the value of {key!r} is not UTF-8 text in base64.") from error
    return metadata


def parse_ranges(name: str, text: str, length: int) -> tuple[tuple[int, int], ...]:
    """Ranges of a file of `length` bytes in HTTP's notation, such as 0-99,200-299, as (start, stop)."""
    found = [_RANGE.fullmatch(part.strip()) for part in text.split(",")] if text.strip() else []
    if len(found) > RANGES:
        raise BadInput(f"Upload-Metadata: {name!r} has {len(found)} ranges; {RANGES} are possible. Join neighbours.")
    ranges = []
    end = 0
    for match in found:
        if match is None:
            raise BadInput(f"Upload-Metadata: {name!r} must be ranges of bytes such as 0-2097151,8388608-10485759.")
        start, stop = int(match[1]), int(match[2]) + 1
        if not end <= start < stop:
            raise BadInput(f"Upload-Metadata: the ranges of {name!r} must ascend and not overlap; {match[0]} does not.")
        if stop > length:
            raise BadInput(f"Upload-Metadata: {name!r} has {match[0]}, behind the end of a file of {length} bytes.")
        ranges.append((start, stop))
        end = stop
    return tuple(ranges)


def parse_checksum(value: str | None) -> tuple[str, bytes] | None:
    """Upload-Checksum: algorithm and digest, None without the header."""
    if value is None:
        return None
    algorithm, _, encoded = value.strip().partition(" ")
    if algorithm not in TUS_CHECKSUM_ALGORITHMS:
        raise BadInput(f"Upload-Checksum: {algorithm!r} is not one of {', '.join(TUS_CHECKSUM_ALGORITHMS)}.")
    try:
        return algorithm, base64.b64decode(encoded.strip().encode(), validate=True)
    except binascii.Error as error:
        raise BadInput("Upload-Checksum: the digest is not in base64.") from error
