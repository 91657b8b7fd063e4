"""Bases of the bodies of responses: seekable files, and pieces of which nobody knows how many will come."""

from __future__ import annotations

import io
from abc import ABC, abstractmethod
from collections.abc import Callable, Generator, Iterator
from typing import Any

from zope.interface import implementer
from ZPublisher.Iterators import IStreamIterator, IUnboundStreamIterator

from Products.ERP5Wendelin.protocol import KIB

READ_SIZE = 256 * KIB
"""The most one `read` gives: waitress asks for as much as the socket's buffer may hold, each time it can send a bit."""


@implementer(IStreamIterator)
class SeekableBody(io.RawIOBase):
    """`size` bytes; a subclass says how they are read and sought."""

    def __init__(self, size: int) -> None:
        self._size = size

    @abstractmethod
    def read(self, size: int | None = -1) -> bytes:
        """Up to `size` bytes; none at the end."""

    def __len__(self) -> int:
        return self._size

    def __next__(self) -> bytes:
        data = self.read(READ_SIZE)
        if not data:
            raise StopIteration
        return data

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        """Fill a buffer, as far as one read goes."""
        data = self.read(len(buffer))
        buffer[: len(data)] = data
        return len(data)


@implementer(IUnboundStreamIterator)
class Pieces(ABC):
    """An iterator over what a subclass makes of what it reads, in pieces; it can be closed at whatever place."""

    def __init__(self, release: Callable[[], None]) -> None:
        """`release` lets go of what was read, when it is closed."""
        self._release = release
        self._pieces = self._together()

    @abstractmethod
    def _together(self) -> Generator[bytes, None, None]:
        """The pieces. Nothing is done before the first is asked for."""

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        return next(self._pieces)

    def close(self) -> None:
        """End it, at whatever place."""
        self._pieces.close()
        self._release()
