"""Runs a command: from its arguments to its exit code."""

from __future__ import annotations

import errno
import os
import shlex
import signal
import sys
import traceback
from collections.abc import Mapping, Sequence
from importlib import import_module
from types import FrameType

from ebulk.cli.arguments import COMMANDS, is_made_anew, parse
from ebulk.cli.output import Output
from ebulk.errors import EbulkError

MODULES = {name: f"ebulk.cli.commands.{name}" for name in COMMANDS}
"""Imported one at a time: what a transfer needs takes longer to load than `ebulk status` takes to run."""

INTERRUPTED = 130
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
RESUMABLE = ("push", "pull", "clone")
ENDLESS = ("tail",)
"""Commands that an interrupt ends as nothing else does: nobody needs to be told."""


def main(arguments: Sequence[str] | None = None, environment: Mapping[str, str] = os.environ) -> int:
    """Run `ebulk`; the exit code. Arguments are the process's unless given."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    output = Output(json="--json" in words, quiet=False)
    try:
        for number in SIGNALS:
            if signal.getsignal(number) is not signal.SIG_IGN:  # as nohup and shells set it for what should go on
                signal.signal(number, _interrupt)
        parsed = parse(words)
        output.quiet = parsed.quiet
        context_module = import_module("ebulk.cli.context")
        context = context_module.Context(parsed, environment, output)
        code = import_module(MODULES[parsed.command]).run(parsed, context)
        sys.stdout.flush()
        return int(code)
    except EbulkError as error:
        _trace(words)
        output.error(error)
        return error.exit_code
    except KeyboardInterrupt:
        if not set(ENDLESS).intersection(words[:1]):
            output.error(_interrupted(words), INTERRUPTED)
        return INTERRUPTED
    except BrokenPipeError:  # whoever read our output has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except Exception as error:  # what the system refuses, or a fault of ours: still one line, and what to do
        _trace(words)
        output.error(_refused(error) if isinstance(error, OSError) else _unexpected(error))
        return 1


def _interrupt(number: int, frame: FrameType | None) -> None:
    """SIGTERM and SIGHUP end a command as Ctrl-C does: in order, and when sent again at once."""
    signal.signal(number, _leave)
    raise KeyboardInterrupt


def _leave(number: int, frame: FrameType | None) -> None:
    """Whoever asks twice is in a hurry, and a kill loses nothing."""
    os._exit(INTERRUPTED)


def _refused(error: OSError) -> EbulkError:
    name = f"{error.filename}: " if error.filename else ""
    reason = (error.strerror or str(error)).lower()
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return EbulkError(f"{name}the disk is full.", "Make room, then run the same command again.")
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return EbulkError(f"{name}{reason}.", "Whose it is, and what they allow, `ls -ld` says.")
    return EbulkError(f"{name}{reason}.")


def _unexpected(error: Exception) -> EbulkError:
    return EbulkError(
        f"A fault in ebulk: {type(error).__name__}: {' '.join(str(error).split())}",
        "Please report it, with what the same command prints with --debug. Nothing that was transferred is lost.",
    )


def _interrupted(words: Sequence[str]) -> EbulkError:
    if not _is_resumable(words):
        return EbulkError("Interrupted.")
    again = shlex.join(word for word in words if word != "--restart")  # that would send everything anew
    return EbulkError("Interrupted; what was transferred is kept.", f"`ebulk {again}` goes on.")


def _is_resumable(words: Sequence[str]) -> bool:
    return words[:1] != [] and words[0] in RESUMABLE and not is_made_anew(parse(words))


def _trace(words: Sequence[str]) -> None:
    if "--debug" in words:
        traceback.print_exc()
