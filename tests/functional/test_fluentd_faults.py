"""Streams through everything that goes wrong: each event is there exactly once, in the order of its sender."""

from __future__ import annotations

import http.client
import math
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from random import Random

import msgpack

from support.databases import zeo_server
from support.disks import fill, small_disk
from support.faults import Fault, faulty_network
from support.forward_sender import Figures, Senders, chunks, event, figures
from support.forward_server import forward_server
from support.http_server import basic
from support.lake import PASSWORD, ServedLake
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

AHEAD = 0.1
"""The share of the events that may be sent before what is to happen next has begun."""

FEW = 1_000
"""Events of each sender, where less happens."""

DEADLINE = 120
"""Seconds that anything may take on a busy machine."""

STORAGE_WAIT = 10
"""Seconds that the server waits for an answer of its storage."""

AWAY = "what agents send can't be stored now: "
BACK = "what agents send is stored again, and acknowledged"

MIB = 2**20

WITHIN = {"up": 3000, "down": 100}
"""A cut happens after up to so many bytes more: within a message, or within acknowledgements."""


NONE = Figures(lost=0, doubled=0, out_of_order=0)


@contextmanager
def sending(
    address: str, count: int = EVENTS, numbers: Iterable[int] = range(SENDERS), limit: float = math.inf
) -> Iterator[Senders]:
    """The senders of these numbers at work."""
    senders = Senders(address, [chunks(f"plant.{number % TAGS}", number, count) for number in numbers], limit=limit)
    try:
        yield senders
    finally:
        senders.stop()


def stored(data_fs: Path, count: int = EVENTS, senders: Iterable[int] = range(SENDERS)) -> Figures:
    """What has become of the events in the streams of a database that nobody uses any more."""
    with opened_streams(data_fs) as streams:
        entries = (entry for tag in range(TAGS) for entry, _ in streams[f"plant.{tag}"].iterateMsgpack())
        return figures(entries, dict.fromkeys(senders, count))


def await_log(lake: ServedLake, text: str) -> None:
    """Wait until the server has logged something."""
    deadline = time.monotonic() + DEADLINE
    while text not in lake.log("fluentd.log"):
        assert time.monotonic() < deadline, lake.log("fluentd.log")
        time.sleep(0.05)


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
        sending(network.address, limit=0) as senders,
    ):
        for number, incident in enumerate(incidents, 1):
            reached = int(number * LAST * ALL / len(incidents))
            senders.allow(reached + AHEAD * ALL)
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
    found = stored(lake.directory / "var" / "Data.fs")
    record_property("figure", f"{SENDERS} senders, {ALL} events, {KILLS} kills, {CUTS} cuts: {found}")
    assert found == NONE


def test_what_comes_by_http_and_by_forward_at_once_is_there_once_while_the_server_is_killed(lake):
    lake.add_user("ada", "contributor")
    lake.start()
    posters = range(SENDERS, SENDERS + 4)
    with forward_server(lake) as server, sending(server.address, FEW) as senders:
        threads = [threading.Thread(target=post, args=(lake, poster)) for poster in posters]
        for thread in threads:
            thread.start()
        for reached in (FEW * SENDERS // 4, FEW * SENDERS // 2):
            senders.wait(acknowledged=reached)
            lake.kill()
            lake.address = "127.0.0.1:0"  # the old port may be anybody's by now
            lake.start()
        senders.finish()
        for thread in threads:
            thread.join()
        assert server.stop() == 0
    assert lake.stop() == 0
    assert stored(lake.directory / "var" / "Data.fs", FEW, [*range(SENDERS), *posters]) == NONE


def post(lake: ServedLake, sender: int) -> None:
    """Send events by HTTP, in chunks with keys, each of them until it is taken."""
    path = f"portal_ingestion_policies/default/ingest?reference=plant.{sender % TAGS}"
    headers = {"Authorization": basic("ada", PASSWORD), "Content-Type": "application/octet-stream"}
    for begin in range(0, FEW, 100):
        body = b"".join(msgpack.packb(event(sender, number)) for number in range(begin, begin + 100))
        keyed = {**headers, "Idempotency-Key": f'"{sender}-{begin}"'}
        while not taken(urllib.request.Request(f"{lake.url}/{path}", body, keyed)):
            time.sleep(0.2)


def taken(request: urllib.request.Request) -> bool:
    """Send it; False if that is to be tried again."""
    try:
        with urllib.request.urlopen(request, timeout=DEADLINE) as answer:
            return answer.status == 204
    except urllib.error.HTTPError as error:
        error.close()
        if error.code == 503 and error.headers["Retry-After"]:
            return False
        raise
    except (OSError, http.client.HTTPException):
        return False  # the server is away


def test_chunks_that_reach_two_servers_of_a_lake_at_once_are_there_once(lake):
    """As those of an agent that has two, and sends to the other what one of them did not acknowledge in time."""
    lake.command = (*lake.command, "--fluentd", "127.0.0.1:0")
    lake.start()
    first = lake.process.stdout.readline().removeprefix("ready on tcp://").strip()
    with forward_server(lake) as second, sending(first, FEW) as some, sending(second.address, FEW) as others:
        some.finish()
        others.finish()
        assert second.stop() == 0
    assert lake.stop() == 0
    assert stored(lake.directory / "var" / "Data.fs", FEW) == NONE


def test_agents_wait_while_the_disk_is_full_and_nothing_is_lost_or_doubled(tmp_path):
    with small_disk(tmp_path / "disk", 64 * MIB) as disk:
        lake = ServedLake(tmp_path)
        lake.init("--storage", f"file://{disk}/Data.fs")
        with forward_server(lake) as server:
            filler = fill(disk, left=MIB // 2)
            with sending(server.address, FEW) as senders:
                await_log(lake, AWAY)
                assert senders.acknowledged < FEW * SENDERS
                filler.unlink()
                senders.finish()
            assert server.stop() == 0
        log = lake.log("fluentd.log")
        assert (log.count(AWAY), log.count(BACK)) == (1, 1)
        assert f"{AWAY}The disk of the data lake is full: " in log
        assert stored(disk / "Data.fs", FEW) == NONE


def test_agents_wait_while_the_storage_is_away_and_nothing_is_lost_or_doubled(tmp_path):
    lake, folder = ServedLake(tmp_path), tmp_path / "zeo"
    folder.mkdir()
    with ExitStack() as stack:
        with zeo_server(folder, STORAGE_WAIT) as uri:
            lake.init("--storage", uri)
            server = stack.enter_context(forward_server(lake))
            before = stack.enter_context(sending(server.address, FEW, range(10)))
            before.wait(acknowledged=FEW)
        meanwhile = stack.enter_context(sending(server.address, FEW, range(10, SENDERS)))
        await_log(lake, AWAY)
        assert meanwhile.acknowledged == 0
        with zeo_server(folder, STORAGE_WAIT):
            before.finish()
            meanwhile.finish()
            assert server.stop() == 0
    log = lake.log("fluentd.log")
    assert (log.count(AWAY), log.count(BACK)) == (1, 1)
    assert f"{AWAY}The storage of the data lake cannot be reached: " in log
    assert stored(folder / "Data.fs", FEW) == NONE
