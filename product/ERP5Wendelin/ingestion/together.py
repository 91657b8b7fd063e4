"""Group commit of what requests bring at the same time, each in a thread of its own.

Who gets the turn writes what all who wait have brought, and tells them what became of it. So agents that post small
chunks at the same time share a commit, and do not meet each other in the stream of their tag. Nobody waits for others
to come: alone, a request is written at once.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Sequence
from weakref import WeakKeyDictionary

from ZODB import DB

from Products.ERP5Wendelin.ingestion.batch import BATCH_SIZE, BatchWriter, Sent


class Waiting:
    """What waits for a turn; `failure` says, once it is `done`, why it is not stored."""

    def __init__(self, sent: Sent) -> None:
        self.sent = sent
        self.done = False
        self.failure: BaseException | None = None


class GroupCommit:
    """Writes to a database for threads that wait for it."""

    def __init__(self, writer: BatchWriter) -> None:
        self._writer = writer
        self._waiting: deque[Waiting] = deque()
        self._turn = threading.Lock()

    def write(self, sent: Sent) -> None:
        """Return once it is committed. What it is refused for, and what BatchWriter raises, is raised."""
        own = Waiting(sent)
        self._waiting.append(own)
        with self._turn:
            while not own.done:
                self._write(self._take())
        if own.failure is not None:
            raise own.failure

    def _take(self) -> list[Waiting]:
        """What has waited longest, as much as goes into a batch."""
        taken: list[Waiting] = []
        room = BATCH_SIZE
        while self._waiting and (len(self._waiting[0].sent.data) <= room or not taken):
            taken.append(self._waiting.popleft())
            room -= len(taken[-1].sent.data)
        return taken

    def _write(self, group: list[Waiting]) -> None:
        failures: Sequence[BaseException | None]
        try:
            failures = self._writer.write([each.sent for each in group])
        except BaseException as error:  # of all of them: those of other threads would wait for ever
            failures = [error] * len(group)
        for each, failure in zip(group, failures, strict=True):
            each.failure = failure
            each.done = True


_writers: WeakKeyDictionary[DB, GroupCommit] = WeakKeyDictionary()


def group_commit(database: DB) -> GroupCommit:
    """That of a database: requests say themselves when they come again, so no refusal is remembered."""
    return _writers.setdefault(database, GroupCommit(BatchWriter(database, remembered=0.0)))
