"""`wendelin serve`: run an instance in the foreground."""

from __future__ import annotations

import argparse
from functools import partial
from typing import Any

from Products.ERP5Wendelin.errors import BadInput
from Products.ERP5Wendelin.portal.fluentd import Listening
from Products.ERP5Wendelin.portal.fluentd_options import add_options, given_options, listening
from Products.ERP5Wendelin.portal.instance import find
from Products.ERP5Wendelin.portal.listen_options import FORWARD, HTTP, add_listen_option, listen_address
from Products.ERP5Wendelin.portal.log_options import add_log_options
from Products.ERP5Wendelin.portal.serve import GRACE, serve

PREFIX = "fluentd-"
"""How the names of options begin that are those of `wendelin fluentd`."""

DESCRIPTION = f"""\
Serve DIR in the foreground. Prints `ready on http://HOST:PORT/erp5` once it
answers requests.

SIGTERM or Ctrl-C stops it: requests that run have {GRACE} seconds to finish.
A second one stops it at once.

What happens is written to DIR/log/wendelin.log (warnings to standard error as
well), each request to DIR/log/access.log. Both may be moved away at any time:
they are begun anew.
"""


def add_parser(subparsers: Any) -> None:
    parser = subparsers.add_parser(
        "serve",
        help="run an instance in the foreground",
        description=DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("directory", metavar="DIR", help="the instance")
    add_listen_option(parser, HTTP)
    agents = parser.add_argument_group("what fluentd agents send", "see: wendelin fluentd --help")
    at = partial(listen_address, example=FORWARD)
    agents.add_argument("--fluentd", metavar="HOST:PORT", type=at, help="take it in, at this address")
    add_options(agents, PREFIX)
    add_log_options(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> None:
    instance = find(arguments.directory)
    serve(instance, arguments.listen, fluentd_of(arguments), arguments.log_fluentd)


def fluentd_of(arguments: argparse.Namespace) -> Listening | None:
    """Where and how agents' data is to be taken in. BadInput: the options say how, and not where."""
    if arguments.fluentd is not None:
        return listening(arguments, arguments.fluentd, PREFIX)
    given = given_options(arguments)
    if given:
        raise BadInput(f"--{PREFIX}{given[0]} says how to take in agents' data: give --fluentd HOST:PORT as well.")
    return None
