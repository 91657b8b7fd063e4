"""The body of a request: a stream of known length, or a JSON document of bounded size."""

from __future__ import annotations

import io
import json
from decimal import Decimal
from typing import Any, BinaryIO

from Products.ERP5Wendelin.errors import BadInput, TooLarge
from Products.ERP5Wendelin.protocol import MIB

JSON_SIZE = 16 * MIB
"""The largest JSON document that is taken: it is held in memory."""


class Body(io.RawIOBase):
    """Reads what the server has of the request's body, and not a byte behind it.

    `length` is None where the gateway marks the end itself (`wsgi.input_terminated`, a chunked request).
    """

    def __init__(self, source: BinaryIO, length: int | None) -> None:
        self.source = source
        self.length = length
        self._left = length
        self._position = 0

    def readable(self) -> bool:
        """It is."""
        return True

    def read(self, size: int = -1) -> bytes:
        """At most `size` bytes; fewer only at the end."""
        if self._left is not None:
            size = self._left if size < 0 else min(size, self._left)
        data = self.source.read(size) if size else b""
        self._position += len(data)
        if self._left is not None:
            self._left -= len(data)
        return data

    def tell(self) -> int:
        """Bytes read so far."""
        return self._position

    def seek(self, position: int, whence: int = io.SEEK_SET) -> int:
        """Go back (`position` from the start), for who has to read it twice."""
        if whence != io.SEEK_SET:
            raise io.UnsupportedOperation("a body is read from its start")
        self.source.seek(position - self._position, io.SEEK_CUR)
        if self._left is not None:
            self._left += self._position - position
        self._position = position
        return position

    def readinto(self, buffer: Any) -> int:
        """Fill a buffer, as far as there is something."""
        data = self.read(len(buffer))
        buffer[: len(data)] = data
        return len(data)

    def json(self) -> Any:
        """The JSON document that the body is; an empty body is an empty object. Numbers with decimals are Decimal.

        BadInput says where it is malformed; TooLarge (413) above `JSON_SIZE`.
        """
        if self.length is not None and self.length > JSON_SIZE:
            raise _too_large()
        data = self.read(JSON_SIZE + 1)
        if len(data) > JSON_SIZE:
            raise _too_large()
        return parse_json(data) if data else {}


def _too_large() -> TooLarge:
    return TooLarge(f"A JSON document may have at most {JSON_SIZE // MIB} MiB. Send less at a time.")


def parse_json(data: bytes) -> Any:
    """Decode a JSON document exactly; BadInput says where it is malformed."""
    try:
        return json.loads(data.decode("utf-8"), parse_float=Decimal, parse_constant=_refuse_constant)
    except UnicodeDecodeError as error:
        raise BadInput(f"The body is not UTF-8: byte {error.start} cannot be decoded.") from error
    except json.JSONDecodeError as error:
        place = f"line {error.lineno}, column {error.colno}"
        raise BadInput(f"The body is not JSON: {error.msg} at {place}.") from error
    except RecursionError as error:
        raise BadInput("The body is nested too deeply.") from error
    except ValueError as error:
        raise BadInput("The body has a number with thousands of digits.") from error


def _refuse_constant(name: str) -> None:
    raise BadInput(f"The body is not JSON: {name} is not a number there.")
