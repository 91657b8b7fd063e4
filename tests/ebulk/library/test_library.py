import doctest
import json
import logging
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

import ebulk
from ebulk.library.progress import Snapshots
from support.agent import T0, send
from support.faults import Fault, faulty_network
from support.folders import read_files, write_files
from support.lake import PASSWORD
from support.shell import DEADLINE
from support.streams import SECOND, event

ROOT = Path(__file__).parents[3]


@pytest.fixture
def reference(request):
    """A data set's name of its own for each test."""
    return request.node.name


@pytest.fixture
def home(tmp_path, monkeypatch, served):
    """The working directory, empty, of somebody who is not logged in and whose environment names the lake."""
    for name in ("EBULK_TOKEN", "http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("EBULK_CONFIG_DIR", str(tmp_path / "config"))
    monkeypatch.setenv("EBULK_URL", served.url)
    home = tmp_path / "home"
    home.mkdir()
    monkeypatch.chdir(home)
    return home


@pytest.fixture
def ada(home, served):
    """The same of ada, who is logged in."""
    ebulk.login(served.url, user="ada", password=PASSWORD)
    return home


def test_the_manual_of_the_library_is_true(ada, served):
    write_files(ada / "brain_mri", {"a.txt": "hello", "sub/large": os.urandom(1_000_000)})
    ebulk.init("brain_mri")
    ebulk.push("brain_mri", "first scans")
    turns = (event(T0 + number * SECOND, {"rpm": 12.5 + number / 2}) for number in range(3))
    send(served.url, "wind.turbine", b"".join(turns))
    (ada / "elsewhere").mkdir()
    os.chdir(ada / "elsewhere")
    failed, tried = doctest.testfile(str(ROOT / "docs" / "library.rst"), module_relative=False, encoding="utf-8")
    assert tried > 20
    assert failed == 0


def test_every_public_name_is_there_and_others_are_not():
    assert [name for name in ebulk.__all__ if not hasattr(ebulk, name)] == []
    assert dir(ebulk) == sorted(ebulk.__all__)
    with pytest.raises(AttributeError, match="module 'ebulk' has no attribute 'pusj'"):
        _ = ebulk.pusj


def test_an_import_loads_nothing_but_the_version():
    code = "import sys, ebulk; print(sorted(name for name in sys.modules if name.startswith('ebulk')))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "['ebulk', 'ebulk.version']\n"


def test_a_program_that_uses_the_library_is_type_checked(tmp_path):
    program = tmp_path / "program.py"
    program.write_text(
        "import ebulk\n"
        "reveal_type(ebulk.push('a').sent.size)\n"
        "reveal_type(ebulk.pull)\n"
        "def show(now: ebulk.Snapshot) -> None: ...\n"
        "ebulk.pull('a', progress=show)\n"
        "ebulk.pull('a', version='3')\n"
    )
    done = subprocess.run(
        [sys.executable, "-m", "mypy", "--strict", "--config-file=", "--cache-dir", tmp_path / "cache", program],
        cwd=tmp_path,
        env={**os.environ, "MYPYPATH": str(ROOT / "ebulk" / "src")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert 'Revealed type is "builtins.int"' in done.stdout or 'Revealed type is "int"' in done.stdout
    assert [line for line in done.stdout.splitlines() if "error:" in line] == [
        'program.py:6: error: Argument "version" to "pull" has incompatible type "str"; '
        'expected "int | None"  [arg-type]'
    ]


def test_a_token_a_password_or_nobody_asks_a_lake(home, served, reference):
    with ebulk.Lake(served.url, user="ada", password=PASSWORD) as lake:
        write_files(home / "set", {"a": "x"})
        folder = ebulk.init("set", reference)
        assert ebulk.push(folder, lake=lake).version == 1
        assert repr(lake) == f"<ebulk.Lake {served.url}>"
    ebulk.login(served.url, user="ada", password=PASSWORD)
    stored = json.loads((Path(os.environ["EBULK_CONFIG_DIR"]) / "credentials.json").read_text())
    with ebulk.Lake(token=stored["lakes"][served.url]["token"]) as lake:
        assert [entry.path for entry in lake.files(reference)] == ["a"]
    assert ebulk.logout()
    with pytest.raises(ebulk.NotAuthorisedError), ebulk.Lake() as lake:
        list(lake.versions(reference))


@pytest.mark.parametrize("who", [{"user": "ada"}, {"password": "x"}, {"token": "x", "user": "ada", "password": "x"}])
def test_half_a_login_is_refused(home, who):
    with pytest.raises(ebulk.UsageError, match="A lake is asked with a token, or as a user with a password"):
        ebulk.Lake(**who)


def test_a_folder_is_a_path_a_value_or_the_one_around(ada, reference, monkeypatch):
    write_files(ada / "set", {"sub/a": "x"})
    ebulk.init(ada / "set", reference)
    assert ebulk.status("set").unstaged.new == ("sub/a",)
    assert ebulk.status(ebulk.open_folder(Path("set"))).unstaged.new == ("sub/a",)
    monkeypatch.chdir(ada / "set" / "sub")
    assert ebulk.open_folder().root == ada / "set"
    assert ebulk.push(message="m").new == 1
    assert [version.message for version in ebulk.log()] == ["m"]


def test_only_what_is_staged_is_pushed_unless_all_is(ada, reference):
    write_files(ada / "set", {"a": "1", "sub/b": "1"})
    ebulk.init("set", reference)
    ebulk.push("set")
    write_files(ada / "set", {"a": "2", "c": "2", "d": "2", "sub/b": "2"})
    with pytest.raises(ebulk.EbulkError, match="staged"):
        ebulk.push("set")
    assert ebulk.add("set", ["a", "c"]).files == 2
    assert ebulk.reset("set", "c").unstaged == 1
    assert (ebulk.push("set").modified, ebulk.status("set").unstaged.modified) == (1, ("sub/b",))
    assert ebulk.push("set", directory="sub").modified == 1
    assert ebulk.push("set", all=True).new == 2
    assert ebulk.remove("set", "d").removals == 1
    assert ebulk.push("set").removed == 1
    assert not (ada / "set" / "d").exists()


def test_local_changes_are_discarded_only_if_told(ada, reference):
    write_files(ada / "set", {"a": "1"})
    ebulk.init("set", reference)
    ebulk.push("set")
    ebulk.clone(reference, "copy")
    write_files(ada / "copy", {"a": "2"})
    ebulk.push("copy", all=True)
    write_files(ada / "set", {"a": "3"})
    with pytest.raises(ebulk.ConflictError) as caught:
        ebulk.pull("set")
    assert caught.value.paths == ("a",)
    ebulk.pull("set", discard_changes=True)
    assert read_files(ada / "set") == {"a": "2"}


def test_a_function_is_told_of_progress_once_at_a_time_and_last_of_the_end(ada, reference):
    write_files(
        ada / "set", {**{f"{number:03}": os.urandom(5_000) for number in range(300)}, "large": bytes(5_000_000)}
    )
    ebulk.init("set", reference)
    told, busy = [], threading.Lock()

    def progress(now):
        assert busy.acquire(blocking=False)
        told.append(now)
        busy.release()

    ebulk.push("set", progress=progress)
    assert told[0] == ebulk.Snapshot("Scanning", 0, 0, 0, 0)
    moving = [now for now in told if now.step == "Transferring"]
    assert moving[0] == ebulk.Snapshot("Transferring", 301, 0, 6_500_000, 0)
    assert moving[-1] == ebulk.Snapshot("Transferring", 301, 301, 6_500_000, 6_500_000)


def test_bytes_from_before_are_done_as_well():
    told = []
    observer = Snapshots(told.append)
    observer.expect(2, 30)
    observer.reuse("a", 10)
    observer.done("a")
    observer.advance("b", 25)
    observer.advance("b", -5)
    observer.done("b")
    assert told[-1] == ebulk.Snapshot("Transferring", 2, 2, 30, 30)


def test_retries_are_logged(ada, served, reference, caplog):
    write_files(ada / "set", {"a": os.urandom(100_000)})
    ebulk.init("set", reference)
    with faulty_network(served.address) as network, caplog.at_level(logging.WARNING, "ebulk"):
        network.faults.append(Fault("up", after=50, how="reset"))
        with ebulk.Lake(f"http://{network.address}/erp5", user="ada", password=PASSWORD) as lake:
            ebulk.push("set", lake=lake)
    assert [record.name for record in caplog.records] == ["ebulk"] * len(caplog.records)
    assert caplog.records


def test_an_interrupted_call_raises_keyboard_interrupt_and_the_same_call_goes_on(ada, served, reference):
    write_files(ada / "set", {f"{number:02}": os.urandom(500_000) for number in range(8)})
    ebulk.init("set", reference)
    code = (
        "import ebulk, sys\n"
        "try:\n"
        "    with ebulk.Lake(sys.argv[1], user='ada', password=sys.argv[2]) as lake:\n"
        "        ebulk.push('set', lake=lake, jobs=1)\n"
        "except KeyboardInterrupt:\n"
        "    print('interrupted')\n"
    )
    with faulty_network(served.address) as network:
        network.faults.extend([Fault("up", after=2_000_000, how="stall")] * 8)
        process = subprocess.Popen(
            [sys.executable, "-c", code, f"http://{network.address}/erp5", PASSWORD], stdout=subprocess.PIPE, text=True
        )
        deadline = time.monotonic() + DEADLINE
        while not network.broken:
            assert time.monotonic() < deadline
            assert process.poll() is None
            time.sleep(0.01)
        process.send_signal(signal.SIGINT)
        output, _ = process.communicate(timeout=DEADLINE)
    assert output == "interrupted\n"
    report = ebulk.push("set", lake=served.url)
    assert report.resumed
    assert 0 < report.sent.size <= 3_000_000
