"""Batches: what many agents have sent, committed together.

A commit waits for the disk, whatever it stores, so a thousand small pieces are stored in one transaction::

    Sent(tag, data, chunk, user, policy)  ─┐
    Sent(…)                                ├─ BatchWriter.write ── one transaction ── for each: None, or an error
    Sent(…)                               ─┘                       (of TAGS at most)

What one user has sent under one tag, through one policy, is joined, in its order, and goes to the script of its Data
Operation at once. It is taken or refused as a whole, so that what is sent after something refused does not overtake it
within a batch. A refusal keeps nothing else from being stored: the transaction is given up, and done again without it.

Each piece is stored exactly once if it has an id, `chunk`, by which the documents it goes to know it again
(`ingestion.policy`). That covers an answer that was lost on its way to the agent, and a commit of which nobody knows
whether it was one, since the connection to the storage broke at that moment. Pieces without ids are stored once over
all attempts with one `batch` id, which their documents remember instead.
"""

from __future__ import annotations

import copy
import logging
import os
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from functools import cache, partial
from typing import Any, NamedTuple
from weakref import WeakKeyDictionary

import transaction
from Acquisition import aq_base
from Products.CMFCore.indexing import processQueue
from transaction.interfaces import TransientError
from ZODB import DB

from Products.ERP5Wendelin.content.acting import acting_as
from Products.ERP5Wendelin.content.site import opened_site
from Products.ERP5Wendelin.errors import (
    BadInput,
    NotFound,
    NotReady,
    ScriptError,
    StorageFull,
    TooLarge,
    WendelinError,
)
from Products.ERP5Wendelin.ingestion.identity import sender
from Products.ERP5Wendelin.ingestion.locks import CATALOGUE, turn
from Products.ERP5Wendelin.ingestion.policy import REFERENCE_LENGTH, Intake, Piece, Target, checked_tag
from Products.ERP5Wendelin.protocol import MIB, SLICE_SIZE
from Products.ERP5Wendelin.storage.recent import note_written
from Products.ERP5Wendelin.storage.transaction import ATTEMPTS, is_full, is_lost, pause

TOOL = "portal_ingestion_policies"

BATCH_SIZE = SLICE_SIZE
"""The most bytes of a batch."""

TAGS = 1000
"""The most tags of a transaction: a new one takes 10 ms, and 20 kB of memory, whatever is sent under it."""

REMEMBERED_SECONDS = 5.0
"""For so long a tag that was refused is refused again without a look."""

REMEMBERED_LENGTH = 10_000
"""How many refusals are remembered."""

TOGETHER = 4
"""How often a batch is tried that meets others' commits, or of which more is refused each time; then its parts are,
which take less time, one by one."""

logger = logging.getLogger("wendelin.ingestion")


class Sent(NamedTuple):
    """Something that was sent under a tag: whole records, at most BATCH_SIZE bytes."""

    tag: str
    data: bytes
    chunk: bytes | None = None
    """The id by which it is known again; None: the agent would not send it again."""
    user: str = ""
    """Whose rights it comes with: a name in the lake's acl_users; '': the built-in `fluentd`."""
    policy: str = "default"
    """The id of the Ingestion Policy that takes it."""


class Origin(NamedTuple):
    """Of what is joined: what one user sends under one tag through one policy."""

    user: str
    policy: str
    tag: str


Outcome = WendelinError | None
Refusals = dict[Origin, WendelinError]


class BatchWriter:
    """Writes batches to a database, for one thread or several; one at a time is written to a database.

    A refusal is remembered for `remembered` seconds, so that a flood of what is refused costs little.
    """

    def __init__(
        self,
        database: DB,
        remembered: float = REMEMBERED_SECONDS,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._database = database
        self._remembered = _Remembered(remembered, clock)

    def write(self, sent: Sequence[Sent], batch: bytes | None = None) -> list[Outcome]:
        """Commit what was sent, BATCH_SIZE bytes at most; for each piece return None, or the error it is refused for.

        None: it is in the database, or was before. Refused is what can't be stored as the site is now: no such policy
        or user, no permission, no supply, a script that fails.

        NotReady: the storage can't be reached, or others change the same things all the time; StorageFull: it has no
        room. Some of it may be stored then, or nothing; all of it is to be written again, later, with the same `batch`:
        random bytes, used for nothing else, by which what is stored already is not stored twice. TooLarge: all of it.
        """
        size = sum(len(each.data) for each in sent)
        if size > BATCH_SIZE:
            raise TooLarge(f"A batch may have at most {BATCH_SIZE // MIB} MiB, and this one has {size} bytes.")
        groups = _grouped(sent)
        refused: Refusals = {}
        for origin in groups:
            error = self._remembered.find(origin) or _unfit(origin)
            if error is not None:
                refused[origin] = error
        groups = {origin: pieces for origin, pieces in groups.items() if origin not in refused}
        if groups:
            found = self._commit(groups, batch or os.urandom(16))
            for origin, error in found.items():
                self._remembered.add(origin, error)
            refused |= found
        return [refused.get(_origin(each)) for each in sent] if refused else [None] * len(sent)

    def _commit(self, groups: dict[Origin, list[Piece]], id: bytes) -> Refusals:
        try:
            with _lock(self._database), opened_site(self._database) as site:
                batch, origins = _Batch(site, groups, id), list(groups)
                parts = (origins[start : start + TAGS] for start in range(0, len(origins), TAGS))
                return {origin: error for part in parts for origin, error in batch.commit(part).items()}
        except Exception as error:
            if is_full(error):
                raise StorageFull(
                    "The disk of the data lake is full: what is sent is taken once there is room."
                ) from error
            if is_lost(error):
                raise NotReady(
                    "The storage of the data lake cannot be reached: what is sent is taken once it can."
                ) from error
            raise


class _Refused(Exception):
    """Some are refused, and nothing was stored: the transaction is to be done without these."""

    def __init__(self, found: Refusals) -> None:
        super().__init__()
        self.found = found


class _Batch:
    """A batch on its way into the database."""

    def __init__(self, site: Any, groups: dict[Origin, list[Piece]], id: bytes) -> None:
        self._site = site
        self._groups = groups
        self._id = id

    def commit(self, origins: Sequence[Origin]) -> Refusals:
        """Store what these have sent, in one transaction, but for what is refused; return that, and why."""
        refused: Refusals = {}
        failures = refusals = 0
        while origins:
            try:
                # who has met another's commit waits for a turn with all that writes to the catalogue
                with turn(CATALOGUE) if failures else nullcontext():
                    self._transact(origins)
                break
            except _Refused as error:
                refused |= error.found
                origins = [origin for origin in origins if origin not in refused]
                refusals += 1
                if refusals == TOGETHER and len(origins) > 1:
                    return refused | self._commit_one_by_one(origins, error)
            except Exception as error:
                if is_full(error) or is_lost(error):
                    raise
                failures += 1
                if not isinstance(error, TransientError) or failures == (ATTEMPTS if len(origins) == 1 else TOGETHER):
                    return refused | self._commit_one_by_one(origins, error)
                pause(failures)
        return refused

    def _commit_one_by_one(self, origins: Sequence[Origin], error: Exception) -> Refusals:
        """The same with a transaction for each, since one for all could not be committed, by whose fault ever."""
        refused: Refusals = {}
        if len(origins) > 1:
            for origin in origins:
                refused |= self.commit([origin])
            return refused
        if isinstance(error, TransientError):
            raise NotReady("Others change the same things at the same time, again and again: try later.") from error
        return {origins[0]: _refusal(origins[0], error)}

    def _transact(self, origins: Sequence[Origin]) -> None:
        """Store what these have sent in a transaction. _Refused: not all of it can be stored, and nothing was."""
        transaction.begin().note("ingest")
        try:
            targets = self._store(origins)
            transaction.commit()
        except BaseException:
            transaction.abort()
            raise
        streams = (getattr(aq_base(sink), "stream", None) for target in targets for sink in target.sinks)
        note_written(self._site._p_jar, (stream for stream in streams if stream is not None))

    def _store(self, origins: Sequence[Origin]) -> list[Target]:
        """Store what these have sent in the current transaction, and return where it went."""
        targets: list[Target] = []
        found: Refusals = {}
        user_of = cache(partial(sender, self._site))
        intake_of = cache(self._intake)
        for origin in origins:
            try:
                with acting_as(user_of(origin.user)):
                    target = intake_of(origin.user, origin.policy).target(origin.tag)
                    if target.takes_stream:  # in transactions of its own
                        raise BadInput(
                            f"The policy {origin.policy!r} takes the tag {origin.tag!r} by HTTP alone: its script "
                            "reads what a request brings as a stream."
                        )
                    target.store(self._groups[origin], self._mark(origin))
                    processQueue()  # what is to be indexed, while it is known on whose account
                    targets.append(target)
            except Exception as error:
                if isinstance(error, TransientError) or is_full(error) or is_lost(error):
                    raise  # it is nobody's fault, and passes
                found[origin] = _refusal(origin, error)
                # the others are only looked at: they should not find what this one has changed before it failed
                transaction.begin()
        if found:
            raise _Refused(found)
        return targets

    def _intake(self, user: str, id: str) -> Intake:
        """The policy of an id as the current user, who has this name, may use it."""
        policy = self._site[TOOL]._getOb(id, None)
        if policy is None:
            raise NotFound(f"There is no Ingestion Policy {id!r}.")
        return Intake(policy)

    def _mark(self, origin: Origin) -> bytes:
        """The id of what has none: that of the batch, for each of its parts another."""
        return b"\0".join((self._id, *(text.encode("utf-8", "surrogatepass") for text in origin)))


class _Remembered:
    """Refusals of the last seconds; the oldest go first if there are too many."""

    def __init__(self, seconds: float, clock: Callable[[], float]) -> None:
        self._seconds = seconds
        self._clock = clock
        self._until: OrderedDict[Origin, tuple[float, WendelinError]] = OrderedDict()

    def find(self, origin: Origin) -> WendelinError | None:
        until, error = self._until.get(origin, (0.0, None))
        return error if self._clock() < until else None

    def add(self, origin: Origin, error: WendelinError) -> None:
        """Remember a refusal, without what was at hand where it was raised."""
        self._until.pop(origin, None)
        # In a process that has loaded tblib, as dask's cluster does, a copy has all of that, too.
        error = copy.copy(error).with_traceback(None)
        error.__cause__ = error.__context__ = None
        self._until[origin] = self._clock() + self._seconds, error
        while len(self._until) > REMEMBERED_LENGTH:
            self._until.popitem(last=False)


_locks: WeakKeyDictionary[DB, threading.Lock] = WeakKeyDictionary()


def _lock(database: DB) -> threading.Lock:
    """The lock of who writes to a database: batches of this process that met each other would conflict."""
    return _locks.setdefault(database, threading.Lock())


def _origin(sent: Sent) -> Origin:
    return Origin(sent.user, sent.policy, sent.tag)


def _grouped(sent: Sequence[Sent]) -> dict[Origin, list[Piece]]:
    groups: dict[Origin, list[Piece]] = {}
    for each in sent:
        groups.setdefault(_origin(each), []).append(Piece(each.data, each.chunk))
    return groups


def _unfit(origin: Origin) -> WendelinError | None:
    """The error for what is no tag to any policy."""
    try:
        checked_tag(origin.tag, REFERENCE_LENGTH)
    except BadInput as error:
        return error
    return None


def _refusal(origin: Origin, error: Exception) -> WendelinError:
    """What is refused for an error: for one of ours as it is; a defect is logged, and said."""
    if isinstance(error, WendelinError):
        return error
    logger.error("what was sent under the tag %r to %r failed", origin.tag, origin.policy, exc_info=error)
    refusal = ScriptError(f"What is sent under the tag {origin.tag!r} fails: {type(error).__name__}: {error}")
    refusal.__cause__ = error
    return refusal
