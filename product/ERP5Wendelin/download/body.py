"""Base of the bodies of responses that are seekable files."""

from __future__ import annotations

import io
from abc import abstractmethod
from typing import Any

from zope.interface import implementer
from ZPublisher.Iterators import IStreamIterator

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
