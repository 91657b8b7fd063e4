"""Retention: what is older, or more, than an Ingestion Policy keeps is dropped from the heads of its streams.

A policy's streams are those that the Data Ingestions of its tags write to, whether anything still arrives or not. Of a
stream that several policies in use write to is dropped what none of them keeps: one without a retention keeps all. A
stream of a data set keeps all, too: nothing is dropped of a file, nor of a stream that is aggregated together with a
data set by a line of an ingestion or of anything else.

Age is counted from the arrival, by the stream's time index (`content.time_index`). Whole blocks are dropped, so what is
kept is up to 2 MiB more. A stream is dropped from in steps, each a transaction of its own: where somebody appends at
the same time, one of the two tries again. Who reads a stream meanwhile reads on, and is told where it begins if what
comes next is gone.

A run that has no time left remembers as `url` the stream that it came to last; the next one goes on behind that.
"""

from __future__ import annotations

from collections.abc import Iterator
from time import time_ns
from typing import Any, NamedTuple

from AccessControl.SecurityInfo import ModuleSecurityInfo
from transaction.interfaces import TransientError
from ZODB import DB

from Products.ERP5Wendelin.alarms.budget import Budget
from Products.ERP5Wendelin.content import relation
from Products.ERP5Wendelin.content.alarm import Report, checked_alarm
from Products.ERP5Wendelin.content.data_stream import DataStream
from Products.ERP5Wendelin.content.date_time import NANOSECONDS
from Products.ERP5Wendelin.content.located import name_of
from Products.ERP5Wendelin.content.state import IN_USE
from Products.ERP5Wendelin.protocol import MIB
from Products.ERP5Wendelin.storage.block import BLOCK_SIZE
from Products.ERP5Wendelin.storage.transaction import in_transaction, release, separate_connection

SECONDS = 60
"""How long a run goes on: the other alarms wait for it."""

STEP = 512 * MIB
"""How much is dropped in a transaction: 256 blocks, and a few hundred lines of the time index, in some milliseconds."""

STREAMS = "data_stream_module/"
DATA_SETS = "data_set_module/"
"""What relations to streams and data sets begin with."""

security = ModuleSecurityInfo("Products.ERP5Wendelin.alarms.retention")
security.declarePublic("apply_retention")


class Cap(NamedTuple):
    """What a policy keeps: bytes, and seconds; None: all."""

    size: int | None
    age: int | None

    def before(self, stream: DataStream, time: int) -> int:
        """Up to which offset a stream may be dropped at a time (in nanoseconds since 1970)."""
        by_size = stream.getSize() - self.size if self.size else 0
        by_age = stream.getTimeIndex().arrived_before(time - self.age * NANOSECONDS) if self.age else 0
        return max(by_size, by_age, 0)


def apply_retention(alarm: Any) -> Report:
    """Drop what the policies do not keep, stream after stream, for as long as the budget allows."""
    site = checked_alarm(alarm).getPortalObject()
    budget, caps = Budget(SECONDS, 1), _capped_streams(site)
    last, problems = alarm.recall().get("url", ""), []
    dropped = touched = 0
    # behind the last one first, and then from the beginning
    for url in sorted(caps, key=lambda url: (url <= last, url)):
        if not budget.is_left:
            break
        site._p_jar.cacheGC()
        stream = relation.find(site, url)
        before = _before(stream, caps[url])
        if before is not None:
            try:
                size = _drop(site._p_jar.db(), stream, before, budget)
            except TransientError:
                problems.append(f"{name_of(stream)} is appended to without a pause: nothing, or not all, was dropped.")
            else:
                dropped += size
                touched += 1
        last = url
    alarm.remember({"url": last})
    text = f"Streams with a retention: {len(caps)}. Dropped: {dropped / MIB:,.1f} MiB of {touched} streams."
    return Report(failed=bool(problems), text="\n".join([text, *problems]))


def _capped_streams(site: Any) -> dict[str, list[Cap]]:
    """By the relative URL of each stream that all policies in use which write to it have a cap for, these caps."""
    policies = {
        policy.getId(): Cap(policy.getRetentionSize(), policy.getRetentionAge())
        for policy in site.portal_ingestion_policies.objectValues()
        if policy.getValidationState() in IN_USE
    }
    if not any(map(any, policies.values())):
        return {}
    found: dict[str, set[Cap]] = {}
    for policy, ingestion in site.data_ingestion_module.runningItems():
        site._p_jar.cacheGC()  # there may be thousands
        if policy in policies:
            for url in _streams(ingestion):
                found.setdefault(url, set()).add(policies[policy])
    return {url: sorted(caps, key=str) for url, caps in found.items() if all(map(any, caps))}


def _streams(ingestion: Any) -> Iterator[str]:
    """The relative URLs of what an ingestion's lines aggregate among the streams."""
    for line in ingestion.objectValues():
        yield from (path for path in relation.paths(line, "aggregate") if path.startswith(STREAMS))


def _before(stream: Any, caps: list[Cap]) -> int | None:
    """Up to which offset something is to be dropped; None: nothing is."""
    if not isinstance(stream, DataStream) or stream.length is not None:
        return None
    time = time_ns()
    before = min(cap.before(stream, time) for cap in caps)
    if before < stream.getStartOffset() + BLOCK_SIZE or _is_of_a_data_set(stream):
        return None
    return before


def _is_of_a_data_set(stream: DataStream) -> bool:
    """Whether anything aggregates the stream together with a data set."""
    search = stream.getPortalObject().portal_catalog.unrestrictedSearchResults
    found = (brain._unrestrictedGetObject() for brain in search(aggregate_relative_url=stream.getRelativeUrl()))
    return any(path.startswith(DATA_SETS) for document in found for path in relation.paths(document, "aggregate"))


def _drop(database: DB, stream: DataStream, before: int, budget: Budget) -> int:
    """Drop a stream's head in steps while the budget lasts; how many bytes. TransientError: others did not let it."""
    oid, start = stream._p_oid, stream.getStartOffset()
    with separate_connection(database) as connection:

        def step() -> int:
            document = connection.get(oid)
            return int(document.dropData(min(before, document.getStartOffset() + STEP)))

        reached = start
        try:
            while budget.is_left and before >= reached + BLOCK_SIZE:
                reached = in_transaction(connection, step, note=f"retention of {stream.getRelativeUrl()}")
        finally:
            release(connection, oid)
    return reached - start
