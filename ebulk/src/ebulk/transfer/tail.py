"""Fetches the end of a large file that has only grown, to be appended to the one here: its beginning is not copied.

The end goes to `<sha-256 of the whole>.tail`, from the border of the last block that both have. Before anything is
appended the file here and the tail have been read, and the digest of both, one behind the other, is the new content's.
"""

from __future__ import annotations

from pathlib import Path

from ebulk.model import FileEntry, LocalFile, Ranges
from ebulk.transfer.old_file import OldFile
from ebulk.transfer.receive import NoRangeError, Receiver, Transfer


def tail_start(entry: FileEntry, old: LocalFile, changed: Ranges) -> int | None:
    """From where on a file differs from an old one that it begins with; None if it does not, or if copying is cheaper.

    The tail is written twice, what is in front of it not at all.
    """
    if len(changed) != 1 or old.entry.size >= entry.size:
        return None
    start, stop = changed[0]
    return start if stop == entry.size and stop - start <= start <= old.entry.size else None


def fetch_tail(transfer: Transfer, entry: FileEntry, old: LocalFile, start: int, tail: Path) -> int | None:
    """Fetch a file's bytes from `start` on; how many are in the old one, or None if it is not that and this.

    What the old one has behind `start` comes first, less than a block: if it is something else, that is all it costs.
    """
    with Receiver(transfer, entry, tail, start) as receiver, OldFile(old) as source:
        try:
            receiver.begin(source)
            if receiver.position >= start:
                receiver.fetch_up_to(old.entry.size)
                if receiver.begins_as(source.pieces(start, old.entry.size)):
                    receiver.fetch_up_to(entry.size)
                    if receiver.is_right:
                        return receiver.reused
        except NoRangeError:
            return None
        receiver.start_over()
    return None
