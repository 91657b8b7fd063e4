"""Content codings of requests: zstd (RFC 8878, RFC 9659), gzip (RFC 1952) and deflate (RFC 1950), which agents use.

A body is decoded as a stream: whatever it claims, no more is decoded than is asked for, so that a few bytes that stand
for gigabytes cost nothing. One may be several frames of zstd, or members of gzip, one behind the other, up to FRAMES.
"""

from __future__ import annotations

import io
import zlib
from collections.abc import Callable
from typing import Protocol

from backports import zstd

from Products.ERP5Wendelin.errors import BadInput, TooLarge
from Products.ERP5Wendelin.protocol import CONTENT_ENCODINGS, KIB
from Products.ERP5Wendelin.views.body import Body
from Products.ERP5Wendelin.views.problem import UnsupportedMediaType

WINDOW_LOG_MAX = 23
"""8 MiB, the most that a content coding may ask a reader to keep (RFC 9659)."""
READ_SIZE = 64 * KIB

FRAMES = 100_000
"""The most frames, or members, of a body: one may hold nothing, and costs 12 µs all the same."""


class UnsupportedCoding(UnsupportedMediaType):
    """A body in a content coding that is not taken here."""


class Decoder(Protocol):
    """Decodes one frame; as `zstd.ZstdDecompressor`."""

    @property
    def eof(self) -> bool:
        """Whether the frame has ended."""

    @property
    def needs_input(self) -> bool:
        """Whether what it was given is decoded."""

    @property
    def unused_data(self) -> bytes:
        """What is behind the end of the frame."""

    def decompress(self, data: bytes, max_length: int) -> bytes:
        """Some bytes more, so many at most."""


def decoded(body: Body, coding: str | None) -> Body:
    """The body of a request as its Content-Encoding stands for; UnsupportedCoding (415) for one that is not known."""
    name = (coding or "identity").strip().lower()
    if name in ("identity", ""):
        return body
    begin = _DECODERS.get(name.removeprefix("x-"))  # RFC 9110: x-gzip is gzip
    if begin is None:
        raise UnsupportedCoding(f"Content-Encoding {name!r} is not known here. Send the body as it is, or in {_KNOWN}.")
    return Body(DecodedSource(body, name, begin), None)  # type: ignore[arg-type]


class DecodedSource:
    """What an encoded body stands for, to be read once, or again from its beginning.

    BadInput: it is malformed. TooLarge: it has more than FRAMES.
    """

    def __init__(self, encoded: Body, name: str, begin: Callable[[], Decoder]) -> None:
        self._encoded = encoded
        self._name = name
        self._begin_frame = begin
        self._start = encoded.tell()
        self._begin()

    def read(self, size: int) -> bytes:
        """`size` bytes; fewer only at the end."""
        parts: list[bytes] = []
        missing = size
        while missing and (part := self._some(missing)):
            parts.append(part)
            missing -= len(part)
        self._position += size - missing
        return b"".join(parts)

    def seek(self, offset: int, whence: int) -> int:
        """Go back to the beginning."""
        if whence != io.SEEK_CUR or self._position + offset:
            raise io.UnsupportedOperation("an encoded body is read from its beginning")
        self._encoded.seek(self._start)
        self._begin()
        return 0

    def _begin(self) -> None:
        self._frame: Decoder | None = None
        self._frames = 0
        self._position = 0
        self._input = b""

    def _some(self, size: int) -> bytes:
        """Up to `size` bytes; none at the end."""
        while True:
            frame = self._frame
            if frame is None or (frame.needs_input and not self._input):
                self._input = self._input or self._encoded.read(READ_SIZE)
                if not self._input:
                    if frame is not None:
                        raise BadInput(f"The body ends in the middle of its {self._name}.")
                    return b""
            frame = frame or self._next_frame()
            try:
                data = frame.decompress(self._input, size)
            except (zstd.ZstdError, zlib.error) as error:
                raise BadInput(f"The body is not {self._name}: {str(error).rstrip('.')}.") from error
            self._input = frame.unused_data if frame.eof else b""
            self._frame = None if frame.eof else frame
            if data:
                return data

    def _next_frame(self) -> Decoder:
        self._frames += 1
        if self._frames > FRAMES:
            raise TooLarge(f"The body consists of more than {FRAMES} pieces in {self._name}. Send it in fewer.")
        return self._begin_frame()


class ZlibDecoder:
    """zlib's decoder, with the methods of zstd's."""

    def __init__(self, wbits: int) -> None:
        self._frame = zlib.decompressobj(wbits)
        self.needs_input = True

    @property
    def eof(self) -> bool:
        """Whether the frame has ended."""
        return self._frame.eof

    @property
    def unused_data(self) -> bytes:
        """What is behind the end of the frame."""
        return self._frame.unused_data

    def decompress(self, data: bytes, max_length: int) -> bytes:
        """Some bytes more, so many at most."""
        found = self._frame.decompress(self._frame.unconsumed_tail + data, max_length)
        # as many as there may be: more of them may wait in the decoder, even where it has taken all of its input
        self.needs_input = len(found) < max_length
        return found


_DECODERS: dict[str, Callable[[], Decoder]] = {
    "zstd": lambda: zstd.ZstdDecompressor(options={zstd.DecompressionParameter.window_log_max: WINDOW_LOG_MAX}),
    "gzip": lambda: ZlibDecoder(16 + zlib.MAX_WBITS),
    "deflate": lambda: ZlibDecoder(zlib.MAX_WBITS),
}
_KNOWN = " or ".join((", ".join(CONTENT_ENCODINGS[:-1]), CONTENT_ENCODINGS[-1]))
