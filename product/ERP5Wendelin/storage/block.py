"""Blocks of a wendelin.core ZBigFile, read and written directly.

`zfile.blktab` maps block numbers to ZBlk objects, 2 MiB each; what is missing, and what a block lacks at its end, is
zeros. A ZBlk0 is one record: it reads fastest. A ZBlk1 is a BTree from offset to chunks, one record each: it is cheap
to add to. wendelin.core writes chunks of 4 KiB and reads, as its version 2 does, those of any length at any offset that
don't overlap: what is appended is one chunk here, or a part of the last one. Mapped views of the same file show what is
written here once it is committed, and must not be opened on it before: they would take the bytes out of the uncommitted
blocks.

wendelin.core's `loadblk` and `storeblk` serve its mappings and are not called here. What they leave to their callers: a
block that is live and not bound to its file fails an assertion when another connection changes it, `loadblkdata` takes
the bytes out of a ZBlk0 that is yet to be committed and reads a ZBlk1 to its end, and which kind of block is written is
one setting of the process.

A ZBlk0 may be in the `blktab` of several files, at the same place, once nobody writes to it any more. Each of them may
be mapped, all in one connection too: wendelin.core binds a ZBlk0 to the file that loaded it last, and a block that
never changes has nothing to tell the others. (It would not go with a ZBlk1, whose second binding fails an assertion.)
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress

import numpy
from BTrees.IOBTree import IOBTree
from BTrees.LOBTree import LOBTree
from persistent import GHOST
from transaction import Transaction, manager
from wendelin.bigfile.file_zodb import ZBigFile, ZBlk0, ZBlk1, ZBlkBase, ZData
from ZODB.utils import z64

from ..protocol import MIB
from .record_file import before_of, record_file_of

Buffer = bytes | bytearray | memoryview

BLOCK_SIZE = 2 * MIB
"""Bytes of a block: the page size of wendelin.core's mappings."""

CHUNK_SIZE = ZBlk1.CHUNKSIZE
"""Bytes of a chunk (4 KiB) of what may be written anywhere; of what is appended to, the least but for the last one.

So a block has 512 chunks at the most, and 100 bytes that are appended rewrite 2 KiB on average, besides the 0.9 KiB
that each commit writes.
"""

FEW_CHUNKS = 32
"""A block of fewer chunks, of 64 KiB on average, may stay in chunks: it takes a millisecond more to read it all."""

COPIED_BLOCKS = 16
"""The most blocks that one call of `share` copies: 32 MiB of a transaction."""

COMPARED_BLOCKS = 10_000
"""How many object ids are compared between two collections of the object cache."""

_ZEROS = memoryview(bytes(BLOCK_SIZE))


def read(blktab: LOBTree, start: int, stop: int) -> Iterator[Buffer]:
    """The bytes of a file from `start` up to `stop`, in pieces of at most a block that no caller may change."""
    while start < stop:
        number, offset = divmod(start, BLOCK_SIZE)
        end = min(offset + stop - start, BLOCK_SIZE)
        zblk = blktab.get(number)
        data: Buffer = b"" if zblk is None else _from_file(zblk, offset, end) or load(zblk, offset, end)
        if data:
            yield data
        missing = end - offset - len(data)
        if missing:
            yield _ZEROS[:missing]
        start += end - offset


def _from_file(zblk: ZBlkBase, start: int, stop: int) -> Buffer | None:
    """The bytes of a block that this connection has not changed, straight out of the file; None where that can't be."""
    records = None if zblk._p_jar is None else record_file_of(zblk._p_jar)
    if records is None or not _is_stored(zblk, before_of(zblk._p_jar)):
        return None
    data = numpy.empty(stop - start, numpy.uint8)
    return data.data if records.read_into(zblk._p_oid, before_of(zblk._p_jar), start, data) else None


def _is_stored(zblk: ZBlkBase, before: bytes) -> bool:
    """Whether a block is a record that was stored before a transaction, and was not changed since."""
    is_ghost = zblk._p_state == GHOST
    return isinstance(zblk, ZBlk0) and (is_ghost or (zblk._p_serial < before and not _is_uncommitted(zblk)))


def read_into(blktab: LOBTree, start: int, target: numpy.ndarray) -> None:
    """Fill `target`, one axis of bytes, with those of a file from `start` on.

    Of a FileStorage, blocks that this connection has not changed come straight out of the file (`storage.record_file`).
    """
    connection = blktab._p_jar
    records = None if connection is None else record_file_of(connection)
    before = b"" if records is None else before_of(connection)
    done = 0
    while done < len(target):
        number, offset = divmod(start + done, BLOCK_SIZE)
        part = target[done : done + BLOCK_SIZE - offset]
        done += len(part)
        zblk = blktab.get(number)
        if zblk is None:
            part[:] = 0
            continue
        if records is not None and _is_stored(zblk, before) and records.read_into(zblk._p_oid, before, offset, part):
            continue
        data = load(zblk, offset, offset + len(part))
        part[: len(data)] = numpy.frombuffer(data, numpy.uint8)
        part[len(data) :] = 0


def will_need(blktab: LOBTree, start: int, stop: int) -> None:
    """Let the operating system begin to read the blocks of a range, where they are in a file of this machine."""
    connection = blktab._p_jar
    records = None if connection is None else record_file_of(connection)
    if records is not None:
        for number in range(start // BLOCK_SIZE, -(-stop // BLOCK_SIZE)):
            zblk = blktab.get(number)
            if zblk is not None and zblk._p_oid is not None:
                records.will_need(zblk._p_oid)


def write(zfile: ZBigFile, start: int, data: Buffer) -> None:
    """Put bytes at `start`, over what is there, in the current transaction.

    A block that is written to its end becomes a ZBlk0, any other a ZBlk1 of chunks of CHUNK_SIZE. Not for a file that
    is appended to.
    """
    for number, offset, piece in _pieces(zfile, start, data):
        if offset + len(piece) == BLOCK_SIZE:
            _write_whole(zfile, number, offset, piece)
        else:
            _write_part(zfile, number, offset, piece)


def append(zfile: ZBigFile, size: int, data: Buffer, *, compact: bool = False, keep_chunks: bool = False) -> None:
    """Put bytes behind the `size` that a file has, in the current transaction.

    A block that becomes full is written as a ZBlk0, any other as a ZBlk1, or with `compact` as a ZBlk0 too. With
    `keep_chunks` one that few chunks fill stays what it is, for its bytes would be written, and read, once more.
    """
    for number, offset, piece in _pieces(zfile, size, data):
        is_full = offset + len(piece) == BLOCK_SIZE
        if compact or (is_full and not (keep_chunks and _has_few_chunks(zfile.blktab.get(number)))):
            _write_whole(zfile, number, offset, piece)
        else:
            _append_part(zfile, number, offset, piece)


def _pieces(zfile: ZBigFile, start: int, data: Buffer) -> Iterator[tuple[int, int, Buffer]]:
    """Each block that bytes at `start` are in: its number, the offset in it, and the bytes, copied nowhere."""
    view = memoryview(data)
    _refresh_mappings(zfile, start, start + len(view))
    done = 0
    while done < len(view):
        number, offset = divmod(start + done, BLOCK_SIZE)
        piece = view[done : done + BLOCK_SIZE - offset]
        yield number, offset, data if len(piece) == len(data) and isinstance(data, bytes) else piece
        done += len(piece)


def write_compact(zfile: ZBigFile, number: int) -> None:
    """Rewrite a block as a ZBlk0, if it isn't one."""
    zblk = zfile.blktab.get(number)
    if zblk is not None and not isinstance(zblk, ZBlk0):
        _store(zfile, number, load(zblk))


def share(zfile: ZBigFile, source: LOBTree, first: int, stop: int) -> int:
    """Let the blocks from `first` up to `stop` be those of another file's `blktab`; return where that ended.

    The objects themselves, which are not read, and which nobody may write to again. A ZBlk1 is copied, as a ZBlk0; with
    more of them than COPIED_BLOCKS it ends early. What the source lacks this file must lack.
    """
    _refresh_mappings(zfile, first * BLOCK_SIZE, stop * BLOCK_SIZE)
    copied = 0
    for number, zblk in source.items(first, stop, excludemax=True):
        if isinstance(zblk, ZBlk0):
            zfile.blktab[number] = zblk
        elif copied == COPIED_BLOCKS:
            return int(number)
        else:
            _store(zfile, number, load(zblk))
            copied += 1
    return stop


def unshared(blktab: LOBTree, other: LOBTree, stop: int) -> Iterator[int]:
    """The numbers below `stop` of the blocks that two committed files do not share. No block is read."""
    for first in range(0, stop, COMPARED_BLOCKS):
        end = min(first + COMPARED_BLOCKS, stop)
        mine, theirs = _object_ids(blktab, first, end), _object_ids(other, first, end)
        yield from (number for number in range(first, end) if mine.get(number) != theirs.get(number))
        # Of a file of 300 GB there are 150,000 blocks, whose ghosts are let go of as the buckets are.
        blktab._p_jar.cacheGC()


def _object_ids(blktab: LOBTree, first: int, stop: int) -> dict[int, bytes]:
    return {number: zblk._p_oid for number, zblk in blktab.items(first, stop, excludemax=True)}


def truncate(zfile: ZBigFile, size: int) -> None:
    """Drop all bytes from `size` on, so that they are zeros when the file grows again."""
    number, offset = divmod(size, BLOCK_SIZE)
    if offset:
        _refresh_mappings(zfile, size, size + 1)
        zblk = zfile.blktab.get(number)
        if zblk is not None:
            _store(zfile, number, bytes(memoryview(load(zblk))[:offset]))
            number += 1
    if zfile.blktab:
        drop(zfile, number, zfile.blktab.maxKey() + 1)


def drop(zfile: ZBigFile, first: int, stop: int) -> None:
    """Forget the blocks from `first` up to `stop`: a mapping of the file shows zeros there."""
    _refresh_mappings(zfile, first * BLOCK_SIZE, stop * BLOCK_SIZE)
    for number in list(zfile.blktab.keys(first, stop, excludemax=True)):
        del zfile.blktab[number]


def load(zblk: ZBlkBase, start: int = 0, stop: int = BLOCK_SIZE) -> Buffer:
    """The bytes of a block from `start` up to `stop`; zeros at their end may be missing.

    The block's own memory is given back at once.
    """
    is_ghost = zblk._p_state == GHOST
    zfile, number = (None, None) if is_ghost else (zblk._v_zfile, zblk._v_blk)
    data = _load_chunks(zblk, start, stop) if isinstance(zblk, ZBlk1) else _load_whole(zblk, start, stop)
    if zfile is None:
        zblk._p_deactivate()
    else:
        # A mapped view in this connection may show the block, and must hear of it when others change it.
        zblk._v_zfile, zblk._v_blk = zfile, number
    return data


def _load_whole(zblk: ZBlk0, start: int, stop: int) -> Buffer:
    is_kept = zblk._p_state != GHOST and zblk._v_blkdata is not None and _is_uncommitted(zblk)
    data: Buffer = zblk._v_blkdata if is_kept else zblk.loadblkdata()
    return memoryview(data)[start:stop] if start or stop < len(data) else data


def _load_chunks(zblk: ZBlk1, start: int, stop: int) -> Buffer:
    """As `_load`; no other chunks are read than those that have some of the bytes."""
    chunktab = zblk.chunktab
    parts: list[Buffer] = []
    position = start
    for key, chunk in chunktab.items(_last_key(chunktab, start), stop, excludemax=True):
        part = memoryview(chunk.data)[max(start - key, 0) : stop - key]
        chunk._p_deactivate()
        if part:
            begin = max(start, key)
            parts += (_ZEROS[: begin - position], part)
            position = begin + len(part)
    return b"".join(parts)


def _last_key(chunktab: IOBTree, offset: int) -> int:
    """Where the last chunk begins that does not begin behind an offset; the offset, if there is none."""
    try:
        return int(chunktab.maxKey(offset))
    except ValueError:
        return offset


def _is_uncommitted(zblk: ZBlkBase) -> bool:
    return zblk._p_jar is None or zblk._p_serial == z64 or bool(zblk._p_changed)


def _write_whole(zfile: ZBigFile, number: int, offset: int, piece: Buffer) -> None:
    """Write a block from `offset` on, keeping what it has before and, if it has more, after."""
    zblk = zfile.blktab.get(number)
    if offset == 0 and (zblk is None or len(piece) == BLOCK_SIZE):
        _store(zfile, number, piece)
        return
    old = memoryview(b"" if zblk is None else load(zblk))
    missing = _ZEROS[: max(offset - len(old), 0)]
    _store(zfile, number, b"".join((old[:offset], missing, piece, old[offset + len(piece) :])))


def _store(zfile: ZBigFile, number: int, data: Buffer) -> None:
    """Make `data` the whole of a block, as a ZBlk0.

    An existing ZBlk0 is kept, for its object id is what tells mapped views of other connections about the change.
    """
    zblk = zfile.blktab.get(number)
    if isinstance(zblk, ZBlk0):
        zblk.setblkdata(data)
        zblk._p_changed = True
    else:
        old, zblk = zblk, ZBlk0()
        zblk.setblkdata(data)
        zfile.blktab[number] = zblk
        retire(old, zfile, number)
    _bind(zblk, zfile, number)


def retire(zblk: ZBlkBase | None, zfile: ZBigFile, number: int) -> None:
    """Let whoever changes a block meet the commit of this transaction, which has put another one in its place.

    They write to the block that was, and this one to the `blktab`: without this no record would be written by both, and
    what they have written would be in no file. The block is stored once more: a ZBlk0 without its bytes, a ZBlk1 as it
    is, which is some hundred bytes. Not for one that several files may share.
    """
    if zblk is None or zblk._p_jar is None:
        return
    zblk._p_activate()  # a ghost does not know its serial, nor that it is changed
    if zblk._p_serial == z64:
        return  # it is new: nobody else has it
    if isinstance(zblk, ZBlk0):
        zblk.setblkdata(b"")
    zblk._p_changed = True
    _bind(zblk, zfile, number)


def _has_few_chunks(zblk: ZBlkBase | None) -> bool:
    return isinstance(zblk, ZBlk1) and len(zblk.chunktab) < FEW_CHUNKS


def _append_part(zfile: ZBigFile, number: int, offset: int, piece: Buffer) -> None:
    """Write behind the bytes that a block has, as a ZBlk1: a new chunk, or more of the last if that is short."""
    zblk = zfile.blktab.get(number)
    if not isinstance(zblk, ZBlk1):
        new = ZBlk1()
        if zblk is not None:
            _append_chunk(zfile, new.chunktab, 0, load(zblk))
        zblk = zfile.blktab[number] = new
    _append_chunk(zfile, zblk.chunktab, offset, piece)
    _changed(zblk, zfile, number)


def _append_chunk(zfile: ZBigFile, chunktab: IOBTree, offset: int, piece: Buffer) -> None:
    """Put bytes behind all that a block's chunks have. No chunk is all zeros, nor ends in zeros."""
    key = _last_key(chunktab, offset)
    if key < offset < key + CHUNK_SIZE:
        chunk = chunktab[key]
        data = b"".join((chunk.data, bytes(offset - key - len(chunk.data)), piece)).rstrip(b"\0")
        if data != chunk.data:
            chunk.data = data
    elif data := bytes(piece).rstrip(b"\0"):
        chunk = chunktab[offset] = ZData(data)
        transaction_of(zfile).addAfterCommitHook(_let_go, (chunk,))


def _let_go(_: bool, chunk: ZData) -> None:
    """Free the bytes of a chunk that was new, and is stored.

    wendelin.core makes a chunk a ghost when it is pickled. One that is not in the connection's cache yet keeps its
    bytes then, for as long as its block refers to it, and the cache does not count them.
    """
    if chunk._p_state == GHOST:
        with suppress(AttributeError):  # it has none
            ZData.data.__delete__(chunk)  # not `del`, which would load them


def transaction_of(zfile: ZBigFile) -> Transaction:
    """The current transaction of its connection; of a file that is in none yet, of the thread."""
    jar = zfile._p_jar
    return (manager if jar is None else jar.transaction_manager).get()


def _write_part(zfile: ZBigFile, number: int, offset: int, piece: Buffer) -> None:
    """Write into a block as a ZBlk1, touching only the chunks that change."""
    zblk = zfile.blktab.get(number)
    if not isinstance(zblk, ZBlk1):
        new = ZBlk1()
        if zblk is not None:
            new.setblkdata(load(zblk))
            retire(zblk, zfile, number)
        zblk = zfile.blktab[number] = new
    chunktab = zblk.chunktab
    done = 0
    while done < len(piece):
        first, within = divmod(offset + done, CHUNK_SIZE)
        part = memoryview(piece)[done : done + CHUNK_SIZE - within]
        _write_chunk(chunktab, first * CHUNK_SIZE, within, part)
        done += len(part)
    _changed(zblk, zfile, number)


def _write_chunk(chunktab: IOBTree, key: int, within: int, part: memoryview) -> None:
    chunk = chunktab.get(key)
    old = b"" if chunk is None else chunk.data
    head, tail = old[:within], old[within + len(part) :]
    data = b"".join((head, bytes(within - len(head)), part, tail)).rstrip(b"\0")
    if not data:
        # wendelin.core stores no chunk that is all zeros, and its reader relies on the last one not to be.
        if chunk is not None:
            del chunktab[key]
    elif chunk is None:
        chunktab[key] = ZData(data)
    elif data != old:
        chunk.data = data


def _changed(zblk: ZBlk1, zfile: ZBigFile, number: int) -> None:
    """Note that a chunk of a block changed: the block's own record is what tells mapped views of other connections."""
    zblk._p_changed = True
    _bind(zblk, zfile, number)


def _refresh_mappings(zfile: ZBigFile, start: int, stop: int) -> None:
    """When the transaction ends, let mapped views that are open in this connection load the blocks of a range anew.

    Views in other connections hear of it by ZODB's invalidations.
    """
    if not len(zfile._v_filehset):
        return

    def refresh(*_: object) -> None:
        for number in range(start // BLOCK_SIZE, -(-stop // BLOCK_SIZE)):
            zfile.invalidateblk(number)

    transaction = transaction_of(zfile)
    transaction.addAfterCommitHook(refresh)
    transaction.addAfterAbortHook(refresh)


def _bind(zblk: ZBlkBase, zfile: ZBigFile, number: int) -> None:
    """Tell a live block whose it is: its invalidation fails without."""
    if zblk._v_zfile is None:
        zblk.bindzfile(zfile, number)
