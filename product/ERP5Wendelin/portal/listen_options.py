"""Options of `wendelin serve` and `wendelin fluentd` that say where they listen."""

from __future__ import annotations

import argparse
from functools import partial
from typing import Any

from Products.ERP5Wendelin.errors import BadInput
from Products.ERP5Wendelin.portal.serve import parse_address

HTTP = "127.0.0.1:8080"
FORWARD = "127.0.0.1:24224"
"""Where they listen unless told otherwise, and an example of how that is written."""


def add_listen_option(parser: Any, default: str) -> None:
    parser.add_argument(
        "--listen",
        metavar="HOST:PORT",
        type=partial(listen_address, example=default),
        default=default,
        help="address (default: %(default)s; port 0: a free one)",
    )


def listen_address(text: str, example: str) -> tuple[str, int]:
    """An address to listen on; another text is wrong usage."""
    try:
        return parse_address(text, example)
    except BadInput as error:
        raise argparse.ArgumentTypeError(str(error)) from error
