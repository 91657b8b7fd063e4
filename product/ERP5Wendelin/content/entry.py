"""An entry of a manifest: which bytes a path names.

In a BTree an entry is stored as the plain tuple (stream, offset, size, digest, mtime_ns, mode), so that what is on disk
names no class of ours.
"""

from __future__ import annotations

from typing import Any, NamedTuple

REGULAR, EXECUTABLE, SYMLINK, FOLDER = "100644", "100755", "120000", "040000"


class Entry(NamedTuple):
    """The range of a byte stream that is a file's content, with the file's modification time and mode."""

    stream: Any
    """IByteStream, or None where there are no bytes."""
    offset: int
    size: int
    digest: bytes
    """sha-256 of the content, 32 raw bytes."""
    mtime_ns: int
    mode: str = REGULAR
    """git's: REGULAR, EXECUTABLE, SYMLINK (the content is the link's target) or FOLDER (no content)."""

    @property
    def has_own_stream(self) -> bool:
        """Whether it is all that is in its stream, which is no pack."""
        return self.stream is not None and (self.offset, self.size) == (0, self.stream.size)

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle as a plain tuple, wherever an entry is put."""
        return tuple, (tuple(self),)

    def same_file(self, other: tuple[Any, ...]) -> bool:
        """Whether a user would see no difference: same content, modification time and mode, wherever the bytes are."""
        return self[2:] == tuple(other)[2:]
