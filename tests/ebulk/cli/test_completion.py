"""What Tab brings in real shells."""

import shutil
import subprocess

import pexpect
import pytest

from ebulk.cli.arguments import COMMANDS
from support.folders import write_files
from support.shell import DEADLINE, Shell


@pytest.fixture
def shell(tmp_path):
    shell = Shell(tmp_path, "set")
    write_files(tmp_path, {"brain mri/a": "", "notes.txt": "", "password": ""})
    return shell


def script(shell, name):
    path = shell.home / f"completion.{name}"
    path.write_text(shell.run("completion", name)[0])
    return path


def complete_in_bash(shell, line):
    """What bash offers for the last word of a command line, which its completion function is called with."""
    words = line.split(" ")
    code = (
        f"source {script(shell, 'bash')}\n"
        "shopt -s extglob\n"
        f"COMP_WORDS=({' '.join(word or chr(34) * 2 for word in words)}) COMP_CWORD={len(words) - 1}\n"
        f"COMP_LINE='{line}' COMP_POINT={len(line)}\n"
        "_shtab_ebulk\n"
        'printf "%s\\n" "${COMPREPLY[@]}"\n'
    )
    done = subprocess.run(
        ["bash", "--norc", "-c", code], cwd=shell.home, capture_output=True, text=True, check=True, timeout=DEADLINE
    )
    return done.stdout.splitlines()


@pytest.mark.parametrize(
    ("line", "offered"),
    [
        ("ebulk pu", ["push", "pull"]),
        ("ebulk push --di", ["--directory"]),
        ("ebulk push br", ["brain mri"]),
        ("ebulk completion z", ["zsh"]),
        ("ebulk help pul", ["pull"]),
        ("ebulk login --password-file pass", ["password"]),
        ("ebulk pull --output pass", ["password"]),
        ("ebulk pull --format j", ["jsonl"]),
        ("ebulk push --array x no", ["notes.txt"]),
        ("ebulk arr", ["arrays"]),
    ],
)
def test_bash_completes_commands_options_values_and_files(shell, line, offered):
    assert complete_in_bash(shell, line) == offered


def test_bash_offers_all_commands(shell):
    assert set(COMMANDS) <= set(complete_in_bash(shell, "ebulk "))


def test_tab_in_a_terminal_completes_the_line(shell):
    bash = pexpect.spawn(
        "bash", ["--norc", "--noprofile", "-i"], cwd=str(shell.home), encoding="utf-8", timeout=DEADLINE
    )
    bash.sendline(f"PS1='ready> '; source {script(shell, 'bash')}; echo begin")
    bash.expect(r"[\r\n]begin\r\n.*ready> ")
    bash.send("ebulk pus\t--rest\t")
    bash.expect_exact("ebulk push --restart ")
    bash.close(force=True)


@pytest.mark.parametrize(("name", "check"), [("zsh", ["-n"]), ("fish", ["--no-execute"])])
def test_the_scripts_of_other_shells_are_understood_by_them(shell, name, check):
    if not shutil.which(name):
        pytest.skip(f"{name} is not installed")
    done = subprocess.run([name, *check, script(shell, name)], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_fish_completes_commands_and_options(shell):
    if not shutil.which("fish"):
        pytest.skip("fish is not installed")
    done = subprocess.run(
        [
            "fish",
            "--no-config",
            "-c",
            f"source {script(shell, 'fish')}; complete -C 'ebulk pu'; complete -C 'ebulk push --res'",
        ],
        cwd=shell.home,
        env={**shell.environment, "HOME": str(shell.home)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert [line.split("\t")[0] for line in done.stdout.splitlines()] == ["pull", "push", "--restart"]


def test_an_unknown_shell_is_exit_code_2(shell):
    message = shell.fail("completion", "csh", code=2)[0]
    assert message.startswith("ebulk: Argument SHELL: invalid choice: 'csh' (choose from ")  # Pythons quote differently
