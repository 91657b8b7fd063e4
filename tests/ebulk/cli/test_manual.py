import os
import pty
import re
import shlex
import shutil
import subprocess
from pathlib import Path

import docutils.core
import pytest

from ebulk.cli.arguments import COMMANDS, command_parsers, make_parser, parse
from ebulk.cli.manual import roff, rst
from ebulk.cli.manual.__main__ import write_man_pages
from ebulk.cli.manual.markup import Bullets, Definitions, Literal, Paragraph, sections
from ebulk.cli.manual.page import page, topics
from ebulk.cli.manual.text import render
from support.shell import DEADLINE, EBULK, Shell

ROOT = Path(__file__).parents[3]


@pytest.fixture
def shell(tmp_path):
    return Shell(tmp_path, "set")


def literals(topic):
    """What a page shows to be typed."""
    blocks = (block for _, blocks in page(topic).sections for block in blocks)
    return [line for block in blocks if isinstance(block, Literal) for line in block.text.splitlines()]


@pytest.mark.parametrize("topic", topics())
def test_each_command_has_a_page_with_all_its_options(topic):
    text = render(page(topic), 80, styled=False)
    assert text.startswith(f"NAME\n       {page(topic).name} - ")
    titles = [line for line in text.splitlines() if line and not line.startswith(" ")]
    assert titles[:3] == ["NAME", "SYNOPSIS", "DESCRIPTION"]
    assert {"OPTIONS", "EXIT STATUS"} <= set(titles)
    assert "``" not in text
    parser = command_parsers(make_parser()).get(topic, make_parser())
    for option in re.findall(r"(?<![\w-])--?[a-zA-Z][\w-]*", parser.format_usage()):
        assert re.search(rf"(?m)^       (.*, )?{option}\b", text), option


@pytest.mark.parametrize("topic", topics())
def test_what_a_page_shows_to_be_typed_can_be_typed(topic):
    for line in literals(topic):
        command = re.split(r" [|>&] ?", line.removeprefix("$ "))[0]
        if command.startswith("ebulk "):
            assert parse(shlex.split(command)[1:]).command in COMMANDS


@pytest.mark.parametrize("width", [60, 80, 120])
def test_no_line_of_a_page_is_wider_than_the_terminal(width):
    wide = [
        (topic, line)
        for topic in topics()
        for line in render(page(topic), width, styled=False).splitlines()
        if len(line) > width and line.strip() not in literals(topic) and len(line.split()) > 1
    ]
    assert wide == []


def test_help_shows_the_page_and_h_the_options_only(shell):
    text, _ = shell.run("help", "push")
    assert text == shell.run("push", "--help")[0]
    assert text == shell.run("push", "--json", "--help", "--jobs")[0]
    assert "\nEXAMPLES\n" in text
    assert shell.run("push", "-h")[0].startswith("usage: ebulk push [-h]")
    assert shell.run("help", "ebulk")[0].startswith("NAME\n       ebulk - push and pull data sets")


def test_a_terminal_is_shown_styled_pages_by_a_pager(shell):
    controller, terminal = pty.openpty()
    shell.environment["PAGER"] = "sed s/^/|/"
    process = shell.start("help", "push", stdin=terminal, stdout=terminal, stderr=terminal)
    os.close(terminal)
    shown = b""
    while b"no_proxy" not in shown:
        shown += os.read(controller, 1000)
    assert process.wait(DEADLINE) == 0
    os.close(controller)
    assert shown.startswith(b"|\x1b[1mNAME\x1b[0m\r\n|")


@pytest.mark.parametrize("pager", ["", "there-is-no-such-pager"])
def test_without_a_pager_a_page_is_printed(shell, pager):
    controller, terminal = pty.openpty()
    shell.environment["PAGER"] = pager
    process = shell.start("help", "config", stdin=terminal, stdout=terminal, stderr=terminal)
    os.close(terminal)
    shown = b""
    while b"EBULK_CONFIG_DIR" not in shown:
        shown += os.read(controller, 1000)
    assert process.wait(DEADLINE) == 0
    os.close(controller)


def test_the_document_of_the_commands_is_up_to_date():
    made = rst.render(map(page, topics()))
    assert (ROOT / "docs" / "commands.rst").read_text() == made, "run tools/manual"
    docutils.core.publish_doctree(made, settings_overrides={"halt_level": 2, "report_level": 2})


def test_man_shows_the_pages(tmp_path):
    if not shutil.which("groff"):
        pytest.skip("groff, which shows whether man understands a page, is not installed")
    written = write_man_pages(tmp_path / "man1")
    assert [path.name for path in written] == ["ebulk.1", *(f"ebulk-{name}.1" for name in COMMANDS)]
    for path in written:
        done = subprocess.run(
            ["groff", "-man", "-Tutf8", "-ww", "-P-cbou", path], capture_output=True, text=True, check=True
        )
        assert done.stderr == ""
        assert done.stdout.splitlines()[0].split()[0] == f"{path.stem.upper()}(1)"
    (push,) = (path for path in written if path.stem == "ebulk-push")
    assert "\\fB\\-m\\fR \\fIMESSAGE\\fR" in push.read_text()


def test_roff_prints_what_it_would_take_for_a_request():
    assert roff.render(page("push")).count("\n.SH EXAMPLES\n") == 1
    init = roff.render(page("init"))
    assert "\n'" not in init
    assert "\n\\fB\\&.ebulk/\\fR\n" in init


def test_the_words_of_a_page_are_a_little_restructuredtext():
    text = (
        "Title\n-----\n\nSome words\nof *text*::\n\n    $ one\n\n    $ two\n\n"
        "* first\n* second\n  goes on\n\nterm\n    Its text.\nother\n    More.\n\nlast\n    Of all.\n"
    )
    assert sections(text) == {
        "": (),
        "Title": (
            Paragraph("Some words of *text*:"),
            Literal("$ one\n\n$ two"),
            Bullets(("first", "second goes on")),
            Definitions((("term", "Its text."), ("other", "More."), ("last", "Of all."))),
        ),
    }


def test_help_that_nobody_reads_to_its_end_is_no_error(shell):
    done = subprocess.run(
        f"{shlex.quote(str(EBULK))} help ebulk | head -1", shell=True, capture_output=True, text=True, check=True
    )
    assert (done.stdout, done.stderr) == ("NAME\n", "")
