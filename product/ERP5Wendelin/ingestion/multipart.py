"""A field of a form in multipart/form-data (RFC 7578), as a stream."""

from __future__ import annotations

import re
from collections.abc import Iterator

from Products.ERP5Wendelin.errors import BadInput
from Products.ERP5Wendelin.protocol import KIB, MIB
from Products.ERP5Wendelin.storage.transaction import Source

READ_SIZE = MIB

HEADER_SIZE = 16 * KIB
"""The most bytes of a part's headers."""

_NAME = re.compile(rb'^content-disposition:[^\r\n]*;\s*name="?([^";\r\n]*)"?', re.IGNORECASE | re.MULTILINE)


def multipart_field(source: Source, boundary: str, name: str) -> Iterator[bytes]:
    """The content of the part with this name. BadInput: the form has none, or ends within it."""
    if not boundary:
        raise BadInput("The header Content-Type names no boundary, which multipart/form-data needs.")
    # RFC 2046, section 5.1.1: each delimiter begins a line; the first one may begin the body.
    delimiter = b"\r\n--" + boundary.encode()
    form = _Form(source)
    for _ in form.until(delimiter):  # what precedes the first part
        pass
    while not form.is_at_end():
        headers = b"".join(form.until(b"\r\n\r\n", HEADER_SIZE))
        found = _NAME.search(headers)
        content = form.until(delimiter)
        if found is not None and found[1] == name.encode():
            yield from content
            return
        for _ in content:
            pass
    raise BadInput(f"The form has no field {name}. What is no form goes with another Content-Type.")


class _Form:
    """Reads a body up to one mark after the other."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._data = b"\r\n"

    def is_at_end(self) -> bool:
        """Whether the delimiter just passed was that behind the last part."""
        while len(self._data) < len(b"--") and self._fill():
            pass
        return self._data.startswith(b"--")

    def until(self, mark: bytes, limit: int | None = None) -> Iterator[bytes]:
        """The bytes up to a mark, which is skipped. BadInput: there is none, or not within `limit` bytes."""
        size = 0
        while (at := self._data.find(mark)) < 0:
            certain = max(len(self._data) - len(mark) + 1, 0)
            size += certain
            if certain:
                piece, self._data = self._data[:certain], self._data[certain:]
                yield piece
            if (limit is not None and size > limit) or not self._fill():
                raise BadInput("The form in multipart/form-data is cut off or malformed. Send it again.")
        piece, self._data = self._data[:at], self._data[at + len(mark) :]
        if piece:
            yield piece

    def _fill(self) -> bool:
        data = self._source.read(READ_SIZE)
        self._data += data
        return bool(data)
