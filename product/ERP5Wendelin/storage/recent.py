"""Which streams a connection has written last, so that it forgets the arrays of the others.

wendelin.core's arrays and files do not leave a connection's cache by themselves. A connection that appends to thousands
of streams in turn would keep two objects of each for ever, and have no room left for anything else: after 5,000 streams
each append would read everything anew.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable
from contextlib import suppress
from weakref import WeakKeyDictionary

from ZODB.Connection import Connection
from ZODB.POSException import POSError

from .stream import ByteStream

KEPT = 500
"""Streams whose arrays a connection keeps: appending to them again takes two records less to read."""

_written: WeakKeyDictionary[Connection, OrderedDict[bytes, None]] = WeakKeyDictionary()


def note_written(connection: Connection, streams: Iterable[ByteStream]) -> None:
    """Once a transaction is committed: note what it has appended to, and release what was written before that."""
    recent = _written.setdefault(connection, OrderedDict())
    for stream in streams:
        recent[stream._p_oid] = None
        recent.move_to_end(stream._p_oid)
    while len(recent) > KEPT:
        oid, _ = recent.popitem(last=False)
        with suppress(
            POSError
        ):  # it was removed and packed, or the storage is away: neither matters to who has written
            connection.get(oid).release()
