"""What can be written on the command line."""

from __future__ import annotations

import argparse
import re
from collections.abc import Sequence
from difflib import get_close_matches
from typing import NoReturn

from ebulk.errors import UsageError
from ebulk.protocol import RAW, STREAM_FORMATS
from ebulk.transfer.crew import JOBS
from ebulk.version import __version__

LOWEST_RATE = 1024
"""Bytes a second: below, a server takes a connection for one that stalls."""

DESCRIPTION = "Push and pull data sets of hundreds of gigabytes, as easy as git."

GROUPS = (
    ("start with a lake and a data set", ("login", "init", "clone")),
    ("choose what to send", ("add", "remove", "reset")),
    ("send and bring", ("push", "pull")),
    ("look at streams and arrays", ("streams", "tail", "arrays")),
    ("look at what changed", ("status", "diff", "log")),
    ("this program", ("config", "logout", "completion", "help")),
)
"""The commands by what one does, as `ebulk --help` shows them."""

COMMANDS = tuple(name for _, names in GROUPS for name in names)

SYNONYMS = {
    "commit": "push",
    "delete": "remove",
    "download": "pull",
    "fetch": "pull",
    "follow": "tail",
    "history": "log",
    "rm": "remove",
    "stage": "add",
    "unstage": "reset",
    "upload": "push",
}
"""What people who come from elsewhere type."""

SHELLS = ("bash", "zsh", "fish")

STDOUT = "-"
"""The name of standard output, where a file is asked for."""

FOLDER_OR_FILE = "FOLDER|FILE"
"""What `push` takes."""

TIME = "2026-11-22T19:40:00Z, 2026-11-22 (local midnight), or 30s, 15m, 1h, 2d ago"
"""How times are written."""


def parse(words: Sequence[str]) -> argparse.Namespace:
    """The command line as `make_parser` has it. UsageError, with a hint, for what cannot be written."""
    command = next((word for word in words if not word.startswith("-")), None)
    if command is not None:
        check_command(command)
    try:
        parsed, rest = make_parser().parse_known_args(words)
    except _HelpWanted as wanted:
        return argparse.Namespace(command="help", topic=wanted.topic, json=False, quiet=False)
    if parsed.command is None:
        raise UsageError("Which command?", "`ebulk --help` lists the commands.")
    if rest:
        raise UsageError(f"{rest[0]!r} is not understood here.", f"`ebulk {command} --help` says what is possible.")
    return parsed


def is_made_anew(arguments: argparse.Namespace) -> bool:
    """Whether what a command brings is made anew each time: records of a stream, and what is printed."""
    if getattr(arguments, "stream", None) is not None and stream_format(arguments) != RAW:
        return True
    return getattr(arguments, "output", None) == STDOUT


def stream_format(arguments: argparse.Namespace) -> str:
    """The format in which a stream is pulled."""
    times = arguments.since is not None or arguments.until is not None
    return str(arguments.format or ("msgpack" if times else RAW))


def check_command(name: str) -> str:
    """Return the name of a command; UsageError for another, with what may be meant."""
    if name in COMMANDS:
        return name
    synonym = SYNONYMS.get(name)
    similar = [synonym] if synonym in COMMANDS else get_close_matches(name, COMMANDS, 1)
    hint = f"Did you mean `ebulk {similar[0]}`? " if similar else ""
    raise UsageError(f"There is no command {name!r}.", f"{hint}`ebulk --help` lists the commands.")


class _HelpWanted(Exception):  # noqa: N818 - it is no error, and ends the parsing
    """Somebody asks for the page of a command, or for the list of commands."""

    def __init__(self, topic: str | None) -> None:
        super().__init__()
        self.topic = topic


class _Help(argparse.Action):
    """Asks for help, whatever else the command line says."""

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> NoReturn:
        raise _HelpWanted(parser.prog.partition(" ")[2] or None)


class Parser(argparse.ArgumentParser):
    """Raises UsageError, so that wrong usage is reported like any other error."""

    def error(self, message: str) -> NoReturn:
        """Called by argparse."""
        raise UsageError(f"{message[:1].upper()}{message[1:]}.", f"`{self.prog} --help` says what is possible.")


def make_parser() -> Parser:
    """The parser of all commands."""
    parser = Parser(prog="ebulk", description=DESCRIPTION, add_help=False)
    parser.add_argument("-h", "--help", action=_Help, nargs=0, help="show the commands")
    parser.add_argument(
        "--version", action="version", version=f"ebulk {__version__}", help="show which version of ebulk this is"
    )
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

    stage = _add(commands, "add", "stage what changed, so that the next push sends it")
    _add_paths(stage, "*")
    stage.add_argument("-A", "--all", action="store_true", help="all that has changed in the data set")

    remove = _add(commands, "remove", "remove files here, and from the data set with the next push")
    _add_paths(remove, "+")
    remove.add_argument("-r", "--recursive", action="store_true", help="folders, with all in them")
    remove.add_argument("--cached", action="store_true", help="keep the files here")
    remove.add_argument("-f", "--force", action="store_true", help="also files with changes that would be lost")

    reset = _add(commands, "reset", "unstage: the next push does not send it; the files stay as they are")
    _add_paths(reset, "*")

    push = _add(commands, "push", "send what is staged, as one new version")
    push.add_argument(
        "folder", metavar=FOLDER_OR_FILE, nargs="?", help="a data set folder (this one unless given), or a .npy file"
    )
    push.add_argument("--array", metavar="ARRAY", help="an array of the lake, which gets the elements of a .npy file")
    push.add_argument("--append", action="store_true", help="put them behind its end, not in place of what it has")
    push.add_argument("-m", "--message", default="", help="what the new version is about")
    push.add_argument(
        "--restart", action="store_true", help="give up what an interrupted push has sent, and begin anew"
    )
    push.add_argument("-a", "--all", action="store_true", help="all that has changed, whether it is staged or not")
    _add_directory(push)
    _add_filter(push)
    _add_transfer(push)

    pull = _add(commands, "pull", "bring a data set here, or up to date")
    pull.add_argument(
        "data_set",
        metavar="DATA_SET|FOLDER",
        nargs="?",
        help="a data set folder, or a data set to get into a new folder",
    )
    _add_stream(pull)
    _add_pull(pull)

    clone = _add(commands, "clone", "pull a data set into a new folder")
    clone.add_argument("data_set", metavar="DATA_SET", help="its reference")
    clone.add_argument("folder", metavar="FOLDER", nargs="?", help="named like the data set unless given")
    _add_pull(clone)

    streams = _add(commands, "streams", "list the streams of a lake, with their sizes")
    streams.add_argument("search", metavar="WORDS", nargs="?", default="", help="only streams that have these words")
    streams.add_argument("--state", metavar="STATE", default="", help="only those in this state, such as published")
    _add_lake(streams)

    arrays = _add(commands, "arrays", "list the arrays of a lake, with their shapes")
    arrays.add_argument("search", metavar="WORDS", nargs="?", default="", help="only arrays that have these words")
    arrays.add_argument("--state", metavar="STATE", default="", help="only those in this state, such as published")
    _add_lake(arrays)

    tail = _add(commands, "tail", "print what arrives in a stream, as it arrives")
    tail.add_argument("stream", metavar="STREAM", help="its reference")
    tail.add_argument("--since", metavar="TIME", help=f"only records from then on, also those that are there: {TIME}")
    _add_retry(tail)
    _add_lake(tail)

    status = _add(commands, "status", "show what changed here since the last push or pull")
    status.add_argument("folder", metavar="FOLDER", nargs="?", help="a data set folder (this one unless given)")
    _add_directory(status)
    _add_filter(status)

    diff = _add(commands, "diff", "show what differs between two versions, or here since the last push or pull")
    diff.add_argument("folder", metavar="FOLDER", nargs="?", help="a data set folder (this one unless given)")
    diff.add_argument("old", metavar="V1", nargs="?", help="a version (this folder against its own unless given)")
    diff.add_argument("new", metavar="V2", nargs="?", help="another version (the newest unless given)")
    diff.add_argument("--stat", action="store_true", help="the sizes before and after, in a column")
    _add_lake(diff)

    log = _add(commands, "log", "show the versions of a data set, newest first")
    log.add_argument("folder", metavar="FOLDER", nargs="?", help="a data set folder (this one unless given)")
    log.add_argument("-n", "--number", type=_positive, metavar="N", help="show the newest N only")
    _add_lake(log)

    completion = _add(commands, "completion", "print what makes a shell complete ebulk's commands and options")
    completion.add_argument("shell", metavar="SHELL", choices=SHELLS, help=f"one of {', '.join(SHELLS)}")

    help_ = _add(commands, "help", "show the manual page of a command")
    help_.add_argument("topic", metavar="COMMAND", nargs="?", help="the list of commands unless given")
    return parser


def command_parsers(parser: Parser) -> dict[str, Parser]:
    """The parsers of the commands by their names; argparse has no public way to them."""
    actions = (action for action in parser._actions if isinstance(action, argparse._SubParsersAction))
    return {name: made for action in actions for name, made in action.choices.items()}


def _add(commands: argparse._SubParsersAction[Parser], name: str, text: str) -> Parser:
    parser = commands.add_parser(name, help=text, description=f"{text[:1].upper()}{text[1:]}.", add_help=False)
    parser.add_argument("-h", action="help", help="show the options")
    parser.add_argument("--help", action=_Help, nargs=0, help="show the manual page")
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


def _add_paths(parser: Parser, count: str) -> None:
    parser.add_argument(
        "paths",
        metavar="PATH",
        nargs=count,
        help="a file, a folder with all in it, or a quoted pattern such as '*.csv'",
    )


def _add_directory(parser: Parser) -> None:
    parser.add_argument("--directory", metavar="SUB", default="", help="only this folder of the data set")


def _add_filter(parser: Parser) -> None:
    for name, text in (("--include", "only files that match"), ("--exclude", "not these, also if they are included")):
        parser.add_argument(
            name,
            metavar="PATTERN",
            action="append",
            default=[],
            help=f"{text}, as in .gitignore: '*.nii', /notes.txt, scans/ (may be given again)",
        )


def _add_transfer(parser: Parser) -> None:
    parser.add_argument("--jobs", type=_positive, metavar="N", default=JOBS, help=f"transfers at a time ({JOBS})")
    parser.add_argument(
        "--limit-rate",
        type=_rate,
        metavar="RATE",
        help="at most so many bytes a second, up and down together: 500K, 1.5M",
    )
    parser.add_argument(
        "--compress",
        choices=("auto", "always", "never"),
        help="send and ask for bytes in zstd: where a sample shrinks (auto, unless given), always, or never",
    )
    _add_retry(parser)
    parser.add_argument(
        "--stall-timeout",
        type=_positive,
        metavar="SECONDS",
        help="try again when nothing came or went for so long (60)",
    )
    _add_lake(parser)


def _add_retry(parser: Parser) -> None:
    parser.add_argument(
        "--retry-max-time",
        type=_seconds,
        metavar="SECONDS",
        help="give up after so long without progress (600); 0 is at the first failure",
    )


def _add_stream(parser: Parser) -> None:
    parser.add_argument("--stream", metavar="STREAM", help="a stream of the lake, into a file, instead of a data set")
    parser.add_argument("--since", metavar="TIME", help=f"of a stream, the records from then on: {TIME}")
    parser.add_argument("--until", metavar="TIME", help="of a stream, the records before then")
    parser.add_argument(
        "--format",
        choices=STREAM_FORMATS,
        help="of a stream, its bytes (raw), or its records as msgpack (so where times are given), JSON or NumPy",
    )
    parser.add_argument("--array", metavar="ARRAY", help="an array of the lake, into a .npy file")
    parser.add_argument(
        "--slice", metavar="SLICE", help="of an array, what NumPy has in brackets: 0:100, or 0:100,::2 or 3,..."
    )
    parser.add_argument(
        "--output",
        metavar="FILE",
        help="the stream's or array's file (STREAM.FORMAT, ARRAY.npy unless given); - is standard output",
    )


def _add_pull(parser: Parser) -> None:
    parser.add_argument("--version", type=_positive, metavar="N", dest="number", help="this version, not the newest")
    parser.add_argument("--discard-changes", action="store_true", help="take the lake's files where yours differ")
    _add_directory(parser)
    _add_filter(parser)
    _add_transfer(parser)


def _rate(text: str) -> int:
    """Bytes a second in curl's notation: a number and K, M or G (powers of 1,024), or none of them."""
    found = re.fullmatch(r"(\d{1,12}(?:\.\d{1,6})?)([KMG]?)", text.upper(), re.ASCII)
    rate = int(float(found[1]) * 1024 ** " KMG".index(found[2] or " ")) if found else 0
    if rate < LOWEST_RATE:
        raise argparse.ArgumentTypeError(f"{text!r} is not a rate such as 500K or 1.5M, of at least 1K")
    return rate


def _seconds(text: str) -> int:
    if not (text.isascii() and text.isdigit()):
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of seconds")
    return int(text)


def _positive(text: str) -> int:
    try:
        number = int(text)
    except ValueError:
        number = 0
    if number < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number from 1 up")
    return number
