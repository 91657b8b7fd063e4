"""`ebulk arrays`, `ebulk pull --array` and `ebulk push --array`, run as users run them."""

import io
import json
import re
import signal
import subprocess
import time

import numpy
import pytest

from ebulk.cli.commands.arrays import dtype_text
from ebulk.protocol import MIB
from support.faults import Fault, faulty_network
from support.lake import PASSWORD
from support.shell import DEADLINE, Shell

VALUES = numpy.arange(24.0).reshape(6, 4)
RECORDS = numpy.zeros(3, [("n", "<i4"), ("xy", "<f8", (2,))])


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
def ada(tmp_path, request, token):
    """A shell of ada's; `reference` is an array of its own for each test."""
    (tmp_path / "password").write_text(PASSWORD + "\n")
    shell = Shell(tmp_path, re.sub(r"[^\w.]", "_", request.node.name))
    shell.environment |= token
    return shell


@pytest.fixture
def array(ada):
    """The array, with VALUES."""
    numpy.save(ada.home / "values.npy", VALUES)
    ada.run("push", "--array", ada.reference, "values.npy")
    return ada.reference


def names(shell):
    return sorted(path.name for path in shell.home.iterdir())


def test_a_session(ada):
    name = ada.reference
    numpy.save(ada.home / "values.npy", VALUES)
    output, errors = ada.run("push", "--array", name, "values.npy")
    assert re.fullmatch(rf"Pushed '{name}': 192 bytes; its shape is \(6, 4\)\n  in \d+\.\d s\n", output)
    assert errors == ""
    output, _ = ada.run("push", "--array", name, "values.npy", "--append")
    assert output.startswith(f"Pushed '{name}': 192 bytes more; its shape is (12, 4)\n")
    output, _ = ada.run("pull", "--array", name)
    assert re.fullmatch(rf"Pulled '{name}': '{name}\.npy' has 512 bytes\n  in \d+\.\d s\n", output)
    numpy.testing.assert_array_equal(numpy.load(ada.home / f"{name}.npy"), numpy.concatenate([VALUES, VALUES]))
    output, _ = ada.run("pull", "--array", name, "--slice", "0:6:2,1", "--output", "part.npy")
    assert output.startswith(f"Pulled '{name}'[0:6:2,1]: 'part.npy' has 152 bytes\n")
    numpy.testing.assert_array_equal(numpy.load(ada.home / "part.npy"), VALUES[0:6:2, 1])
    assert names(ada) == sorted(["password", "values.npy", f"{name}.npy", "part.npy"])


def test_programs_get_reports_as_json(ada, array):
    report = json.loads(ada.run("pull", "--array", array, "--json")[0])
    assert {name: report[name] for name in ("reference", "slice", "file", "received", "size")} == {
        "reference": array,
        "slice": "",
        "file": f"{array}.npy",
        "received": 320,
        "size": 320,
    }
    assert re.fullmatch("[0-9a-f]{16}", report["snapshot"])
    report = json.loads(ada.run("push", "--array", array, "values.npy", "--append", "--json")[0])
    assert (report["shape"], report["appended"], report["resumed"], report["size"]) == ([12, 4], True, False, 192)


def test_an_array_can_be_printed_for_another_program(ada, array):
    process = ada.start("pull", "--array", array, "--slice", "1", "--output", "-", stdout=subprocess.PIPE)
    output, errors = process.stdout.buffer.read(), process.stderr.read()
    assert process.wait(DEADLINE) == 0, errors
    numpy.testing.assert_array_equal(numpy.load(io.BytesIO(output)), VALUES[1])
    lines = ada.run("pull", "--array", array, "--output", "-", "--json", code=2)[1].splitlines()
    assert lines[0] == "ebulk: --json and --output - would both print."


def test_arrays_are_listed_with_their_shapes_and_dtypes(ada, array):
    numpy.save(ada.home / "records.npy", RECORDS)
    ada.run("push", "--array", f"{array}.records", "records.npy")
    lines = ada.run("arrays", array)[0].splitlines()
    assert lines == [
        f"{array}             192 bytes  (6, 4)  <f8",
        f"{array}.records      60 bytes  (3,)    {{n: <i4, xy: <f8[2]}}",
    ]
    (plain, _) = (json.loads(line) for line in ada.run("arrays", array, "--json")[0].splitlines())
    assert plain == {
        "reference": array,
        "title": plain["title"],
        "state": "draft",
        "shape": [6, 4],
        "dtype": "<f8",
        "size": 192,
    }
    assert len(ada.run("arrays", array, "--state", "draft")[0].splitlines()) == 2


def test_where_no_array_is_found_that_is_told(ada):
    assert ada.run("arrays", "nowhere.to.be.seen")[0] == "There are no such arrays that you may see.\n"
    assert ada.run("arrays", "nowhere.to.be.seen", "--json") == ("", "")


@pytest.mark.parametrize(
    ("dtype", "text"),
    [
        ("<f8", "<f8"),
        ([["n", "<i4"], ["xy", "<f8", [2]]], "{n: <i4, xy: <f8[2]}"),
        ([["p", [["x", "<f4"], ["y", "<f4"]]]], "{p: {x: <f4, y: <f4}}"),
        ([[["a title", "n"], "<i4"]], "{n: <i4}"),
    ],
)
def test_dtypes_are_written_as_people_read_them(dtype, text):
    assert dtype_text(dtype) == text


@pytest.mark.parametrize("command", [("pull", "--array"), ("push", "--array", "--append")])
def test_an_array_that_is_not_there_is_exit_code_1(ada, command):
    numpy.save(ada.home / "values.npy", VALUES)
    file = ("values.npy",) if command[0] == "push" else ()
    before = names(ada)
    lines = ada.fail(command[0], *file, *command[2:], "--array", "nowhere", code=1)
    assert lines[0] == "ebulk: There is no array 'nowhere' that you may see. Check the spelling."
    assert names(ada) == before


def test_what_differs_is_exit_code_5(ada, array):
    numpy.save(ada.home / "other.npy", VALUES[:, :3])
    lines = ada.fail("push", "--array", array, "other.npy", "--append", code=5)
    assert lines == [
        "ebulk: Values of shape (6, 3) cannot be appended to an array of shape (6, 4): only the first axis may differ."
    ]


@pytest.mark.parametrize("command", [("arrays",), ("pull", "--array", "x"), ("push", "--array", "x", "values.npy")])
def test_a_lake_that_is_not_there_is_exit_code_4(ada, command):
    numpy.save(ada.home / "values.npy", VALUES)
    ada.fail(*command, "--url", "http://127.0.0.1:9/erp5", code=4)


@pytest.mark.parametrize(
    ("arguments", "message", "hint"),
    [
        (
            ["push", "--array", "x"],
            "Which file?",
            "`ebulk push --array ARRAY FILE.npy` sends one that numpy.save wrote.",
        ),
        (["push", "--append"], "--append is about arrays.", "Leave it out, or name an array by --array."),
        (["push", "--array", "x", "f", "--all"], "--all is about data sets.", "Leave it out, or --array."),
        (["push", "--array", "x", "f", "-m", "t"], "--message is about data sets.", "Leave it out, or --array."),
        (["pull", "--slice", "0:5"], "--slice is about arrays.", "Leave it out, or name an array by --array."),
        (["pull", "--array", "x", "--since", "1h"], "--since is about streams.", "Leave it out, or --array."),
        (["pull", "--array", "x", "y"], "DATA_SET is about data sets.", "Leave it out, or --array."),
        (["pull", "--array", "x", "--stream", "y"], "--array is about arrays.", "Leave it out, or --stream."),
        (
            ["pull", "--array", "x", "--discard-changes"],
            "--discard-changes is about data sets and streams.",
            "Leave it out, or --array.",
        ),
        (["pull", "--array", "a/b"], "No file can be named 'a/b.npy'.", "Name one by --output."),
    ],
)
def test_a_command_line_that_makes_no_sense_is_exit_code_2(ada, arguments, message, hint):
    assert ada.fail(*arguments, code=2) == [f"ebulk: {message}", f"       {hint}"]


def test_an_interrupted_pull_is_exit_code_130_and_bytes_go_on(ada, served):
    values = numpy.random.default_rng(1).random(20 * MIB // 8)
    numpy.save(ada.home / "values.npy", values)
    ada.run("push", "--array", ada.reference, "values.npy")
    part = ada.home / ".a.npy.part"
    with faulty_network(served.address) as network:
        network.faults.append(Fault("down", after=18 * MIB, how="stall"))
        url = ("--url", f"http://{network.address}/erp5", "--user", "ada", "--password-file", "password")
        words = ("pull", "--array", ada.reference, "--output", "a.npy", "--jobs", "1", *url)
        process = ada.start(*words)
        deadline = time.monotonic() + DEADLINE
        while not (part.exists() and part.stat().st_size >= 8 * MIB):
            assert process.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.01)
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=DEADLINE)
        assert process.returncode == 130
        assert errors.splitlines()[-2:] == [
            "ebulk: Interrupted; what was transferred is kept.",
            f"       `ebulk {' '.join(words)}` goes on.",
        ]
        came = part.stat().st_size
        network.faults.clear()
        output, _ = ada.run(*words, "--json")
    assert json.loads(output)["received"] == values.nbytes + 128 - came
    numpy.testing.assert_array_equal(numpy.load(ada.home / "a.npy"), values)
