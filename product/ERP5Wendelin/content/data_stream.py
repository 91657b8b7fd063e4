"""Data Stream: a document over a range of a byte stream.

Streams of their own are appended to (fluentd's) and live in `data_stream_module`; their range ends where the byte
stream ends. The streams of a data set's files are not stored: its manifest has their ranges, and
`DataSet.getDataStream` makes the document when asked, within the data set, from which it acquires who may see it.

State (public format): that of `content.base`, and `stream` (IByteStream; None as long as it is empty), `offset`,
`length` (bytes; None: up to the end of the byte stream), `sha256` (32 raw bytes; None where nobody has computed it).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from AccessControl.SecurityInfo import ClassSecurityInfo
from Acquisition import aq_inner, aq_parent

from Products.ERP5Wendelin.content.base import Base
from Products.ERP5Wendelin.content.declaration import declared
from Products.ERP5Wendelin.content.entry import Entry
from Products.ERP5Wendelin.content.state import ValidationState
from Products.ERP5Wendelin.errors import Conflict, RangeNotSatisfiable
from Products.ERP5Wendelin.permissions import ModifyPortalContent, PushData, View
from Products.ERP5Wendelin.storage.stream import ByteStream


@declared
class DataStream(ValidationState, Base):
    """A document over a range of bytes, with ERP5's methods."""

    security = ClassSecurityInfo()
    security.declarePrivate("stream")

    portal_type = meta_type = "Data Stream"

    stream: Any = None
    offset = 0
    length: int | None = None
    sha256: bytes | None = None

    @security.protected(View)
    def getValidationState(self) -> str:
        """Its state: its own, or that of the data set it is a file of."""
        if self.length is not None:
            return aq_parent(aq_inner(self)).getValidationState()
        return super().getValidationState()

    @security.protected(ModifyPortalContent)
    def changeState(self, transition: str) -> None:
        """'validate', 'publish' or 'invalidate' it; a file's state is its data set's, and changes there."""
        if self.length is not None:
            raise Conflict(f"{self.reference!r} is a file of a data set: change the state of the data set.")
        super().changeState(transition)

    @security.public
    def getRelativeUrl(self) -> str:
        """Where it is found: that of a file is not where it is kept."""
        return super().getRelativeUrl() if self.length is None else f"data_stream_module/{self.getId()}"

    @security.protected(View)
    def getSize(self) -> int:
        """How many bytes it has."""
        if self.length is not None:
            return self.length
        return 0 if self.stream is None else self.stream.size - self.offset

    @security.protected(PushData)
    def appendData(self, data: Any) -> int:
        """Append a bytes-like object in the current transaction; return the new size. Conflict: a data set's file."""
        if self.length is not None:
            raise Conflict(f"{self.reference!r} is a file of a data set: only a push changes it.")
        if self.stream is None:
            self.stream = ByteStream()
        self.stream.append(data)
        return self.getSize()

    @security.protected(View)
    def iterate(self, start: int = 0, stop: int | None = None) -> Iterator[Any]:
        """Iterate over its bytes from `start` up to `stop` as bytes-like objects of at most a block (2 MiB)."""
        size = self.getSize()
        stop = size if stop is None else stop
        if not 0 <= start <= stop <= size:
            raise RangeNotSatisfiable(f"Bytes {start} to {stop} are not within the {size} bytes of {self.reference!r}.")
        return iter(()) if start == stop else self.stream.chunks(self.offset + start, self.offset + stop)

    @security.protected(View)
    def getData(self, start: int = 0, stop: int | None = None) -> bytes:
        """Its bytes from `start` up to `stop`, in memory."""
        return b"".join(self.iterate(start, stop))


def file_stream(id: str, path: str, entry: Entry) -> DataStream:
    """The Data Stream of a data set's file; to be wrapped in the data set, and not to be stored."""
    document = DataStream(id, reference=path, title=path.rpartition("/")[2])
    document.stream, document.offset, document.length = entry.stream, entry.offset, entry.size
    document.sha256 = entry.digest
    return document
