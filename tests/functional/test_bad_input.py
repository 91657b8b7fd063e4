"""What users do wrong and what goes wrong around them: the message, what to do next, the exit code, and nothing lost.

The commands are run as users run them. How each case is found and mended is tested beside the code that does it, as
networks that break are in `test_transfer.py`.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from hashlib import sha256
from itertools import count

import pytest

from ebulk.remote.credentials import Basic
from ebulk.remote.lake import Lake
from support.disks import fill, small_disk
from support.faults import Fault, faulty_network
from support.folders import heed_modes, read_files, write_files
from support.lake import PASSWORD, ServedLake, served_lake
from support.scripted_server import Answer, Request, document, problem, reply, scripted, scripted_server
from support.shell import DEADLINE, Shell

MIB = 1024 * 1024
AGAIN = "Make room, then run the same command again: it goes on."

WAYS_OUT = (
    "       To keep yours, move it aside, pull, and put back what should stay; to take the lake's, pull with"
    " --discard-changes; to decide later, leave it out by --exclude."
)

numbers = count()


@pytest.fixture(scope="module")
def served(tmp_path_factory) -> Iterator[ServedLake]:
    with served_lake(tmp_path_factory.mktemp("lake")) as lake:
        lake.add_user("ada", "contributor")
        lake.add_user("dora", "downloader")
        yield lake


@pytest.fixture
def shell(tmp_path) -> Shell:
    """A user who is not logged in."""
    (tmp_path / "password").write_text(PASSWORD + "\n")
    return Shell(tmp_path, f"set {next(numbers)}")


@pytest.fixture
def ada(shell, served) -> Shell:
    """A contributor who is logged in, and whose folder `set` has been pushed."""
    log_in(shell, served.url, "ada")
    write_files(shell.home / "set", {"a.txt": "hello", "sub/b.txt": "b"})
    shell.run("init", "set", "--reference", shell.reference)
    shell.run("push", "set")
    return shell


def log_in(shell: Shell, url: str, user: str) -> None:
    shell.run("login", url, "--user", user, "--password-file", "password")


def change_state(served: ServedLake, reference: str, transition: str) -> None:
    with closing(Lake(served.url, Basic("admin", PASSWORD))) as lake:
        lake._call("POST", f"/data-sets/{reference.replace(' ', '%20')}/state", {"transition": transition})


def wait_for(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + DEADLINE
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.005)


# who asks


@pytest.mark.parametrize(("user", "password"), [("ada", "wrong horse"), ("nobody", PASSWORD)])
def test_wrong_password_is_exit_code_3_and_nothing_is_stored(shell, served, user, password):
    (shell.home / "password").write_text(password)
    assert shell.fail("login", served.url, "--user", user, "--password-file", "password", code=3) == [
        f"ebulk: The lake at {served.url} has no user '{user}' with this password.",
        "       Check both; whoever runs the lake can let you in.",
    ]
    assert not (shell.home / "config").exists()


def test_token_that_was_removed_is_exit_code_3_and_says_how_to_log_in(ada, served):
    ada.environment["EBULK_TOKEN"] = "removed"
    assert ada.fail("pull", "set", code=3) == [
        f"ebulk: The lake at {served.url} does not know your token any more.",
        f"       Log in with `ebulk login {served.url}`.",
    ]


def test_unknown_data_set_is_exit_code_1_and_makes_no_folder(ada):
    assert ada.fail("pull", "nowhere", code=1) == [
        "ebulk: There is no data set 'nowhere' that you may see. Check the spelling."
    ]
    assert not (ada.home / "nowhere").exists()


def test_downloader_who_pushes_is_exit_code_3(ada, served):
    log_in(ada, served.url, "dora")
    write_files(ada.home / "set", {"new": "new"})
    assert ada.fail("push", "set", "--all", code=3) == [
        "ebulk: You may not do this: it takes the role of contributor or manager.",
        "       Ask who runs the lake, or log in as somebody who may.",
    ]
    assert ada.run("status", "set")[0].splitlines()[2:] == ["  new       new"]


def test_invalidated_data_set_is_there_for_managers_only(ada, served):
    change_state(served, ada.reference, "invalidate")
    assert ada.fail("pull", "set", code=1) == [
        f"ebulk: There is no data set '{ada.reference}' that you may see. Check the spelling."
    ]
    assert read_files(ada.home / "set") == {"a.txt": "hello", "sub/b.txt": "b"}


def test_published_data_set_is_pulled_without_a_login_and_another_is_exit_code_3(ada, served):
    ada.environment["EBULK_CONFIG_DIR"] = str(ada.home / "nobody")
    assert ada.fail("clone", ada.reference, "copy", "--url", served.url, code=3) == [
        f"ebulk: There is no public data set '{ada.reference}'. Log in if you have an account.",
        f"       Log in with `ebulk login {served.url}`.",
    ]
    change_state(served, ada.reference, "publish")
    ada.run("clone", ada.reference, "copy", "--url", served.url)
    assert read_files(ada.home / "copy") == {"a.txt": "hello", "sub/b.txt": "b"}
    write_files(ada.home / "copy", {"new": "new"})
    assert ada.fail("push", "copy", "--all", code=3) == [
        "ebulk: Log in first: this takes a right that you do not have without an account.",
        f"       Log in with `ebulk login {served.url}`.",
    ]


# where the lake is


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("http://127.0.0.1:9/erp5", "No connection to 127.0.0.1:9: connection refused. Is the server running?"),
        (
            "http://lake.invalid/erp5",
            "The host lake.invalid cannot be found. Is its name right, and is there a network?",
        ),
    ],
)
def test_server_that_is_not_there_is_exit_code_4(ada, url, message):
    assert ada.fail("pull", "set", "--url", url, code=4) == [
        f"ebulk: {message}",
        "       Check the lake's URL, http or https too, and that it is served there; then try again.",
    ]


@pytest.mark.parametrize(
    ("answer", "what"),
    [
        (reply(200, b"<html>"), "HTTP 200 with text/html"),
        (reply(404, b"<html>"), "HTTP 404 with text/html"),
        (document({"name": "jenkins"}), "JSON of something else"),
        (problem(404, "There is nothing at this address."), "that there is nothing"),
    ],
)
def test_url_of_something_else_is_exit_code_1(shell, answer, what):
    with scripted(answer) as server:
        lines = shell.fail("login", server.url, "--user", "ada", "--password-file", "password", code=1)
    assert lines == [
        f"ebulk: There is no data lake at {server.url}: it answers {what}.",
        "       Check the lake's URL; it usually ends in /erp5.",
    ]


def test_lake_is_asked_through_the_proxy_that_the_environment_names(shell):
    with scripted(problem(404, "None.")) as proxy:
        shell.environment |= {"http_proxy": f"http://{proxy.address}", "no_proxy": "other.example"}
        shell.fail("pull", "set", "--url", "http://lake.example/erp5", code=1)
        assert proxy.requests[0].target == "http://lake.example/erp5/api/v1/data-sets/set"
        seen = len(proxy.requests)
        shell.environment["no_proxy"] = "lake.example"
        shell.run("pull", "set", "--url", "http://lake.example/erp5", code=4)
        assert len(proxy.requests) == seen


def test_push_goes_on_by_itself_when_the_server_is_killed_and_comes_back(ada, served):
    content = os.urandom(40 * MIB)
    (ada.home / "set" / "large").write_bytes(content)
    with faulty_network(served.address) as network:
        network.faults.append(Fault("up", after=18 * MIB, how="reset"))
        process = ada.start("push", "set", "--all", "--json", "--url", f"http://{network.address}/erp5", *user("ada"))
        wait_for(lambda: network.broken or process.poll() is not None)
        served.kill()
        served.start()
        output, errors = process.communicate(timeout=DEADLINE)
    assert process.returncode == 0, errors
    assert json.loads(output)["version"] == 2
    ada.run("clone", ada.reference, "copy")
    assert (ada.home / "copy" / "large").read_bytes() == content


def user(name: str) -> list[str]:
    return ["--user", name, "--password-file", "password"]


# disks


def test_client_without_room_is_exit_code_1_before_anything_is_fetched(ada, tmp_path):
    (ada.home / "set" / "large").write_bytes(os.urandom(3 * MIB))
    ada.run("push", "set", "--all")
    with small_disk(tmp_path / "disk", 2 * MIB):
        (line, hint) = ada.fail("clone", ada.reference, "disk/copy", code=1)
        assert line.startswith("ebulk: 3,145,734 bytes are to come and the disk has room for ")
        assert hint == "       Make room, or pull into a folder on another disk; nothing was pulled."
        assert read_files(tmp_path / "disk") == {}
        subprocess.run(["mount", "-o", "remount,size=8m", tmp_path / "disk"], check=True)
        ada.run("clone", ada.reference, "disk/copy")
        assert read_files(tmp_path / "disk/copy") == read_files(ada.home / "set")


def test_client_whose_disk_is_full_is_exit_code_1_and_status_still_works(ada, tmp_path):
    with small_disk(tmp_path / "disk", 2 * MIB) as disk:
        ada.run("clone", ada.reference, "disk/copy")
        write_files(disk / "copy", {"new": "new"})
        filler = fill(disk, 0)
        assert ada.fail("push", "disk/copy", "--all", code=1) == [
            f"ebulk: The disk with {disk}/copy/.ebulk/index.db is full.",
            f"       {AGAIN}",
        ]
        assert ada.run("status", "disk/copy")[0].splitlines()[2:] == ["  new       new"]
        line, hint = ada.fail("init", "disk/other", code=1)
        assert line == f"ebulk: {disk}/other/.ebulk/config: the disk is full."
        assert hint == "       Make room, then run the same command again."
        filler.unlink()
        ada.run("init", "disk/other")
        ada.run("push", "disk/copy", "--all")


def test_lake_whose_disk_is_full_is_exit_code_1_and_goes_on_once_there_is_room(shell, tmp_path):
    with small_disk(tmp_path / "disk", 24 * MIB) as disk, served_lake(disk) as lake:
        log_in(shell, lake.url, "admin")
        write_files(shell.home / "set", {"large": os.urandom(9 * MIB), "small": "s"})
        shell.run("init", "set", "--reference", shell.reference)
        fill(disk, 6 * MIB)
        lines = shell.run("push", "set", code=1)[1].splitlines()
        assert lines[-2:] == [
            "ebulk: The disk of the data lake is full: nothing of this request's last part was stored. "
            "Make room, or ask the administrator to; then run the same command again.",
            "       Ask who runs the lake to make room, then run the same command again.",
        ]
        assert shell.run("log", "set") == ("", "")
        subprocess.run(["mount", "-o", "remount,size=96m", disk], check=True)
        assert shell.run("push", "set")[0].startswith(f"Pushed '{shell.reference}': version 1, resumed\n")
        shell.run("clone", shell.reference, "copy")
    assert read_files(shell.home / "copy") == read_files(shell.home / "set")


# files


def test_file_that_changes_while_it_is_pushed_is_exit_code_1_and_no_version(ada, served):
    write_files(ada.home / "set", {"large": os.urandom(2 * MIB)})
    with faulty_network(served.address) as network:
        network.faults.extend([Fault("up", after=MIB, how="close"), Fault("up", after=MIB, how="close")])
        process = ada.start("push", "set", "--all", "--url", f"http://{network.address}/erp5", *user("ada"))
        wait_for(lambda: network.broken or process.poll() is not None)
        write_files(ada.home / "set", {"large": os.urandom(2 * MIB)}, mtime_ns=time.time_ns())
        _, errors = process.communicate(timeout=DEADLINE)
    assert process.returncode == 1
    *_, message, hint = errors.splitlines()
    assert (message, hint) in (
        (
            f"ebulk: {ada.home}/set/large changed while it was sent.",
            "       Push again once it is no longer written to.",
        ),
        (
            "ebulk: Not pushed, since these files changed meanwhile: 'large'.",
            "       Run the same command again when nothing writes to them: only what changed is sent.",
        ),
    )
    assert len(ada.run("log", "set", "--url", served.url)[0].splitlines()) == 2
    assert ada.run("push", "set", "--all", "--url", served.url)[0].startswith(f"Pushed '{ada.reference}': version 2")


def test_what_cannot_be_read_is_exit_code_1_and_told_by_status_before(ada):
    write_files(ada.home / "set", {"secret": "s", "closed/file": "f"})
    (ada.home / "set/secret").chmod(0)
    (ada.home / "set/closed").chmod(0)
    assert ada.fail("push", "set", "--all", code=1, preexec_fn=heed_modes) == [
        "ebulk: Nothing was pushed: 'closed' cannot be read: permission denied;"
        " 'secret' cannot be read: permission denied.",
        "       Put it right or move it out of the folder, then push again.",
    ]
    assert ada.run("status", "set", preexec_fn=heed_modes)[0].splitlines()[-2:] == [
        "  problem   'closed' cannot be read: permission denied",
        "  problem   'secret' cannot be read: permission denied",
    ]
    (ada.home / "set/closed").chmod(0o755)


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        ("new\nline", "'new\\nline' has a control character"),
        (os.fsdecode(b"bad\xff"), "'bad\\udcff' is not valid Unicode"),
        ("back\\slash", "'back\\\\slash' has a backslash"),
        ("C:x", "'C:x' begins with a drive letter"),
    ],
)
def test_name_that_no_data_set_may_hold_is_exit_code_1_and_nothing_is_pushed(ada, name, problem):
    (ada.home / "set" / name).write_text("x")
    assert ada.fail("push", "set", "--all", code=1) == [
        f"ebulk: Nothing was pushed: {problem}.",
        "       Put it right or move it out of the folder, then push again.",
    ]


def test_path_that_is_too_long_here_is_exit_code_1_and_nothing_is_written(ada):
    path = "/".join(["d" * 200] * 19 + ["file"])
    (ada.home / "set" / path).parent.mkdir(parents=True)
    (ada.home / "set" / path).write_text("deep")
    ada.run("push", "set", "--all")
    folder = "/".join(["y" * 120] * 2)
    assert ada.fail("clone", ada.reference, folder, code=1) == [
        f"ebulk: The file '{'d' * 119}… cannot be written here: its name is too long for this file system.",
        "       Pull into a folder with a shorter path, or on another file system.",
    ]
    assert read_files(ada.home / folder) == {}


@pytest.mark.parametrize("path", ["../x", "/etc/x", "C:\\x", "n" * 5000])
def test_hostile_path_is_exit_code_1_and_nothing_is_written(shell, path):
    with scripted_server(FakeLake({"a first one": b"1", path: b"2"})) as server:
        line, hint = shell.fail("clone", "set", "--url", server.url, code=1)
    assert line.startswith("ebulk: The lake has a file '")
    assert " that cannot be written here: it " in line
    assert hint == "       Nothing was written; whoever runs the lake should look at this data set."
    assert read_files(shell.home) == {"password": PASSWORD + "\n"}


def test_file_below_a_link_is_written_nowhere(shell, tmp_path):
    """Whether the link is the lake's own or was put there before."""
    with scripted_server(FakeLake({"link": b"../outside", "link/x": b"2"})) as server:
        assert shell.fail("clone", "set", "--url", server.url, code=1) == [
            "ebulk: The lake has 'link' both as a file and as a folder.",
            "       Nothing was pulled; whoever runs the lake should look at this data set.",
        ]
    (tmp_path / "outside").mkdir()
    with scripted_server(FakeLake({"link/x": b"2"})) as server:
        shell.run("init", "other", "--reference", "set", "--url", server.url)
        (tmp_path / "other" / "link").symlink_to("../outside")
        assert shell.fail("pull", "other", code=5) == [
            "ebulk: Nothing was pulled: 'link' is in the way of 'link/x', and version 1 has it otherwise.",
            WAYS_OUT,
        ]
        assert shell.fail("pull", "other", "--discard-changes", code=5) == [
            "ebulk: Nothing was pulled: in the way, and not of this data set: 'link'.",
            "       Move that away, then pull again: only what came from the lake is discarded.",
        ]
    assert read_files(tmp_path / "outside") == {}


class FakeLake:
    """Answers as a lake with one data set would, whatever its paths; `sent` is what it sends of each file."""

    def __init__(self, files: dict[str, bytes], sent: bytes | None = None, cut: int | None = None) -> None:
        self.files = files
        self.sent = sent
        self.cut = cut

    def __call__(self, request: Request) -> Answer:
        path = request.target.partition("?")[0].removeprefix("/data-sets/set")
        if path == "":
            names = ("title", "description", "created", "modified")
            numbers = {"version": 1, "size": sum(map(len, self.files.values())), "file_count": len(self.files)}
            return document({"reference": "set", "state": "published", **dict.fromkeys(names, ""), **numbers})
        if path == "/versions":
            return document({"items": [], "next": None})
        if path == "/manifest":
            items = [
                {
                    "path": path,
                    "size": len(data),
                    "digest": f"sha-256:{sha256(data).hexdigest()}",
                    "mtime": 0,
                    "mode": "100644",
                }
                for path, data in sorted(self.files.items())
            ]
            return document({"version": 1, "items": items, "next": None})
        data = self.files[path.removeprefix("/files/")] if self.sent is None else self.sent
        start = int(request.headers.get("range", "bytes=0-")[len("bytes=") : -1])
        headers = {"Content_Range": f"bytes {start}-{len(data) - 1}/{len(data)}"} if start else {}
        whole = reply(206 if start else 200, data[start:], "application/octet-stream", **headers)
        if self.cut is None or start:
            return whole
        return Answer(whole.data[: self.cut], "close")


def test_wrong_digest_is_exit_code_6_and_nothing_is_placed(shell):
    data = os.urandom(MIB)
    with scripted_server(FakeLake({"large": data}, sent=bytes(MIB))) as server:
        lines = shell.fail("clone", "set", "--url", server.url, code=6)
    assert lines[-2:] == [
        "ebulk: What the lake sends for large is not what its digest says.",
        "       Pull again; if it stays so, tell who runs the lake: what it has stored is damaged.",
    ]
    assert read_files(shell.home / "set") == {}


def test_download_that_is_cut_short_goes_on_where_it_was(shell):
    data = os.urandom(4 * MIB)
    with scripted_server(FakeLake({"large": data}, cut=3 * MIB)) as server:
        shell.run("clone", "set", "--url", server.url)
        ranges = [request.headers.get("range") for request in server.requests if "/files/" in request.target]
    assert len(ranges) == 2
    assert ranges[0] is None
    assert 2 * MIB < int(ranges[1][len("bytes=") : -1]) < 3 * MIB
    assert (shell.home / "set" / "large").read_bytes() == data


# folders


@pytest.mark.parametrize(
    ("command", "folder"),
    [("push", "."), ("push", "set/sub"), ("status", "plain"), ("log", "plain"), ("pull", "set/sub"), ("pull", "plain")],
)
def test_folder_that_is_no_data_set_is_exit_code_1(ada, command, folder):
    write_files(ada.home / "plain", {"a": "a"})
    line, hint = ada.fail(command, folder, code=1)
    if folder == "set/sub":
        assert line == f"ebulk: 'set/sub' is a folder within the data set folder '{ada.home}/set'."
        assert hint == "       Name that folder, and choose a part of it by --directory."
    else:
        assert line == f"ebulk: '{folder}' is not a data set folder."
        assert hint == f"       `ebulk init {folder}` makes it one."


def test_pull_over_local_changes_is_exit_code_5_and_touches_nothing(ada):
    ada.run("clone", ada.reference, "copy")
    write_files(ada.home / "set", {"a.txt": "theirs", "sub/b.txt": "theirs"})
    ada.run("push", "set", "--all")
    write_files(ada.home / "copy", {"a.txt": "mine"})
    before = read_files(ada.home / "copy")
    conflict, hint = ada.fail("pull", "copy", code=5)
    assert re.fullmatch(
        r"ebulk: Nothing was pulled: you modified 'a.txt', and version 2 \(by 'ada', [-0-9T:]+Z\) modified it\.",
        conflict,
    )
    assert hint == WAYS_OUT
    assert read_files(ada.home / "copy") == before
    output, _ = ada.run("pull", "copy", "--json", code=5)
    assert json.loads(output)["paths"] == ["a.txt"]


def test_version_that_is_not_there_is_exit_code_1_and_makes_no_folder(ada):
    assert ada.fail("clone", ada.reference, "copy", "--version", "9", code=1) == [
        f"ebulk: '{ada.reference}' has no version 9; the newest is 1.",
        "       `ebulk log` shows the versions of a data set folder.",
    ]
    assert not (ada.home / "copy").exists()


def test_second_push_in_a_folder_is_exit_code_1(ada, served):
    write_files(ada.home / "set", {"large": os.urandom(2 * MIB)})
    with faulty_network(served.address) as network:
        network.faults.append(Fault("up", after=MIB, how="stall"))
        first = ada.start("push", "set", "--all", "--url", f"http://{network.address}/erp5", *user("ada"))
        wait_for(lambda: network.broken or first.poll() is not None)
        assert ada.fail("push", "set", "--all", code=1) == [
            f"ebulk: Another ebulk (process {first.pid}) is at work in this data set folder.",
            "       Wait for it, or end it, then try again.",
        ]
        first.kill()
        first.communicate(timeout=DEADLINE)
    assert ada.run("push", "set", "--all", "--url", served.url)[0].startswith("Pushed ")


def test_fault_in_ebulk_is_one_line_and_a_traceback_only_with_debug(ada):
    """As one that a config with a reference of another type was, before it was checked."""
    ada.environment["PYTHONPATH"] = str(ada.home)
    (ada.home / "sitecustomize.py").write_text(
        "import ebulk.cli.commands.status as status\n"
        "def run(arguments, context): raise AttributeError('no such\\nthing')\n"
        "status.run = run\n"
    )
    assert ada.fail("status", "set", code=1) == [
        "ebulk: A fault in ebulk: AttributeError: no such thing",
        "       Please report it, with what the same command prints with --debug. "
        "Nothing that was transferred is lost.",
    ]
    assert "Traceback (most recent call last):" in ada.fail("status", "set", "--debug", code=1)


def test_working_directory_that_is_gone_is_exit_code_1(shell, tmp_path):
    gone = tmp_path / "gone"
    gone.mkdir()
    assert shell.fail("status", folder="gone", code=1, preexec_fn=gone.rmdir) == [
        "ebulk: The working directory is not there any more.",
        "       Go to one that is, and try again.",
    ]
