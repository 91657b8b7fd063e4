"""Records of MessagePack in a stream of bytes, each with the offset where it ends.

An agent appends records one after the other, and a reader comes at any moment: the last record may be cut off where the
bytes end for now. It is no error, and read next time from where the last whole one ended. Bytes that are no MessagePack
are one, with the offset where what can't be read begins, so that all before it can be read.

What agents send is decoded leniently: a string that is not UTF-8 keeps its bytes as surrogates, and a map may have any
keys. Memory holds a piece of the stream and one record, of RECORD_SIZE at the most.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import msgpack

from Products.ERP5Wendelin.errors import BadInput, TooLarge
from Products.ERP5Wendelin.protocol import MIB, SLICE_SIZE

RECORD_SIZE = SLICE_SIZE
"""Bytes of the longest record: what one transaction may have written."""

PIECE = MIB
"""Bytes given to the decoder at a time: it keeps what it is given, beside the record that these continue."""


def records(chunks: Iterable[bytes], start: int, name: str) -> Iterator[tuple[Any, int]]:
    """Each record of bytes that begin at offset `start`, and the offset where it ends; `name`: whose bytes.

    BadInput where they are no MessagePack, TooLarge for a record of more than RECORD_SIZE; both have `offset`, where
    that record begins.
    """
    unpacker = msgpack.Unpacker(
        max_buffer_size=RECORD_SIZE + PIECE, strict_map_key=False, unicode_errors="surrogateescape"
    )
    end = start
    fed = start
    for piece in _pieces(chunks):
        unpacker.feed(piece)
        fed += len(piece)
        while True:
            try:
                record = unpacker.unpack()
            except msgpack.OutOfData:
                break
            except (ValueError, TypeError, msgpack.UnpackException) as error:
                raise BadInput(
                    f"What begins at byte {end} of {name} is not MessagePack: {reason_of(error)}. "
                    "What is before it can be read by itself.",
                    offset=end,
                ) from error
            end = start + unpacker.tell()
            yield record, end
        if fed - end > RECORD_SIZE:
            raise TooLarge(
                f"The record that begins at byte {end} of {name} is longer than {RECORD_SIZE // MIB} MiB: "
                "read it as bytes.",
                offset=end,
            )


def unpacked(data: bytes, use_list: bool = True) -> Iterator[Any]:
    """Each record of bytes that are in memory. BadInput where they are no MessagePack, or end within a record."""
    unpacker = msgpack.Unpacker(strict_map_key=False, unicode_errors="surrogateescape", use_list=use_list)
    unpacker.feed(data)
    end = 0
    try:
        for record in unpacker:
            end = unpacker.tell()
            yield record
    except (ValueError, TypeError, msgpack.UnpackException) as error:
        raise BadInput(f"What begins at byte {end} is not MessagePack: {reason_of(error)}.", offset=end) from error
    if end < len(data):
        raise BadInput(f"The record of MessagePack that begins at byte {end} is cut off.", offset=end)


def reason_of(error: Exception) -> str:
    """Why bytes are no MessagePack, in words."""
    if isinstance(error, msgpack.StackError):
        return "it is nested too deeply"
    return str(error) or "no value begins like that"  # FormatError has no words


def _pieces(chunks: Iterable[bytes]) -> Iterator[bytes]:
    for chunk in chunks:
        for offset in range(0, len(chunk), PIECE):
            yield chunk[offset : offset + PIECE]
