"""zstd on the wire (RFC 8878, RFC 9659): bodies are encoded where that saves at least a tenth, and decoded in bounds.

A sample is compressed first. Random bytes cost 40 µs of it a bundle or chunk, text becomes three to eight times
smaller at 270 MB/s a core; level 3 would make it a tenth smaller, and take half as long again.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import chain
from typing import Literal

from ebulk.protocol import KIB

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

Compress = Literal["auto", "always", "never"]
ZSTD = "zstd"
LEVEL = 1
WINDOW_LOG_MAX = 23
"""8 MiB, the most that a content coding may ask a reader to keep (RFC 9659)."""
LEAST = 4 * KIB
"""What is smaller travels as it is."""
SAMPLES = 3
SAMPLE_SIZE = 16 * KIB
WORTH = 0.9
"""A sample that stays above this part of its size is not worth the work."""
READ_SIZE = 64 * KIB


class DamagedError(Exception):
    """What was received is no zstd, or ends in the middle of it."""


class Codings:
    """Whether a lake takes bodies in zstd: it says so in its answers (RFC 7694), until it refuses one."""

    def __init__(self, compress: Compress = "auto") -> None:
        self.compress = compress
        self._told = threading.Event()
        self._refused = compress == "never"

    def learn(self, headers: Mapping[str, str]) -> None:
        """Take note of what an answer says."""
        if not self._told.is_set() and ZSTD in _names(headers.get("Accept-Encoding", "")):
            self._told.set()

    def refuse(self) -> None:
        """Send and ask for no zstd any more: somebody in between does not let it through."""
        self._refused = True

    @property
    def zstd(self) -> bool:
        """Whether zstd may be sent and asked for."""
        return self._told.is_set() and not self._refused

    @property
    def accept(self) -> str:
        """The header Accept-Encoding of a request whose answer may be encoded."""
        return "identity" if self._refused else ZSTD

    def encoded(self, blocks: Iterable[memoryview], length: int) -> tuple[Iterator[memoryview], bool]:
        """The blocks of a body of `length` bytes as they are to be sent, and whether that is in zstd.

        A block is not looked at again once the next is asked for: it may be a buffer that is used over again.
        """
        blocks = iter(blocks)
        if not self.zstd or length < LEAST:
            return blocks, False
        first = next(blocks)
        blocks = chain((first,), blocks)
        if self.compress == "always" or shrinks(first):
            return _compressed(blocks, length), True
        return blocks, False


def shrinks(data: memoryview) -> bool:
    """Whether bytes seem worth to be compressed, by samples of them."""
    step = max(SAMPLE_SIZE, (len(data) - SAMPLE_SIZE) // max(1, SAMPLES - 1))
    sample = b"".join(data[start : start + SAMPLE_SIZE] for start in range(0, len(data), step)[:SAMPLES])
    return len(zstd.compress(sample, LEVEL)) < WORTH * len(sample)


def _compressed(blocks: Iterable[memoryview], length: int) -> Iterator[memoryview]:
    """One frame that says how long its content is. All of a block is out before the next is asked for."""
    compressor = zstd.ZstdCompressor(LEVEL)
    compressor.set_pledged_input_size(length)
    for block in blocks:
        yield memoryview(compressor.compress(block, compressor.FLUSH_BLOCK))
    yield memoryview(compressor.flush())


def is_encoded(headers: Mapping[str, str]) -> bool:
    """Whether an answer's body is in zstd."""
    return _names(headers.get("Content-Encoding", "")) == [ZSTD]


class Decoder:
    """Reads zstd from `read`, which gives up to so many bytes, and none at the end."""

    def __init__(self, read: Callable[[int], bytes]) -> None:
        self._read = read
        self._frame: zstd.ZstdDecompressor | None = None
        self._input = b""

    def read(self, size: int) -> bytes:
        """Up to `size` decoded bytes; none at the end. DamagedError when it is not zstd to its end."""
        while True:
            frame = self._frame
            if frame is None or (frame.needs_input and not self._input):
                self._input = self._input or self._read(READ_SIZE)
                if not self._input:
                    if frame is None:
                        return b""
                    raise DamagedError("it ends too early")
            frame = frame or zstd.ZstdDecompressor(options={zstd.DecompressionParameter.window_log_max: WINDOW_LOG_MAX})
            try:
                data = frame.decompress(self._input, size)
            except zstd.ZstdError as error:
                raise DamagedError("it is no zstd") from error
            self._input = frame.unused_data if frame.eof else b""
            self._frame = None if frame.eof else frame
            if data:
                return data


def _names(header: str) -> list[str]:
    """The codings of a list such as `gzip, zstd;q=0.5`."""
    return [name for item in header.split(",") if (name := item.partition(";")[0].strip().lower())]
