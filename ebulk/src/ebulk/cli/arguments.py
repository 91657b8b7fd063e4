"""What can be written on the command line."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from difflib import get_close_matches
from typing import NoReturn

from ebulk.errors import UsageError
from ebulk.version import __version__

JOBS = 4

DESCRIPTION = "Push and pull data sets of hundreds of gigabytes, as easy as git."

EPILOG = """\
exit codes:
  0 done                              4 the network gave up; run again to resume
  1 the operation failed              5 conflict with somebody else's push, or with local changes
  2 usage                             6 a digest does not match
  3 not authorised                  130 interrupted; run again to resume

environment:
  EBULK_URL          the lake, where no folder or option names one
  EBULK_TOKEN        the token to use, instead of that of `ebulk login`
  EBULK_CONFIG_DIR   where logins are kept
  http_proxy, https_proxy, all_proxy, no_proxy
                     which HTTP proxy leads to the lake, as for curl

An interrupted push or pull goes on when the same command is run again.
"""


COMMANDS = ("login", "logout", "config", "init", "push", "pull", "clone", "status", "log")


def parse(words: Sequence[str]) -> argparse.Namespace:
    """The command line as `make_parser` has it. UsageError, with a hint, for what cannot be written."""
    command = next((word for word in words if not word.startswith("-")), None)
    if command is not None and command not in COMMANDS:
        similar = get_close_matches(command, COMMANDS, 1)
        hint = f"Did you mean `ebulk {similar[0]}`? " if similar else ""
        raise UsageError(f"There is no command {command!r}.", f"{hint}`ebulk --help` lists the commands.")
    parsed, rest = make_parser().parse_known_args(words)
    if parsed.command is None:
        raise UsageError("Which command?", "`ebulk --help` lists the commands.")
    if rest:
        raise UsageError(f"{rest[0]!r} is not understood here.", f"`ebulk {command} --help` says what is possible.")
    return parsed


class Parser(argparse.ArgumentParser):
    """Raises UsageError, so that wrong usage is reported like any other error."""

    def error(self, message: str) -> NoReturn:
        """Called by argparse."""
        raise UsageError(f"{message[:1].upper()}{message[1:]}.", f"`{self.prog} --help` says what is possible.")


def make_parser() -> Parser:
    """The parser of all commands."""
    parser = Parser(
        prog="ebulk", description=DESCRIPTION, epilog=EPILOG, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--version", action="version", version=f"ebulk {__version__}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", parser_class=Parser)

    login = _add(commands, "login", "remember a lake: a token is stored, never the password")
    login.add_argument("url", metavar="URL", nargs="?", help="the lake, such as http://127.0.0.1:8080/erp5")
    _add_user(login)

    logout = _add(commands, "logout", "forget a lake, and make its token invalid")
    logout.add_argument("url", metavar="URL", nargs="?", help="the lake (that of the last login unless given)")

    _add(commands, "config", "show lakes, logins and where they are kept")

    init = _add(commands, "init", "make a folder a data set")
    init.add_argument("folder", metavar="FOLDER", nargs="?", default=".", help="made if there is none")
    init.add_argument("--reference", metavar="NAME", help="the data set's name (the folder's unless given)")
    init.add_argument("--url", metavar="URL", help="the lake")

    push = _add(commands, "push", "send what changed, as one new version")
    push.add_argument("folder", metavar="FOLDER", nargs="?", help="a data set folder (this one unless given)")
    push.add_argument("-m", "--message", default="", help="what the new version is about")
    push.add_argument(
        "--restart", action="store_true", help="give up what an interrupted push has sent, and begin anew"
    )
    _add_directory(push)
    _add_transfer(push)

    pull = _add(commands, "pull", "bring a data set here, or up to date")
    pull.add_argument(
        "data_set",
        metavar="DATA_SET|FOLDER",
        nargs="?",
        help="a data set folder, or a data set to get into a new folder",
    )
    _add_pull(pull)

    clone = _add(commands, "clone", "pull a data set into a new folder")
    clone.add_argument("data_set", metavar="DATA_SET", help="its reference")
    clone.add_argument("folder", metavar="FOLDER", nargs="?", help="named like the data set unless given")
    _add_pull(clone)

    status = _add(commands, "status", "show what changed here since the last push or pull")
    status.add_argument("folder", metavar="FOLDER", nargs="?", help="a data set folder (this one unless given)")
    _add_directory(status)

    log = _add(commands, "log", "show the versions of a data set, newest first")
    log.add_argument("folder", metavar="FOLDER", nargs="?", help="a data set folder (this one unless given)")
    log.add_argument("-n", "--number", type=_positive, metavar="N", help="show the newest N only")
    _add_lake(log)
    return parser


def _add(commands: argparse._SubParsersAction[Parser], name: str, text: str) -> Parser:
    parser = commands.add_parser(name, help=text, description=f"{text[:1].upper()}{text[1:]}.")
    parser.add_argument("--json", action="store_true", help="print lines of JSON for a program")
    parser.add_argument("-q", "--quiet", action="store_true", help="print errors only")
    parser.add_argument("--debug", action="store_true", help="print a traceback with an error")
    return parser


def _add_user(parser: Parser) -> None:
    parser.add_argument("--user", metavar="NAME", help="who you are at the lake")
    parser.add_argument("--password-file", metavar="FILE", help="read the password from the first line of FILE")


def _add_lake(parser: Parser) -> None:
    parser.add_argument(
        "--url", metavar="URL", help="the lake (that of the folder, or of the last login, unless given)"
    )
    _add_user(parser)


def _add_directory(parser: Parser) -> None:
    parser.add_argument("--directory", metavar="SUB", default="", help="only this folder of the data set")


def _add_transfer(parser: Parser) -> None:
    parser.add_argument("--jobs", type=_positive, metavar="N", default=JOBS, help=f"transfers at a time ({JOBS})")
    _add_lake(parser)


def _add_pull(parser: Parser) -> None:
    parser.add_argument("--version", type=_positive, metavar="N", dest="number", help="this version, not the newest")
    parser.add_argument("--discard-changes", action="store_true", help="take the lake's files where yours differ")
    _add_directory(parser)
    _add_transfer(parser)


def _positive(text: str) -> int:
    try:
        number = int(text)
    except ValueError:
        number = 0
    if number < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number from 1 up")
    return number
