"""StoredFile: a file of a data set as a Python file that can be sought, for libraries that read formats."""

from __future__ import annotations

import io
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from Products.ERP5Wendelin.content.entry import Entry
from Products.ERP5Wendelin.errors import BadInput, TooLarge, WendelinError
from Products.ERP5Wendelin.protocol import MIB
from Products.ERP5Wendelin.storage.block import BLOCK_SIZE, Buffer

BLOCKS = 8
"""Blocks kept in memory: formats have indexes at the ends of files, and data between them."""

READ_MAX = 256 * MIB
"""The most that a library may ask for at once: a file can claim that its index takes all memory there is."""


class StoredFile(io.RawIOBase):
    """The content of an entry, read through a connection that stays open; `name` is what messages call it."""

    def __init__(self, entry: Entry, connection: Any, name: str) -> None:
        self.name = name
        self.size = entry.size
        self._stream: Any = None if entry.stream is None else connection.get(entry.stream._p_oid)
        self._offset = entry.offset
        self._position = 0
        self._blocks: OrderedDict[int, Buffer] = OrderedDict()
        self._failure: Exception | None = None

    def close(self) -> None:
        """Stay open: libraries close what they were given, and it is read again from its beginning."""

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._position

    def seek(self, offset: int, whence: int = io.SEEK_SET, /) -> int:
        position = (0, self._position, self.size)[whence] + offset
        if position < 0:
            raise OSError(f"{self.name} has no byte {position}.")
        self._position = position
        return position

    def readinto(self, buffer: Any, /) -> int:
        """Fill a buffer, unless the file ends before: libraries take fewer bytes for the end."""
        target = memoryview(buffer).cast("B")
        if len(target) > READ_MAX:
            raise self._note(
                TooLarge(
                    f"{self.name} cannot be read in bounded memory: it needs {len(target)} bytes at once, and at most "
                    f"{READ_MAX} are taken. Write it in smaller parts."
                )
            )
        size = max(min(len(target), self.size - self._position), 0)
        done = 0
        while done < size:
            piece = self._piece(size - done)
            target[done : done + len(piece)] = piece
            done += len(piece)
            self._position += len(piece)
        return done

    @contextmanager
    def understood_as(self, format: str) -> Iterator[None]:
        """Turn what a library makes of the content into BadInput; a failure to read it stays what it is."""
        try:
            yield
        except WendelinError:
            raise
        except MemoryError as error:
            raise TooLarge(
                f"{self.name} cannot be read as {format} in the memory that there is: {error or 'it is too large'}. "
                "Write it in smaller parts."
            ) from error
        except Exception as error:
            if self._failure is not None:
                raise self._failure from None
            raise BadInput(f"{self.name} cannot be read as {format}: {str(error) or type(error).__name__}") from error

    def _piece(self, most: int) -> memoryview:
        """The next bytes, up to `most` or the end of their block."""
        start = self._offset + self._position
        number, within = divmod(start, BLOCK_SIZE)
        block = self._blocks.get(number)
        if block is None:
            block = self._load(number)
        else:
            self._blocks.move_to_end(number)
        return memoryview(block)[within : within + most]

    def _load(self, number: int) -> Buffer:
        while len(self._blocks) >= BLOCKS:
            self._blocks.popitem(last=False)
        start = number * BLOCK_SIZE
        stop = min(start + BLOCK_SIZE, self._stream.size)
        try:
            pieces = list(self._stream.chunks(start, stop))
        except Exception as error:
            raise self._note(error) from None
        block = self._blocks[number] = pieces[0] if len(pieces) == 1 else b"".join(pieces)
        return block

    def _note(self, error: Exception) -> Exception:
        """Remember what went wrong with the database, or with us, for libraries make something else of it."""
        self._failure = error
        return error
