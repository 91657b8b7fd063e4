"""Uploads that start from a content that their data set has: which of its bytes they reuse."""

from __future__ import annotations

from typing import Any, NamedTuple

from Products.ERP5Wendelin.content.upload import Upload

Ranges = tuple[tuple[int, int], ...]
"""(start, stop), ascending and apart."""


class Base(NamedTuple):
    """What an upload is said to start from."""

    digest: bytes
    """sha-256 of a content, 32 raw bytes."""
    size: int
    changed: Ranges = ()
    """What of the new file is not as the base has it at the same place, besides all that is behind the base's end."""


def start_from(upload: Upload, base: Base, data_set: Any) -> None:
    """Let a new upload reuse a content of its data set, if that can be done.

    It can when the content, of any version, has a stream to itself, as all but the small ones of a bundle do.
    """
    found = data_set.manifest.find_content(base.digest)
    if found is not None and found.size == base.size and found.has_own_stream:
        upload.base = found.stream
        upload.base_digest = base.digest
        upload.reused = reused(base, upload.length)


def reused(base: Base, length: int) -> Ranges:
    """The ranges of a new file of `length` bytes that are as the base has them."""
    ranges = []
    start, end = 0, min(base.size, length)
    for first, stop in base.changed:
        if start < min(first, end):
            ranges.append((start, min(first, end)))
        start = stop
    if start < end:
        ranges.append((start, end))
    return tuple(ranges)
