"""The Forward server, as agents see it."""

from __future__ import annotations

import gzip

import msgpack
from backports import zstd

from support.forward import Client, Keeper, entries, event, served


def test_each_mode_brings_its_entries_as_they_came_and_is_acknowledged():
    keeper = Keeper()
    ten = entries(10)
    messages = [
        b"\x94\xa3tag" + event(1)[1:] + msgpack.packb({"chunk": "message"}),
        b"\x93\xa3tag\x9a" + ten + msgpack.packb({"chunk": "forward"}),
        ["tag", ten, {"chunk": "packed", "size": 10}],
    ]
    with served(keeper) as server, Client(server.address) as agent:
        agent.send(*messages)
        agent.send(["tag", gzip.compress(ten) + gzip.compress(ten), {"chunk": "gzip", "compressed": "gzip"}])
        agent.send(["tag", zstd.compress(ten), {"chunk": "zstd", "compressed": "zstd"}])
        assert agent.acknowledged(5) == ["message", "forward", "packed", "gzip", "zstd"]
    assert keeper.data() == event(1) + ten * 5
