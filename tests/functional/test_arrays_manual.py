"""The session that docs/arrays.rst begins with, typed into terminals as a reader would.

What stands for what: the port, which may be taken, is replaced by a free one, and the blocks of Python are the files
that are named before them.
"""

from __future__ import annotations

import re
import socket
from collections.abc import Iterator
from pathlib import Path

import docutils.core
import docutils.nodes
import numpy
import pytest

from support.lake import COMMANDS
from support.terminal import Terminal

MANUAL = Path(__file__).parents[2] / "docs" / "arrays.rst"
TIMEOUT = 120


def free_port() -> int:
    """A port on which nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return probe.getsockname()[1]


def first_session() -> list[tuple[str, str]]:
    """The literal blocks of the section, each with the text before it."""
    text = MANUAL.read_text(encoding="utf-8").replace("8080", str(free_port()))
    document = docutils.core.publish_doctree(text, str(MANUAL), settings_overrides={"report_level": 2})
    sections = {
        section.next_node(docutils.nodes.title).astext(): section
        for section in document.findall(docutils.nodes.section)
    }
    found, before = [], ""
    for node in sections["A first session"].children:
        if isinstance(node, docutils.nodes.literal_block):
            found.append((before, node.astext()))
        before = node.astext()
    return found


def write_scripts(blocks: list[tuple[str, str]], folder: Path) -> None:
    """Write the blocks of Python to the files that the text before them ends with."""
    for before, block in blocks:
        if not block.startswith("$ "):
            name = re.search(r"(\w+\.py):$", before)[1]
            (folder / name).write_text(block)


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


def type_all(block: str, terminal: Terminal) -> None:
    """Type its commands; each succeeds, and shows the lines below it, where they are not `...`."""
    for part in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
        command, *lines = part.splitlines()
        terminal.type(command)
        for line in lines:
            if line != "...":
                terminal.wait_for_text(line)
        assert terminal.wait_for_end() == 0, terminal.screen


def test_the_first_session_reduces_an_array_on_the_server_and_reads_it(tmp_path, terminals):
    blocks = first_session()
    write_scripts(blocks, tmp_path)
    server, user = terminals
    (_, serving), *others = [(before, block) for before, block in blocks if block.startswith("$ ")]
    init, serve = re.findall(r"^\$ (.*)$", serving, re.MULTILINE)
    server.type(init)
    assert server.wait_for_end() == 0, server.screen
    server.type(f"{serve} --listen {re.search(r'ready on http://(.*)/erp5', serving)[1]}")
    server.wait_for_text(re.search(r"^ready on .*$", serving, re.MULTILINE)[0])

    for _, block in others:
        type_all(block, user)
    assert re.search(r"^temperature +", user.screen, re.MULTILINE)

    hour, sensor = numpy.meshgrid(numpy.arange(365 * 24), numpy.arange(100), indexing="ij")
    temperature = 12 - 9 * numpy.cos(2 * numpy.pi * hour / 8760) - 4 * numpy.cos(2 * numpy.pi * hour / 24 - sensor / 50)
    expected = temperature.reshape(365, 24, 100).mean(axis=1)
    assert numpy.allclose(numpy.load(tmp_path / "temperature-daily.npy"), expected, rtol=1e-12)
    assert str(expected[90:180:30, ::25].round(2)) in user.screen.replace("\r", "")
    server.interrupt()
    assert server.wait_for_end() == 0
