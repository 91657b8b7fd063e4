"""Sha-256 of streams that are still growing.

The state of a running hash can't be stored (hashlib has no way to save it), so it lives in the memory of the process
that receives the bytes. A state that is lost, for the process ended or another one served the last request, is made up
for by reading what is stored.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Iterator
from threading import Lock
from typing import Protocol

from ..protocol import MIB
from .block import Buffer

CATCH_UP_LIMIT = 1024 * MIB
"""The most stored bytes one request reads again before its end: a second's work, so that no client times out."""

RUNNING_DIGESTS = 10_000
"""How many states a process keeps, of about 400 bytes each."""

Key = tuple[str, bytes]


class Stored(Protocol):
    """What stored bytes are read from: an IByteStream."""

    def chunks(self, start: int = 0, stop: int | None = None) -> Iterator[Buffer]:
        """Iterate over the bytes of a range."""


class RunningDigest:
    """The sha-256 of the first `offset` bytes of a stream."""

    def __init__(self) -> None:
        """Begin with no bytes."""
        self.offset = 0
        self._hash = hashlib.sha256()

    def update(self, data: Buffer) -> None:
        """Take in the bytes that follow."""
        self._hash.update(data)
        self.offset += len(data)

    def catch_up(self, stream: Stored, stop: int, limit: int = CATCH_UP_LIMIT) -> bool:
        """Read stored bytes from `offset` towards `stop`, at most `limit` of them; tell whether `stop` is reached.

        What was read is kept, so that each request brings a lost state nearer.
        """
        end = min(stop, self.offset + limit)
        for chunk in stream.chunks(self.offset, end) if end > self.offset else ():
            self.update(chunk)
        return self.offset == stop

    def copy(self) -> RunningDigest:
        """Another one in the same state."""
        other = RunningDigest()
        other.offset = self.offset
        other._hash = self._hash.copy()
        return other

    def digest(self) -> bytes:
        """The 32 bytes of the digest of what it has seen."""
        return self._hash.digest()

    def hexdigest(self) -> str:
        """The digest in 64 hexadecimal digits."""
        return self._hash.hexdigest()


class RunningDigestWithMd5(RunningDigest):
    """The sha-256 and the md5 of the first `offset` bytes of a stream; the original ebulk compares md5."""

    def __init__(self) -> None:
        super().__init__()
        self._md5 = hashlib.md5(usedforsecurity=False)

    def update(self, data: Buffer) -> None:
        super().update(data)
        self._md5.update(data)

    def copy(self) -> RunningDigestWithMd5:
        other = RunningDigestWithMd5()
        other.offset = self.offset
        other._hash = self._hash.copy()
        other._md5 = self._md5.copy()
        return other

    def md5(self) -> bytes:
        """The 16 bytes of the md5 of what it has seen."""
        return self._md5.digest()


class RunningDigests:
    """The running digests of this process, by (database name, object id); the least recently used ones are dropped.

    `take` hands a state out and forgets it, so that two requests never feed the same one. A request that fails does not
    put its state back: it may have seen bytes that were not stored.
    """

    def __init__(self, capacity: int = RUNNING_DIGESTS) -> None:
        """Keep at most `capacity` states."""
        self._capacity = capacity
        self._running: OrderedDict[Key, RunningDigest] = OrderedDict()
        self._lock = Lock()

    def take(self, key: Key, offset: int) -> RunningDigest:
        """The state of a stream of which `offset` bytes are stored; a new one if there is none or it is ahead."""
        with self._lock:
            running = self._running.pop(key, None)
        return running if running is not None and running.offset <= offset else RunningDigest()

    def copy_of(self, key: Key) -> RunningDigest | None:
        """A copy of a state, which stays; None if there is none."""
        with self._lock:
            running = self._running.get(key)
            if running is None:
                return None
            self._running.move_to_end(key)
            return running.copy()

    def put(self, key: Key, running: RunningDigest) -> None:
        """Keep a state for the next request."""
        with self._lock:
            self._running[key] = running
            self._running.move_to_end(key)
            while len(self._running) > self._capacity:
                self._running.popitem(last=False)

    def drop(self, key: Key) -> None:
        """Forget the state of a stream that is complete or gone."""
        with self._lock:
            self._running.pop(key, None)

    def __len__(self) -> int:
        """How many states it keeps."""
        return len(self._running)
