"""Group commit: what threads write at the same time is one batch."""

from __future__ import annotations

import threading
from collections import deque
from concurrent.futures import ThreadPoolExecutor

import pytest
import transaction

from Products.ERP5Wendelin import errors
from Products.ERP5Wendelin.ingestion import together
from Products.ERP5Wendelin.ingestion.batch import BatchWriter, Sent
from Products.ERP5Wendelin.ingestion.together import GroupCommit, group_commit

TIMEOUT = 60
"""Seconds after which something that takes milliseconds is held to hang."""


class Queue(deque):
    """What waits; says when something has come."""

    def __init__(self):
        super().__init__()
        self.arrived = threading.Semaphore(0)

    def append(self, item):
        super().append(item)
        self.arrived.release()


class HeldWriter:
    """Writes to a lake once `go` is set; notes the batches."""

    def __init__(self, lake):
        self._writer = BatchWriter(lake.db, remembered=0)
        self.begun = threading.Event()
        self.go = threading.Event()
        self.failure = None
        self.batches = []

    def write(self, sent):
        self.batches.append([each.data for each in sent])
        self.begun.set()
        assert self.go.wait(TIMEOUT)
        if self.failure is not None:
            raise self.failure
        return self._writer.write(sent)


@pytest.fixture
def writer(lake):
    return HeldWriter(lake)


def write_beside(writer, first, others):
    """Let several wait in their order while the first is written; what became of each: what it has raised, or None."""
    group = GroupCommit(writer)
    group._waiting = Queue()
    with ThreadPoolExecutor(len(others) + 1) as threads:
        futures = [threads.submit(group.write, first)]
        try:
            assert writer.begun.wait(TIMEOUT)
            assert group._waiting.arrived.acquire(timeout=TIMEOUT)
            for each in others:
                futures.append(threads.submit(group.write, each))
                assert group._waiting.arrived.acquire(timeout=TIMEOUT)
        finally:
            writer.go.set()
        return [future.exception(TIMEOUT) for future in futures]


def stored(lake, tag):
    with lake.open("system") as site:
        return [each.getData() for each in site.data_stream_module.objectValues() if each.getReference() == tag]


def test_what_comes_while_something_is_written_is_written_together(lake, writer):
    others = [Sent("a", b"%d" % number, user="ada") for number in range(1, 6)]
    assert write_beside(writer, Sent("a", b"0", user="eve"), others) == [None] * 6
    assert writer.batches == [[b"0"], [b"1", b"2", b"3", b"4", b"5"]]
    assert stored(lake, "a") == [b"012345"]


def test_who_is_refused_learns_it_and_no_other(lake, writer):
    others = [Sent("a", b"1"), Sent("b..c", b"2"), Sent("a", b"3", user="zoe")]
    first, second, third, fourth = write_beside(writer, Sent("a", b"0"), others)
    assert (first, second) == (None, None)
    assert (type(third), type(fourth)) == (errors.BadInput, errors.NotAuthorised)
    assert stored(lake, "a") == [b"01"]


def test_failure_of_a_batch_is_that_of_all_in_it(writer):
    writer.failure = errors.NotReady("The storage is away.")
    assert write_beside(writer, Sent("a", b"0"), [Sent("a", b"1"), Sent("a", b"2")]) == [writer.failure] * 3
    assert writer.batches == [[b"0"], [b"1", b"2"]]


def test_more_than_a_batch_may_have_is_written_in_several(lake, writer, monkeypatch):
    monkeypatch.setattr(together, "BATCH_SIZE", 5)
    others = [Sent("a", b"11"), Sent("a", b"222"), Sent("a", b"3"), Sent("a", b"444444"), Sent("a", b"5")]
    assert write_beside(writer, Sent("a", b"0"), others) == [None] * 6
    assert writer.batches == [[b"0"], [b"11", b"222"], [b"3"], [b"444444"], [b"5"]]
    assert stored(lake, "a") == [b"01122234444445"]


def test_database_has_one_group_commit_which_remembers_no_refusal(lake):
    group = group_commit(lake.db)
    assert group_commit(lake.db) is group
    with lake.open("boss") as site:
        site.portal_ingestion_policies["default"].invalidate()
        transaction.commit()
    with pytest.raises(errors.Conflict, match="it takes data once it is validated"):
        group.write(Sent("a", b"x"))
    with lake.open("boss") as site:
        site.portal_ingestion_policies["default"].validate()
        transaction.commit()
    group.write(Sent("a", b"x"))
    assert stored(lake, "a") == [b"x"]
