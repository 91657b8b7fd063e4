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
    if entry.has_own_stream and base.has_own_stream:
        ranges: Iterator[tuple[int, int]] = entry.stream.unshared(base.stream)
        return ranges
    return iter([(0, entry.size)] if entry.size else [])
