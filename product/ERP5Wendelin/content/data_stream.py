"""Data Stream: a document over a range of a byte stream.

Streams of their own are appended to (fluentd's) and live in `data_stream_module`; their range ends where the byte
stream ends. The streams of a data set's files are not stored: its manifest has their ranges, and
`DataSet.getDataStream` makes the document when asked, within the data set, from which it acquires who may see it.

State (public format): that of `content.base`, and `stream` (IByteStream; None as long as it is empty), `offset`,
`length` (bytes; None: up to the end of the byte stream), `sha256` (32 raw bytes; None where nobody has computed it),
`version` (text), how far its readers are: `int_offset_index` (int or None), `string_offset_index` (text), and of
streams of their own `recent_chunks` (`content.recent_chunks`) and `time_index` (`content.time_index`; None: nothing was
appended since there is such a thing).

Streams of their own can be linked, as ERP5 has it: a stream's successor continues what it holds. Readers go over a part
of a stream at a time, in the memory of a block: what is beyond its end is not there yet, and no error. What was before
its start was dropped, and is one: offsets are counted from the first byte there ever was.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from time import time_ns
from typing import Any, ClassVar

import numpy
from AccessControl.SecurityInfo import ClassSecurityInfo
from Acquisition import aq_inner, aq_parent

from Products.ERP5Wendelin.blockwise.chunks import iter_chunks
from Products.ERP5Wendelin.blockwise.csv_blocks import iter_csv
from Products.ERP5Wendelin.content.base import Base
from Products.ERP5Wendelin.content.date_time import NANOSECONDS, date_time
from Products.ERP5Wendelin.content.declaration import declared
from Products.ERP5Wendelin.content.entry import Entry
from Products.ERP5Wendelin.content.msgpack_records import records
from Products.ERP5Wendelin.content.recent_chunks import KnowsChunks
from Products.ERP5Wendelin.content.records import TIME_MAX, TIME_MIN
from Products.ERP5Wendelin.content.state import ValidationState
from Products.ERP5Wendelin.content.time_index import TimeIndex
from Products.ERP5Wendelin.content.timed_records import Finder, Found, Gap, Wanted, moment
from Products.ERP5Wendelin.errors import Conflict, RangeNotSatisfiable
from Products.ERP5Wendelin.permissions import ModifyPortalContent, PushData, View
from Products.ERP5Wendelin.storage.stream import ByteStream


@declared
class DataStream(ValidationState, KnowsChunks, Base):
    """A document over a range of bytes, with ERP5's methods."""

    security = ClassSecurityInfo()
    security.declarePrivate("stream", "time_index")

    portal_type = meta_type = "Data Stream"

    properties: ClassVar[dict[str, str]] = {
        "version": "text",
        "int_offset_index": "int",
        "string_offset_index": "text",
    }
    base_categories: ClassVar[tuple[str, ...]] = ("predecessor", "successor")

    stream: Any = None
    offset = 0
    length: int | None = None
    sha256: bytes | None = None
    time_index: TimeIndex | None = None

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
        """How many bytes it has; of one of its own, how many were ever appended: the offset where it ends."""
        if self.length is not None:
            return self.length
        return 0 if self.stream is None else self.stream.size - self.offset

    @security.protected(View)
    def getStartOffset(self) -> int:
        """The offset of the first byte that was not dropped."""
        return 0 if self.length is not None or self.stream is None else max(self.stream.start - self.offset, 0)

    @security.protected(ModifyPortalContent)
    def dropData(self, before: int) -> int:
        """Forget the bytes before an offset, in the current transaction; return the offset of the first that is left.

        All offsets stay. Whole blocks are dropped, so up to 2 MiB before it may be left; and 32 GiB at the most, so
        that the transaction stays small: call it again. RangeNotSatisfiable: it has no such offset. Conflict: a data
        set's file.
        """
        self._refuse_file()
        size = self.getSize()
        if not 0 <= before <= size:
            raise RangeNotSatisfiable(f"{self.reference!r} has no byte {before}: it has the bytes 0 to {size}.")
        if self.stream is not None:
            self.stream.drop(self.offset + before)
        if self.time_index is not None:
            self.time_index.drop(self.getStartOffset())
        return self.getStartOffset()

    @security.protected(PushData)
    def appendData(self, data: Any) -> int:
        """Append a bytes-like object in the current transaction; return the new size. Conflict: a data set's file."""
        self._refuse_file()
        if self.stream is None:
            self.stream = ByteStream()
        size = self.getSize()
        self.stream.append(data, keep_chunks=True)
        if self.time_index is None:
            self.time_index = self._new_index()
        self.time_index.note(size, data, time_ns())
        return self.getSize()

    @security.protected(ModifyPortalContent)
    def edit(self, **properties: Any) -> None:
        """Set properties and relations: see `Base.edit`. Conflict: a data set's file."""
        self._refuse_file()
        super().edit(**properties)

    @security.protected(View)
    def getData(self, start_offset: int | None = None, end_offset: int | None = None) -> bytes:
        """Its bytes from an offset up to another, in memory. RangeNotSatisfiable: it has no such bytes."""
        size = self.getSize()
        start_offset = self._first(start_offset)
        end_offset = size if end_offset is None else end_offset
        if not start_offset <= end_offset <= size:
            raise RangeNotSatisfiable(
                f"Bytes {start_offset} to {end_offset} are not within the {size} bytes of {self.reference!r}."
            )
        return b"".join(self.iterate(start_offset, end_offset))

    @security.protected(View)
    def iterate(self, start_offset: int | None = None, end_offset: int | None = None) -> Iterator[bytes]:
        """Iterate over its bytes from an offset up to another, in pieces of at most a block (2 MiB), read ahead.

        None: from the first byte that is kept, and to the end. RangeNotSatisfiable: what is there was dropped.
        """
        size = self.getSize()
        start_offset = self._first(start_offset)
        end_offset = size if end_offset is None else min(end_offset, size)
        if start_offset >= end_offset:
            return iter(())
        return iter_chunks(self.stream, self.offset + start_offset, self.offset + end_offset)

    @security.protected(View)
    def readChunkList(self, start_offset: int | None = None, end_offset: int | None = None) -> list[bytes]:
        """The pieces that `iterate` gives, all in memory."""
        return list(self.iterate(start_offset, end_offset))

    @security.protected(View)
    def readMsgpackChunkList(
        self, start_offset: int | None = None, end_offset: int | None = None
    ) -> tuple[list[Any], int]:
        """The records of MessagePack from an offset up to another, and the offset where the last of them ends.

        A record that is cut off at the end is read by the next call, from there on. BadInput: no MessagePack.
        """
        found, position = [], self._first(start_offset)
        for record, position in self.iterateMsgpack(start_offset, end_offset):  # noqa: B007
            found.append(record)
        return found, position

    @security.protected(View)
    def iterateMsgpack(
        self, start_offset: int | None = None, end_offset: int | None = None
    ) -> Iterator[tuple[Any, int]]:
        """Iterate over the same records, each with the offset where it ends, in the memory of one of them."""
        name = f"Data Stream {self.reference or self.id!r}"
        return records(self.iterate(start_offset, end_offset), self._first(start_offset), name)

    @security.protected(View)
    def iterateCSV(
        self,
        rows: int | None = None,
        dtype: Any = None,
        delimiter: str | None = None,
        header: bool = True,
        start_offset: int | None = None,
        end_offset: int | None = None,
    ) -> Iterator[numpy.ndarray]:
        """Iterate over the rows of CSV from an offset up to another, as arrays of records, of `rows` rows if given.

        `dtype`: of the records; unless given, as the first rows are. See `blockwise.csv_blocks`. BadInput: no CSV, or
        what does not fit the dtype; its bytes are counted from `start_offset` on.
        """
        chunks = self.iterate(start_offset, end_offset)
        return iter_csv(
            chunks, rows, dtype, delimiter, header=header, name=f"Data Stream {self.reference or self.id!r}"
        )

    @security.protected(View)
    def iterateRecords(
        self,
        since: Any = None,
        until: Any = None,
        start_offset: int | None = None,
        end_offset: int | None = None,
        skip: Callable[[tuple[int, int, str]], None] | None = None,
    ) -> Iterator[tuple[int, Any, int]]:
        """Iterate over the records of times from `since` on, before `until`: time, what it says, offset where it ends.

        They are found without reading what is before them, and come in the order in which they arrived. A time is given
        as anything that `extractDateTime` takes but a number, or as nanoseconds since 1970, in which they come.
        BadInput, TooLarge: what is no record, unless `skip` is there to be told of it, by (start, stop, reason).
        """
        bounds = (moment(since, TIME_MIN), moment(until, TIME_MAX))
        told = None if skip is None else lambda gap: skip(tuple(gap))  # scripts may not look into a Gap
        return ((time, value, end) for time, value, _, end in self._found(start_offset, end_offset, *bounds, told))

    @security.protected(View)
    def getOffsetAt(self, time: Any) -> int:
        """The offset of the first record of a time, or a later one: all before it are earlier. Its size if none is."""
        found = next(self._found(None, None, moment(time, TIME_MIN), TIME_MAX, lambda gap: None), None)
        return self.getSize() if found is None else found.start

    @security.private
    def getArrivalTime(self) -> int | None:
        """When something was appended last, in nanoseconds; None: never, or before there was a time index."""
        return None if self.time_index is None else self.time_index.arrived

    @security.private
    def getTimeIndex(self) -> TimeIndex:
        """Its index from times to offsets; an empty one, by which everything is looked at, if it has none."""
        return self._new_index() if self.time_index is None else self.time_index

    def _new_index(self) -> TimeIndex:
        return TimeIndex(int(self.created.timestamp()) * NANOSECONDS)

    def _found(
        self, start: int | None, stop: int | None, since: int, until: int, skip: Callable[[Gap], None] | None
    ) -> Iterator[Found]:
        index, size = self.getTimeIndex(), self.getSize()
        first = index.beginning(self.getStartOffset()) if start is None else self._first(start)
        wanted = Wanted(first, size if stop is None else min(stop, size), since, until)
        return Finder(self.iterate, index, f"Data Stream {self.reference or self.id!r}", skip).find(wanted)

    @security.protected(View)
    def extractDateTime(self, date_time_holder: Any) -> numpy.datetime64:
        """The time of a record, whatever an agent has sent for it: see `content.date_time`."""
        return date_time(date_time_holder)

    @security.protected(View)
    def getRecursiveSuccessorValueList(self) -> list[DataStream]:
        """Its successor, the successor of that, and so on; a cycle ends where it would begin again."""
        return self._linked("getSuccessorValue")

    @security.protected(View)
    def getRecursivePredecessorValueList(self) -> list[DataStream]:
        """Its predecessor, the predecessor of that, and so on; a cycle ends where it would begin again."""
        return self._linked("getPredecessorValue")

    def _refuse_file(self) -> None:
        if self.length is not None:
            raise Conflict(f"{self.reference!r} is a file of a data set: only a push changes it.")

    def _first(self, start_offset: int | None) -> int:
        """Where to read from. RangeNotSatisfiable: before the first byte that is kept."""
        start = self.getStartOffset()
        if start_offset is None or start_offset >= start:
            return start if start_offset is None else start_offset
        dropped = " now: what was before is dropped" if start else ""
        raise RangeNotSatisfiable(
            f"There is no byte {start_offset} in {self.reference!r}: bytes begin at {start}{dropped}.",
            start=start,
        )

    def _linked(self, accessor: str) -> list[DataStream]:
        found: dict[str, DataStream] = {}
        document = self
        while document is not None and document.getRelativeUrl() not in found:
            found[document.getRelativeUrl()] = document
            document = getattr(document, accessor)(portal_type=self.portal_type)
        return list(found.values())[1:]


def file_stream(id: str, path: str, entry: Entry) -> DataStream:
    """The Data Stream of a data set's file; to be wrapped in the data set, and not to be stored."""
    document = DataStream(id, reference=path, title=path.rpartition("/")[2])
    document.stream, document.offset, document.length = entry.stream, entry.offset, entry.size
    document.sha256 = entry.digest
    return document
