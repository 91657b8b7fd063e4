"""ArrayArrival: an array that is being written in many transactions, and that nobody sees before it is whole.

Its bytes, in C order, go to a byte stream, slice by slice (`transaction.append_slices`), whatever its axes are: a row
may be larger than a transaction. How far they go is committed with them, so who is killed goes on from there. The array
that is made in the end has the stream's blocks for its own: nothing is copied, and the transaction is a small one.

It is kept where a pack finds it, under a key that says what it is for (`DataArrayModule`), and given up when nobody has
gone on with it for as long as an upload lives.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

import numpy
from persistent import Persistent

from ..protocol import UPLOAD_LIFETIME
from .array import Array, Shape
from .stream import ByteStream


class ArrayArrival(Persistent):
    """State (public format): `stream`, `offset` (bytes in it), `source` (what it is made of: a dict of plain values),
    `touched` (aware datetime: when it was begun, or gone on with).

    Two writers of one arrival conflict in this record, and `append_slices` refuses the one who is behind.
    """

    def __init__(self, source: dict[str, Any], time: datetime) -> None:
        self.stream = ByteStream()
        self.offset = 0
        self.source = source
        self.touched = time

    def is_expired(self, time: datetime) -> bool:
        """Whether nobody has gone on with it for so long that nobody will."""
        return (time - self.touched).total_seconds() > UPLOAD_LIFETIME

    def finish(self, shape: Shape, dtype: numpy.dtype) -> Array:
        """The array of the bytes, in the current transaction. The arrival is of no more use then, and to be dropped.

        ValueError when they are more or fewer than such an array has.
        """
        self.stream.append(b"", final=True)
        return Array.of_stream(self.stream, shape, dtype)
