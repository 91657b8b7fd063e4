"""`wendelin fluentd`: take in what agents send by the Forward protocol."""

from __future__ import annotations

import argparse
from typing import Any

from Products.ERP5Wendelin.portal.fluentd_options import add_options, listening
from Products.ERP5Wendelin.portal.instance import find
from Products.ERP5Wendelin.portal.listen_options import FORWARD, add_listen_option
from Products.ERP5Wendelin.portal.log_options import add_log_options
from Products.ERP5Wendelin.portal.serve_fluentd import serve_fluentd

DESCRIPTION = """\
Take in what fluentd, Fluent Bit and others send by the Forward protocol, in the
foreground: each tag has a Data Stream. Prints `ready on tcp://HOST:PORT` once it
listens.

  wendelin fluentd /srv/lake
  wendelin fluentd /srv/lake --listen 0.0.0.0:24224 --shared-key-file key

SIGTERM or Ctrl-C stops it once what has arrived is committed and acknowledged.
A second one stops it at once.

It runs with or without `wendelin serve`, which can do the same in its own
process, and faster: wendelin serve DIR --fluentd HOST:PORT.

What happens is written to DIR/log/fluentd.log, warnings to standard error as
well. SIZEs are written like 64MiB.
"""


def add_parser(subparsers: Any) -> None:
    parser = subparsers.add_parser(
        "fluentd",
        help="take in what fluentd agents send",
        description=DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("directory", metavar="DIR", help="the instance")
    add_listen_option(parser, FORWARD)
    add_options(parser)
    add_log_options(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> None:
    serve_fluentd(find(arguments.directory), listening(arguments, arguments.listen), arguments.log_fluentd)
