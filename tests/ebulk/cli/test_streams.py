"""`ebulk streams`, `ebulk pull --stream` and `ebulk tail`, run as users run them."""

import json
import os
import pty
import re
import signal
import subprocess
import threading
import time
from contextlib import ExitStack

import numpy
import pytest

from ebulk.cli.commands.tail import _for_people
from support.agent import entries, send
from support.faults import Fault, faulty_network
from support.lake import PASSWORD
from support.shell import DEADLINE, EBULK, Shell
from support.streams import event

LINE = re.compile(r"2026-11-22T19:4[01]:\d\d\.000000000Z \{\"n\": (\d+)\}")


@pytest.fixture(scope="module")
def token(tmp_path_factory, served):
    """What ada's environment says of the lake, and of her: that is quicker than to log in."""
    home = tmp_path_factory.mktemp("ada")
    (home / "password").write_text(PASSWORD + "\n")
    shell = Shell(home, "")
    shell.run("login", served.url, "--user", "ada", "--password-file", "password")
    stored = json.loads((home / "config" / "credentials.json").read_text())
    return {"EBULK_URL": served.url, "EBULK_TOKEN": stored["lakes"][served.url]["token"]}


@pytest.fixture
def shell(tmp_path, request):
    """`reference` is a stream of its own for each test."""
    (tmp_path / "password").write_text(PASSWORD + "\n")
    return Shell(tmp_path, re.sub(r"[^\w.]", "_", request.node.name))


@pytest.fixture
def ada(shell, token):
    """A shell of ada's."""
    shell.environment |= token
    return shell


@pytest.fixture
def tag(ada, served):
    """The stream, with 100 entries of a second each."""
    send(served.url, ada.reference, entries(100))
    return ada.reference


def wait_for(condition):
    deadline = time.monotonic() + DEADLINE
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


# streams


def test_streams_are_listed_with_their_sizes(ada, served):
    send(served.url, f"{ada.reference}.one", bytes(3 << 20))
    send(served.url, f"{ada.reference}.two_and_more", b"x")
    lines = ada.run("streams", ada.reference)[0].splitlines()
    assert len(lines) == 2
    assert re.fullmatch(rf"{ada.reference}\.one                3\.0 MiB  \d{{4}}-\d\d-\d\dT\d\d:\d\d:\d\dZ", lines[0])
    assert re.fullmatch(rf"{ada.reference}\.two_and_more        1 byte  \d{{4}}-.*Z", lines[1])


def test_programs_read_streams_as_json(ada, tag):
    (stream,) = (json.loads(line) for line in ada.run("streams", tag, "--json")[0].splitlines())
    assert (stream["reference"], stream["size"], stream["start"]) == (tag, len(entries(100)), 0)
    assert set(stream) == {"reference", "title", "state", "size", "start", "modified"}
    assert ada.run("streams", tag, "--state", stream["state"])[0] != ""


def test_where_no_stream_is_found_that_is_told(ada):
    said = "There are no such streams that you may see.\n"
    assert ada.run("streams", "nowhere.to.be.seen")[0] == said
    assert ada.run("streams", "--state", "invalidated", ada.reference)[0] == said
    assert ada.run("streams", "nowhere.to.be.seen", "--json") == ("", "")


# pull --stream


def test_a_session(ada, served, tag):
    size = len(entries(100))
    lines = ada.run("pull", "--stream", tag)[0].splitlines()
    assert lines[0] == f"Pulled '{tag}': '{tag}.raw' has 1.5 KiB"
    assert re.fullmatch(r"  in \d+\.\d s", lines[1])
    assert ada.run("pull", "--stream", tag)[0] == (
        f"Nothing to pull: '{tag}.raw' has all that the lake has of '{tag}' (1.5 KiB).\n"
    )
    send(served.url, tag, entries(2, first=100))
    assert ada.run("pull", "--stream", tag)[0].splitlines()[0] == (
        f"Pulled '{tag}': '{tag}.raw' has 30 bytes more, 1.5 KiB in all"
    )
    assert (ada.home / f"{tag}.raw").read_bytes() == entries(102)
    assert len(entries(102)) == size + 30


def test_records_of_a_time_come_in_each_format(ada, tag):
    times = ("--since", "2026-11-22T19:40:10Z", "--until", "2026-11-22T20:40:12+01:00")
    output, _ = ada.run("pull", "--stream", tag, *times)
    assert output.splitlines()[0] == f"Pulled '{tag}': '{tag}.msgpack' has its records (msgpack, 30 bytes)"
    assert (ada.home / f"{tag}.msgpack").read_bytes() == entries(2, first=10)
    ada.run("pull", "--stream", tag, *times, "--format", "npy", "--output", "hour.npy")
    assert numpy.load(ada.home / "hour.npy")["n"].tolist() == [10, 11]
    ada.run("pull", "--stream", tag, *times, "--format", "jsonl")
    assert len((ada.home / f"{tag}.jsonl").read_text().splitlines()) == 2
    output, _ = ada.run("pull", "--stream", tag, "--since", "2027-01-01", "--output", "none")
    assert output.splitlines()[0] == f"Pulled '{tag}': 'none' is empty, since it has no records of that time"


def test_programs_read_a_report(ada, tag):
    size = len(entries(100))
    report = json.loads(ada.run("pull", "--stream", tag, "--json")[0])
    assert report.pop("seconds") >= 0
    assert report == {
        "reference": tag,
        "format": "raw",
        "file": f"{tag}.raw",
        "received": size,
        "size": size,
        "start": 0,
        "changed": True,
    }
    assert not json.loads(ada.run("pull", "--stream", tag, "--json")[0])["changed"]


def test_standard_output_gets_nothing_but_the_stream(ada, tag):
    with open(ada.home / "piped", "wb") as piped:
        assert ada.run("pull", "--stream", tag, "--output", "-", stdout=piped)[1] == ""
    assert (ada.home / "piped").read_bytes() == entries(100)


def test_a_file_that_is_in_the_way_is_exit_code_5(ada, tag):
    (ada.home / f"{tag}.raw").write_bytes(b"mine")
    assert ada.fail("pull", "--stream", tag, code=5) == [
        f"ebulk: {tag}.raw cannot be continued: it is not the beginning of what the lake keeps of '{tag}'.",
        "       --discard-changes replaces it by what the lake keeps; --output names another file.",
    ]
    assert (ada.home / f"{tag}.raw").read_bytes() == b"mine"
    ada.run("pull", "--stream", tag, "--discard-changes")
    assert (ada.home / f"{tag}.raw").read_bytes() == entries(100)


@pytest.mark.parametrize("command", [("pull", "--stream"), ("tail",)])
def test_a_stream_that_is_not_there_is_exit_code_1(ada, command):
    before = set(os.listdir(ada.home))
    assert "nowhere" in ada.fail(*command, "nowhere", code=1)[0]
    assert set(os.listdir(ada.home)) == before


@pytest.mark.parametrize("command", [("streams",), ("pull", "--stream", "x"), ("tail", "x")])
def test_a_lake_that_is_not_there_is_exit_code_4(shell, command):
    shell.fail(*command, "--url", "http://127.0.0.1:9/erp5", code=4)


@pytest.mark.parametrize(
    ("arguments", "message", "hint"),
    [
        (["pull", "--since", "1h"], "--since is about streams.", "Leave it out, or name a stream by --stream."),
        (
            ["pull", "x", "--output", "y"],
            "--output is about streams and arrays.",
            "Leave it out, or name a stream by --stream or name an array by --array.",
        ),
        (["pull", "x", "--stream", "y"], "DATA_SET is about data sets.", "Leave it out, or --stream."),
        (["pull", "--stream", "y", "--version", "1"], "--version is about data sets.", "Leave it out, or --stream."),
        (["pull", "--stream", "y", "--exclude", "a"], "--exclude is about data sets.", "Leave it out, or --stream."),
        (
            ["pull", "--stream", "y", "--since", "noon"],
            "'noon' is not understood as a time.",
            "A time is 2026-11-22T19:40:00Z (RFC 3339; local time without a zone), 2026-11-22 (local midnight), "
            "or 30s, 15m, 1h or 2d ago.",
        ),
        (
            ["pull", "--stream", "y", "--since", "1h", "--until", "2h"],
            "There is no time between since and until.",
            "Since is to be before until.",
        ),
        (
            ["pull", "--stream", "y", "--since", "1h", "--format", "raw"],
            "Raw bytes cannot be chosen by time.",
            "Take one of the formats msgpack, jsonl, npy.",
        ),
        (["pull", "--stream", "a/b"], "No file can be named 'a/b.raw'.", "Name one by --output."),
        (["tail"], "The following arguments are required: STREAM.", "`ebulk tail --help` says what is possible."),
        (["follow"], "There is no command 'follow'.", "Did you mean `ebulk tail`? `ebulk --help` lists the commands."),
    ],
)
def test_wrong_usage_is_exit_code_2(shell, arguments, message, hint):
    assert shell.fail(*arguments, code=2) == [f"ebulk: {message}", f"       {hint}"]


def test_a_report_and_a_stream_are_not_printed_together(shell):
    output, errors = shell.run("pull", "--stream", "x", "--output", "-", "--json", code=2)
    assert errors.splitlines() == ["ebulk: --json and --output - would both print.", "       Leave out one of them."]
    assert json.loads(output)["exit_code"] == 2


def test_a_bar_is_drawn_on_a_terminal(ada, served):
    send(served.url, ada.reference, os.urandom(5_000_000))
    controller, terminal = pty.openpty()
    process = ada.start(
        "pull", "--stream", ada.reference, "--limit-rate", "5M", stdin=terminal, stdout=terminal, stderr=terminal
    )
    os.close(terminal)
    shown = b""
    while b"Pulled" not in shown:
        shown += os.read(controller, 1000)
    assert process.wait(DEADLINE) == 0
    os.close(controller)
    assert b"Receiving 0/1" in shown
    assert b"4.8 MiB" in shown
    assert "\N{BOX DRAWINGS HEAVY HORIZONTAL}".encode() in shown


@pytest.mark.parametrize(
    ("options", "lines"),
    [
        (
            (),
            ["ebulk: Interrupted; what was transferred is kept.", "       `ebulk pull --stream {tag} {url}` goes on."],
        ),
        (
            ("--output", "other"),
            [
                "ebulk: Interrupted; what was transferred is kept.",
                "       `ebulk pull --stream {tag} --output other {url}` goes on.",
            ],
        ),
        (("--format", "jsonl"), ["ebulk: Interrupted."]),
        (("--output", "-"), ["ebulk: Interrupted."]),
    ],
)
def test_an_interrupted_pull_is_exit_code_130_and_bytes_go_on(ada, served, options, lines):
    data = b"".join(event(0, {"text": os.urandom(500).hex()}) for _ in range(2000))
    send(served.url, ada.reference, data)
    file = ada.home / (options[1] if "other" in options else f"{ada.reference}.raw")
    with faulty_network(served.address) as network:
        network.faults.append(Fault("down", after=500_000, how="stall"))
        url = ("--url", f"http://{network.address}/erp5", "--user", "ada", "--password-file", "password")
        with open(os.devnull, "w") as ignored:
            process = ada.start(
                "pull", "--stream", ada.reference, *options, *url, "--compress", "never", stdout=ignored
            )
            begun = file.exists if "goes on" in lines[-1] else lambda: True  # what came may still be unread
            wait_for(lambda: (network.broken and begun()) or process.poll() is not None)
            process.send_signal(signal.SIGINT)
            _, errors = process.communicate(timeout=DEADLINE)
    assert process.returncode == 130
    again = " ".join((*url, "--compress", "never"))
    assert errors.splitlines() == [line.format(tag=ada.reference, url=again) for line in lines]
    if "goes on" in lines[-1]:
        came = file.stat().st_size
        report = json.loads(ada.run("pull", "--stream", ada.reference, *options, "--json")[0])
        assert report["received"] == len(data) - came
        assert file.read_bytes() == data
    else:
        assert sorted(path.name for path in ada.home.iterdir()) == ["password"]


# tail


@pytest.fixture
def tail(ada, tag):
    """Starts `ebulk tail` for all of the stream; it is killed if it does not print what is waited for."""
    with ExitStack() as stack:

        def start(*options):
            process = stack.enter_context(ada.start("tail", tag, "--since", "2026-11-22T19:40:00Z", *options))
            late = threading.Timer(DEADLINE, process.kill)
            late.start()
            stack.callback(late.cancel)
            stack.callback(process.kill)
            return process

        yield start


def test_tail_prints_a_line_for_each_record_until_its_reader_has_seen_enough(tail, served, tag):
    process = tail()
    assert [LINE.fullmatch(process.stdout.readline().rstrip("\n"))[1] for _ in range(100)] == [
        str(number) for number in range(100)
    ]
    send(served.url, tag, entries(1, first=100))
    assert process.stdout.readline() == '2026-11-22T19:41:40.000000000Z {"n": 100}\n'
    process.stdout.close()
    assert process.wait(DEADLINE) == 1
    assert process.stderr.read() == ""


def test_tail_prints_json_for_programs_and_ends_quietly_by_an_interrupt(tail):
    process = tail("--json")
    assert json.loads(process.stdout.readline()) == {"time": "2026-11-22T19:40:00.000000000Z", "record": {"n": 0}}
    assert [json.loads(process.stdout.readline())["record"]["n"] for _ in range(99)] == list(range(1, 100))
    process.send_signal(signal.SIGINT)
    assert process.communicate(timeout=DEADLINE) == ("", "")
    assert process.returncode == 130


def test_tail_in_a_pipe_is_as_quiet(ada, tag):
    done = subprocess.run(
        f"ebulk tail {tag} --since 2026-11-22T19:40:00Z | head -2",
        shell=True,
        cwd=ada.home,
        env={**ada.environment, "PATH": f"{os.path.dirname(EBULK)}:{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        check=True,
        timeout=DEADLINE,
    )
    assert (len(done.stdout.splitlines()), done.stderr) == (2, "")


def test_what_a_terminal_could_obey_is_escaped():
    line = json.dumps(
        {"time": "2026-11-22T19:40:00Z", "record": {"é\x1b[2J": "\x9b2J\u202e\udcff"}}, ensure_ascii=False
    )
    assert _for_people(line) == '2026-11-22T19:40:00.000000000Z {"é\\u001b[2J": "\\u009b2J\\u202e\\udcff"}'
