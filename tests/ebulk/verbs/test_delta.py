"""Of a large file that has grown or changed inside, only what differs goes to a real lake and comes back from it."""

import os
import signal
import subprocess
import sys

import pytest

from ebulk.errors import NetworkError
from ebulk.local.index import Totals
from ebulk.protocol import KIB, MIB
from ebulk.remote.credentials import Basic
from ebulk.remote.lake import Lake
from ebulk.verbs.observer import Silent
from ebulk.verbs.pull import pull
from ebulk.verbs.push import push
from support.faults import Fault, faulty_network
from support.lake import PASSWORD

BLOCK = 2 * MIB
SIZE = 5 * BLOCK + 700_000
OVERHEAD = 64 * KIB
"""What requests and answers may add to the content."""


@pytest.fixture
def network(served):
    with faulty_network(served.address) as network:
        yield network


def through(network, **options):
    """The lake as ada sees it over a network that may break."""
    url = f"http://{network.address}/erp5"
    return Lake(url, Basic("ada", PASSWORD), compress="never", backoff=lambda failures: 0.05, **options)


@pytest.fixture
def here(lake, make_folder):
    """A folder with a large file that the lake has, too."""
    folder = make_folder("here", {"large": os.urandom(SIZE), "small": "x"})
    push(folder, lake)
    return folder


@pytest.fixture
def there(lake, here, make_folder):
    """Another folder of the same data set."""
    folder = make_folder("there")
    pull(folder, lake)
    return folder


def change(folder, *places, length=None, append=b""):
    """Change a byte of the large file at each of these places, cut it, append to it."""
    with (folder.root / "large").open("r+b") as file:
        for place in places:
            (byte,) = os.pread(file.fileno(), 1, place)
            os.pwrite(file.fileno(), bytes([byte ^ 255]), place)
        if length is not None:
            file.truncate(length)
        file.seek(0, os.SEEK_END)
        file.write(append)


def same(here, there):
    return (here.root / "large").read_bytes() == (there.root / "large").read_bytes()


def test_only_the_end_of_a_file_that_was_appended_to_travels(network, here, there):
    change(here, append=os.urandom(100_000))
    report = push(here, through(network))
    assert (report.modified, report.sent, report.reused) == (1, Totals(1, 100_000), SIZE)
    assert network.carried("up") <= 100_000 + OVERHEAD
    before = network.carried("down")
    report = pull(there, through(network))
    # The lake has copied the block in which the base ends: it is another one now.
    assert (report.modified, report.received.files, report.reused) == (1, 1, 5 * BLOCK)
    assert network.carried("down") - before <= BLOCK + OVERHEAD
    assert same(here, there)


@pytest.mark.parametrize(
    ("places", "length", "blocks"),
    [((0,), None, 1), ((BLOCK, 3 * BLOCK, SIZE - 1), None, 3), ((3 * BLOCK,), 4 * BLOCK, 1), ((), 4 * BLOCK + 5, 1)],
    ids=["at the start", "here and there", "and cut", "only cut"],
)
def test_only_the_changed_blocks_of_a_file_travel(network, here, there, places, length, blocks):
    change(here, *places, length=length)
    size = SIZE if length is None else length
    report = push(here, through(network))
    assert report.sent.size + report.reused == size
    assert report.sent.size <= blocks * BLOCK
    assert network.carried("up") <= blocks * BLOCK + OVERHEAD
    before = network.carried("down")
    report = pull(there, through(network))
    assert report.received.size + report.reused == size
    assert network.carried("down") - before <= (blocks + 1) * BLOCK + OVERHEAD
    assert same(here, there)


def test_file_that_was_written_anew_travels_whole(network, here, there):
    (here.root / "large").write_bytes(os.urandom(SIZE))
    assert push(here, through(network)).reused == 0
    report = pull(there, through(network))
    assert (report.received, report.reused) == (Totals(1, SIZE), 0)
    assert same(here, there)


def test_changes_here_that_are_discarded_fetch_the_file_whole(lake, here):
    data = (here.root / "large").read_bytes()
    change(here, BLOCK)
    report = pull(here, lake, discard=True)
    assert (report.modified, report.received, report.reused) == (1, Totals(1, SIZE), 0)
    assert (here.root / "large").read_bytes() == data


def test_push_after_the_pushes_of_others_still_sends_only_what_differs(lake, network, here, there):
    (there.root / "other").write_text("by somebody else")
    push(there, lake)
    change(here, 0)
    push(here, lake)
    change(here, 3 * BLOCK)
    assert push(here, through(network)).sent == Totals(1, BLOCK)


@pytest.mark.parametrize("how", ["close", "reset"])
def test_broken_network_costs_little_of_a_delta_on_either_way(network, here, there, how):
    change(here, BLOCK, 3 * BLOCK, append=os.urandom(BLOCK))
    network.faults.extend([Fault("up", BLOCK + MIB, how), Fault("up", MIB, how)])
    report = push(here, through(network))
    assert report.sent.size + report.reused == SIZE + BLOCK
    assert len(network.broken) == 2
    assert network.carried("up") <= 4 * BLOCK + 3 * BLOCK + OVERHEAD
    network.faults.extend([Fault("down", BLOCK + MIB, how), Fault("down", MIB, how)])
    before = network.carried("down")
    pull(there, through(network))
    assert len(network.broken) == 4
    assert network.carried("down") - before <= 4 * BLOCK + 2 * MIB + OVERHEAD
    assert same(here, there)


def test_push_of_a_delta_that_was_given_up_goes_on_with_the_next(network, here, there):
    change(here, BLOCK, 3 * BLOCK, 4 * BLOCK)
    network.faults.append(Fault("up", BLOCK + MIB, "reset"))
    with pytest.raises(NetworkError):
        push(here, through(network, retry_max_time=0))
    before = network.carried("up")
    report = push(here, through(network))
    assert report.resumed
    assert (report.sent, report.reused) == (Totals(1, 2 * BLOCK), SIZE - 3 * BLOCK)
    assert network.carried("up") - before <= 2 * BLOCK + OVERHEAD
    pull(there, through(network))
    assert same(here, there)


def test_pull_of_a_delta_that_was_given_up_goes_on_with_the_next(lake, network, here, there):
    change(here, BLOCK, 3 * BLOCK, 4 * BLOCK)
    push(here, lake)
    old = (there.root / "large").read_bytes()
    network.faults.append(Fault("down", BLOCK + MIB, "close"))
    with pytest.raises(NetworkError):
        pull(there, through(network, retry_max_time=0))
    assert (there.root / "large").read_bytes() == old
    before = network.carried("down")
    report = pull(there, through(network))
    # The last block is never shared: it is one that is not full.
    assert report.received.size <= BLOCK + MIB + SIZE % BLOCK + OVERHEAD
    assert network.carried("down") - before <= BLOCK + MIB + SIZE % BLOCK + 2 * OVERHEAD
    assert same(here, there)


KILLED = """
import os, signal, sys
from pathlib import Path
from ebulk.local.folder import Folder
from ebulk.remote.credentials import Basic
from ebulk.remote.lake import Lake
from ebulk.verbs.observer import Silent
from ebulk.verbs.pull import pull
from ebulk.verbs.push import push

class Killer(Silent):
    def advance(self, path, count):
        if path == "large":
            os.kill(os.getpid(), signal.SIGKILL)

verb, root, reference, url, password = sys.argv[1:]
lake = Lake(url, Basic("ada", password))
{"push": push, "pull": pull}[verb](Folder(Path(root), reference, url), lake, observer=Killer())
"""


def killed(verb, folder, lake):
    """Run a verb in a process that is killed as soon as bytes of the large file have travelled."""
    arguments = [verb, str(folder.root), folder.reference, lake.url, PASSWORD]
    done = subprocess.run([sys.executable, "-c", KILLED, *arguments], check=False, timeout=60)
    assert done.returncode == -signal.SIGKILL


@pytest.mark.parametrize("verb", ["push", "pull"])
def test_killed_client_goes_on_and_nothing_wrong_is_placed(lake, here, there, verb):
    change(here, BLOCK, 3 * BLOCK, 4 * BLOCK, append=b"more")
    if verb == "push":
        killed("push", here, lake)
    push(here, lake)
    if verb == "pull":
        killed("pull", there, lake)
    pull(there, lake)
    assert same(here, there)


def test_killed_server_goes_on_with_a_delta(served, lake, here, there):
    change(here, BLOCK, 3 * BLOCK, append=os.urandom(BLOCK))

    class Killer(Silent):
        killed = False

        def advance(self, path, count):
            if path == "large" and not self.killed:
                self.killed = True
                served.kill()
                served.start()

    report = push(here, lake, observer=Killer())
    assert report.reused == 3 * BLOCK
    pull(there, lake)
    assert same(here, there)
