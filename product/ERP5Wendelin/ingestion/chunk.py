"""Chunk: what a request brings to an ingestion policy, as a stream: the raw body, or the field `data_chunk` of a form.

The original ebulk sends its bytes in base64, as a field of a form: 70 MB for 50. Nothing here holds more than a few MB
of them. A chunk can be read more than once, each time from its beginning.

In base64 a `+` is a digit, and in a form it is a space; there are no spaces in base64, so both stand for the digit.
Line ends are skipped, and padding may be missing.
"""

from __future__ import annotations

import binascii
from collections.abc import Callable, Iterable, Iterator
from hashlib import sha256
from tempfile import SpooledTemporaryFile
from typing import Protocol
from urllib.parse import unquote_to_bytes

from Products.ERP5Wendelin.errors import BadInput, TooLarge
from Products.ERP5Wendelin.ingestion.multipart import multipart_field
from Products.ERP5Wendelin.protocol import KIB, MIB

FORM = "application/x-www-form-urlencoded"
MULTIPART = "multipart/form-data"

READ_SIZE = MIB

IN_MEMORY = 2 * MIB
"""The largest content that is read without a thought of memory; what is decoded and larger goes to a file of
DIR/var/tmp."""

FIELD = "data_chunk"

NAME_SIZE = KIB
"""The longest name of a field, in bytes."""

_ALPHABET = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
_SPACE_TO_PLUS = bytes.maketrans(b" ", b"+")
_LINE_ENDS = b"\r\n\t"
_COMMON = tuple((f"%{byte:{form}}".encode(), bytes([byte])) for byte in b"+/=\r\n" for form in ("02X", "02x"))
"""Escapes that base64 is full of: replaced one by one, they cost a tenth of what decoding any escape does."""

_PADDING_MAX = 2


class Source(Protocol):
    """The body of a request."""

    def read(self, size: int, /) -> bytes:
        """Up to `size` bytes; none at the end."""

    def tell(self) -> int:
        """How many bytes of it were read."""

    def seek(self, position: int, /) -> int:
        """Go to a place."""


class Chunk:
    """The bytes of a request; `source` is its body, which can be sought, `media_type` what Content-Type says."""

    def __init__(self, source: Source, media_type: str = "", boundary: str = "") -> None:
        self._source = source
        self._media_type = media_type
        self._boundary = boundary

    def pieces(self) -> Iterator[bytes]:
        """The bytes as they were sent, out of the form if there is one, in pieces of at most a few MiB."""
        self._rewind()
        if self._media_type == FORM:
            return unquoted(form_field(self._source, FIELD))
        if self._media_type == MULTIPART:
            return multipart_field(self._source, self._boundary, FIELD)
        return iter(lambda: self._source.read(READ_SIZE), b"")

    def read(self, limit: int, when_large: Callable[[], object] = lambda: None) -> bytes:
        """All of them, in memory. TooLarge above a number of bytes.

        `when_large` is called, once, before more than IN_MEMORY are read: to wait until there is memory for them.
        """
        parts: list[bytes] = []
        size = 0
        for piece in self.pieces():
            if size <= IN_MEMORY < size + len(piece):
                when_large()
            size += len(piece)
            if size > limit:
                raise TooLarge(f"What is sent at once may have at most {limit // MIB} MiB. Send less at a time.")
            parts.append(piece)
        return b"".join(parts)

    def decoded(self) -> Decoded:
        """The bytes that the field stands for in base64, all of them decoded: what is malformed is met before anything
        is stored. BadInput: no form, no such field, no base64. To be closed.
        """
        self._rewind()
        if self._media_type == FORM:
            return Decoded(base64_decoded(base64_text(form_field(self._source, FIELD))))
        if self._media_type == MULTIPART:
            return Decoded(base64_decoded(multipart_field(self._source, self._boundary, FIELD)))
        raise BadInput(f"The body must be a form ({FORM}) with the field {FIELD}, in base64.")

    def _rewind(self) -> None:
        # a body that comes in a content coding can be read, and not sought
        if self._source.tell():
            self._source.seek(0)


class Decoded:
    """Bytes in a temporary file, which is in memory while it is small, with their size and sha-256."""

    def __init__(self, pieces: Iterator[bytes]) -> None:
        self.size = 0
        digest = sha256()
        self.file = SpooledTemporaryFile(IN_MEMORY)  # noqa: SIM115
        try:
            for piece in pieces:
                digest.update(piece)
                self.file.write(piece)
                self.size += len(piece)
            self.file.seek(0)
        except BaseException:
            self.file.close()
            raise
        self.sha256 = digest.digest()

    def __enter__(self) -> Decoded:
        return self

    def __exit__(self, *exception: object) -> None:
        self.file.close()


def form_field(source: Source, name: str) -> Iterator[bytes]:
    """The value of a field of a form as it is in the body, encoded. BadInput: the form has no such field."""
    wanted = name.encode()
    field: bytes | None = None
    begun = b""
    while data := source.read(READ_SIZE):
        start = 0
        while start < len(data):
            end = data.find(b"&", start)
            stop = len(data) if end < 0 else end
            if field is None:
                equals = data.find(b"=", start, min(stop, start + NAME_SIZE))
                begun += data[start : stop if equals < 0 else equals][: NAME_SIZE + 1]
                if equals >= 0:
                    field = unquote_to_bytes(begun)
                    start = equals + 1
                elif len(begun) > NAME_SIZE:
                    raise BadInput(f"The form has a field whose name is longer than {NAME_SIZE} bytes.")
                else:
                    start = stop
            if field is not None:
                if field == wanted and start < stop:
                    yield data[start:stop]
                start = stop
            if end >= 0 and start == stop:
                if field == wanted:
                    return
                field, begun = None, b""
                start = end + 1
    if field != wanted:
        raise BadInput(f"The form has no field {name}. What is no form goes with another Content-Type.")


def unquoted(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """A form's value, decoded: `+` is a space, `%41` a byte."""
    return (unquote_to_bytes(piece.replace(b"+", b" ")) for piece in _whole_escapes(pieces))


def base64_text(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """A form's value that is base64, decoded as far as it is certain: `+` stays."""
    for piece in _whole_escapes(pieces):
        text = piece
        if b"%" in text:
            for escape, byte in _COMMON:
                text = text.replace(escape, byte)
            if b"%" in text:
                text = unquote_to_bytes(text)
        yield text


def _whole_escapes(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """The same bytes, without an escape `%41` that is in two pieces."""
    rest = b""
    for piece in pieces:
        text = rest + piece if rest else piece
        cut = text.rfind(b"%", max(0, len(text) - 2))
        text, rest = (text, b"") if cut < 0 else (text[:cut], text[cut:])
        if text:
            yield text
    if rest:
        yield rest


def base64_decoded(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """The bytes that a text in base64 stands for. BadInput says which character is wrong."""
    rest = b""
    position = padding = 0
    for piece in pieces:
        text = piece.translate(_SPACE_TO_PLUS, _LINE_ENDS)
        digits = text.rstrip(b"=")
        wrong = digits.translate(None, _ALPHABET)
        if wrong or (padding and digits):
            raise _malformed(digits, position, digits if padding else wrong)
        position += len(text)
        padding += len(text) - len(digits)
        whole = rest + digits
        end = len(whole) - len(whole) % 4
        rest = whole[end:]
        if end:
            yield binascii.a2b_base64(memoryview(whole)[:end])
    missing = -len(rest) % 4
    if missing > _PADDING_MAX:
        raise BadInput(f"{FIELD} is not base64: it ends within a byte, after {position - padding} characters.")
    if padding > missing:
        raise BadInput(f"{FIELD} is not base64: {padding} characters of padding end it, and {missing} belong there.")
    if rest:
        yield binascii.a2b_base64(rest + b"=" * missing)


def _malformed(digits: bytes, position: int, wrong: bytes) -> BadInput:
    """The error for the first of the characters that is wrong."""
    number = position + digits.index(wrong[:1]) + 1
    shown = ascii(wrong[:1].decode("latin-1"))
    return BadInput(f"{FIELD} is not base64: character {number} of it, {shown}, does not belong there.")
