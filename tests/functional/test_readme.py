"""The session that README.rst opens with, typed into terminals as a reader would, in a clone of this repository.

What stands for what: `THIS-REPOSITORY` is a link to this repository, `~` a folder of the test's, and the port 8080,
which may be taken, is replaced by a free one, by what the README says to do then. Versions of packages that were
downloaded before aren't downloaded again.
"""

from __future__ import annotations

import os
import socket
import stat
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import docutils.core
import docutils.nodes
import pytest

from support.folders import read_files, write_files
from support.terminal import Terminal

ROOT = Path(__file__).parents[2]
TIMEOUT = 900
"""Seconds; where nothing has been downloaded yet, an environment takes minutes."""

SCANS = {
    "subject 1/t1.nii": os.urandom(3_000_000),
    "subject 1/t1.json": '{"EchoTime": 0.003}',
    "subject 2/größe.txt": "1,80 m",
    "notes": "",
    "latest": "-> subject 2",
}


@dataclass
class Block:
    """A literal block with commands, and the lines that it shows below the last of them."""

    commands: list[str]
    shown: list[str]


def blocks(text: str) -> list[Block]:
    """What reStructuredText says to type."""
    document = docutils.core.publish_doctree(text, settings_overrides={"halt_level": 2, "report_level": 2})
    found = []
    for literal in document.findall(docutils.nodes.literal_block):
        lines = literal.astext().splitlines()
        commands = [line.removeprefix("$ ") for line in lines if line.startswith("$ ")]
        if commands:
            found.append(Block(commands, [line for line in lines if not line.startswith("$ ") and line != "..."]))
    return found


@pytest.fixture
def address() -> str:
    """Nobody listens there."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return f"127.0.0.1:{free.getsockname()[1]}"


@pytest.fixture
def environment(tmp_path: Path, address: str) -> dict[str, str]:
    """Of a user whose home is empty but for some scans, on a machine with this one's registries and caches."""
    home = tmp_path / "home"
    (home / "elsewhere").mkdir(parents=True)
    write_files(home / "scans", SCANS)
    (tmp_path / "THIS-REPOSITORY").symlink_to(ROOT)
    kept = {
        name: value
        for name, value in os.environ.items()
        if name in ("PATH", "LANG", "SSL_CERT_FILE", "SSL_CERT_DIR") or name.startswith(("PIP_", "UV_", "LC_"))
    }
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return {
        "UV_CACHE_DIR": str(cache / "uv"),
        "PIP_CACHE_DIR": str(cache / "pip"),
        "PYTHON": str(Path(sys.base_prefix) / "bin" / "python3.10"),
        **kept,
        "HOME": str(home),
        "EBULK_CONFIG_DIR": str(tmp_path / "logins"),
        "LISTEN": address,
    }


@pytest.fixture
def terminals(tmp_path: Path, environment: dict[str, str]) -> Iterator[list[Terminal]]:
    """The terminals that are open, the one in use last."""
    opened = [Terminal(tmp_path, environment, TIMEOUT)]
    yield opened
    for terminal in opened:
        terminal.close()


def modification_times(root: Path, files: dict[str, str | bytes]) -> dict[str, int]:
    """In nanoseconds."""
    return {path: (root / path).lstat().st_mtime_ns for path in files}


def test_the_session_of_the_readme_brings_the_same_files_elsewhere(
    tmp_path: Path, environment: dict[str, str], address: str, terminals: list[Terminal]
) -> None:
    if not (ROOT / ".git").exists():
        pytest.skip("these sources are no git repository, so there is nothing to clone")
    here, home = tmp_path / "lake", Path(environment["HOME"])
    password_file = here / "var" / "lake" / "etc" / "admin-password"

    for block in blocks((ROOT / "README.rst").read_text().replace("127.0.0.1:8080", address)):
        terminal = terminals[-1]
        for command in block.commands:
            terminal.type(command)
            if block.shown and command == block.commands[-1]:
                for line in block.shown:
                    terminal.wait_for_text(line)
                terminals.append(Terminal(here, environment, TIMEOUT))
            else:
                answers = {"User: ": "admin", "Password of admin: ": ""}
                if password_file.exists():
                    answers["Password of admin: "] = password_file.read_text().strip()
                assert terminal.wait_for_end(answers) == 0, terminal.screen

    server, client = terminals
    client.type(f"{here}/.venv/bin/python -m doctest {ROOT}/README.rst")
    assert client.wait_for_end() == 0, client.screen
    assert password_file.read_text().strip() in server.screen
    assert stat.S_IMODE(password_file.stat().st_mode) == 0o600
    assert password_file.read_text().strip() not in client.screen

    pulled = home / "elsewhere" / "brain_mri"
    files = read_files(pulled)
    assert files.pop("review.txt") == "looked through\n"
    assert files == SCANS
    assert modification_times(pulled, files) == modification_times(here / "brain_mri", files)

    server.interrupt()
    server.wait_for_end()
    with socket.socket() as closed:
        host, port = address.split(":")
        assert closed.connect_ex((host, int(port))) != 0
