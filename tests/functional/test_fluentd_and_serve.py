"""`wendelin fluentd` and `wendelin serve` on one lake: whichever is started, stopped or killed, each chunk that was
acknowledged is there, once."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from support.forward import Client, entries
from support.forward_server import ForwardServer
from support.lake import ServedLake, wendelin

READ = "print(portal.data_ingestion_module.getSink('Data Stream', 'wind').getData().hex())"


@pytest.fixture
def fluentd(lake: ServedLake) -> Iterator[ForwardServer]:
    """The Forward server, which has the lake for itself."""
    server = ForwardServer(lake)
    server.start()
    yield server
    server.end()


@contextmanager
def connected(fluentd: ForwardServer) -> Iterator[Client]:
    host, port = fluentd.address.split(":")
    with Client((host, int(port))) as client:
        yield client


def chunk(number: int) -> list[object]:
    """A message with three events."""
    return ["wind", entries(3, f"chunk {number}"), {"chunk": f"id {number}"}]


def send(client: Client, *numbers: int) -> None:
    """Send chunks, and wait for their acknowledgements."""
    for number in numbers:
        client.send(chunk(number))
    assert client.acknowledged(len(numbers)) == [f"id {number}" for number in numbers]


def stored(lake: ServedLake) -> bytes:
    """What the stream has, read by another command."""
    return bytes.fromhex(wendelin("shell", lake.directory, "-c", READ).stdout)


def test_servers_come_and_go_and_each_chunk_is_stored_once(lake: ServedLake, fluentd: ForwardServer) -> None:
    with connected(fluentd) as client:
        send(client, 1)
        assert wendelin("user", "list", lake.directory).stdout == "admin\tmanager\n"

        lake.start()  # which has the other process give the file up
        send(client, 1, 2)
        lake.kill()
        send(client, 2, 3)  # from now on it has the file open itself
        lake.start()
        send(client, 3, 4)
        assert lake.stop() == 0
        send(client, 4, 5)
        assert fluentd.stop() == 0

    assert stored(lake) == b"".join(chunk(number)[1] for number in range(1, 6))
    assert lake.log("fluentd.log").endswith("INFO wendelin.fluentd stopped\n")
