"""Streams through everything that goes wrong: each event is there exactly once, in the order of its sender."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from random import Random

import pytest

from support.faults import Fault, faulty_network
from support.forward_sender import Figures, Senders, chunks, figures
from support.forward_server import forward_server
from support.lake import ServedLake
from support.stored_streams import opened_streams

SENDERS = 20
EVENTS = 10_000
"""Of each sender."""

TAGS = 4
"""Senders share the streams."""

ALL = SENDERS * EVENTS
KILLS = 10
CUTS = 100
LAST = 0.8
"""The share of the events by which the last of these has begun, so that there is traffic for it to happen to."""

WITHIN = {"up": 3000, "down": 100}
"""A cut happens after up to so many bytes more: within a message, or within acknowledgements."""


@pytest.fixture
def lake(tmp_path) -> ServedLake:
    """An instance that nobody serves."""
    lake = ServedLake(tmp_path)
    lake.init()
    return lake


@contextmanager
def sending(address: str, count: int = EVENTS) -> Iterator[Senders]:
    """The senders at work."""
    senders = Senders(address, [chunks(f"plant.{sender % TAGS}", sender, count) for sender in range(SENDERS)])
    try:
        yield senders
    finally:
        senders.stop()


def stored(lake: ServedLake, count: int = EVENTS) -> Figures:
    """What has become of the events in the streams of a lake that nobody uses any more."""
    with opened_streams(lake) as streams:
        entries = (entry for tag in range(TAGS) for entry, _ in streams[f"plant.{tag}"].iterateMsgpack())
        return figures(entries, dict.fromkeys(range(SENDERS), count))


def cuts() -> Iterator[Fault]:
    """Of what is sent and of acknowledgements, by an orderly end and by a reset, in turn.

    What a lost acknowledgement was for is stored already, and is sent again.
    """
    random = Random(5)
    for number in range(CUTS):
        direction = ("up", "down")[number % 2]
        yield Fault(direction, random.randrange(WITHIN[direction]), ("close", "reset")[number // 2 % 2])


def test_what_20_senders_send_is_there_once_and_in_order_after_10_kills_and_100_cuts(lake, record_property):
    incidents = list(cuts())
    for number in range(KILLS):
        incidents.insert(number * len(incidents) // KILLS + number % 2, None)
    with (
        forward_server(lake) as server,
        faulty_network(server.address) as network,
        sending(network.address) as senders,
    ):
        for number, incident in enumerate(incidents, 1):
            reached = int(number * LAST * ALL / len(incidents))
            # in turn just after a commit, and while one may be under way
            senders.wait(acknowledged=reached) if number % 2 else senders.wait(sent=reached)
            if incident is not None:
                network.faults.append(incident)
                continue
            network.lead_to(None)
            server.kill()
            server.start()
            network.lead_to(server.address)
        senders.finish()
        assert (len(network.broken), senders.acknowledged) == (CUTS, ALL)
        assert server.stop() == 0
    found = stored(lake)
    record_property("figure", f"{SENDERS} senders, {ALL} events, {KILLS} kills, {CUTS} cuts: {found}")
    assert found == Figures(lost=0, doubled=0, out_of_order=0)
