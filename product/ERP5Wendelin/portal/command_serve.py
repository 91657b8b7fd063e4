"""`wendelin serve`: run an instance in the foreground."""

from __future__ import annotations

import argparse
from typing import Any

from Products.ERP5Wendelin.errors import BadInput
from Products.ERP5Wendelin.portal.instance import find
from Products.ERP5Wendelin.portal.serve import GRACE, parse_address, serve

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
    parser.add_argument(
        "--listen",
        metavar="HOST:PORT",
        type=address,
        default="127.0.0.1:8080",
        help="address (default: 127.0.0.1:8080; port 0: a free one)",
    )
    parser.set_defaults(run=run)


def address(text: str) -> tuple[str, int]:
    """An address to listen on; another text is wrong usage."""
    try:
        return parse_address(text)
    except BadInput as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def run(arguments: argparse.Namespace) -> None:
    serve(find(arguments.directory), arguments.listen)
