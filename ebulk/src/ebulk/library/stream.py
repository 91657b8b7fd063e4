"""A stream: bytes that are only ever appended to, and the records in them, by their times.

Times are nanoseconds since the epoch. `since` (inclusive) and `until` (exclusive) may be given so, as a `datetime` (in
local time where it has no zone), as a `numpy.datetime64`, or as text as on the command line: "2026-11-22T19:40:00Z",
"2026-11-22" (local midnight), "1h" (ago).
"""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from ebulk.errors import UsageError
from ebulk.library.numpy import numpy_for
from ebulk.library.progress import Told, logger, observer_for
from ebulk.local.names import shown
from ebulk.model import Record
from ebulk.protocol import EPOCH, RAW
from ebulk.remote import documents
from ebulk.remote.lake import Lake
from ebulk.remote.lines import lines
from ebulk.remote.streams import OutsideError, extent
from ebulk.transfer.stream_bytes import StreamBytes
from ebulk.transfer.stream_records import Records, follow
from ebulk.verbs.observer import Observer
from ebulk.verbs.pull_stream import Part, StreamReport, default_file, pull_stream
from ebulk.verbs.times import nanoseconds_of

if TYPE_CHECKING:
    import numpy

    Time: TypeAlias = int | str | datetime | numpy.datetime64


class Stream:
    """A stream of a lake, made by `Lake.stream`; that there is one is seen when it is asked, and else NotFoundError."""

    def __init__(self, lake: Lake, reference: str) -> None:
        self._lake = lake
        self.reference = reference

    def __repr__(self) -> str:
        return f"<ebulk.Stream {shown(self.reference)} of {self._lake.url}>"

    def extent(self) -> tuple[int, int]:
        """Offsets of the first byte that the lake keeps, and of the end: how many bytes were ever appended."""
        with self._lake.session(1) as session:
            found = extent(session, self.reference)
        return found.start, found.size

    def read(self, start: int | None = None, stop: int | None = None) -> bytes:
        """The bytes from offset `start` up to `stop`: from the first that is kept, up to the end, unless given.

        Less, or nothing, where it ends before. EbulkError: the lake does not keep them any more.
        """
        if (start is not None and start < 0) or (stop is not None and stop < (start or 0)):
            raise UsageError("Offsets count from 0 up, and stop is not before start.")
        if start is not None and start == stop:
            return b""
        try:
            with self._lake.session(1) as session:
                return b"".join(StreamBytes(session, self.reference, start, stop).pieces())
        except OutsideError as error:
            if start is None or start < error.extent.size:
                raise
            return b""

    def records(self, since: Time | None = None, until: Time | None = None) -> Iterator[Record]:
        """Each record with a time from `since` up to `until`, as a pair (time, record), in the stream's order."""
        return self._records(self._part("jsonl", since, until))

    def follow(self, since: Time | None = None) -> Iterator[Record]:
        """Each record as it arrives, without an end; with `since`, those with times from then on, also what is there.

        Bytes that are no records are left out, with a warning in the log.
        """
        return self._follow(_nanoseconds(since))

    def to_numpy(self, since: Time | None = None, until: Time | None = None) -> numpy.ndarray[Any, Any]:
        """Records as a structured array: the field `time`, as datetime64[ns], and one for each key.

        The array goes through a temporary file.
        """
        module = numpy_for("to_numpy")
        part = self._part("npy", since, until)
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "records.npy"
            pull_stream(part, self._lake, path, observer=observer_for(None))
            array: numpy.ndarray[Any, Any] = module.load(path, allow_pickle=False)
        return array

    def pull(
        self,
        path: str | os.PathLike[str] | None = None,
        *,
        format: str = RAW,
        since: Time | None = None,
        until: Time | None = None,
        discard_changes: bool = False,
        progress: Observer | Told | None = None,
    ) -> StreamReport:
        """Bring the stream into a file, named like it unless `path` is given, in the working directory.

        `format` "raw" has all bytes, and later calls append what is new; "msgpack", "jsonl" and "npy" have the records
        of a time. ConflictError: the stream does not go on with this file; with `discard_changes` it is replaced.
        """
        part = self._part(format, since, until)
        file = default_file(part) if path is None else Path(path)
        return pull_stream(part, self._lake, file, discard=discard_changes, observer=observer_for(progress))

    def _records(self, part: Part) -> Iterator[Record]:
        with self._lake.session(1) as session:
            source = Records(session, part.reference, part.format, part.since, part.until)
            yield from map(documents.record, lines(source.pieces()))

    def _follow(self, since: int | None) -> Iterator[Record]:
        with self._lake.session(1) as session:
            yield from map(documents.record, follow(session, self.reference, since, logger.warning))

    def _part(self, format: str, since: Time | None, until: Time | None) -> Part:
        return Part(self.reference, format, _nanoseconds(since), _nanoseconds(until))


def _nanoseconds(value: Time | None) -> int | None:
    """A time as the lake is asked for it."""
    if value is None or (isinstance(value, int) and not isinstance(value, bool)):
        return value
    if isinstance(value, str):
        return nanoseconds_of(value, time.time())
    if isinstance(value, datetime):
        return (value.astimezone() - EPOCH) // timedelta(microseconds=1) * 1000
    if type(value).__module__ == "numpy" and hasattr(value, "astype"):
        return int(value.astype("datetime64[ns]").astype("int64"))
    raise UsageError(f"{value!r} is no time.", "Give a datetime, text such as '1h', or nanoseconds since the epoch.")
