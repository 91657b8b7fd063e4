"""`wendelin shell`: Python with the site at hand."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import transaction
from ZEO.Exceptions import ClientDisconnected

from Products.ERP5Wendelin.errors import Conflict, NotFound
from Products.ERP5Wendelin.portal import command_shell, session
from Products.ERP5Wendelin.portal.command import main, make_parser
from Products.ERP5Wendelin.portal.command_shell import COMMAND, LOST, Shell
from support.lake import COMMANDS, START_TIMEOUT, ServedLake, wendelin
from support.shell import DEADLINE
from support.site import Lake, as_user
from support.terminal import Terminal

NEW_DATA_SET = "portal.data_set_module.newDataSet"
REFERENCES = "[found.getReference() for found in portal.data_set_module.searchDataSets()]"


@pytest.fixture
def shell(lake: Lake) -> Iterator[Shell]:
    """A shell in this process, as the system."""
    with lake.open("system") as site:
        yield Shell(site.aq_parent, False)


def run(shell: Shell, source: str) -> bool:
    return shell.run(source.encode(), COMMAND)


def test_the_site_is_bound_and_so_are_transactions(shell: Shell, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(
        shell,
        "print(app.erp5.getId(), context is portal, portal.getPortalType())\n"
        "print(transaction.get().status, commit.__name__, abort.__name__, __name__)",
    )
    assert capsys.readouterr().out == "erp5 True ERP5 Site\nActive commit abort __main__\n"


def test_documents_modules_and_results_of_searches_are_shown_by_their_paths(
    shell: Shell, capsys: pytest.CaptureFixture[str]
) -> None:
    stream = "portal.data_stream_module.newContent(id='log', reference='log')"
    assert run(shell, f"print([portal, portal.data_set_module, portal.portal_categories, {stream}])")
    assert capsys.readouterr().out == (
        "[<ERP5Site at /erp5>, <DataSetModule at /erp5/data_set_module>, <CategoryTool at /erp5/portal_categories>, "
        "<DataStream at /erp5/data_stream_module/log>]\n"
    )
    assert run(shell, "print(portal.portal_catalog(reference='log')[0])")
    assert capsys.readouterr().out == "<Brain of /erp5/data_stream_module/log>\n"


def test_what_is_changed_is_noticed_until_it_is_committed_or_aborted(shell: Shell) -> None:
    assert not shell.has_changes()
    run(shell, f"{REFERENCES}; portal.data_set_module.getDataSet('x')")
    assert not shell.has_changes()
    run(shell, f"{NEW_DATA_SET}('kept')")
    assert shell.has_changes()
    run(shell, "commit()")
    assert not shell.has_changes()
    run(shell, f"{NEW_DATA_SET}('dropped')")
    run(shell, "abort()")
    assert not shell.has_changes()
    assert eval(REFERENCES, shell.names) == ["kept"]


def test_an_error_of_the_lake_is_shown_with_the_lines_of_the_user_alone(
    shell: Shell, capsys: pytest.CaptureFixture[str]
) -> None:
    assert not run(shell, f"def make(name):\n    {NEW_DATA_SET}(name)\nmake('a/b')\n")
    assert capsys.readouterr().err == (
        "Traceback (most recent call last):\n"
        '  File "<command>", line 3, in <module>\n'
        "    make('a/b')\n"
        '  File "<command>", line 2, in make\n'
        "    portal.data_set_module.newDataSet(name)\n"
        "Products.ERP5Wendelin.errors.BadInput: The reference 'a/b' has a slash or a backslash.\n"
    )


def test_any_other_error_is_shown_from_the_users_line_on(shell: Shell, capsys: pytest.CaptureFixture[str]) -> None:
    assert not run(shell, "import json\njson.loads('{')")
    lines = capsys.readouterr().err.splitlines()
    assert lines[:3] == [
        "Traceback (most recent call last):",
        '  File "<command>", line 2, in <module>',
        "    json.loads('{')",
    ]
    assert any("/json/decoder.py" in line for line in lines)
    assert lines[-1].startswith("json.decoder.JSONDecodeError: ")


def test_a_syntax_error_is_shown_where_it_is(shell: Shell, capsys: pytest.CaptureFixture[str]) -> None:
    assert not run(shell, "if")
    assert capsys.readouterr().err.startswith('  File "<command>", line 1\n    if\n')


def test_debug_shows_the_whole_traceback(shell: Shell, capsys: pytest.CaptureFixture[str]) -> None:
    shell.debug = True
    assert not run(shell, f"{NEW_DATA_SET}('a/b')")
    shown = capsys.readouterr().err
    assert "command_shell.py" in shown
    assert "/content/path.py" in shown


def test_it_acts_as_the_user_it_is_given(lake: Lake, shell: Shell, capsys: pytest.CaptureFixture[str]) -> None:
    run(shell, f"d = {NEW_DATA_SET}('hidden'); commit()")
    with as_user(shell.site, "system"):
        shell.act_as("dan")
        assert run(shell, f"print(portal.portal_membership.getAuthenticatedMember().getId(), {REFERENCES})")
    assert capsys.readouterr().out == "dan []\n"
    assert not shell.has_changes()


def test_a_user_who_is_not_there_is_named(shell: Shell) -> None:
    with pytest.raises(NotFound, match=r"^There is no user 'bob'\. `wendelin user list DIR` names them\.$"):
        shell.act_as("bob")


def test_a_commit_that_meets_another_says_so_and_drops_the_changes(lake: Lake, shell: Shell) -> None:
    run(shell, f"d = {NEW_DATA_SET}('hearts'); commit(); d.setTitle('mine')")
    connection = lake.db.open(transaction.TransactionManager())
    module = connection.root()["Application"].erp5.data_set_module
    module._getOb(shell.names["d"].getId()).title = "theirs"
    connection.transaction_manager.commit()
    connection.close()
    with pytest.raises(Conflict) as caught:
        session.commit()
    assert str(caught.value) == (
        "Somebody else has changed the same in the meantime, so what you changed is dropped. "
        "Look at it, and change it again."
    )
    assert (shell.has_changes(), shell.names["d"].getTitle()) == (False, "theirs")


def test_a_commit_without_the_server_says_so_and_drops_the_changes(
    shell: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    def commit() -> None:
        raise ClientDisconnected("gone")

    run(shell, f"{NEW_DATA_SET}('hearts')")
    monkeypatch.setattr(transaction, "commit", commit)
    with pytest.raises(Conflict) as caught:
        session.commit()
    assert str(caught.value) == (
        "The server that has the database open has stopped, so what you changed is dropped. "
        "Once it runs again, change it again; the prompt may stay open."
    )
    assert not shell.has_changes()


def test_a_script_of_the_skins_is_found_as_soon_as_it_is_there(shell: Shell) -> None:
    prompt = command_shell.Prompt(shell)
    prompt.push("hasattr(portal, 'say')")
    prompt.push("from Products.PythonScripts.PythonScript import manage_addPythonScript")
    prompt.push("_ = manage_addPythonScript(portal.portal_skins.custom, 'say')")
    prompt.push("portal.portal_skins.custom.say.write('return 6 * 7')")
    prompt.push("answer = portal.say()")
    assert shell.names["answer"] == 42


def test_what_is_no_file_and_no_instance_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["shell", str(tmp_path), "-c", "1"]) == 1
    assert capsys.readouterr().err == (
        f"wendelin: {tmp_path} is not an instance. Make one with: wendelin init {tmp_path}\n"
    )
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc" / "zope.conf").touch()
    assert main(["shell", str(tmp_path), str(tmp_path / "script.py")]) == 1
    assert capsys.readouterr().err == f"wendelin: {tmp_path}/script.py: No such file or directory\n"
    assert main(["shell", str(tmp_path), "script.py", "-c", "1"]) == 1
    assert capsys.readouterr().err == "wendelin: There is a COMMAND to run, and a FILE: give one of them.\n"


# as a process


@pytest.mark.parametrize(
    "words", ["DIR", "DIR FILE", "--user ada DIR FILE", "DIR --user ada FILE", "DIR FILE --user ada", "DIR -c 1"]
)
def test_options_may_stand_anywhere(words: str) -> None:
    arguments = make_parser().parse_args(["shell", *words.split()])
    assert arguments.directory == "DIR"
    assert arguments.file == ("FILE" if "FILE" in words else None)
    assert arguments.user == ("ada" if "ada" in words else None)
    assert arguments.command == ("1" if "-c" in words else None)


@pytest.fixture(scope="module")
def instance(tmp_path_factory: pytest.TempPathFactory) -> ServedLake:
    """An instance that is not being served, with the user ada."""
    lake = ServedLake(tmp_path_factory.mktemp("instance"))
    lake.init()
    lake.add_user("ada", "contributor")
    return lake


def test_a_script_runs_from_a_file_and_keeps_what_it_commits(instance: ServedLake, tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(f"{NEW_DATA_SET}('from a file')\ncommit()\n{NEW_DATA_SET}('lost')\nexit(3)\n")
    done = wendelin("shell", instance.directory, script, code=3)
    assert (done.stdout, done.stderr) == ("", LOST + "\n")
    done = wendelin("shell", instance.directory, "-c", f"print({REFERENCES}); raise KeyError('x')", code=1)
    assert done.stdout == "['from a file']\n"
    assert done.stderr == (
        "Traceback (most recent call last):\n"
        '  File "<command>", line 1, in <module>\n'
        f"    print({REFERENCES}); raise KeyError('x')\n"
        "KeyError: 'x'\n"
    )


def test_it_works_on_a_lake_that_is_being_served_and_reads_standard_input(instance: ServedLake) -> None:
    instance.start()
    try:
        script = f"{NEW_DATA_SET}('while serving').publish()\ncommit()\n"
        assert wendelin("shell", instance.directory, input=script).stderr == ""
        read = [
            sys.executable,
            "-c",
            f"import urllib.request as r; print(r.urlopen('{instance.url}/api/v1/data-sets').read())",
        ]
        shown = subprocess.run(read, capture_output=True, text=True, timeout=DEADLINE, check=True).stdout
        assert '"while serving"' in shown
    finally:
        assert instance.stop() == 0


MAKE = f"data_set = {NEW_DATA_SET}('hearts'); 'made ' + data_set.getReference()"


def press(terminal: Terminal, keys: str, shown: str) -> None:
    """Press keys, and wait until something is shown, and then the prompt: by then the terminal takes keys again."""
    terminal.press(keys)
    terminal.wait_for_text(shown)
    terminal.wait_for_text(">>> ")


def test_at_a_terminal_it_is_pythons_prompt_with_completion_and_history(instance: ServedLake, tmp_path: Path) -> None:
    terminal = Terminal(tmp_path, {"PATH": f"{COMMANDS}{os.pathsep}{os.environ['PATH']}"}, START_TIMEOUT)
    try:
        shown = "Nothing is kept until transaction.commit() or commit(). Ctrl-D leaves."
        press(terminal, f"wendelin shell --user ada '{instance.directory}'\r", shown)
        assert f"with the lake {instance.directory}, as ada.\n" in terminal.screen
        press(terminal, "portal.data_set_mod\t.getId()\r", "'data_set_module'")
        press(terminal, f"{NEW_DATA_SET}('a/b')\r", "BadInput: The reference 'a/b' has a slash or a backslash.")
        assert '\nTraceback (most recent call last):\n  File "<console>", line 1, in <module>\nProd' in terminal.screen
        press(terminal, MAKE + "\r", "'made hearts'")
        terminal.press("\x04")
        assert terminal.wait_for_end() == 0
        assert LOST in terminal.screen

        terminal.screen = ""
        press(terminal, f"wendelin shell '{instance.directory}'\r", "as system, who may do anything.")
        press(terminal, "\x1b[A\r", "'made hearts'")
        press(terminal, "commit(); data_set.getReference().upper()\r", "'HEARTS'")
        terminal.press("exit()\r")
        assert terminal.wait_for_end() == 0
        assert LOST not in terminal.screen
    finally:
        terminal.close()
    history = instance.directory / "var" / "shell-history"
    assert history.stat().st_mode & 0o077 == 0
    assert MAKE in history.read_text()
