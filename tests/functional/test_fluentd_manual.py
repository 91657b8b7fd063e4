"""The session that docs/fluentd.rst begins with, typed into terminals as a reader would.

What stands for what: the ports, which may be taken, are replaced by free ones, and `turbine.py` is the block of Python.
"""

from __future__ import annotations

import re
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import docutils.core
import docutils.nodes
import pytest

from support.lake import COMMANDS
from support.terminal import Terminal

MANUAL = Path(__file__).parents[2] / "docs" / "fluentd.rst"
TIMEOUT = 120


def free_ports(count: int) -> list[int]:
    """Ports on which nobody listens."""
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return ports


def first_session() -> list[str]:
    """The literal blocks of the section."""
    http, forward = free_ports(2)
    text = MANUAL.read_text(encoding="utf-8").replace("8080", str(http)).replace("24224", str(forward))
    document = docutils.core.publish_doctree(text, str(MANUAL), settings_overrides={"report_level": 2})
    sections = {
        section.next_node(docutils.nodes.title).astext(): section
        for section in document.findall(docutils.nodes.section)
    }
    return [block.astext() for block in sections["A first session"].findall(docutils.nodes.literal_block)]


def commands(block: str) -> list[str]:
    return [line.removeprefix("$ ") for line in block.splitlines() if line.startswith("$ ")]


@pytest.fixture
def terminals(tmp_path: Path) -> Iterator[list[Terminal]]:
    """Two terminals of a user in an empty folder."""
    environment = {
        "PATH": f"{COMMANDS}:/usr/bin:/bin",
        "HOME": str(tmp_path),
        "EBULK_CONFIG_DIR": str(tmp_path / "login"),
    }
    opened = [Terminal(tmp_path, environment, TIMEOUT) for _ in range(2)]
    yield opened
    for each in opened:
        each.close()


def test_the_first_session_stores_and_shows_what_is_sent(tmp_path: Path, terminals: list[Terminal]) -> None:
    serving, turbine, *sending = first_session()
    server, user = terminals
    (tmp_path / "turbine.py").write_text(turbine)

    *before, serve = commands(serving)
    for command in before:
        server.type(command)
        assert server.wait_for_end() == 0, server.screen
    server.type(f"{serve} --listen {re.search(r'ready on http://(.*)/erp5', serving)[1]}")
    for line in re.findall(r"^ready on .*$", serving, re.MULTILINE):
        server.wait_for_text(line)

    for command in [command for block in sending for command in commands(block)]:
        user.type(command)
        assert user.wait_for_end() == 0, user.screen
        deadline = time.monotonic() + TIMEOUT
        while command == "ebulk streams" and not re.search(r"^wind\.turbine  +147 bytes", user.screen, re.MULTILINE):
            assert time.monotonic() < deadline, user.screen  # nobody acknowledges what Python sends
            user.type(command)
            assert user.wait_for_end() == 0, user.screen
    records = (tmp_path / "wind.turbine.jsonl").read_text().splitlines()
    assert [re.sub(r'"time":"[^"]*"', '"time":""', record) for record in records] == [
        f'{{"time":"","record":{{"rpm":{rpm},"power":2.1,"state":"on"}}}}' for rpm in ("14.0", "14.5", "15.0")
    ]
    server.interrupt()
    assert server.wait_for_end() == 0
