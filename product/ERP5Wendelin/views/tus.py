"""The headers of tus 1.0.0, resumable uploads (https://tus.io/protocols/resumable-upload), both ways."""

from __future__ import annotations

import base64
import binascii

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


class WrongVersion(PreconditionFailed):
    """A request of another version of tus, or of none."""


def check_version(version: str | None) -> None:
    """Refuse a request that does not say Tus-Resumable: 1.0.0."""
    if version != TUS_VERSION:
        raise WrongVersion(f"This server speaks tus {TUS_VERSION}. Send the header Tus-Resumable: {TUS_VERSION}.")


def parse_size(name: str, value: str | None) -> int:
    """Upload-Length and Upload-Offset: a count of bytes."""
    if value is None:
        raise BadInput(f"The header {name} is missing.")
    if not (value.isascii() and value.isdigit()) or len(value) > len(str(SIZE_MAX)) or int(value) > SIZE_MAX:
        raise BadInput(f"The header {name} must be a whole number of bytes from 0.")
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
