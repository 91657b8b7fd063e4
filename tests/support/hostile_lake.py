"""A lake whose list of files is whatever a test wants: who pulls must not believe it."""

from __future__ import annotations

from collections.abc import Iterator

from ebulk.model import FileEntry
from ebulk.remote.pace import Traffic


class HostileLake:
    """Has these entries, and no bytes: whoever asks for any fails."""

    url = "http://hostile"

    def __init__(self, *entries: FileEntry) -> None:
        self._entries = entries
        self.traffic = Traffic()

    def manifest(self, reference: str, version: int | None, prefix: str) -> tuple[int, Iterator[FileEntry]]:
        """As `ebulk.remote.lake.Lake.manifest`."""
        return 1, iter(self._entries)
