"""Runs a command: from its arguments to its exit code."""

from __future__ import annotations

import os
import shlex
import signal
import sys
import traceback
from collections.abc import Mapping, Sequence
from importlib import import_module
from types import FrameType

from ebulk.cli.arguments import make_parser
from ebulk.cli.output import Output
from ebulk.errors import EbulkError

COMMANDS = {
    name: f"ebulk.cli.commands.{name}"
    for name in ("login", "logout", "config", "init", "push", "pull", "clone", "status", "log")
}
"""Imported one at a time: what a transfer needs takes longer to load than `ebulk status` takes to run."""

INTERRUPTED = 130
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
RESUMABLE = ("push", "pull", "clone")


def main(arguments: Sequence[str] | None = None, environment: Mapping[str, str] = os.environ) -> int:
    """Run `ebulk`; the exit code. Arguments are the process's unless given."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    output = Output(json="--json" in words, quiet=False)
    try:
        for number in SIGNALS:
            if signal.getsignal(number) is not signal.SIG_IGN:  # as nohup and shells set it for what should go on
                signal.signal(number, _interrupt)
        parsed = make_parser().parse_args(words)
        output.quiet = parsed.quiet
        context_module = import_module("ebulk.cli.context")
        context = context_module.Context(parsed, environment, output)
        code = import_module(COMMANDS[parsed.command]).run(parsed, context)
        sys.stdout.flush()
        return int(code)
    except EbulkError as error:
        _trace(words)
        output.error(error)
        return error.exit_code
    except KeyboardInterrupt:
        output.error(_interrupted(words), INTERRUPTED)
        return INTERRUPTED
    except BrokenPipeError:  # whoever read our output has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except OSError as error:
        _trace(words)
        name = f"{error.filename}: " if error.filename else ""
        output.error(EbulkError(f"{name}{error.strerror or error}."))
        return 1


def _interrupt(number: int, frame: FrameType | None) -> None:
    """SIGTERM and SIGHUP end a command as Ctrl-C does: in order, and when sent again at once."""
    signal.signal(number, _leave)
    raise KeyboardInterrupt


def _leave(number: int, frame: FrameType | None) -> None:
    """Whoever asks twice is in a hurry, and a kill loses nothing."""
    os._exit(INTERRUPTED)


def _interrupted(words: Sequence[str]) -> EbulkError:
    if not set(RESUMABLE).intersection(words[:1]):
        return EbulkError("Interrupted.")
    return EbulkError("Interrupted; what was transferred is kept.", f"`ebulk {shlex.join(words)}` goes on.")


def _trace(words: Sequence[str]) -> None:
    if "--debug" in words:
        traceback.print_exc()
