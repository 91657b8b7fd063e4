"""Receives the bytes of one large file, through any number of broken connections.

They go to a part in order, so the part is at any time the beginning of what it is to be: whatever breaks, the next run
goes on behind it. Each byte is hashed on the way, whether it is received, copied from a file here or there already.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import ExitStack, closing
from http import HTTPStatus
from io import FileIO
from pathlib import Path
from typing import Protocol

from ebulk.errors import IntegrityError
from ebulk.model import FileEntry, Progress
from ebulk.protocol import KIB
from ebulk.remote import content
from ebulk.remote.failure import TransientError
from ebulk.remote.session import Reply, Session
from ebulk.transfer.hash_behind import HashBehind, read_pieces
from ebulk.transfer.old_file import OldFile
from ebulk.transfer.part_file import PartFile

READ_SIZE = 256 * KIB


class NoRangeError(Exception):
    """The lake does not give some bytes of a file, only all of them, which a tail has no place for."""


class Transfer(Protocol):
    """What a file is received for."""

    session: Session
    reference: str
    version: int
    progress: Progress

    def count(self, size: int) -> None:
        """Note that bytes have arrived."""


class Receiver:
    """A context manager, which has the part open. The part has the file's bytes from `origin` on.

    `position` is up to where the file's bytes are there, and hashed; `reused` is how many of them were in a file here.
    """

    def __init__(self, transfer: Transfer, entry: FileEntry, part: Path, origin: int = 0) -> None:
        self._transfer = transfer
        self._entry = entry
        self._path = part
        self._origin = origin
        self._hash = HashBehind(entry.size, part.name)
        self._file: FileIO
        self._part: PartFile
        self._opened = ExitStack()
        self.position = 0
        self.reused = 0

    def __enter__(self) -> Receiver:
        self._file = open(self._path, "r+b", buffering=0, opener=_create)
        self._opened.enter_context(self._file)
        self._opened.enter_context(self._hash)
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._opened.close()

    @property
    def is_right(self) -> bool:
        """Whether what is there is the content that the entry says."""
        return self._hash.hexdigest() == self._entry.digest.removeprefix("sha-256:")

    def begin(self, source: OldFile | None = None) -> None:
        """Hash what is there: in front of the part, in a file here that is left as it is, and in the part.

        What cannot be read in that file, `position` is in front of.
        """
        for piece in source.pieces(0, self._origin) if source else ():
            self._take_over(piece)
            self.reused += len(piece)
        length = self._entry.size - self._origin
        if os.fstat(self._file.fileno()).st_size > length:
            self._file.truncate(0)
        if self.position == self._origin:
            for piece in read_pieces(self._file, length):
                self._take_over(piece)
        self._part = self._opened.enter_context(closing(PartFile(self._file, length)))

    def copy(self, source: OldFile, stop: int) -> None:
        """Copy from a file here up to `stop`, or less if it ends before."""
        try:
            for piece in source.pieces(self.position, stop):
                if not source.clone(self._part, self.position, len(piece)):
                    self._part.write(piece)
                self._take_over(piece)
                self.reused += len(piece)
        finally:
            self._part.flush()

    def fetch_up_to(self, stop: int) -> None:
        """Ask until all is there. Only a new furthest position is progress: who ignores Range is not asked forever."""
        retry = self._transfer.session.retry()
        furthest = self.position
        while self.position < stop:
            try:
                self._receive(stop)
            except TransientError as error:
                if self.position > furthest:
                    furthest = self.position
                    retry.progress()
                retry.failed(error)

    def start_over(self) -> None:
        """Forget all that is there."""
        self._part.start_over()
        self._hash.reset()
        self._advance(-self.position)
        self.reused = 0

    def begins_as(self, pieces: Iterator[memoryview]) -> bool:
        """Whether the part begins with these bytes."""
        with open(self._path, "rb", buffering=0) as file:
            return all(file.read(len(piece)) == piece for piece in pieces)

    def _receive(self, stop: int) -> None:
        """Send one request and write what it brings."""
        transfer, entry, start = self._transfer, self._entry, self.position
        with content.open_file(transfer.session, transfer.reference, transfer.version, entry, start, stop) as reply:
            if not content.is_range(reply, entry, start, stop):
                self.start_over()
                if self._origin:
                    raise NoRangeError
                if reply.status != HTTPStatus.OK:
                    return
                stop = entry.size
            if reply.headers.get("Content-Length") not in (None, str(stop - self.position)):
                raise differs(entry)
            try:
                self._take(reply, stop)
            finally:
                self._part.flush()
        if self.position < stop:
            raise TransientError(f"The download of {entry.path} was cut short.")

    def _take(self, reply: Reply, stop: int) -> None:
        """Write what arrives; whatever breaks, what arrived before is written."""
        while data := reply.read(READ_SIZE):
            if self.position + len(data) > stop:
                raise differs(self._entry)
            self._part.write(data)
            self._hash.update(data)
            self._transfer.count(len(data))
            self._advance(len(data))

    def _take_over(self, piece: memoryview) -> None:
        self._transfer.session.check()
        self._hash.update(piece)
        self.position += len(piece)
        self._transfer.progress.reuse(self._entry.path, len(piece))

    def _advance(self, count: int) -> None:
        self.position += count
        self._transfer.progress.advance(self._entry.path, count)


def differs(entry: FileEntry) -> IntegrityError:
    """The error for a content that is not what the lake's manifest says."""
    return IntegrityError(
        f"What the lake sends for {entry.path} is not what its digest says.",
        "Pull again; if it stays so, tell who runs the lake: what it has stored is damaged.",
    )


def _create(path: str, flags: int) -> int:
    """Open a part that may be there or not; not to append, since ranges cannot be cloned to a file opened so."""
    return os.open(path, flags | os.O_CREAT, 0o666)
