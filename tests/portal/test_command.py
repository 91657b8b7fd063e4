"""`wendelin` as an operator uses it: real commands, real instances."""

from __future__ import annotations

import os
import pty
import signal
import stat
import subprocess
import time
from pathlib import Path

import pytest

from Products.ERP5Wendelin.portal.command import main, was_interrupted
from Products.ERP5Wendelin.protocol import KIB
from support.disks import small_disk
from support.lake import COMMANDS, PASSWORD, ServedLake, wendelin


@pytest.fixture(scope="module")
def instance(tmp_path_factory: pytest.TempPathFactory) -> ServedLake:
    """An instance that is not being served."""
    lake = ServedLake(tmp_path_factory.mktemp("instance"))
    lake.init()
    return lake


def test_init_makes_an_instance_that_only_its_user_can_read(tmp_path: Path) -> None:
    done = wendelin("init", tmp_path / "lake")
    lake = tmp_path / "lake"
    password = (lake / "etc" / "admin-password").read_text().strip()
    assert done.stdout.splitlines() == [
        f"Made the instance {lake}",
        "Manager:  admin",
        f"Password: {password}",
        f"          kept in {lake}/etc/admin-password, which only you can read",
        f"Serve it with: wendelin serve {lake}",
    ]
    assert len(password) == 20
    assert done.stderr == ""
    for path in (lake, *lake.rglob("*")):
        assert stat.S_IMODE(path.stat().st_mode) & 0o077 == 0, path


def test_init_takes_the_manager_and_the_password_it_is_given(instance: ServedLake) -> None:
    assert not (instance.directory / "etc" / "admin-password").exists()
    assert wendelin("user", "list", instance.directory).stdout == "admin\tmanager\n"


def test_init_refuses_an_instance_and_says_how_to_serve_it(
    instance: ServedLake, capsys: pytest.CaptureFixture[str]
) -> None:
    before = (instance.directory / "etc" / "zope.conf").read_bytes()
    assert main(["init", str(instance.directory)]) == 1
    assert capsys.readouterr().err == (
        f"wendelin: {instance.directory} is an instance already. Serve it with: wendelin serve {instance.directory}\n"
    )
    assert (instance.directory / "etc" / "zope.conf").read_bytes() == before


def test_init_refuses_a_directory_that_is_not_empty_and_leaves_it_as_it_is(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "thesis.tex").write_text("years of work")
    assert main(["init", str(tmp_path)]) == 1
    assert capsys.readouterr().err == f"wendelin: {tmp_path} is not empty: name a new or an empty directory.\n"
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]


def test_init_refuses_a_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "lake").touch()
    assert main(["init", str(tmp_path / "lake")]) == 1
    assert capsys.readouterr().err == f"wendelin: {tmp_path}/lake is a file: name a new or an empty directory.\n"


def test_init_names_the_directory_that_is_missing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["init", str(tmp_path / "srv" / "lake")]) == 1
    assert capsys.readouterr().err == f"wendelin: There is no directory {tmp_path}/srv to make lake in.\n"


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("line\nend", "cannot stand in a configuration file: name another."),
        ("end ", "cannot stand in a configuration file: name another."),
        ("what?", "has a question mark, which would begin the options of the storage: name another."),
    ],
)
def test_init_refuses_a_name_that_the_configuration_cannot_hold_and_leaves_nothing(
    name: str, message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["init", str(tmp_path / name)]) == 1
    assert message in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_init_that_fails_half_way_leaves_nothing(tmp_path: Path) -> None:
    short = tmp_path / "password"
    short.write_text("short\n")
    (tmp_path / "empty").mkdir()
    for name in ("new", "empty"):
        done = wendelin("init", tmp_path / name, "--admin-password-file", short, code=1)
        assert done.stderr == "wendelin: The password is too short: it needs at least 8 characters.\n"
    assert not (tmp_path / "new").exists()
    assert list((tmp_path / "empty").iterdir()) == []


def test_init_makes_good_what_a_killed_init_left(tmp_path: Path) -> None:
    lake = tmp_path / "lake"
    killed = subprocess.Popen([COMMANDS / "wendelin", "init", lake], stdout=subprocess.DEVNULL)
    while not (lake / "etc" / "zope.conf.part").exists():
        assert killed.poll() is None
        time.sleep(0.001)
    killed.kill()
    killed.wait()
    assert not (lake / "etc" / "zope.conf").exists()
    wendelin("init", lake)
    assert wendelin("user", "list", lake).stdout == "admin\tmanager\n"


def test_init_in_a_storage_that_has_a_site_leaves_its_users_as_they_are(instance: ServedLake, tmp_path: Path) -> None:
    storage = f"file://{instance.directory}/var/Data.fs"
    done = wendelin("init", tmp_path / "other", "--storage", storage)
    assert "The storage has a site already: its users are as they were.\n" in done.stdout
    assert wendelin("user", "list", tmp_path / "other").stdout == "admin\tmanager\n"


def test_init_names_what_is_wrong_with_a_storage(tmp_path: Path) -> None:
    done = wendelin("init", tmp_path / "lake", "--storage", "gopher://here", code=1)
    assert done.stderr.startswith("wendelin: gopher://here is no URI of a database.")
    assert not (tmp_path / "lake").exists()


def test_dollar_and_space_in_a_name_are_taken_literally(tmp_path: Path) -> None:
    lake = tmp_path / "my $HOME lake"
    assert f"Serve it with: wendelin serve '{lake}'\n" in wendelin("init", lake).stdout
    assert (lake / "var" / "Data.fs").exists()


def test_users_are_added_listed_and_removed(instance: ServedLake) -> None:
    assert wendelin(
        "user", "add", instance.directory, "ada", "--role", "contributor", "--password-file", instance.password_file
    ).stdout == ("Added ada, contributor\n")
    assert wendelin("user", "list", instance.directory).stdout == "ada\tcontributor\nadmin\tmanager\n"
    assert wendelin("user", "remove", instance.directory, "ada").stdout == "Removed ada\n"
    assert wendelin("user", "list", instance.directory).stdout == "admin\tmanager\n"


def test_removing_nobody_is_an_error_in_one_line(instance: ServedLake) -> None:
    done = wendelin("user", "remove", instance.directory, "nobody", code=1)
    assert done.stderr == "wendelin: There is no user 'nobody'.\n"


def test_debug_shows_where_an_error_comes_from(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--debug", "user", "list", str(tmp_path)]) == 1
    captured = capsys.readouterr().err
    assert captured.startswith("Traceback")
    assert captured.endswith(f"{tmp_path} is not an instance. Make one with: wendelin init {tmp_path}\n")


@pytest.mark.parametrize(
    "arguments", [["user", "list"], ["serve"], ["user", "remove", "DIR", "ada"], ["user", "add", "DIR", "ada"]]
)
def test_what_is_no_instance_is_named_and_how_to_make_one(
    arguments: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    if "DIR" in arguments:
        arguments = [str(tmp_path) if word == "DIR" else word for word in arguments]
    else:
        arguments = [*arguments, str(tmp_path)]
    if "add" in arguments:
        arguments += ["--role", "manager"]
    assert main(arguments) == 1
    assert capsys.readouterr().err == (
        f"wendelin: {tmp_path} is not an instance. Make one with: wendelin init {tmp_path}\n"
    )


@pytest.mark.parametrize(
    ("content", "reason"), [(None, "no such file or directory"), (b"\xff\xfe", "it is not text in UTF-8")]
)
def test_a_password_file_that_cannot_be_read_is_named(
    content: bytes | None, reason: str, instance: ServedLake, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "password"
    if content is not None:
        file.write_bytes(content)
    add = ["user", "add", str(instance.directory), "ada", "--role", "manager", "--password-file", str(file)]
    assert main(add) == 1
    assert capsys.readouterr().err == f"wendelin: The password file {file} cannot be read: {reason}.\n"


def test_an_empty_password_file_is_an_error(
    instance: ServedLake, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    empty = tmp_path / "password"
    empty.write_text("\nsecond line\n")
    add = ["user", "add", str(instance.directory), "ada", "--role", "manager", "--password-file", str(empty)]
    assert main(add) == 1
    assert capsys.readouterr().err == f"wendelin: {empty} holds no password: its first line is empty.\n"


def test_without_a_file_and_a_terminal_there_is_no_password(instance: ServedLake) -> None:
    done = wendelin("user", "add", instance.directory, "ada", "--role", "manager", code=1, stdin=subprocess.DEVNULL)
    assert done.stderr == "wendelin: No terminal to ask for the password: give --password-file FILE.\n"


def add_on_a_terminal(instance: ServedLake, name: str, *answers: str) -> tuple[int, str]:
    """`wendelin user add` on a terminal, answering its questions: (exit code, what the terminal showed)."""
    child, terminal = pty.fork()
    if child == 0:
        command = str(COMMANDS / "wendelin")
        os.execv(command, [command, "user", "add", str(instance.directory), name, "--role", "downloader"])
    shown = b""
    for prompt, answer in zip((b"Password for", b"Again:"), answers, strict=False):
        while prompt not in shown:
            shown += os.read(terminal, 1000)
        os.write(terminal, answer.encode() + b"\n")
    while True:
        try:
            piece = os.read(terminal, 1000)
        except OSError:  # how Linux says that the other end was closed
            piece = b""
        if not piece:
            break
        shown += piece
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    os.close(terminal)
    return code, shown.decode()


def test_on_a_terminal_the_password_is_asked_for_twice_and_not_shown(instance: ServedLake) -> None:
    code, shown = add_on_a_terminal(instance, "dan", PASSWORD, PASSWORD)
    assert (code, PASSWORD in shown) == (0, False)
    assert shown.endswith("Added dan, downloader\r\n")


def test_passwords_that_differ_are_an_error(instance: ServedLake) -> None:
    code, shown = add_on_a_terminal(instance, "eve", PASSWORD, "something else")
    assert code == 1
    assert shown.endswith("wendelin: The passwords differ.\r\n")


def test_an_empty_password_is_an_error(instance: ServedLake) -> None:
    code, shown = add_on_a_terminal(instance, "eve", "")
    assert code == 1
    assert shown.endswith("wendelin: The password is empty.\r\n")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "the following arguments are required: COMMAND"),
        (["fly"], "invalid choice: 'fly'"),
        (["init"], "the following arguments are required: DIR"),
        (["user", "add", "DIR", "ada"], "the following arguments are required: --role"),
        (["user", "add", "DIR", "ada", "--role", "king"], "invalid choice: 'king'"),
    ],
)
def test_a_command_line_that_makes_no_sense_is_exit_code_2(
    arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    assert caught.value.code == 2
    assert message in capsys.readouterr().err


@pytest.mark.parametrize(
    "arguments",
    [
        ["--help"],
        ["init", "--help"],
        ["serve", "--help"],
        ["shell", "--help"],
        ["user", "add", "--help"],
        ["bt5", "--help"],
        ["alarm", "--help"],
    ],
)
def test_help_is_on_standard_output_and_no_wider_than_a_terminal(
    arguments: list[str], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    assert caught.value.code == 0
    text = capsys.readouterr().out
    assert text.startswith("usage: wendelin")
    assert max(map(len, text.splitlines())) <= 80


def test_interrupt_that_python_wraps_in_another_error_is_one() -> None:
    class Interrupted:
        def __set_name__(self, owner: type, name: str) -> None:
            raise KeyboardInterrupt

    with pytest.raises(RuntimeError) as caught:
        type("Made", (), {"attribute": Interrupted()})
    assert was_interrupted(caught.value)
    assert not was_interrupted(RuntimeError("something else"))


def test_interrupted_is_exit_code_130(tmp_path: Path) -> None:
    lake = tmp_path / "lake"
    process = subprocess.Popen([COMMANDS / "wendelin", "init", lake], stderr=subprocess.PIPE, text=True)
    while not (lake / "etc" / "zope.conf.part").exists():
        assert process.poll() is None
        time.sleep(0.001)
    process.send_signal(signal.SIGINT)
    assert process.communicate()[1] == "wendelin: interrupted\n"
    assert process.returncode == 130
    assert not lake.exists()


def test_init_on_a_disk_that_is_too_small_says_so_and_leaves_nothing(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", 128 * KIB) as disk:
        done = wendelin("init", disk / "lake", code=1)
        assert done.stderr.splitlines()[-1] == "wendelin: No space left on device"
        assert list(disk.iterdir()) == []
