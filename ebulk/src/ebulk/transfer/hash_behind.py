"""The sha-256 of bytes, made by a thread of its own while those behind them are on their way.

To receive and to write takes about as long as to hash, and neither needs the interpreter: in one thread they would take
turns, and a second core would have nothing to do.
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator
from io import FileIO
from queue import SimpleQueue

from ebulk.protocol import MIB

DEPTH = 8
"""Pieces that wait to be hashed, for each large file: of what is read at once from the network or the disk."""
SMALL = MIB
"""What is no longer is hashed at once: a thread costs as much as to hash some hundred KiB."""
PIECE_SIZE = MIB
"""Of what is read from the disk."""

Piece = bytes | memoryview


class HashBehind:
    """Hashes what it is given, in order; a context manager. `size` is about how much that will be.

    When `update` returns, all but the last DEPTH pieces are hashed: of DEPTH + 1 buffers, used in turn, the next one
    is free.
    """

    def __init__(self, size: int, name: str) -> None:
        self._hash = hashlib.sha256()
        self._at_once = size <= SMALL
        self._waiting = 0
        self._pieces: SimpleQueue[Piece | None] = SimpleQueue()
        self._hashed: SimpleQueue[None] = SimpleQueue()
        self._thread = threading.Thread(target=self._run, name=f"hash {name}", daemon=True)

    def __enter__(self) -> HashBehind:
        if not self._at_once:
            self._thread.start()
        return self

    def __exit__(self, *exc_info: object) -> None:
        if not self._at_once:
            self._pieces.put(None)
            self._thread.join()

    def update(self, piece: Piece) -> None:
        """Hash a piece, soon."""
        if self._at_once:
            self._hash.update(piece)
            return
        if self._waiting == DEPTH:
            self._settle(DEPTH - 1)
        self._pieces.put(piece)
        self._waiting += 1

    def hexdigest(self) -> str:
        """The digest of all that was given."""
        self._settle(0)
        return self._hash.hexdigest()

    def reset(self) -> None:
        """Begin anew."""
        self._settle(0)
        self._hash = hashlib.sha256()

    def _settle(self, most: int) -> None:
        """Wait until so many pieces are left."""
        while self._waiting > most:
            self._hashed.get()
            self._waiting -= 1

    def _run(self) -> None:
        while (piece := self._pieces.get()) is not None:
            self._hash.update(piece)
            del piece
            self._hashed.put(None)


def read_pieces(file: FileIO, length: int) -> Iterator[memoryview]:
    """The next `length` bytes of a file, or fewer if it ends, for a `HashBehind`: in buffers that are used in turn."""
    buffers: list[memoryview] = []
    number = 0
    while length:
        if number <= DEPTH:
            buffers.append(memoryview(bytearray(min(PIECE_SIZE, length))))
        buffer = buffers[number % (DEPTH + 1)]
        count = file.readinto(buffer[:length])
        if not count:
            return
        yield buffer[:count]
        length -= count
        number += 1
