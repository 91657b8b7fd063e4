"""Batches go on where they were: nothing is done twice, and nothing left out, whatever ended the run before."""

from __future__ import annotations

import errno
import shutil
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy
import pytest
import transaction
from ZEO.Exceptions import ClientDisconnected
from ZODB import DB
from ZODB.FileStorage.FileStorage import FileStorageQuotaError
from ZODB.POSException import ConflictError
from Zope2.App.ClassFactory import ClassFactory

from Products.ERP5Wendelin.compute import loop as loops
from Products.ERP5Wendelin.compute.batch import FULL, GONE, LOST_SECONDS, OWN_ABORT, OWN_COMMIT, Batch
from Products.ERP5Wendelin.content.progress_indicator import FAILED, INTERRUPTED
from Products.ERP5Wendelin.errors import BadInput, Conflict, Gone, NotFound, NotReady, StorageFull
from Products.ERP5Wendelin.protocol import MIB
from Products.ERP5Wendelin.storage.file_storage import SafeFileStorage
from Products.ERP5Wendelin.storage.lease import utc_now
from support.disks import fill, small_disk
from support.site import Lake, as_user

ROWS = 1000
NAME = "mean.py readings"


@pytest.fixture
def site(lake: Lake) -> Iterator[Any]:
    with lake.open("system") as site:
        new_array(site, "readings", numpy.arange(ROWS))
        yield site


def new_array(site: Any, reference: str, values: Any) -> Any:
    """A Data Array of these values, committed."""
    document = site.data_array_module.newContent(id=reference, reference=reference)
    document.initArray(values.shape, values.dtype)[:] = values
    transaction.commit()
    return document


def readings(site: Any) -> Any:
    return site.data_array_module["readings"]


def indicator(site: Any, name: str = NAME) -> Any:
    [found] = [each for each in site.progress_indicator_module.objectValues() if each.getReference() == name]
    return found


def add_up(batch: Batch, source: Any, stop_at: int | None = None, **options: Any) -> None:
    """A script: the sum of all rows, and which rows there were; it fails when it has come to a row."""
    batch.state.setdefault("total", 0)
    batch.state.setdefault("blocks", [])
    for block in batch.iterate(source, **options):
        if stop_at is not None and block.stop > stop_at:
            raise ZeroDivisionError
        batch.state["total"] += int(block.data.sum())
        batch.state["blocks"].append((block.start, block.stop))


def go_over(batch: Batch, source: Any, do: Callable[[Any], object], **options: Any) -> None:
    """A script that does something with each block."""
    for block in batch.iterate(source, **options):
        do(block)


def fail(site: Any, stop_at: int, **options: Any) -> None:
    """A run that fails at a row."""
    batch = Batch(site, NAME)
    with pytest.raises(ZeroDivisionError):
        add_up(batch, readings(site), stop_at, **options)
    batch.stop(FAILED, "it failed")


def on_a_connection_of_its_own(lake: Lake, change: Callable[[Any], None]) -> None:
    """What another process commits."""
    manager = transaction.TransactionManager()
    connection = lake.db.open(transaction_manager=manager)
    try:
        change(connection.root()["Application"]["erp5"])
        manager.commit()
    finally:
        manager.abort()
        connection.close()


# going over a source


def test_all_blocks_are_given_in_their_order_and_the_end_is_noted(site: Any) -> None:
    batch = Batch(site, NAME)
    assert not batch.resumed
    add_up(batch, readings(site), rows=300)
    assert batch.state == {"total": 499500, "blocks": [(0, 300), (300, 600), (600, 900), (900, 1000)]}
    batch.finish()
    found = indicator(site)
    assert (found.getProgressState(), found.getDone(), found.getTotal(), found.getUnit()) == (
        "done",
        1000,
        1000,
        "rows",
    )
    assert (found.getStopDate() is None, found.getErrorText(), found.getRate()) == (False, "", None)
    assert not found.lease.is_held(utc_now())


def test_what_the_script_changes_is_committed_with_where_it_is(lake: Lake, site: Any) -> None:
    target = new_array(site, "squares", numpy.zeros(ROWS, numpy.int64))
    seen = []

    def look(other: Any) -> None:
        [found] = other["progress_indicator_module"].objectValues()
        squares = other["data_array_module"]["squares"].array[:]
        seen.append((found.progress.done, numpy.count_nonzero(squares)))  # 0 squared is 0

    batch = Batch(site, NAME)
    for block in batch.iterate(readings(site), rows=100, every=2):
        target.array[block.start : block.stop] = block.data**2
        on_a_connection_of_its_own(lake, look)
    assert seen == [(start // 200 * 200, max(0, start // 200 * 200 - 1)) for start in range(0, ROWS, 100)]
    batch.finish()
    assert target.array[:].tolist() == [number**2 for number in range(ROWS)]


def test_a_finished_one_begins_anew(site: Any) -> None:
    for _ in range(2):
        batch = Batch(site, NAME)
        assert not batch.resumed
        assert batch.state == {}
        add_up(batch, readings(site))
        assert batch.state["total"] == 499500
        batch.finish()


def test_one_that_was_killed_between_its_last_commit_and_its_end_is_not_done_again(
    site: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    batch = Batch(site, NAME)
    add_up(batch, readings(site))
    monkeypatch.setattr(batch._claim, "release", lambda: None)
    batch.finish()
    batch._claim._keeping.close()  # a process that is killed renews no lease
    batch = Batch(site, NAME)
    assert batch.resumed
    add_up(batch, readings(site))
    assert batch.state == {"total": 499500, "blocks": [(0, 1000)]}
    batch.finish()
    assert not Batch(site, NAME).resumed


def test_one_that_failed_goes_on_behind_its_checkpoint_with_its_state(site: Any) -> None:
    fail(site, 750, rows=100, every=3)
    found = indicator(site)
    assert (found.getProgressState(), found.getErrorText(), found.getDone()) == ("failed", "it failed", 600)
    batch = Batch(site, NAME)
    assert batch.resumed
    assert batch.state["blocks"] == [(start, start + 100) for start in range(0, 600, 100)]
    add_up(batch, readings(site), rows=100)
    assert batch.state == {"total": 499500, "blocks": [(start, start + 100) for start in range(0, 1000, 100)]}
    batch.finish()
    assert found.getProgressState() == "done"


def test_from_the_start_forgets_what_was_done(site: Any) -> None:
    fail(site, 500, rows=100, every=1)
    batch = Batch(site, NAME, from_start=True)
    assert (batch.resumed, batch.state) == (False, {})
    add_up(batch, readings(site), rows=500)
    assert batch.state["blocks"] == [(0, 500), (500, 1000)]
    batch.finish()


def test_a_slice_is_committed_after_some_seconds(site: Any) -> None:
    time = [0.0]
    batch = Batch(site, NAME, clock=lambda: time[0])
    blocks = batch.iterate(readings(site), rows=100)
    saved = []
    for _ in range(5):
        next(blocks)
        saved.append(batch.status().saved)
        time[0] += loops.SLICE_SECONDS / 2
    assert saved == [0, 0, 200, 200, 400]
    batch.stop(INTERRUPTED, "")


def test_a_slice_is_committed_when_the_process_has_grown(site: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    sizes = iter([0, loops.SLICE_SIZE - 1, loops.SLICE_SIZE, 0, 0])
    monkeypatch.setattr(loops, "resident_size", lambda: next(sizes))
    batch = Batch(site, NAME, clock=lambda: 0.0)
    blocks = batch.iterate(readings(site), rows=100)
    saved = []
    for _ in range(4):
        next(blocks)
        saved.append(batch.status().saved)
    assert saved == [0, 0, 200, 200]
    batch.stop(INTERRUPTED, "")


# the snapshot


def test_an_array_that_others_change_meanwhile_is_seen_as_it_was_also_by_the_next_run(lake: Lake, site: Any) -> None:
    def change(other: Any) -> None:
        array = other["data_array_module"]["readings"].array
        array[:] = -1
        array.append(numpy.full(10, -1))

    batch = Batch(site, NAME)
    batch.state["total"] = 0
    blocks = batch.iterate(readings(site), rows=100, every=1)
    for _ in range(3):
        batch.state["total"] += int(next(blocks).data.sum())
        if batch.state["total"] == sum(range(100)):
            on_a_connection_of_its_own(lake, change)
    next(blocks)
    batch.stop(FAILED, "")
    assert len(readings(site).array) == 1010
    batch = Batch(site, NAME)
    for block in batch.iterate(readings(site), rows=100):
        batch.state["total"] += int(block.data.sum())
    assert batch.state["total"] == 499500
    batch.finish()


def test_a_snapshot_that_was_packed_away_is_gone_and_says_how_to_begin_anew(lake: Lake, site: Any) -> None:
    fail(site, 500, rows=100, every=1)
    readings(site).array[:] = 1
    transaction.commit()
    lake.db.pack()
    batch = Batch(site, NAME)
    with pytest.raises(Gone, match=r" --from-start makes the batch forget what it has done\.$"):
        add_up(batch, readings(site), rows=100)
    batch.stop(FAILED, "gone")
    batch = Batch(site, NAME, from_start=True)
    add_up(batch, readings(site))
    assert batch.state["total"] == ROWS
    batch.finish()


def test_a_later_loop_sees_what_an_earlier_one_has_written(site: Any) -> None:
    batch = Batch(site, NAME)
    for _ in range(3):
        for block in batch.iterate(readings(site), rows=400):
            readings(site).array[block.start : block.stop] = block.data + 1
    batch.finish()
    assert readings(site).array[:].tolist() == list(range(3, ROWS + 3))


def test_what_is_written_to_a_mapped_array_before_a_loop_is_seen_by_it(site: Any) -> None:
    batch = Batch(site, NAME)
    go_over(batch, readings(site), lambda block: None)
    readings(site).getArray()[:10] = 7
    [block] = batch.iterate(readings(site))
    assert block.data[:10].tolist() == [7] * 10
    batch.finish()


def test_an_array_that_has_taken_the_place_of_the_one_that_is_read_is_for_another_batch(site: Any) -> None:
    fail(site, 500, rows=100, every=1)
    readings(site).initArray((3,), numpy.int64)
    transaction.commit()
    batch = Batch(site, NAME)
    add_up(batch, readings(site), rows=100)
    assert batch.state["total"] == 499500
    batch.finish()


# several loops


def test_loops_that_have_ended_are_not_repeated(site: Any) -> None:
    def script(batch: Batch, stop_at: int | None) -> list[tuple[int, int]]:
        given = []
        for number in range(4):
            for block in batch.iterate(readings(site), rows=500, every=1):
                if (number, block.start) == (2, stop_at):
                    raise ZeroDivisionError
                given.append((number, block.start))
        return given

    batch = Batch(site, NAME)
    with pytest.raises(ZeroDivisionError):
        script(batch, 500)
    batch.stop(FAILED, "")
    batch = Batch(site, NAME)
    assert script(batch, None) == [(2, 500), (3, 0), (3, 500)]
    batch.finish()


def test_a_loop_that_the_script_leaves_has_ended(site: Any) -> None:
    batch = Batch(site, NAME)
    for block in batch.iterate(readings(site), rows=100):
        batch.state["first"] = block.stop
        break
    for _ in batch.iterate(readings(site), rows=1000):
        pass
    with pytest.raises(ZeroDivisionError):
        go_over(batch, readings(site), lambda block: 1 / 0)
    batch.stop(FAILED, "")
    batch = Batch(site, NAME)
    assert batch.state == {"first": 100}
    assert [list(batch.iterate(readings(site), rows=1000)) for _ in range(2)] == [[], []]
    assert [block.start for block in batch.iterate(readings(site), rows=500)] == [0, 500]
    batch.finish()


def test_what_is_changed_before_a_loop_is_committed_when_it_begins(lake: Lake, site: Any) -> None:
    batch = Batch(site, NAME)
    readings(site).setTitle("made by the script")
    batch.state["made"] = True
    next(batch.iterate(readings(site)))
    batch.stop(FAILED, "")
    assert readings(site).getTitle() == "made by the script"
    assert Batch(site, NAME).state == {"made": True}


def test_a_second_loop_in_a_loop_is_refused(site: Any) -> None:
    batch = Batch(site, NAME)
    with pytest.raises(Conflict) as caught:
        go_over(batch, readings(site), lambda block: batch.iterate(readings(site)))
    assert str(caught.value) == "A loop of batch.iterate has not ended: go over one source at a time."
    batch.stop(FAILED, "")


def test_another_source_than_in_the_run_before_is_refused(site: Any) -> None:
    fail(site, 500, rows=100, every=1)
    new_array(site, "others", numpy.arange(3))
    batch = Batch(site, NAME)
    with pytest.raises(Conflict) as caught:
        batch.iterate(site.data_array_module["others"])
    assert str(caught.value) == (
        "In the run before loop 1 went over Data Array 'readings', and now it is to go over Data Array 'others': the "
        "script has changed, or its arguments. Undo that, or begin anew with --from-start."
    )
    batch.stop(FAILED, "")


# commits


def test_a_checkpoint_that_meets_another_commit_gives_its_blocks_again_with_the_state_before(
    lake: Lake, site: Any
) -> None:
    target = new_array(site, "sums", numpy.zeros(1))
    given = []
    batch = Batch(site, NAME)
    state = batch.state
    state |= {"total": 0, "blocks": [], "array": numpy.zeros(2), "set": {0}}
    array, blocks = state["array"], state["blocks"]
    for block in batch.iterate(readings(site), rows=100, every=2):
        given.append(block.start)
        state["total"] += int(block.data.sum())
        blocks.append(block.start)
        array += 1
        state["set"].add(block.start)
        target.title = f"up to {block.stop}"
        if block.start == 300 and given.count(300) == 1:
            on_a_connection_of_its_own(
                lake, lambda other: setattr(other["data_array_module"]["sums"], "title", "theirs")
            )
    batch.finish()
    assert given == [0, 100, 200, 300, 200, 300, *range(400, 1000, 100)]
    assert blocks == list(range(0, 1000, 100))
    assert (state["total"], array.tolist(), len(state["set"])) == (499500, [10, 10], 10)
    assert target.title == "up to 1000"


def test_what_is_written_to_a_mapped_array_is_written_again_where_it_meets_another_commit(
    lake: Lake, site: Any
) -> None:
    def write(other: Any) -> None:
        other["data_array_module"]["squares"].array[5:6] = 77

    new_array(site, "squares", numpy.zeros(ROWS, numpy.int64))
    mapped = site.data_array_module["squares"].getArray()
    given = []
    batch = Batch(site, NAME)
    for block in batch.iterate(readings(site), rows=100, every=2):
        given.append(block.start)
        mapped[block.start : block.stop] = block.data**2
        if given == [0, 100, 200, 300]:
            on_a_connection_of_its_own(lake, write)
    batch.finish()
    assert given == [0, 100, 200, 300, 200, 300, 400, 500, 600, 700, 800, 900]
    expected = numpy.arange(ROWS) ** 2
    expected[5] = 77
    assert site.data_array_module["squares"].array[:].tolist() == expected.tolist()


def test_one_that_always_meets_another_commit_gives_up(lake: Lake, site: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("Products.ERP5Wendelin.compute.batch.pause", lambda attempt: None)

    def meet_another(block: Any) -> None:
        readings(site).title = "ours"
        if block.start == 500:
            on_a_connection_of_its_own(
                lake, lambda other: setattr(other["data_array_module"]["readings"], "title", "theirs")
            )

    batch = Batch(site, NAME)
    with pytest.raises(Conflict) as caught:
        go_over(batch, readings(site), meet_another, rows=500, every=1)
    assert str(caught.value) == (
        "Other processes go on changing what the script changes: 12 times in a row what it did from rows 500 of Data "
        "Array 'readings' on was not kept. Run it again later."
    )
    with pytest.raises(Conflict, match=r"^A loop of the batch has failed, and so nothing is committed any more: Other"):
        batch.finish()
    batch.stop(FAILED, str(caught.value))
    assert indicator(site).getDone() == 500


class Failing:
    """Takes part in a commit, last of all, and fails in one of its steps."""

    transaction_manager = transaction.manager

    def __init__(self, step: str, error: Exception) -> None:
        self.step = step
        self.error = error

    def __getattr__(self, name: str) -> Any:
        def do(current: Any) -> None:
            if name == self.step:
                raise self.error

        return do

    def sortKey(self) -> str:
        return "~~~"


@pytest.mark.parametrize(("step", "given_again"), [("tpc_vote", [400, 500]), ("tpc_finish", [])])
def test_a_commit_whose_answer_was_lost_is_looked_for_and_done_again_only_if_it_is_not_there(
    site: Any, step: str, given_again: list[int]
) -> None:
    def lose(block: Any) -> None:
        given.append(block.start)
        batch.state["sum"] = batch.state.get("sum", 0) + int(block.data.sum())
        if block.start == 500 and given.count(500) == 1:
            transaction.get().join(Failing(step, ClientDisconnected("gone")))

    given: list[int] = []
    batch = Batch(site, NAME)
    go_over(batch, readings(site), lose, rows=100, every=2)
    batch.finish()
    assert given == [0, 100, 200, 300, 400, 500, *given_again, 600, 700, 800, 900]
    assert batch.state == {"sum": 499500}


def test_a_last_commit_whose_answer_was_lost_is_not_done_again(site: Any) -> None:
    def lose(block: Any) -> None:
        batch.state["sum"] = batch.state.get("sum", 0) + int(block.data.sum())
        transaction.get().join(Failing("tpc_finish", ClientDisconnected("gone")))

    batch = Batch(site, NAME)
    go_over(batch, readings(site), lose, rows=1000)
    batch.finish()
    assert batch.state == {"sum": 499500}
    assert indicator(site).getProgressState() == "done"


def test_an_end_whose_answer_was_lost_is_one_if_it_was_committed(site: Any) -> None:
    batch = Batch(site, NAME)
    list(batch.iterate(readings(site)))
    batch.state["after"] = True
    transaction.get().join(Failing("tpc_finish", ClientDisconnected("gone")))
    batch.finish()
    assert indicator(site).getProgressState() == "done"
    assert not indicator(site).lease.is_held(utc_now())


def test_a_database_that_does_not_come_back_is_told(site: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def lose(block: Any) -> None:
        transaction.get().join(Failing("tpc_vote", ClientDisconnected("gone")))
        monkeypatch.setattr(site._p_jar, "newTransaction", gone)  # what begins each transaction on the connection

    def gone(*arguments: Any) -> None:
        time[0] += 10
        raise ClientDisconnected("gone")

    monkeypatch.setattr("Products.ERP5Wendelin.compute.batch.pause", lambda attempt: None)
    time = [0.0]
    batch = Batch(site, NAME, clock=lambda: time[0])
    with pytest.raises(NotReady) as caught:
        go_over(batch, readings(site), lose)
    assert str(caught.value) == GONE
    assert time[0] > LOST_SECONDS
    monkeypatch.undo()
    batch.stop(FAILED, GONE)


def test_where_the_database_does_not_come_back_the_end_is_told_by_what_failed_alone(
    site: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def gone(*arguments: Any) -> None:
        raise ClientDisconnected("gone")

    batch = Batch(site, NAME)
    with pytest.raises(ZeroDivisionError):
        go_over(batch, readings(site), lambda block: 1 / 0)
    monkeypatch.setattr(site._p_jar, "newTransaction", gone)
    monkeypatch.setattr("Products.ERP5Wendelin.compute.claim.in_transaction", lambda connection, release, note: gone())
    batch.stop(FAILED, "division by zero")
    assert [record.getMessage() for record in caplog.records if record.name == "wendelin.batch"] == []
    monkeypatch.undo()
    transaction.begin()
    assert indicator(site).getDone() == 0


@pytest.mark.parametrize("error", [OSError(errno.ENOSPC, "No space left on device"), FileStorageQuotaError("full")])
def test_where_the_disk_is_full_it_is_said(site: Any, error: Exception) -> None:
    batch = Batch(site, NAME)
    with pytest.raises(StorageFull) as caught:
        go_over(batch, readings(site), lambda block: transaction.get().join(Failing("tpc_vote", error)), every=1)
    assert str(caught.value) == FULL
    batch.stop(FAILED, FULL)
    assert (indicator(site).getProgressState(), indicator(site).getErrorText()) == ("failed", FULL)


def test_where_the_disk_is_full_it_goes_on_once_there_is_room(tmp_path: Path, data_fs: Path) -> None:
    def add_one(block: Any) -> None:
        array = site.data_array_module["times"].array
        rows = slice(block.start * MIB, block.stop * MIB)
        array[rows] = array[rows] + 1

    with small_disk(tmp_path / "disk", 48 * MIB) as disk:
        path = shutil.copy(data_fs, disk)
        with closing(DB(SafeFileStorage(str(path)), class_factory=ClassFactory)) as db, Lake(db).open("system") as site:
            new_array(site, "times", numpy.zeros(16 * MIB, numpy.uint8))
            filler = fill(disk, 12 * MIB)
            batch = Batch(site, NAME)
            with pytest.raises(StorageFull, match=f"^{FULL}$"):
                go_over(batch, range(16), add_one, every=2)
            saved = batch.status().saved
            assert 0 < saved < 16
            batch.stop(FAILED, FULL)
            filler.unlink()
            batch = Batch(site, NAME)
            go_over(batch, range(16), add_one, every=2)
            batch.finish()
            assert set(site.data_array_module["times"].array[:].tolist()) == {1}


def test_a_conflict_before_a_loop_is_told(lake: Lake, site: Any) -> None:
    batch = Batch(site, NAME)
    readings(site).title = "ours"
    on_a_connection_of_its_own(lake, lambda other: setattr(other["data_array_module"]["readings"], "title", "theirs"))
    with pytest.raises(Conflict) as caught:
        batch.iterate(readings(site))
    assert str(caught.value) == (
        "Another process has changed the same as the script did outside of its loops: that is not kept. Run the script "
        "again: loops that have ended are not repeated."
    )
    assert readings(site).title == "theirs"


def test_a_conflict_without_loops_is_told(lake: Lake, site: Any) -> None:
    batch = Batch(site, NAME)
    readings(site).title = "ours"
    on_a_connection_of_its_own(lake, lambda other: setattr(other["data_array_module"]["readings"], "title", "theirs"))
    with pytest.raises(Conflict) as caught:
        batch.finish()
    assert str(caught.value) == (
        "Another process has changed the same as the script did: that is not kept. Run the script again."
    )


@pytest.mark.parametrize(("end", "message"), [(transaction.commit, OWN_COMMIT), (transaction.abort, OWN_ABORT)])
def test_a_transaction_that_the_script_ends_in_a_loop_is_refused_and_nothing_is_kept(
    site: Any, end: Callable[[], None], message: str
) -> None:
    def end_half_done(block: Any) -> None:
        readings(site).title = "half done"
        end()

    batch = Batch(site, NAME)
    with pytest.raises(Conflict) as caught:
        go_over(batch, readings(site), end_half_done, rows=100)
    assert str(caught.value) == message
    batch.stop(FAILED, message)
    assert (readings(site).getTitle(), indicator(site).getDone()) == ("", 0)


def test_a_commit_of_the_script_between_loops_has_the_state_with_it(site: Any) -> None:
    batch = Batch(site, NAME)
    list(batch.iterate(readings(site)))
    batch.state["between"] = 1
    transaction.commit()
    batch.state["between"] = 2
    batch.stop(FAILED, "")
    assert Batch(site, NAME).state == {"between": 1}


def test_a_transaction_that_the_script_begins_itself_in_a_loop_is_not_committed_either(site: Any) -> None:
    def end_it_twice(block: Any) -> None:
        transaction.abort()
        readings(site).title = "half done"
        transaction.commit()

    batch = Batch(site, NAME)
    with pytest.raises(Conflict) as caught:
        go_over(batch, readings(site), end_it_twice, rows=100)
    assert str(caught.value) == OWN_COMMIT
    batch.stop(FAILED, OWN_COMMIT)
    assert readings(site).getTitle() == ""


@pytest.mark.parametrize("end", [transaction.commit, transaction.abort])
def test_each_commit_of_the_script_between_loops_has_the_state_with_it(site: Any, end: Callable[[], None]) -> None:
    batch = Batch(site, NAME)
    list(batch.iterate(readings(site)))
    end()
    readings(site).setTitle("between")
    batch.state["between"] = 1
    transaction.commit()
    batch.state["between"] = 2
    batch.stop(FAILED, "")
    assert (Batch(site, NAME).state, readings(site).getTitle()) == ({"between": 1}, "between")


def test_without_a_loop_it_commits_and_keeps_no_progress(site: Any) -> None:
    batch = Batch(site, NAME)
    readings(site).setTitle("plain")
    batch.finish()
    transaction.abort()
    assert readings(site).getTitle() == "plain"
    assert list(site.progress_indicator_module.objectIds()) == []
    batch = Batch(site, NAME)
    readings(site).setTitle("dropped")
    batch.stop(FAILED, "it failed")
    assert readings(site).getTitle() == "plain"


# one process at a time


def test_a_batch_that_another_process_runs_is_refused(site: Any) -> None:
    next(Batch(site, NAME).iterate(readings(site)))
    transaction.abort()
    indicator(site).lease.holder = "lake2/boot/1/77/1"
    transaction.commit()
    with pytest.raises(Conflict) as caught:
        Batch(site, NAME)
    assert str(caught.value) == (
        f"The batch {NAME!r} is being run already, by process 77 on lake2. Wait until that is done, stop it, or give "
        "this one another --name."
    )


def test_one_that_another_process_has_taken_over_commits_nothing_more(lake: Lake, site: Any) -> None:
    def take_over(other: Any) -> None:
        [found] = other["progress_indicator_module"].objectValues()
        found.progress.begin("lake2/boot/1/77/1", "", anew=False)

    def lose_it(block: Any) -> None:
        readings(site).title = str(block.start)
        if block.start == 300:
            on_a_connection_of_its_own(lake, take_over)

    batch = Batch(site, NAME)
    with pytest.raises(Conflict) as caught:
        go_over(batch, readings(site), lose_it, rows=100, every=1)
    assert str(caught.value) == f"Another process runs the batch {NAME!r} by now: what this one did last is not kept."
    batch.stop(FAILED, "")
    assert readings(site).title == "200"
    assert indicator(site).progress.holder == "lake2/boot/1/77/1"


def test_one_that_another_process_has_run_since_it_began_is_refused(site: Any) -> None:
    late = Batch(site, NAME)
    first = Batch(site, NAME)
    list(first.iterate(readings(site)))
    first.finish()
    with pytest.raises(Conflict) as caught:
        late.iterate(readings(site))
    assert str(caught.value) == f"Another process has run the batch {NAME!r} since this one began: run it again."


def test_two_that_begin_at_once_conflict(lake: Lake, site: Any) -> None:
    other_manager = transaction.TransactionManager()
    connection = lake.db.open(transaction_manager=other_manager)
    batch = Batch(site, NAME)
    batch._claim.begin(anew=True)
    taken = site.progress_indicator_module.objectIds()[0]
    module = connection.root()["Application"]["erp5"]["progress_indicator_module"]
    module._tree[taken] = module._tree.__class__()
    other_manager.commit()
    with pytest.raises(ConflictError):
        transaction.commit()
    transaction.abort()
    connection.close()


def test_one_that_another_script_has_begun_is_refused(site: Any) -> None:
    batch = Batch(site, NAME, origin="/home/ada/mean.py")
    next(batch.iterate(readings(site)))
    batch.stop(FAILED, "")
    with pytest.raises(Conflict) as caught:
        Batch(site, NAME, origin="/home/eve/mean.py")
    assert str(caught.value) == (
        f"The batch {NAME!r} was begun by /home/ada/mean.py, and did not end well. Run that again, give this one "
        "another --name, or forget what was done with --from-start."
    )
    assert not Batch(site, NAME, origin="/home/eve/mean.py", from_start=True).resumed


def test_progress_of_a_user_is_the_users_and_others_have_theirs_made_for_them(site: Any) -> None:
    with as_user(site, "ada"):
        batch = Batch(site, NAME)
        list(batch.iterate(readings(site)))
        batch.finish()
    assert indicator(site).getOwnerTuple()[1] == "ada"
    with as_user(site, "dan"):  # who may add nothing
        batch = Batch(site, "dan's")
        list(batch.iterate(readings(site)))
        batch.finish()
    assert indicator(site, "dan's").getProgressState() == "done"


# sources


def test_a_stream_is_given_in_bytes_up_to_its_end_at_the_beginning(site: Any) -> None:
    stream = site.data_stream_module.newContent(reference="log")
    stream.appendData(b"0123456789" * 3)
    given = []
    batch = Batch(site, NAME)
    for block in batch.iterate(stream, nbytes=12, every=1):
        given.append(tuple(block))
        stream.appendData(b"later")
    batch.finish()
    assert given == [(0, 12, b"012345678901"), (12, 24, b"234567890123"), (24, 30, b"456789")]


def test_a_stream_goes_on_at_its_byte_and_begins_where_it_was_not_dropped(site: Any) -> None:
    stream = site.data_stream_module.newContent(reference="log")
    stream.appendData(bytes(2**21) + b"kept" * 10)
    stream.dropData(2**21)
    transaction.commit()
    batch = Batch(site, NAME)
    blocks = batch.iterate(stream, nbytes=30, every=1)
    assert next(blocks).start == 2**21
    assert next(blocks).data == b"ptkeptkept"
    stream.appendData(b"later")
    batch.stop(FAILED, "")
    batch = Batch(site, NAME)
    assert [(block.start, block.data) for block in batch.iterate(stream, nbytes=30)] == [(2**21 + 30, b"ptkeptkept")]
    batch.finish()
    assert (indicator(site).getUnit(), indicator(site).getDone()) == ("bytes", 2**21 + 40)


def test_a_stream_whose_head_was_dropped_before_the_batch_came_to_it_is_gone_and_no_byte_is_left_out_quietly(
    site: Any,
) -> None:
    stream = site.data_stream_module.newContent(reference="log")
    stream.appendData(bytes(2**22) + b"kept")
    transaction.commit()
    batch = Batch(site, NAME)
    blocks = batch.iterate(stream, nbytes=30, every=1)
    assert [next(blocks).start, next(blocks).start] == [0, 30]
    batch.stop(FAILED, "")
    stream.dropData(2**22)
    transaction.commit()
    for records in (False, True):
        batch = Batch(site, NAME)
        with pytest.raises(Gone) as caught:
            next(batch.iterate(stream, records=records))
        assert str(caught.value) == (
            "Bytes 30 to 4,194,304 of Data Stream 'log' were dropped before the batch came to them. --from-start makes "
            "the batch forget what it has done."
        )
        batch.stop(FAILED, "")
    batch = Batch(site, NAME, from_start=True)
    assert [block.data for block in batch.iterate(stream)] == [b"kept"]
    batch.finish()


def test_records_of_a_stream_are_given_so_many_at_a_time_and_go_on_behind_the_last(site: Any) -> None:
    stream = site.data_stream_module.newContent(reference="log")
    for number in range(7):
        stream.appendData(b'{"date": %d, "n": %d}\n' % (1_700_000_000 + number, number))
    transaction.commit()
    batch = Batch(site, NAME)
    blocks = batch.iterate(stream, rows=3, records=True, every=1)
    assert [record["n"] for _, record in next(blocks).data] == [0, 1, 2]
    assert [record["n"] for _, record in next(blocks).data] == [3, 4, 5]
    batch.stop(FAILED, "")
    batch = Batch(site, NAME)
    [block] = batch.iterate(stream, rows=100, nbytes=1000, records=True)
    assert [record["n"] for _, record in block.data] == [3, 4, 5, 6]
    assert block.data[0][0] > 0
    batch.finish()


@pytest.mark.parametrize("items", [["a", "b", "c"], range(3), numpy.arange(3)])
def test_a_list_is_given_item_by_item(site: Any, items: Any) -> None:
    batch = Batch(site, NAME)
    given = [(block.start, block.stop, list(block.data)) for block in batch.iterate(items)]
    assert given == [(number, number + 1, [items[number]]) for number in range(3)]
    batch.finish()
    assert indicator(site).getUnit() == "items"


@pytest.mark.parametrize(
    ("source", "options", "message"),
    [
        ("array", {"rows": 0}, "rows must be a whole number from 1, not 0."),
        ("array", {"nbytes": 1.5}, "nbytes must be a whole number from 1, not 1.5."),
        ("array", {"every": 0}, "every must be a whole number from 1, not 0."),
        ("array", {"records": True}, "records=True is for a Data Stream."),
        ("stream", {"rows": 3}, "Bytes have no rows: say how many with nbytes, or take records=True."),
        (
            "text",
            {},
            "A batch does not go over an object of type str: give it a Data Array, one of its lines or views, a Data "
            "Stream, or a list.",
        ),
        ("missing", {}, "A batch goes over None: what was looked up is not there. Check its reference."),
    ],
)
def test_what_no_loop_can_go_over_is_refused(site: Any, source: str, options: dict[str, Any], message: str) -> None:
    sources = {"array": readings(site), "stream": site.data_stream_module.newContent(reference="log"), "text": "text"}
    with pytest.raises(BadInput) as caught:
        Batch(site, NAME).iterate(sources.get(source), **options)
    assert str(caught.value) == message


# names and what is remembered


@pytest.mark.parametrize("name", ["", " ", "a\nb", "a" * 1001])
def test_a_name_that_cannot_be_shown_is_refused(site: Any, name: str) -> None:
    with pytest.raises(BadInput, match=r"^A batch has a name of 1 to 1000 printable characters\.$"):
        Batch(site, name)


def test_plain_values_of_all_kinds_are_remembered(site: Any) -> None:
    values = {
        "none": None,
        "number": 1 + 2j,
        "bytes": b"\0",
        "nested": {"list": [1, (2.5, "x")], 3: {True}},
        "scalar": numpy.float32(1.5),
        "date": utc_now(),
    }
    batch = Batch(site, NAME)
    batch.state |= {**values, "array": numpy.arange(6, dtype=">i2").reshape(2, 3)}
    next(batch.iterate(readings(site)))
    batch.stop(FAILED, "")
    state = Batch(site, NAME).state
    array = state.pop("array")
    assert state == values
    assert (array.tolist(), array.dtype.str) == ([[0, 1, 2], [3, 4, 5]], ">i2")


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (object(), "batch.state['x'] can't be kept: it is of type object. Keep numbers, texts, "),
        ([1, {"y": {object}}], "batch.state['x'][1]['y'][0] can't be kept: it is of type type. Keep numbers, texts, "),
        (numpy.array([object()]), "batch.state['x'] can't be kept: it is of type ndarray. Keep numbers, texts, "),
        ({object(): 1}, "a key of batch.state['x'] can't be kept: it is of type object. Keep numbers, texts, "),
        (bytes(17 * 2**20), "batch.state takes 17,825,"),
    ],
)
def test_what_cannot_be_remembered_is_refused_by_its_place(site: Any, value: Any, message: str) -> None:
    batch = Batch(site, NAME)
    batch.state["x"] = value
    with pytest.raises(BadInput) as caught:
        batch.iterate(readings(site))
    assert str(caught.value).startswith(message)


def test_what_is_remembered_is_not_written_again_unless_it_has_changed(site: Any) -> None:
    batch = Batch(site, NAME)
    batch.state["large"] = bytes(1000)
    blocks = batch.iterate(readings(site), rows=100, every=1)
    next(blocks)
    memory = indicator(site).progress.memory
    next(blocks)
    assert indicator(site).progress.memory is memory
    batch.state["large"] = bytes(1001)
    next(blocks)
    assert len(indicator(site).progress.memory.values["large"]) == 1001
    batch.stop(FAILED, "")


def test_a_site_without_the_module_is_told_to_upgrade(site: Any) -> None:
    site._delObject("progress_indicator_module")
    with pytest.raises(NotFound) as caught:
        Batch(site, NAME).iterate(readings(site))
    assert str(caught.value) == (
        "This site has no progress_indicator_module, in which batches keep how far they are: it comes with `wendelin "
        "bt5 upgrade DIR`."
    )
