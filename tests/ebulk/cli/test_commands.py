import json
import os
import pty
import re
import signal
import subprocess
import sys
import time

import pytest

from ebulk import __version__
from ebulk.cli.arguments import COMMANDS
from support.faults import Fault, faulty_network
from support.folders import read_files, write_files
from support.lake import PASSWORD
from support.shell import DEADLINE, Shell


@pytest.fixture
def shell(tmp_path, request):
    (tmp_path / "password").write_text(PASSWORD + "\n")
    return Shell(tmp_path, request.node.name)


@pytest.fixture
def ada(shell, served):
    """A shell that is logged in as ada, with the folder `set` of a data set named after the test."""
    shell.run("login", served.url, "--user", "ada", "--password-file", "password")
    write_files(shell.home / "set", {"a.txt": "hello", "sub/large": os.urandom(1_000_000)})
    shell.run("init", "set", "--reference", shell.reference)
    return shell


def wait_for(condition):
    deadline = time.monotonic() + DEADLINE
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_help_names_all_commands_by_what_one_does_and_loads_nothing_slow(shell):
    output, _ = shell.run("--help")
    assert output == shell.run("help")[0] == shell.run("-h")[0]
    listed = [line.split()[0] for line in output.splitlines() if line.startswith("  ")]
    assert listed == list(COMMANDS)
    assert "\nsend and bring\n  push       send what is staged, as one new version\n" in output
    code = (
        "import sys, ebulk.cli.main as m\n"
        "m.main(['--help'])\n"
        "print(sorted({'rich', 'urllib3', 'sqlite3', 'platformdirs', 'shtab'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"


def test_the_version_is_told(shell):
    assert shell.run("--version")[0] == f"ebulk {__version__}\n"


@pytest.mark.parametrize(
    ("arguments", "message", "hint"),
    [
        ([], "Which command?", "`ebulk --help` lists the commands."),
        (["pusj"], "There is no command 'pusj'.", "Did you mean `ebulk push`? `ebulk --help` lists the commands."),
        (["upload"], "There is no command 'upload'.", "Did you mean `ebulk push`? `ebulk --help` lists the commands."),
        (
            ["help", "pusj"],
            "There is no command 'pusj'.",
            "Did you mean `ebulk push`? `ebulk --help` lists the commands.",
        ),
        (["frobnicate"], "There is no command 'frobnicate'.", "`ebulk --help` lists the commands."),
        (["push", "--jsn"], "'--jsn' is not understood here.", "`ebulk push --help` says what is possible."),
        (["push", "a", "b"], "'b' is not understood here.", "`ebulk push --help` says what is possible."),
        (["clone"], "The following arguments are required: DATA_SET.", "`ebulk clone --help` says what is possible."),
        (
            ["push", "--jobs", "0"],
            "Argument --jobs: '0' is not a number from 1 up.",
            "`ebulk push --help` says what is possible.",
        ),
        (
            ["push", "--directory", "../x", "--url", "http://127.0.0.1:9/erp5"],
            "'../x' is no folder of a data set: it has the segment '..'.",
            "Give it relative to the data set.",
        ),
    ],
)
def test_wrong_usage_is_exit_code_2(shell, arguments, message, hint):
    shell.run("init", ".", "--reference", "set")
    assert shell.fail(*arguments, code=2) == [f"ebulk: {message}", f"       {hint}"]


def test_wrong_usage_is_json_for_programs(shell):
    output, errors = shell.run("pusj", "--json", code=2)
    assert json.loads(output) == {
        "error": "There is no command 'pusj'.",
        "hint": "Did you mean `ebulk push`? `ebulk --help` lists the commands.",
        "exit_code": 2,
    }
    assert errors.startswith("ebulk: There is no command 'pusj'.\n")


def test_a_session(ada, served):
    output, errors = ada.run("push", "set", "-m", "first scans")
    lines = output.splitlines()
    assert lines[0] == f"Pushed '{ada.reference}': version 1"
    assert lines[1:-1] == [
        "                   files       size",
        "  new                  2",
        "  sent                 2  976.6 KiB",
        "  in the data set      2  976.6 KiB",
    ]
    assert re.fullmatch(r"  in \d+\.\d s \(\d+\.\d [KM]iB/s\)", lines[-1])
    assert errors == ""
    assert ada.run("push", "set")[0] == (
        f"Nothing to push: '{ada.reference}' is as in version 1 (2 files with 976.6 KiB).\n"
    )
    output, _ = ada.run("pull", ada.reference)
    assert output.splitlines()[0] == f"Pulled '{ada.reference}': version 1"
    assert read_files(ada.home / ada.reference) == read_files(ada.home / "set")
    assert ada.run("pull", folder=ada.reference)[0].startswith("Nothing to pull: ")
    assert ada.run("pull", ada.reference, folder="set")[0].startswith("Nothing to pull: ")
    assert ada.run("clone", ada.reference, "copy")[0].startswith("Pulled ")
    assert ada.run("log", "copy")[0].splitlines()[1:] == [
        "  2 new, 0 modified, 0 removed; 2 files with 976.6 KiB",
        "  first scans",
    ]


def test_a_data_set_without_a_version_is_told_as_that(ada):
    (ada.home / "empty").mkdir()
    name = f"{ada.reference} empty"
    ada.run("init", "empty", "--reference", name)
    assert ada.run("push", "empty")[0] == (
        f"Nothing to push: '{name}' has no version yet, and there are no files here.\n"
    )
    assert ada.run("clone", name, "copy")[0] == f"Nothing to pull: nothing was pushed to '{name}' yet.\n"


def test_programs_read_json(ada):
    pushed = json.loads(ada.run("push", "set", "--json", "-m", "m")[0])
    assert (pushed["version"], pushed["new"], pushed["sent"]) == (1, 2, {"files": 2, "size": 1_000_005})
    pulled = json.loads(ada.run("clone", ada.reference, "copy", "--json")[0])
    assert (pulled["version"], pulled["received"]["files"]) == (1, 2)
    write_files(ada.home / "copy", {"new": "x"})
    lines = [json.loads(line) for line in ada.run("status", "copy", "--json")[0].splitlines()]
    assert lines[0] == {"kind": "new", "path": "new", "staged": False}
    assert (lines[-1]["unstaged"]["new"], lines[-1]["staged"]["new"], lines[-1]["changed"]) == (1, 0, True)
    (version,) = (json.loads(line) for line in ada.run("log", "copy", "--json")[0].splitlines())
    assert (version["number"], version["message"]) == (1, "m")
    output, _ = ada.run("pull", "nowhere", "--json", code=1)
    assert json.loads(output)["exit_code"] == 1


def test_bars_are_drawn_on_a_terminal(ada):
    write_files(ada.home / "set", {"larger": os.urandom(9_000_000)})
    controller, terminal = pty.openpty()
    # At full speed the push may end before the bars are first drawn.
    process = ada.start("push", "set", "--limit-rate", "5M", stdin=terminal, stdout=terminal, stderr=terminal)
    os.close(terminal)
    shown = b""
    while b"Pushed" not in shown:
        shown += os.read(controller, 1000)
    assert process.wait(DEADLINE) == 0
    os.close(controller)
    assert b"Sending" in shown
    assert b"larger" in shown
    assert "\N{BOX DRAWINGS HEAVY HORIZONTAL}".encode() in shown


def test_a_lake_is_remembered_only_once_it_has_answered(ada, served):
    ada.fail("push", "set", "--url", "http://127.0.0.1:9/erp5", "--user", "a", "--password-file", "password", code=4)
    assert ada.run("push", "set")[0].startswith("Pushed ")


def test_quiet_prints_nothing(ada):
    assert ada.run("push", "set", "-q") == ("", "")


def test_status_tells_what_changed(ada):
    ada.run("push", "set")
    write_files(ada.home / "set", {"a.txt": "other", "new": "x"})
    (ada.home / "set/sub").rename(ada.home / "set/moved")
    ada.run("add", "a.txt", folder="set")
    assert ada.run("status", "set")[0].splitlines() == [
        f"Data set '{ada.reference}', version 1: 3 files with 976.6 KiB",
        "Staged (`ebulk push` sends it, `ebulk reset` unstages it):",
        "  modified  a.txt",
        "Not staged (`ebulk add PATH…` stages it):",
        "  new       new",
        "  renamed   sub/large -> moved/large",
    ]
    output, _ = ada.run("push", "set")
    assert output.splitlines()[-1] == "  not staged, and so not pushed: 3 changes (see `ebulk status`)"
    assert ada.run("status", "set")[0].splitlines()[1:] == [
        "Not staged (`ebulk add PATH…` stages it, `ebulk push --all` sends all of it):",
        "  new       new",
        "  renamed   sub/large -> moved/large",
    ]


def test_the_options_name_lake_and_user_without_a_login(ada, served):
    (ada.home / "config" / "credentials.json").unlink()
    lines = ada.fail("push", "set", code=3)
    assert lines[0].startswith("ebulk: ")
    ada.run("push", "set", "--user", "ada", "--password-file", "password")
    write_files(ada.home / "other", {})
    ada.run("clone", ada.reference, "--url", served.url, "--user", "ada", "--password-file", "password")


def test_the_environment_names_lake_and_token(ada, served):
    stored = json.loads((ada.home / "config" / "credentials.json").read_text())
    token = stored["lakes"][served.url]["token"]
    ada.run("push", "set")
    (ada.home / "config" / "credentials.json").unlink()
    ada.environment |= {"EBULK_URL": served.url, "EBULK_TOKEN": token}
    ada.run("clone", ada.reference, "copy")


def test_a_wrong_password_is_exit_code_3_and_stores_nothing(shell, served):
    (shell.home / "wrong").write_text("wrong")
    lines = shell.fail("login", served.url, "--user", "ada", "--password-file", "wrong", code=3)
    assert lines[0].startswith("ebulk: ")
    assert not (shell.home / "config").exists()


def test_a_password_is_asked_for_on_a_terminal_and_not_shown(shell, served):
    controller, terminal = pty.openpty()
    process = shell.start("login", served.url, stdin=terminal, stdout=terminal, stderr=terminal, start_new_session=True)
    os.close(terminal)
    shown = b""
    for prompt, answer in ((b"User: ", b"ada\n"), (b"Password of ada: ", PASSWORD.encode() + b"\n")):
        while not shown.endswith(prompt):
            shown += os.read(controller, 1000)
        os.write(controller, answer)
    assert process.wait(DEADLINE) == 0
    while not shown.endswith(b"as ada.\r\n"):
        shown += os.read(controller, 1000)
    os.close(controller)
    assert PASSWORD.encode() not in shown


def test_without_a_terminal_the_password_must_be_given(shell, served):
    assert shell.fail("login", served.url, code=2) == [
        "ebulk: There is no terminal to ask for user and password on.",
        "       Give them by --user and --password-file.",
    ]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "The password file password cannot be read: no such file or directory."),
        (b"", "The password file password is empty."),
        (b"\xff\xfe", "The password file password cannot be read: it is not text in UTF-8."),
    ],
)
def test_a_bad_password_file_is_named(shell, served, content, message):
    (shell.home / "password").unlink()
    if content is not None:
        (shell.home / "password").write_bytes(content)
    lines = shell.fail("login", served.url, "--user", "ada", "--password-file", "password", code=1)
    assert lines[0] == f"ebulk: {message}"


@pytest.mark.parametrize("url", ["lake", "ftp://lake", "http://", "http://lake/erp5?x=1"])
def test_what_is_no_url_of_a_lake_is_exit_code_2(shell, url):
    assert shell.fail("login", url, code=2) == [
        f"ebulk: {url!r} is not the URL of a lake.",
        "       It looks like http://127.0.0.1:8080/erp5.",
    ]


def test_a_password_in_the_url_is_refused(shell):
    lines = shell.fail("login", "http://ada:secret@lake/erp5", code=2)
    assert lines[0] == "ebulk: A user or password in the URL would be seen by others."


def test_without_any_lake_the_way_to_one_is_shown(shell):
    assert shell.fail("clone", "brain_mri", code=2) == [
        "ebulk: No lake is known.",
        "       Log in to one by `ebulk login URL`, or name it by --url.",
    ]


def test_a_folder_that_is_no_data_set_is_exit_code_1(ada):
    assert ada.fail("push", ".", code=1)[0] == "ebulk: '.' is not a data set folder."


def test_a_folder_that_is_not_there_is_exit_code_1(ada):
    lines = ["ebulk: There is no folder 'sett'."]
    lines += [
        "       Name a data set folder; `ebulk clone DATA_SET` gets one from the lake, `ebulk init FOLDER` makes one."
    ]
    assert ada.fail("push", "sett", code=1) == ada.fail("push", "sett", code=1, folder="set") == lines


def test_a_folder_with_parts_of_a_data_set_is_told_as_that(ada):
    ada.run("push", "set")
    ada.run("clone", ada.reference, "copy", "--directory", "sub")
    assert ada.run("status", "copy")[0].splitlines()[0] == (
        f"Data set '{ada.reference}', only parts of it pulled yet: 1 file with 976.6 KiB"
    )


def test_pulling_another_data_set_within_one_is_refused(ada):
    assert ada.fail("pull", "other", folder="set", code=2)[0] == (
        f"ebulk: This folder is in the data set '{ada.reference}', not in 'other'."
    )


def test_an_unknown_data_set_is_exit_code_1_and_makes_no_folder(ada):
    lines = ada.fail("pull", "nowhere", code=1)
    assert "nowhere" in lines[0]
    assert not (ada.home / "nowhere").exists()


def test_conflicts_are_exit_code_5(ada):
    ada.run("push", "set")
    ada.run("clone", ada.reference, "copy")
    write_files(ada.home / "set", {"a.txt": "mine"})
    write_files(ada.home / "copy", {"a.txt": "yours"})
    ada.run("push", "copy", "--all", "-m", "theirs")
    message, hint = ada.fail("push", "set", "--all", code=5)
    assert re.fullmatch(
        r"ebulk: Nothing was pushed: you modified 'a\.txt', and version 2 \(by 'ada', \S+Z, 'theirs'\) modified it\.",
        message,
    )
    assert hint == (
        "       To keep yours, move it aside, `ebulk pull`, and put back what should stay; to take theirs, `ebulk pull"
        " --discard-changes`. Then push again."
    )
    assert ada.fail("pull", "set", code=5)[0] == message.replace("pushed", "pulled")
    ada.run("pull", "set", "--discard-changes")
    assert read_files(ada.home / "set")["a.txt"] == "yours"


def test_a_lake_that_is_not_there_is_exit_code_4(shell):
    lines = shell.fail("login", "http://127.0.0.1:9/erp5", "--user", "a", "--password-file", "password", code=4)
    assert lines[0].startswith("ebulk: ")


def test_an_error_has_its_traceback_with_debug_only(shell):
    assert "Traceback" in "\n".join(shell.fail("status", "--debug", code=1))
    assert "Traceback" not in "\n".join(shell.fail("status", code=1))


def test_a_reader_that_has_seen_enough_is_no_error(ada):
    write_files(ada.home / "set", {f"{number:05}": "" for number in range(5000)})
    process = ada.start("status", "set")
    process.stdout.readline()
    process.stdout.close()
    errors = process.stderr.read()
    process.stderr.close()
    assert (process.wait(DEADLINE), errors) == (1, "")


def test_config_shows_logins_and_the_data_set(ada, served):
    assert ada.run("config", folder="set")[0].splitlines() == [
        f"logins        {ada.home}/config/credentials.json",
        f"lake          {served.url} as ada (default)",
        f"data set      {ada.reference} in {ada.home}/set",
        f"its lake      {served.url}",
    ]


def test_logout_forgets_the_lake(ada, served):
    assert ada.run("logout")[0] == f"Logged out of {served.url}.\n"
    assert ada.fail("push", "set", code=3)[0].startswith("ebulk: ")
    assert ada.fail("logout", served.url, code=1)[0] == f"ebulk: You are not logged in to {served.url}."


def test_what_is_to_survive_the_terminal_does(shell):
    code = (
        "import signal, ebulk.cli.main as m\n"
        "signal.signal(signal.SIGHUP, signal.SIG_IGN)\n"
        "m.main(['config', '-q'])\n"
        "print(signal.getsignal(signal.SIGHUP) is signal.SIG_IGN, signal.getsignal(signal.SIGTERM) is m._interrupt)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env=shell.environment
    )
    assert done.stdout == "True True\n"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGKILL])
def test_an_interrupted_push_goes_on(ada, served, number):
    files = {f"{number:02}": os.urandom(500_000) for number in range(8)}
    write_files(ada.home / "set", files)
    with faulty_network(served.address) as network:
        network.faults.extend([Fault("up", after=2_000_000, how="stall")] * 8)
        url = f"http://{network.address}/erp5"
        process = ada.start("push", "set", "--jobs", "1", "--url", url, "--user", "ada", "--password-file", "password")
        wait_for(lambda: network.broken or process.poll() is not None)
        process.send_signal(number)
        _, errors = process.communicate(timeout=DEADLINE)
    if number != signal.SIGKILL:
        assert process.returncode == 130
        assert errors.splitlines() == [
            "ebulk: Interrupted; what was transferred is kept.",
            f"       `ebulk push set --jobs 1 --url {url} --user ada --password-file password` goes on.",
        ]
    report = json.loads(ada.run("push", "set", "--json", "--url", served.url)[0])
    assert report["resumed"]
    assert 0 < report["sent"]["size"] <= 5_000_005 - 1_000_000
    ada.run("clone", ada.reference, "copy")
    assert read_files(ada.home / "copy") == read_files(ada.home / "set")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_an_interrupted_pull_goes_on(ada, served, number):
    write_files(ada.home / "set", {f"{number:02}": os.urandom(500_000) for number in range(8)})
    ada.run("push", "set")
    with faulty_network(served.address) as network:
        network.faults.extend([Fault("down", after=2_000_000, how="stall")] * 8)
        url = f"http://{network.address}/erp5"
        process = ada.start(
            "clone", ada.reference, "copy", "--jobs", "1", "--url", url, "--user", "ada", "--password-file", "password"
        )
        wait_for(lambda: network.broken or process.poll() is not None)
        process.send_signal(number)
        process.communicate(timeout=DEADLINE)
    there = read_files(ada.home / "copy")
    wanted = read_files(ada.home / "set")
    assert all(wanted[path] == content for path, content in there.items())
    assert len(there) < len(wanted)
    report = json.loads(ada.run("pull", "copy", "--json", "--url", served.url)[0])
    assert report["received"]["size"] <= 5_000_005 - 1_000_000
    assert read_files(ada.home / "copy") == wanted
