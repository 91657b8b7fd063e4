"""Retention: what each policy keeps of its streams, whoever else writes to them, reads them or holds on to them."""

from __future__ import annotations

import msgpack
import pytest
import transaction
from DateTime import DateTime

from Products.ERP5Wendelin.alarms import retention
from Products.ERP5Wendelin.alarms.budget import interruptible
from Products.ERP5Wendelin.alarms.retention import apply_retention
from Products.ERP5Wendelin.content.date_time import NANOSECONDS
from Products.ERP5Wendelin.errors import NotAuthorised
from Products.ERP5Wendelin.ingestion.policy import add_policy, ingest
from Products.ERP5Wendelin.storage.block import BLOCK_SIZE
from Products.ERP5Wendelin.storage.transaction import in_transaction, separate_connection
from support.site import as_user

HOUR = 3600
NOON = 1_800_000_000


@pytest.fixture(autouse=True)
def clock(monkeypatch):
    """The time in seconds, for what arrives and for the alarm: a list of one number."""
    now = [NOON]
    for module in ("content.data_stream", "alarms.retention"):
        monkeypatch.setattr(f"Products.ERP5Wendelin.{module}.time_ns", lambda: now[0] * NANOSECONDS)
    return now


@pytest.fixture
def policy(site):
    """The policy that the site has from its business template."""
    return site.portal_ingestion_policies["default"]


def send(policy, tag, size=BLOCK_SIZE):
    """Let an event of a size arrive, and return the stream."""
    head = len(msgpack.packb([NOON, bytes(size)])) - size
    ingest(policy, tag, msgpack.packb([NOON, b"x" * (size - head)]))
    transaction.commit()
    site = policy.getPortalObject()
    return next(stream for stream in site.data_stream_module.objectValues() if stream.getReference() == tag)


def apply(alarm):
    transaction.commit()
    report = apply_retention(alarm)
    transaction.commit()
    return report


def test_a_stream_keeps_all_where_its_policy_says_nothing(alarm, policy):
    stream = send(policy, "a.b", 3 * BLOCK_SIZE)
    assert apply(alarm) == (False, "Streams with a retention: 0. Dropped: 0.0 MiB of 0 streams.")
    assert stream.getStartOffset() == 0


@pytest.mark.parametrize(
    ("size", "start"), [(1, 4), (BLOCK_SIZE, 4), (BLOCK_SIZE + 1, 3), (3 * BLOCK_SIZE - 1, 2), (5 * BLOCK_SIZE, 0)]
)
def test_a_stream_is_capped_by_its_size_and_up_to_a_block_more_is_left(alarm, policy, size, start):
    policy.edit(retention_size=size)
    stream = send(policy, "a.b", 5 * BLOCK_SIZE)
    dropped = f"Dropped: {2 * start:.1f} MiB of {bool(start):d} streams."
    assert apply(alarm) == (False, f"Streams with a retention: 1. {dropped}")
    assert (stream.getStartOffset(), stream.getSize()) == (start * BLOCK_SIZE, 5 * BLOCK_SIZE)
    assert apply(alarm).text.endswith("Dropped: 0.0 MiB of 0 streams.")


def test_a_stream_is_capped_by_its_age(alarm, policy, clock):
    policy.edit(retention_age=3 * HOUR)
    for hour in range(6):
        clock[0] = NOON + hour * HOUR
        stream = send(policy, "a.b")
    apply(alarm)
    # what came at 12 and 13 o'clock; at 17 o'clock that of 14 is not older than three hours
    assert stream.getStartOffset() == 2 * BLOCK_SIZE
    clock[0] += 1
    apply(alarm)
    assert stream.getStartOffset() == 3 * BLOCK_SIZE


def test_a_stream_to_which_nothing_comes_any_more_grows_too_old_as_well(alarm, policy, clock):
    policy.edit(retention_age=HOUR)
    stream = send(policy, "a.b", 2 * BLOCK_SIZE)
    clock[0] += HOUR + 1
    apply(alarm)
    assert stream.getStartOffset() == stream.getSize() == 2 * BLOCK_SIZE
    assert send(policy, "a.b", 10).getData() == msgpack.packb([NOON, b"xx"])


def test_what_is_beyond_either_cap_is_dropped(alarm, policy, clock):
    policy.edit(retention_age=HOUR, retention_size=2 * BLOCK_SIZE)
    stream = send(policy, "a.b", 4 * BLOCK_SIZE)
    apply(alarm)
    assert stream.getStartOffset() == 2 * BLOCK_SIZE
    clock[0] += 2 * HOUR
    send(policy, "a.b")
    apply(alarm)
    assert stream.getStartOffset() == 4 * BLOCK_SIZE


@pytest.fixture
def other(site):
    """Another policy that writes to the same streams: they are found by their tags."""
    other, _, _ = add_policy(site.portal_ingestion_policies, "other")
    return other


@pytest.mark.parametrize(
    ("size", "state", "start"),
    [(None, "validated", 0), (2 * BLOCK_SIZE, "validated", 2), (BLOCK_SIZE, "validated", 3), (None, "invalidated", 3)],
)
def test_of_a_stream_of_two_policies_in_use_each_keeps_what_it_says(alarm, policy, other, size, state, start):
    policy.edit(retention_size=BLOCK_SIZE)
    other.edit(retention_size=size)
    send(other, "a.b", 2 * BLOCK_SIZE)
    stream = send(policy, "a.b", 2 * BLOCK_SIZE)
    if state == "invalidated":
        other.invalidate()
    apply(alarm)
    assert stream.getStartOffset() == start * BLOCK_SIZE


def test_a_policy_that_is_not_in_use_drops_nothing(alarm, policy):
    policy.edit(retention_size=BLOCK_SIZE)
    stream = send(policy, "a.b", 4 * BLOCK_SIZE)
    policy.invalidate()
    apply(alarm)
    assert stream.getStartOffset() == 0


def test_streams_of_other_policies_and_of_none_are_left_alone(site, alarm, policy, other):
    policy.edit(retention_size=1)
    send(policy, "a.b", 2 * BLOCK_SIZE)
    theirs = send(other, "c.d", 2 * BLOCK_SIZE)
    nobodys = site.data_stream_module.newContent("Data Stream", reference="e.f")
    nobodys.appendData(bytes(2 * BLOCK_SIZE))
    assert apply(alarm).text == "Streams with a retention: 1. Dropped: 2.0 MiB of 1 streams."
    assert (theirs.getStartOffset(), nobodys.getStartOffset()) == (0, 0)


def test_a_stream_that_a_line_has_together_with_a_data_set_keeps_all(site, alarm, policy):
    policy.edit(retention_size=1)
    stream = send(policy, "a.b", 2 * BLOCK_SIZE)
    data_set = site.data_set_module.newDataSet("turbines")
    ingestion = site.data_ingestion_module.newContent(portal_type="Data Ingestion", reference="published")
    ingestion.newContent(reference="out_stream", aggregate_value_list=[stream, data_set])
    assert apply(alarm).text == "Streams with a retention: 1. Dropped: 0.0 MiB of 0 streams."
    assert stream.getStartOffset() == 0


def test_a_file_of_a_data_set_that_an_ingestion_names_keeps_all(site, alarm, policy, monkeypatch):
    policy.edit(retention_size=1)
    send(policy, "a.b", 2 * BLOCK_SIZE)
    monkeypatch.setattr(retention.DataStream, "length", 5)
    assert apply(alarm).text == "Streams with a retention: 1. Dropped: 0.0 MiB of 0 streams."


def test_a_bucket_stream_and_a_stream_that_is_gone_are_passed_over(site, alarm, policy):
    policy.edit(retention_size=1)
    site.data_product_module.default.setAggregatedPortalTypeList(["Data Bucket Stream", "Data Stream"])
    stream = send(policy, "a.b", 10)
    stream = next(each for each in site.data_stream_module.objectValues() if each.getPortalType() == "Data Stream")
    site.data_stream_module._delObject(stream.getId())
    assert apply(alarm) == (False, "Streams with a retention: 2. Dropped: 0.0 MiB of 0 streams.")


def test_large_heads_are_dropped_in_steps(alarm, policy, monkeypatch, lake):
    monkeypatch.setattr(retention, "STEP", 2 * BLOCK_SIZE)
    policy.edit(retention_size=1)
    stream = send(policy, "a.b", 5 * BLOCK_SIZE)
    before = lake.db.lastTransaction()
    apply(alarm)
    assert stream.getStartOffset() == 4 * BLOCK_SIZE
    notes = [each.description for each in lake.db.storage.iterator() if each.tid > before]
    assert notes.count(f"retention of {stream.getRelativeUrl()}".encode()) == 2


def test_who_appends_while_a_head_is_dropped_loses_nothing_and_neither_fails(lake, alarm, policy, monkeypatch):
    policy.edit(retention_size=BLOCK_SIZE)
    stream = send(policy, "a.b", 3 * BLOCK_SIZE)
    drop, attempts = retention.DataStream.dropData, []

    def dropped(document, before):
        attempts.append(before)
        if len(attempts) == 1:
            with separate_connection(lake.db) as connection:
                in_transaction(connection, lambda: connection.get(stream._p_oid).appendData(b"more"), note="append")
        return drop(document, before)

    monkeypatch.setattr(retention.DataStream, "dropData", dropped)
    assert apply(alarm) == (False, "Streams with a retention: 1. Dropped: 4.0 MiB of 1 streams.")
    assert len(attempts) == 2
    assert (stream.getStartOffset(), stream.getData(3 * BLOCK_SIZE)) == (2 * BLOCK_SIZE, b"more")


def test_a_stream_that_is_never_left_alone_is_reported_and_others_have_their_turn(lake, alarm, policy, monkeypatch):
    policy.edit(retention_size=1)
    busy, other = send(policy, "a.b", 2 * BLOCK_SIZE), send(policy, "c.d", 2 * BLOCK_SIZE)
    drop = retention.DataStream.dropData

    def dropped(document, before):
        if document._p_oid == busy._p_oid:
            with separate_connection(lake.db) as connection:
                in_transaction(connection, lambda: connection.get(busy._p_oid).appendData(b"more"), note="append")
        return drop(document, before)

    monkeypatch.setattr(retention.DataStream, "dropData", dropped)
    monkeypatch.setattr("Products.ERP5Wendelin.storage.transaction.pause", lambda attempt: None)
    assert apply(alarm) == (
        True,
        "Streams with a retention: 2. Dropped: 2.0 MiB of 1 streams.\n"
        "Data Stream 'a.b' is appended to without a pause: nothing, or not all, was dropped.",
    )
    assert (busy.getStartOffset(), other.getStartOffset()) == (0, BLOCK_SIZE)


def test_a_run_that_is_asked_to_stop_goes_on_behind_its_last_stream_the_next_time(alarm, policy, monkeypatch):
    policy.edit(retention_size=1)
    streams = sorted((send(policy, tag, 2 * BLOCK_SIZE) for tag in ("a.b", "c.d")), key=lambda each: each.getId())
    asked = iter([False] * 2)  # before the first stream, and before its first step
    with interruptible(lambda: next(asked, True)):
        assert apply(alarm).text.endswith("Dropped: 2.0 MiB of 1 streams.")
    assert [stream.getStartOffset() for stream in streams] == [BLOCK_SIZE, 0]
    assert alarm.recall() == {"url": streams[0].getRelativeUrl()}
    send(policy, streams[0].getReference(), BLOCK_SIZE)
    asked = iter([False] * 2)
    with interruptible(lambda: next(asked, True)):
        apply(alarm)
    assert [stream.getStartOffset() for stream in streams] == [BLOCK_SIZE] * 2


def test_an_ingestion_of_which_nothing_runs_any_more_keeps_its_policy_s_retention(site, alarm, policy, clock):
    policy.edit(retention_age=HOUR)
    stream = send(policy, "a.b", 2 * BLOCK_SIZE)
    site.data_supply_module["default"].edit(expiration_date=DateTime("2026/01/01 UTC"))
    clock[0] += 2 * HOUR
    apply(alarm)
    assert stream.getStartOffset() == 2 * BLOCK_SIZE


def test_it_takes_the_right_to_run_the_alarm(site, alarm):
    with as_user(site, "ada"), pytest.raises(NotAuthorised, match=r"^You may not run the alarm 'under_test'\.$"):
        apply_retention(alarm)
