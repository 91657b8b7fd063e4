"""The command line `wendelin`: reads arguments, calls one function, prints its result.

Exit codes: 0 done; 1 the operation failed; 2 usage; 130 interrupted. Errors are one line on stderr, unless --debug.
"""

from __future__ import annotations

import argparse
import sys
import traceback
from collections.abc import Sequence

from Products.ERP5Wendelin.errors import WendelinError
from Products.ERP5Wendelin.portal import (
    command_alarm,
    command_array,
    command_bt5,
    command_fluentd,
    command_init,
    command_run,
    command_serve,
    command_shell,
    command_user,
    command_worker,
)

DESCRIPTION = """\
Run a data lake: a server that keeps data sets, and gives them to `ebulk`.

  wendelin init /srv/lake       make an instance; prints the manager's password
  wendelin serve /srv/lake      serve it on 127.0.0.1:8080, until Ctrl-C
  wendelin fluentd /srv/lake    take in what fluentd agents send
  wendelin worker /srv/lake     run analyses of what has come in
  wendelin user add /srv/lake ada --role contributor
                                let Ada push data sets
  wendelin shell /srv/lake      look at it and change it in Python
  wendelin run /srv/lake script.py
                                run a Python script, however long it takes
"""

EPILOG = """\
All commands work while the instance is being served.
In detail: wendelin COMMAND --help
"""

COMMANDS = (
    command_init,
    command_serve,
    command_fluentd,
    command_worker,
    command_user,
    command_shell,
    command_run,
    command_bt5,
    command_alarm,
    command_array,
)


def make_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        "wendelin", description=DESCRIPTION, epilog=EPILOG, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--debug", action="store_true", help="show where in the program an error comes from")
    subparsers = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for command in COMMANDS:
        command.add_parser(subparsers)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command; return its exit code."""
    arguments = make_parser().parse_args(argv)
    try:
        arguments.run(arguments)
    except WendelinError as error:
        return fail(str(error), 1, arguments.debug)
    except OSError as error:
        what = error.strerror or str(error)
        return fail(f"{error.filename}: {what}" if error.filename else what, 1, arguments.debug)
    except KeyboardInterrupt:
        return fail("interrupted", 130, arguments.debug)
    except Exception as error:
        if was_interrupted(error):
            return fail("interrupted", 130, arguments.debug)
        # a fault of ours, or of a storage: still one line, and --debug for who looks into it
        return fail(f"{type(error).__name__}: {error} (--debug shows where)", 1, arguments.debug)
    return 0


def was_interrupted(error: BaseException | None) -> bool:
    """Whether an error comes of Ctrl-C: Python wraps one that meets it while it makes a class, as in an import."""
    while error is not None and not isinstance(error, KeyboardInterrupt):
        error = error.__cause__ or error.__context__
    return error is not None


def fail(message: str, code: int, debug: bool) -> int:
    """Say what went wrong on stderr; return the exit code."""
    if debug:
        traceback.print_exc()
    print("wendelin:", " ".join(message.split()), file=sys.stderr)
    return code


if __name__ == "__main__":
    sys.exit(main())
