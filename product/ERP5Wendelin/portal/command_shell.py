"""`wendelin shell`: Python with the site at hand, at a prompt or for a script.

The prompt is Python's own, so that nothing about it has to be learnt, in one transaction after the other: what was
changed is kept by `commit()` alone.
"""

from __future__ import annotations

import argparse
import code
import contextlib
import linecache
import logging
import os
import rlcompleter
import sys
from collections.abc import Iterator
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from types import BuiltinFunctionType, FunctionType, MethodType
from typing import Any

from Products.ERP5Wendelin.errors import BadInput
from Products.ERP5Wendelin.portal.instance import Instance, find, opened
from Products.ERP5Wendelin.portal.session import NAMES, Session

readline: Any = import_module("readline") if find_spec("readline") else None  # not every Python has it

DESCRIPTION = f"""\
Run Python with the site of DIR at hand: a prompt at a terminal, else COMMAND,
FILE, or what comes on standard input. Bound are:

{NAMES}

Nothing is kept without commit(). While the instance is not being served, no
other command can use it until this one ends.

  wendelin shell /srv/lake -c 'print(portal.data_set_module.objectIds())'
  wendelin shell /srv/lake --user ada report.py
"""

BANNER = """\
Python {version} with the lake {directory}, as {user}.
  app                  the Zope application
  portal, context      the site
  transaction          transactions; commit() keeps what you change, abort() drops it
Nothing is kept until transaction.commit() or commit(). Ctrl-D leaves."""

LOST = "wendelin: what was changed since the last commit() is not kept."

PROMPT, STDIN, COMMAND = "<console>", "<stdin>", "<command>"
"""File names, in tracebacks, of code that is in no file."""

HISTORY_LENGTH = 1000
"""Lines of the prompt's history that are kept."""


def add_parser(subparsers: Any) -> None:
    parser = subparsers.add_parser(
        "shell",
        usage="%(prog)s [-h] [-c COMMAND] [--user NAME] DIR [FILE]",
        help="run Python with the site at hand",
        description=DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("-c", dest="command", metavar="COMMAND", help="run this, in place of a FILE")
    parser.add_argument(
        "--user", metavar="NAME", help="act as this user where the site asks who it is (default: one who may all)"
    )
    parser.add_argument("directory", metavar="DIR", help="the instance")
    file = parser.add_argument("file", metavar="FILE", help="run this; - is standard input")
    file.required = False  # nargs="?" would do, but for `DIR --user NAME FILE`, where argparse gives it up too early
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> None:
    instance = find(arguments.directory)
    script = script_of(arguments.command, arguments.file)
    logging.getLogger("ZODB.Connection").disabled = True  # what it has to say comes as an exception as well
    with opened(instance) as app:
        shell = Shell(app, arguments.debug)
        if arguments.user is not None:
            shell.act_as(arguments.user)
        try:
            if script is None:
                shell.interact(instance, arguments.user or "system, who may do anything")
            elif not shell.run(*script):
                sys.exit(1)
        finally:
            if shell.has_changes():
                print(LOST, file=sys.stderr)


def script_of(command: str | None, file: str | None) -> tuple[bytes, str] | None:
    """Source and name of what is to be run; None for a prompt. BadInput: two things at once."""
    if command is not None and file is not None:
        raise BadInput("There is a COMMAND to run, and a FILE: give one of them.")
    if command is not None:
        return os.fsencode(command), COMMAND
    if file is not None and file != "-":
        return Path(file).read_bytes(), file
    return None if file is None and sys.stdin.isatty() else (sys.stdin.buffer.read(), STDIN)


class Shell(Session):
    """A session that runs what is typed, or what it is given."""

    def run(self, source: bytes, name: str) -> bool:
        """Run a script; print the traceback of an error, and return whether there was none."""
        if name in (STDIN, COMMAND):
            lines = source.decode("utf-8", "replace").splitlines(keepends=True)
            linecache.cache[name] = len(source), None, lines, name
        try:
            self.execute(source, name)
        except Exception as error:
            print(self.traceback_of(error, name), end="", file=sys.stderr)
            return False
        return True

    def interact(self, instance: Instance, user: str) -> None:
        """Read and run what is typed, until the end of input or `exit()`."""
        version = sys.version.partition(" ")[0]
        with editing(self.names, instance.shell_history):
            Prompt(self).interact(BANNER.format(version=version, directory=instance.directory, user=user), "")


class Prompt(code.InteractiveConsole):
    """Python's prompt, in a shell."""

    def __init__(self, shell: Shell) -> None:
        super().__init__(shell.names, PROMPT)
        self.shell = shell

    def showtraceback(self) -> None:
        error = sys.exc_info()[1]
        if error is not None:
            self.write(self.shell.traceback_of(error, PROMPT))


ROUTINES = (FunctionType, MethodType, BuiltinFunctionType)


class Completer(rlcompleter.Completer):
    """Python's completion of names, which would take Zope's folders and documents for functions."""

    def _callable_postfix(self, val: Any, word: str) -> str:
        return super()._callable_postfix(val, word) if isinstance(val, ROUTINES) else word  # type: ignore[misc]


@contextlib.contextmanager
def editing(names: dict[str, Any], history: Path) -> Iterator[None]:
    """Complete names by the tabulator key, and remember the lines from one prompt to the next; where Python can."""
    if readline is None:
        yield
        return
    readline.set_completer(Completer(names).complete)
    readline.parse_and_bind("bind ^I rl_complete" if "libedit" in (readline.__doc__ or "") else "tab: complete")
    with contextlib.suppress(OSError):  # there is none yet
        readline.read_history_file(history)
    readline.set_history_length(HISTORY_LENGTH)
    try:
        yield
    finally:
        with contextlib.suppress(OSError):  # the disk is full: nothing that matters
            readline.write_history_file(history)
