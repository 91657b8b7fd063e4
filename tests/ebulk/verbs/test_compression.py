"""Text travels several times smaller both ways, noise as it is, and both arrive; what travelled is reported."""

from __future__ import annotations

import os
import time

import pytest

from ebulk.remote.credentials import Basic
from ebulk.remote.lake import Lake
from ebulk.verbs.pull import pull
from ebulk.verbs.push import push
from support.faults import Fault, faulty_network
from support.folders import read_files
from support.lake import PASSWORD

MIB = 1024 * 1024
LINES = b"".join(b"%07d;sensor %d;%d\n" % (number, number % 7, number * 7919 % 10_007) for number in range(800_000))
SMALL = {f"small/{number}": LINES[number * 1000 : number * 1000 + 20_000] for number in range(100)}


@pytest.fixture
def ada(served):
    """Lakes as ada sees them, with other settings."""
    lakes: list[Lake] = []

    def ada(url: str = served.url, **settings: object) -> Lake:
        lakes.append(Lake(url, Basic("ada", PASSWORD), **settings))
        return lakes[-1]

    yield ada
    for lake in lakes:
        lake.close()


@pytest.fixture
def unique(request):
    """Bytes at the beginning that make content another than that of any other test."""
    return request.node.name.encode()


def test_text_travels_several_times_smaller_and_arrives(make_folder, ada, unique):
    files = {"large": unique + LINES, **{path: unique + data for path, data in SMALL.items()}}
    size = sum(map(len, files.values()))
    pushed = push(make_folder("mine", files), ada())
    assert pushed.sent.size == size
    assert pushed.travelled < size / 3
    copy = make_folder("copy")
    pulled = pull(copy, ada())
    assert pulled.received.size == size
    assert pulled.travelled < size / 3
    assert read_files(copy.root) == {path: data.decode() for path, data in files.items()}


def test_without_compression_every_byte_travels(make_folder, ada, unique):
    files = {"large": unique + LINES[: 4 * MIB]}
    assert push(make_folder("mine", files), ada(compress="never")).travelled > 4 * MIB
    assert pull(make_folder("copy"), ada(compress="never")).travelled > 4 * MIB


def test_noise_travels_as_it_is(make_folder, ada):
    files = {"large": os.urandom(4 * MIB), **{f"small/{number}": os.urandom(100_000) for number in range(10)}}
    size = sum(map(len, files.values()))
    pushed = push(make_folder("mine", files), ada())
    assert size < pushed.travelled < size * 1.02
    copy = make_folder("copy")
    assert size < pull(copy, ada()).travelled < size * 1.02
    assert read_files(copy.root) == files


def test_download_in_zstd_that_breaks_goes_on_where_it_was(make_folder, ada, unique, served):
    data = unique + LINES
    push(make_folder("mine", {"large": data}), ada())
    copy = make_folder("copy")
    with faulty_network(served.address) as network:
        lake = ada(f"http://{network.address}/erp5", backoff=lambda failures: 0.01)
        before = network.carried("down")
        network.faults.extend([Fault("down", MIB, "close"), Fault("down", MIB, "close")])
        pulled = pull(copy, lake)
        carried = network.carried("down") - before
        assert len(network.broken) == 2
    assert pulled.received.size == len(data)
    assert carried < len(data) / 3 + MIB
    assert read_files(copy.root) == {"large": data.decode()}


def test_upload_in_zstd_that_breaks_goes_on_where_it_was(make_folder, ada, unique, served):
    data = unique + LINES + LINES[::-1]
    mine = make_folder("mine", {"large": data})
    with faulty_network(served.address) as network:
        lake = ada(f"http://{network.address}/erp5", backoff=lambda failures: 0.01)
        network.faults.extend([Fault("up", 2 * MIB, "reset"), Fault("up", MIB, "close")])
        pushed = push(mine, lake)
        assert len(network.broken) == 2
    assert pushed.sent.size == len(data)
    assert pushed.travelled < len(data) * 2 / 3
    copy = make_folder("copy")
    pull(copy, ada())
    assert (copy.root / "large").read_bytes() == data


def test_rate_holds_for_a_push_and_a_pull(make_folder, ada):

    files = {"large": os.urandom(2 * MIB), **{f"small/{number}": os.urandom(50_000) for number in range(20)}}
    size = sum(map(len, files.values()))
    mine, copy = make_folder("mine", files), make_folder("copy")
    for verb, folder in ((push, mine), (pull, copy)):
        lake = ada(limit_rate=2 * MIB)
        start = time.monotonic()
        verb(folder, lake)
        assert size / (2 * MIB) * 0.9 <= time.monotonic() - start
    assert read_files(copy.root) == files
