"""A push and a pull go through a network on which something goes wrong all the time, and every byte arrives."""

from __future__ import annotations

import filecmp
import json
import random
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from ebulk.protocol import KIB, MIB, UPLOAD_CHUNK_SIZE
from support.faults import Chaos, Direction, Fault, FaultyNetwork, Trouble, faulty_network
from support.folders import write_files
from support.lake import PASSWORD, ServedLake, served_lake
from support.shell import DEADLINE, Shell

LARGE = 48 * MIB
SMALL = 300
SMALL_SIZE = 6 * KIB
OVERHEAD = 2 * MIB
"""What headers, tars and plans may add to the content."""


@pytest.fixture(scope="module")
def served(tmp_path_factory) -> Iterator[ServedLake]:
    with served_lake(tmp_path_factory.mktemp("lake")) as lake:
        lake.add_user("ada", "contributor")
        yield lake


@pytest.fixture
def network(served) -> Iterator[FaultyNetwork]:
    with faulty_network(served.address) as network:
        yield network


@pytest.fixture
def shell(tmp_path, request, network) -> Shell:
    """Someone who is logged in by way of the network, with a large file and some hundred small ones.

    Their bytes do not shrink, and the lake has none of them.
    """
    shell = Shell(tmp_path, request.node.name)
    (tmp_path / "password").write_text(PASSWORD + "\n")
    shell.run("login", f"http://{network.address}/erp5", "--user", "ada", "--password-file", "password")
    generator = random.Random(request.node.name)
    files = {f"small/{number % 7}/{number}": generator.randbytes(SMALL_SIZE) for number in range(SMALL)}
    write_files(tmp_path / "set", {**files, "large": generator.randbytes(LARGE)})
    shell.run("init", "set", "--reference", shell.reference)
    return shell


def weather(how: str, bulk: Direction) -> Chaos:
    """A kind of trouble for a transfer whose bytes go in a direction; the other one carries requests or answers."""
    thin: Direction = "down" if bulk == "up" else "up"
    troubles = {
        name: [Trouble(bulk, 18 * MIB, how), Trouble(thin, 24 * KIB, how)]
        for name, how in (("cut", "reset"), ("truncate", "close"))
    }
    stalls = [Trouble(bulk, 30 * MIB, "stall")]
    kinds = {
        "cut": Chaos(seed=3, troubles=troubles["cut"]),
        "truncate": Chaos(seed=4, troubles=troubles["truncate"]),
        "stall": Chaos(seed=5, troubles=stalls),
        "delay": Chaos(seed=6, held=0.005, hold=0.05),
        "throttle": Chaos(seed=7, rate=40 * MIB),
        "duplicate": Chaos(seed=8, repeated=0.5),
        "all": Chaos(
            seed=9,
            troubles=troubles["cut"] + troubles["truncate"] + stalls,
            held=0.002,
            hold=0.05,
            rate=48 * MIB,
            repeated=0.3,
        ),
    }
    return kinds[how]


def transfer(shell: Shell, network: FaultyNetwork, chaos: Chaos, *words: str) -> dict[str, object]:
    """Run a command through trouble; its report."""
    network.chaos = chaos
    try:
        output, _ = shell.run(*words, "--json", "--stall-timeout", "1")
    finally:
        network.chaos = Chaos()
    return json.loads(output)


def happened(network: FaultyNetwork) -> int:
    return len(network.broken) + network.pieces_held + network.requests_repeated


@pytest.mark.parametrize("how", ["cut", "truncate", "stall", "delay", "throttle", "duplicate", "all"])
def test_all_arrives_and_what_is_sent_again_is_bounded(how, shell, network):
    size = LARGE + SMALL * SMALL_SIZE
    before = network.carried("up")
    report = transfer(shell, network, weather(how, "up"), "push", "set", "-m", "through thick and thin")
    assert (report["version"], report["new"]) == (1, 1 + SMALL)
    faults = len(network.broken)
    assert happened(network) or how == "throttle"
    # A fault costs what is under way at the most: of the large file two chunks, which get smaller as it goes on.
    assert network.carried("up") - before <= size + faults * UPLOAD_CHUNK_SIZE + OVERHEAD

    begun, before = happened(network), network.carried("down")
    report = transfer(shell, network, weather(how, "down"), "clone", shell.reference, "copy")
    assert report["new"] == 1 + SMALL
    assert happened(network) > begun or how == "throttle"
    # What was received before a fault is kept; what was in buffers is lost.
    faults = len(network.broken) - faults
    assert network.carried("down") - before <= size + faults * 8 * MIB + OVERHEAD
    assert same_files(shell.home / "set", shell.home / "copy") == 1 + SMALL


def same_files(one: Path, other: Path) -> int:
    """How many files two folders have, all of them the same."""
    difference = filecmp.dircmp(one, other, ignore=[".ebulk"])
    assert not difference.left_only + difference.right_only
    same, *others = filecmp.cmpfiles(one, other, difference.common_files, shallow=False)
    assert others == [[], []]
    return len(same) + sum(same_files(one / name, other / name) for name in difference.common_dirs)


def test_a_person_is_told_of_trouble_in_a_few_lines(shell, network):
    network.chaos = Chaos(seed=1, troubles=[Trouble("up", 6 * MIB, "reset")])
    output, errors = shell.run("push", "set")
    assert output.startswith(f"Pushed '{shell.reference}': version 1\n")
    assert len(network.broken) > 5
    lines = errors.splitlines()
    assert 1 <= len(lines) <= 5
    assert lines[0].startswith(f"ebulk: The connection to {network.address} broke: ")
    assert " Trying again" in lines[0]


def test_a_laptop_that_is_closed_and_opened_again_goes_on(shell, network):
    """The process sleeps for longer than it may take without progress, and finds its connections gone."""
    network.chaos = Chaos(rate=16 * MIB)
    before = network.carried("up")
    process = shell.start("push", "set", "--retry-max-time", "3")
    deadline = time.monotonic() + DEADLINE
    while network.carried("up") - before < 4 * MIB:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    process.send_signal(signal.SIGSTOP)
    network.faults.extend([Fault("up", 0, "reset")] * 2)
    time.sleep(4)
    process.send_signal(signal.SIGCONT)
    output, errors = process.communicate(timeout=DEADLINE)
    assert (process.returncode, output.splitlines()[0]) == (0, f"Pushed '{shell.reference}': version 1"), errors
    assert len(network.broken) == 2
