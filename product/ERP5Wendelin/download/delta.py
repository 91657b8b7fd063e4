"""Which bytes of a file are not those that another content has at the same place, as far as their streams tell."""

from __future__ import annotations

from collections.abc import Iterator

from Products.ERP5Wendelin.content.entry import Entry


def changed(entry: Entry, base: Entry) -> Iterator[tuple[int, int]]:
    """Ranges (start, stop) of a file's bytes, ascending and apart, outside of which it is as `base`.

    What is in blocks that both streams share. No block is read, so that equal bytes may be among them.
    """
    if entry.digest == base.digest:
        return iter(())
    if _has_its_stream(entry) and _has_its_stream(base):
        ranges: Iterator[tuple[int, int]] = entry.stream.unshared(base.stream)
        return ranges
    return iter([(0, entry.size)] if entry.size else [])


def _has_its_stream(entry: Entry) -> bool:
    """Whether a content is all that is in its stream, which is no pack."""
    return entry.stream is not None and (entry.offset, entry.size) == (0, entry.stream.size)
