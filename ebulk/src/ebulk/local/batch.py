"""What became of a folder's files, written to its index in batches: one by one, it would cost more than the files."""

from __future__ import annotations

from ebulk.local.index import Index, Known

LENGTH = 5000
SIZE = 1 << 30
"""Files, or bytes of them, between two writes of the index: what a kill can cost is hashing so much again."""


class Batch:
    """Files that are as the lake has them, and files that are gone; `flush` writes what is left."""

    def __init__(self, index: Index) -> None:
        self._index = index
        self._known: list[Known] = []
        self._size = 0
        self._gone: list[str] = []

    def add(self, known: Known) -> None:
        """A file is as the lake has it."""
        self._known.append(known)
        self._size += known.size
        self._flush_full()

    def remove(self, path: str) -> None:
        """A file of the index is neither here nor in the lake."""
        self._gone.append(path)
        self._flush_full()

    def flush(self) -> None:
        """Write to the index what is not there yet."""
        self._index.update(self._known, self._gone)
        self._known.clear()
        self._size = 0
        self._gone.clear()

    def _flush_full(self) -> None:
        if len(self._known) + len(self._gone) >= LENGTH or self._size >= SIZE:
            self.flush()
