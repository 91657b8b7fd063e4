"""Archive: files and empty folders of a data set as one streamed tar (pax: exact times, any length of path and size).

Headers are written by hand, for a header by the standard library costs more than a small file's content. Entries are
looked up a batch at a time and content is read block by block, so an archive of any size takes a few blocks of memory
and holds no connection to the database while a reader is slow. Neighbours in a pack share its block: it is read once.

The size isn't known before, so it is an iterator and no file: the server sends it in chunks.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator, Sequence
from itertools import islice
from typing import Any, NamedTuple
from zlib import adler32

from ZODB import DB

from Products.ERP5Wendelin.content.entry import EXECUTABLE, FOLDER, REGULAR, SYMLINK
from Products.ERP5Wendelin.download.blocks import Blocks
from Products.ERP5Wendelin.download.body import Pieces
from Products.ERP5Wendelin.errors import NotFound
from Products.ERP5Wendelin.protocol import KIB
from Products.ERP5Wendelin.storage.transaction import separate_connection

BATCH = 1_000
"""Entries looked up at a time."""

BLOCKS = 8
"""Blocks kept in memory: neighbours in a folder may come from as many pushes without reading a block twice."""

PIECE_SIZE = 256 * KIB
"""About how many bytes are given out at a time: small files are put together."""

RECORD = 512
ZEROS = bytes(RECORD)
END = 2 * ZEROS

PERMISSIONS = {REGULAR: 0o644, EXECUTABLE: 0o755, SYMLINK: 0o777, FOLDER: 0o755}
KINDS = {REGULAR: b"0", EXECUTABLE: b"0", SYMLINK: b"2", FOLDER: b"5"}

NAME_SIZE = 100
SIZE_MAX = 8**11
"""What doesn't fit into a header's eleven octal digits."""


class File(NamedTuple):
    """An entry of the archive: what its header says, and where its content is (`oid` of its stream, empty for none)."""

    path: str
    oid: bytes
    offset: int
    size: int
    mtime_ns: int
    mode: str


def check_files(manifest: Any, paths: Sequence[str], version: int | None = None) -> None:
    """NotFound, naming it, if one of the paths is no file of the version."""
    for path in paths:
        if manifest.get(path, version) is None:
            raise NotFound(f"There is no file {path!r} in this version.", paths=[path])


class Archive(Pieces):
    """The files of a manifest's version whose paths begin with `prefix`, or those of `paths` in that order."""

    def __init__(
        self,
        database: DB,
        manifest_oid: bytes,
        version: int,
        *,
        prefix: str = "",
        paths: Sequence[str] | None = None,
    ) -> None:
        self._database = database
        self._manifest_oid = manifest_oid
        self._version = version
        self._prefix = prefix
        self._paths = paths
        self._blocks = Blocks(database, BLOCKS)
        super().__init__(self._blocks.clear)

    def _together(self) -> Generator[bytes, None, None]:
        """Pieces of about PIECE_SIZE."""
        pending: list[Any] = []
        size = 0
        for part in self._parts():
            pending.append(part)
            size += len(part)
            if size >= PIECE_SIZE:
                yield b"".join(pending)
                pending.clear()
                size = 0
        yield b"".join((*pending, END))

    def _parts(self) -> Iterator[Any]:
        for file in self._files():
            if file.mode == SYMLINK:
                target = b"".join(self._content(file))
                yield header(file._replace(size=0), target)
                continue
            yield header(file)
            yield from self._content(file)
            if file.size % RECORD:
                yield ZEROS[file.size % RECORD :]

    def _content(self, file: File) -> Iterator[memoryview]:
        position, stop = file.offset, file.offset + file.size
        while position < stop:
            piece = self._blocks.piece(file.oid, position, min(stop, position + PIECE_SIZE))
            position += len(piece)
            yield piece

    def _files(self) -> Iterator[File]:
        """The files, looked up a batch at a time on a connection that goes back before they are given out."""
        done = 0
        after = ""
        while True:
            with separate_connection(self._database) as connection:
                manifest = connection.get(self._manifest_oid)
                found: Iterable[tuple[str, Any]]
                if self._paths is None:
                    found = islice(manifest.items(self._prefix, after, self._version), BATCH)
                else:
                    found = ((path, manifest.get(path, self._version)) for path in self._paths[done : done + BATCH])
                batch = [_file(path, entry) for path, entry in found]
            if not batch:
                return
            yield from batch
            done += len(batch)
            after = batch[-1].path


def _file(path: str, entry: Any) -> File:
    oid = b"" if entry.stream is None else entry.stream._p_oid
    return File(path, oid, entry.offset, entry.size, entry.mtime_ns, entry.mode)


def header(file: File, target: bytes = b"") -> bytes:
    """The header of a file, after a pax header with what the plain one can't say: exact time, long or foreign names."""
    seconds, fraction = divmod(file.mtime_ns, 10**9)
    extended = b""
    if fraction or not 0 <= seconds < SIZE_MAX:
        extended += _keyword(b"mtime", _decimal(file.mtime_ns).encode())
    path = f"{file.path}/".encode() if file.mode == FOLDER else file.path.encode()
    if not _fits(path):
        extended += _keyword(b"path", path)
    if not _fits(target):
        extended += _keyword(b"linkpath", target)
    if file.size >= SIZE_MAX:
        extended += _keyword(b"size", b"%d" % file.size)
    plain = _record(
        path,
        PERMISSIONS[file.mode],
        file.size if file.size < SIZE_MAX else 0,
        seconds if 0 <= seconds < SIZE_MAX else 0,
        KINDS[file.mode],
        target,
    )
    if not extended:
        return plain
    return b"".join((_record(b"pax", 0o644, len(extended), 0, b"x"), extended, bytes(-len(extended) % RECORD), plain))


def _fits(name: bytes) -> bool:
    return name.isascii() and len(name) <= NAME_SIZE


def _keyword(name: bytes, value: bytes) -> bytes:
    """A pax keyword, as in `27 mtime=1700000000.1234567`: the number counts all, its own digits and the newline too."""
    rest = b" %b=%b\n" % (name, value)
    length = len(rest) + len(str(len(rest)))
    if len(str(length)) > len(str(len(rest))):
        length += 1
    return str(length).encode() + rest


def _decimal(nanoseconds: int) -> str:
    """Seconds, exactly."""
    sign = "-" if nanoseconds < 0 else ""
    seconds, fraction = divmod(abs(nanoseconds), 10**9)
    return f"{sign}{seconds}.{fraction:09}".rstrip("0") if fraction else f"{sign}{seconds}"


def _record(name: bytes, permissions: int, size: int, mtime: int, kind: bytes, target: bytes = b"") -> bytes:
    """A ustar header (POSIX.1-2017, pax); long names are cut, for a pax header has them whole."""
    start = b"".join(
        (
            name[:NAME_SIZE].ljust(NAME_SIZE, b"\0"),
            b"%07o\0%07o\0%07o\0%011o\0%011o\0" % (permissions, 0, 0, size, mtime),
        )
    )
    end = b"".join((kind, target[:NAME_SIZE].ljust(NAME_SIZE, b"\0"), b"ustar\x0000"))
    # The lower half of adler32 is the sum of the bytes, plus 1, and twenty times as fast as sum(). It is exact up to
    # 65,520: two names of 100 bytes come to 51,000, and the digits and the rest to less than 4,000.
    checksum = (adler32(end, adler32(start)) & 0xFFFF) - 1 + 8 * ord(" ")
    return b"".join((start, b"%06o\0 " % checksum, end)).ljust(RECORD, b"\0")
