"""Answers in zstd (RFC 8878, RFC 9659), where a sample shows a gain.

Such an answer has no length and holds a thread while its reader is slow; so only so many files are sent that way at the
same time, and for one more it is the plain bytes.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from itertools import chain
from threading import BoundedSemaphore
from typing import Any

from backports import zstd
from zope.interface import implementer
from ZPublisher.Iterators import IUnboundStreamIterator

from Products.ERP5Wendelin.download.reader import StreamReader
from Products.ERP5Wendelin.protocol import KIB, MIB
from Products.ERP5Wendelin.storage.block import BLOCK_SIZE
from Products.ERP5Wendelin.views.answer import Answer

ZSTD = "zstd"
LEVEL = 1
"""270 MB/s of text a core, and a tenth larger than level 3, which takes half as long again."""
LEAST = 4 * KIB
"""A smaller answer goes as it is."""
SAMPLES = 3
SAMPLE_SIZE = 16 * KIB
HUGE = 64 * MIB
"""From this size a file is sampled all over: to read two blocks of 2 MiB more is then a small part of the work."""
WORTH = 0.9
"""A sample that stays above this part of its size is not worth the work."""
VARY = {"Vary": "Accept-Encoding"}

FILES = BoundedSemaphore(8)
"""Files that are sent in zstd at the same time: half of a server's threads (`portal.instance.THREADS`)."""


def accepts_zstd(header: str | None) -> bool:
    """Whether a header Accept-Encoding names zstd, and not to refuse it (`zstd;q=0`)."""
    for item in "".join((header or "").split()).lower().split(","):
        name, _, weight = item.partition(";q=")
        if name == ZSTD:
            return weight.strip("0.") != "" or not weight
    return False


def shrinks(sample: bytes) -> bool:
    """Whether bytes become smaller by a tenth at least."""
    return len(zstd.compress(sample, LEVEL)) < WORTH * len(sample)


def encoded_stream(accept: str | None, source: Any, headers: Mapping[str, str]) -> Answer:
    """An answer of pieces, whose length is not known: in zstd if that is accepted and the first piece shrinks."""
    first = next(source, b"")
    if accepts_zstd(accept) and shrinks(first):
        return Answer(Pieces(source, first, True), headers={**headers, **VARY, "Content-Encoding": ZSTD})
    return Answer(Pieces(source, first, False), headers={**headers, **VARY})


def encoded_file(accept: str | None, reader: StreamReader, headers: Mapping[str, str]) -> Answer:
    """An answer of a file's bytes: in zstd if that is accepted, samples shrink, and not too many are sent so by now."""
    if accepts_zstd(accept) and len(reader) >= LEAST and FILES.acquire(blocking=False):
        body = Pieces(reader, b"", True, FILES)
        if shrinks(_sample(reader)):
            return Answer(body, headers={**headers, **VARY, "Content-Encoding": ZSTD})
        body.release()
    return Answer(reader, headers={**headers, **VARY, "Content-Length": str(len(reader))})


def encoded_document(accept: str | None, answer: Answer) -> Answer:
    """An answer of bytes, such as a page of a list, in zstd if that is accepted and it is long enough."""
    if not isinstance(answer.body, bytes) or len(answer.body) < LEAST or not accepts_zstd(accept):
        return answer
    headers = {**answer.headers, **VARY, "Content-Encoding": ZSTD}
    return Answer(zstd.compress(answer.body, LEVEL), answer.status, headers)


def _sample(reader: StreamReader) -> bytes:
    """Some bytes of the beginning, the middle and the end; of all but huge files, of those of their first block.

    The beginning comes last: its block is then in memory for the answer.
    """
    span = len(reader) if len(reader) >= HUGE else min(len(reader), BLOCK_SIZE)
    parts = []
    for number in reversed(range(SAMPLES)):
        reader.seek((span - SAMPLE_SIZE) * number // (SAMPLES - 1))
        parts.append(reader.read(SAMPLE_SIZE))
    reader.seek(0)
    return b"".join(parts)


@implementer(IUnboundStreamIterator)
class Pieces:
    """`first` and what follows it in a source of pieces, as it is or in zstd; `taken` is given back at the end."""

    def __init__(self, source: Any, first: bytes, encode: bool, taken: BoundedSemaphore | None = None) -> None:
        self._source = source
        self._taken = taken
        pieces = chain((first,), source)
        self._pieces = _compressed(pieces) if encode else pieces

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        return next(self._pieces)

    def close(self) -> None:
        """End it, at whatever place."""
        self.release()
        self._source.close()

    def __del__(self) -> None:  # an answer that the publisher drops, since it begins anew
        self.release()

    def release(self) -> None:
        """Give back what was taken, once."""
        taken, self._taken = self._taken, None
        if taken is not None:
            taken.release()


def _compressed(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """Pieces in one frame; those that only fill its buffer give none."""
    compressor = zstd.ZstdCompressor(LEVEL)
    for piece in pieces:
        if data := compressor.compress(piece):
            yield data
    yield compressor.flush()
