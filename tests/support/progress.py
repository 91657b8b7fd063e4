"""What a transfer told of its progress, written down."""

from __future__ import annotations

import threading
from collections import defaultdict


class Progress:
    """An `ebulk.model.Progress` that remembers."""

    def __init__(self) -> None:
        self.sizes: dict[str, int] = {}
        self.arrived: dict[str, int] = defaultdict(int)
        self.finished: list[str] = []
        self.notes: list[str] = []
        self.begun = 0
        self._lock = threading.Lock()

    def begin(self, path: str, size: int) -> None:
        with self._lock:
            self.begun += 1
            self.sizes[path] = size

    def advance(self, path: str, count: int) -> None:
        with self._lock:
            self.arrived[path] += count

    def reuse(self, path: str, count: int) -> None:
        self.advance(path, count)

    def done(self, path: str) -> None:
        with self._lock:
            self.finished.append(path)

    def note(self, message: str) -> None:
        self.notes.append(message)

    def assert_complete(self, paths: list[str]) -> None:
        """Each of these files was begun and done once, and all of its bytes were counted once."""
        assert sorted(self.finished) == sorted(paths)
        assert self.begun == len(paths)
        assert {path: self.arrived[path] for path in paths} == self.sizes
