"""Batches: scripts that go on where they were, whatever ended them, and do nothing twice and leave nothing out.

::

    batch.state.setdefault("total", 0.0)
    for block in batch.iterate(portal.data_array_module.getDataArray("readings")):
        batch.state["total"] += block.data.sum()

A script asks its batch for the blocks of something large. A block is done when the next one is asked for. Then, now and
then, everything that the script has changed is committed, in one transaction with how far it is and with `batch.state`:
a checkpoint. The next run of the script gets the blocks behind the checkpoint, and the state as it was there. So
whenever the process ends, what is committed of a block is committed once.

* Loops are known by their order: the second call of `iterate` is the second loop, in each run. Those that have ended
  give no block any more. What a script has changed before a loop is committed when the loop begins.
* What is not in a loop is done again by each run; `batch.state` and `batch.resumed` tell what there is already.
* An array is seen in one snapshot for a whole loop, also by later runs, whatever others commit meanwhile.
* Where a checkpoint meets another's commit, nothing of its slice is kept. Its blocks are given once more, with
  `batch.state` as it was at the checkpoint before. So all that depends on blocks belongs into documents, or there.
* Within a loop only the batch commits; whoever else tries is refused.

It is all in a Progress Indicator of the batch's name (`content.progress_indicator`), with a lease. Whoever goes on
writes its progress, so that if two do, in spite of the lease, the second one's commit is a conflict.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import closing, contextmanager
from typing import Any

import transaction
from transaction.interfaces import TransientError

from Products.ERP5Wendelin.blockwise.blocks import Block
from Products.ERP5Wendelin.blockwise.snapshot import Snapshot
from Products.ERP5Wendelin.compute.claim import Claim
from Products.ERP5Wendelin.compute.commit_watch import CommitWatch
from Products.ERP5Wendelin.compute.loop import Clock, Loop, Status
from Products.ERP5Wendelin.compute.memory import BatchState
from Products.ERP5Wendelin.compute.sources import Source, source_of
from Products.ERP5Wendelin.content.progress_indicator import DONE
from Products.ERP5Wendelin.errors import BadInput, Conflict, Gone, NotReady, StorageFull
from Products.ERP5Wendelin.storage.transaction import ATTEMPTS, is_full, is_lost, pause

LOST_SECONDS = 20.0
"""How long a database that can't be reached is waited for: the restart of a server takes four."""

OWN_COMMIT = (
    "The script commits in a loop of batch.iterate, where only the batch does, so that no block is done twice or left "
    "out. Take it out of the loop; batch.iterate(…, every=1) commits after each block."
)
OWN_ABORT = (
    "The script has ended the transaction in a loop of batch.iterate, and with it what was done since the last "
    "checkpoint. Take abort() out of the loop; `continue` leaves a block out."
)
MET = (
    "Another process has changed the same as the script did outside of its loops: that is not kept. Run the script "
    "again: loops that have ended are not repeated."
)
MET_WITHOUT_LOOPS = "Another process has changed the same as the script did: that is not kept. Run the script again."
FULL = (
    "The disk of the data lake is full: what was done since the last checkpoint is not kept. Make room, and run the "
    "script again: it goes on from there."
)
GONE = (
    "The server that has the database open has stopped: what was done since the last checkpoint is not kept. Run the "
    "script again: it goes on from there."
)

logger = logging.getLogger("wendelin.batch")


class Batch:
    """What a script has as `batch`; and for who runs it how it began, and ends."""

    def __init__(
        self,
        site: Any,
        name: str,
        *,
        origin: str = "",
        from_start: bool = False,
        observe: Callable[[Status], None] = lambda status: None,
        clock: Clock = time.monotonic,
    ) -> None:
        """A batch of a name; `origin`: the script's path; `from_start`: forget what was done.

        BadInput: no such name is possible. Conflict: another process runs it, or it was begun by another script.
        """
        self.is_committing = False
        """Whether it is in the middle of a commit, which is not to be interrupted."""
        self._site = site
        self._observe = observe
        self._clock = clock
        self._claim = Claim(site, name, origin)
        self._claim.check_is_free()
        self._resumed = not from_start and self._claim.can_go_on()
        self._state = BatchState(self._claim.progress if self._resumed else None)
        self._watch = CommitWatch(site._p_jar, self._before_commit, f"batch {name}")
        self._current: Any = None
        """The transaction that a loop is in."""
        self._loops = 0
        """How many loops have begun in this process."""
        self._loop: Loop | None = None
        self._left: Status | None = None
        """Where a loop was that the script has left."""
        self._conflicts = 0
        """How often in a row a checkpoint met another's commit."""
        self._failure: BaseException | None = None
        """What ended a loop, after which nothing may be committed."""

    # for scripts

    @property
    def name(self) -> str:
        """The reference of its Progress Indicator."""
        return self._claim.name

    @property
    def state(self) -> dict[str, Any]:
        """What the script remembers: plain values and ndarrays, committed with each checkpoint; at first empty."""
        return self._state.values

    @state.setter
    def state(self, values: dict[str, Any]) -> None:
        values = dict(values)
        self._state.values.clear()
        self._state.values.update(values)

    @property
    def resumed(self) -> bool:
        """Whether an earlier run has left a checkpoint, from which this one goes on."""
        return self._resumed

    def iterate(
        self,
        source: Any,
        rows: int | None = None,
        nbytes: int | None = None,
        *,
        every: int | None = None,
        records: bool = False,
    ) -> Iterator[Block]:
        """Iterate over blocks (`start`, `stop`, `data`) of what is not done yet of a source.

        A source is a Data Array, or one of its lines and views, in blocks of so many rows or bytes; a Data Stream,
        whose blocks are bytes, or with `records` lists of (time, record); or a list, whose items come one by one unless
        `rows` says how many at a time. `every`: commit after so many blocks, instead of every few seconds.

        BadInput: no such source. Conflict: it is not what the loop went over in the run before, another process runs
        the batch, or a loop has not ended. Gone: the snapshot of the run before is no more.
        """
        chosen = source_of(source, rows, nbytes, records)
        if every is not None and every < 1:
            raise BadInput(f"every must be a whole number from 1, not {every!r}.")
        if self._loop is not None:
            raise Conflict("A loop of batch.iterate has not ended: go over one source at a time.")
        self._settle()
        self._loops += 1
        progress = self._claim.check_is_held()
        if self._loops <= progress.ended_loops:
            return iter(())
        return self._go_over(self._new_loop(progress.loop, chosen, every))

    # for who runs it

    def status(self) -> Status | None:
        """Where its loop is, or was when the script left it, as an error does; None: no loop has begun, or it ended."""
        return self._left if self._loop is None else self._loop.status()

    def finish(self) -> None:
        """The script has ended well: commit what it has changed, and that it is done."""
        if self._claim.is_held:
            self._claim.check_is_held().end(DONE)
        if not self._commits() and not self._has_ended():
            raise Conflict(MET if self._loops else MET_WITHOUT_LOOPS)
        self._release()

    def stop(self, state: str, error: str) -> None:
        """The script has ended FAILED or INTERRUPTED, as the text says: what is not committed is dropped.

        Where the database can't be reached that is not noted, nor waited for: the next run finds the process gone.
        """
        self._loop = self._failure = None
        abort()
        if not self._claim.is_held:
            return
        try:
            progress = self._claim.check_is_held()
            self._state.restore(progress)
            progress.end(state, error)
            transaction.commit()
        except Exception as failure:  # what has ended the script is on its way to the user, and may be the reason
            abort()
            if not is_lost(failure) and not isinstance(failure, TransientError):
                logger.warning("that the batch %r has ended could not be noted", self.name, exc_info=True)
        self._release()

    def _release(self) -> None:
        """Give the batch back; what comes in this thread is none of its business."""
        self._watch.stop()
        self._claim.release()
        begin()

    def _has_ended(self) -> bool:
        """Whether it is noted that it has ended: a commit was, whose answer was lost."""
        return self._claim.is_held and self._claim.check_is_held().state == DONE

    # loops

    def _settle(self) -> None:
        """Claim the batch, and commit what the script has changed so far: only loops are done again in one run."""
        if not self._claim.is_held:
            self._claim.begin(anew=not self._resumed)
            self._watch.start()
        if not self._commits():
            raise Conflict(MET)
        if not self._claim.is_held:
            self._claim.keep()

    def _new_loop(self, stored: dict[str, Any] | None, source: Source, every: int | None) -> Loop:
        """A loop that begins now, or the one in which an earlier run was."""
        if stored is None:
            return Loop(source, 0, source.total(), source.snapshot(), every, self._clock)
        if stored["source"] != source.name:
            raise Conflict(
                f"In the run before loop {self._loops} went over {stored['source']}, and now it is to go over "
                f"{source.name}: the script has changed, or its arguments. Undo that, or begin anew with --from-start."
            )
        snapshot = Snapshot.parse(stored["snapshot"], self._site._p_jar) if stored["snapshot"] else None
        return Loop(source, stored["position"], stored["total"], snapshot, every, self._clock)

    def _go_over(self, loop: Loop) -> Generator[Block, None, None]:
        """Give the blocks of a loop, until the checkpoint of the last one is committed."""
        self._loop = loop
        self._current = transaction.get()
        try:
            ended = False
            while not ended:
                reached_end = yield from self._blocks(loop)
                ended = reached_end and self._checkpoint(loop, ended=True)
            self._left = None
        except GeneratorExit:  # the script has left it: it has ended
            if self._loop is loop:
                self._left = loop.status()
                self._note_left(loop)
            raise
        except Gone as error:
            self._failure = Gone(f"{error} --from-start makes the batch forget what it has done.")
            self._left = loop.status()
            raise self._failure from error
        except BaseException as error:
            self._failure, self._left = error, loop.status()
            raise
        finally:
            if self._loop is loop:
                self._loop = None

    def _blocks(self, loop: Loop) -> Generator[Block, None, bool]:
        """Give blocks up to the end, or to where a checkpoint met another's commit: False."""
        with closing(loop.blocks()) as blocks:
            for block in blocks:
                loop.block = block.start, block.stop
                self._observe(loop.status())
                yield block
                if transaction.get() is not self._current:
                    raise Conflict(OWN_ABORT)
                loop.note_done(block)
                if loop.is_due() and not self._checkpoint(loop, ended=False):
                    return False
        return True

    def _checkpoint(self, loop: Loop, *, ended: bool) -> bool:
        """Commit what was done, and how far that is; False: it met another's commit, and the loop is back where it was.

        Conflict: it does so again and again.
        """
        self._note(loop, ended=ended)
        if self._commits():
            self._conflicts = 0
            loop.begin_slice()
            return True
        progress = self._claim.check_is_held()
        self._state.restore(progress)
        if progress.ended_loops >= self._loops:  # it was committed, and the answer was lost
            return True
        self._conflicts += 1
        if self._conflicts == ATTEMPTS:
            raise Conflict(
                f"Other processes go on changing what the script changes: {ATTEMPTS} times in a row what it did from "
                f"{loop.source.unit} {loop.saved:,} of {loop.source.name} on was not kept. Run it again later."
            )
        loop.rewind(progress.loop["position"] if progress.loop else None)
        pause(self._conflicts)
        return False

    def _note(self, loop: Loop, *, ended: bool) -> None:
        """Note where a loop is, in the current transaction."""
        progress = self._claim.check_is_held()
        progress.note(loop.position, loop.total, loop.source.unit, loop.rate())
        if ended:
            progress.ended_loops, progress.loop = self._loops, None
        else:
            progress.loop = loop.state()

    def _note_left(self, loop: Loop) -> None:
        """Note that the script has left a loop, which it can't be told of an error any more: the next commit is."""
        try:
            self._note(loop, ended=True)
        except Exception as error:
            self._failure = error

    # transactions

    def _before_commit(self) -> None:
        """A commit, also one of the script outside of its loops, has `batch.state` with it."""
        if self._failure is not None:
            raise Conflict(f"A loop of the batch has failed, and so nothing is committed any more: {self._failure}")
        if self._loop is not None and not self.is_committing:
            raise Conflict(OWN_COMMIT)
        self._state.store(self._claim.check_is_held())

    def _commits(self) -> bool:
        """Commit; False: it met another's commit, or nobody knows what became of it, so look at what is there.

        StorageFull: there is no room. NotReady: the database can't be reached. Whatever fails, nothing of it is kept.
        """
        self.is_committing = True
        try:
            transaction.commit()
        except Exception as error:
            retryable = transaction.get().isRetryableError(error)
            abort()
            if is_full(error):
                raise StorageFull(FULL) from error
            if is_lost(error):
                self._wait_for_database()
            elif not retryable:
                raise
            return False
        except BaseException:
            transaction.abort()
            raise
        finally:
            self.is_committing = False
            self._current = transaction.get()
        return True

    def _wait_for_database(self) -> None:
        """Return once the database can be read again. NotReady: it can't, for LOST_SECONDS."""
        deadline = self._clock() + LOST_SECONDS
        while True:
            try:
                transaction.begin()
                if self._claim.progress is not None:
                    return
            except Exception as error:
                if not is_lost(error):
                    raise
                if self._clock() >= deadline:
                    raise NotReady(GONE) from error
            pause(ATTEMPTS)


def abort() -> None:
    """Drop what was changed, also where the database can't be reached, which the connection then asks at once."""
    with passing_over_loss():
        transaction.abort()


def begin() -> None:
    """Begin a transaction, also where the database can't be reached."""
    with passing_over_loss():
        transaction.begin()


@contextmanager
def passing_over_loss() -> Iterator[None]:
    """Go on where the database can't be reached: who needs it next is told."""
    try:
        yield
    except Exception as error:
        if not is_lost(error):
            raise
