"""The option of `wendelin serve` and `wendelin fluentd` that says where their access and audit events go."""

from __future__ import annotations

import argparse
from typing import Any

from Products.ERP5Wendelin.errors import BadInput
from Products.ERP5Wendelin.portal.listen_options import FORWARD
from Products.ERP5Wendelin.portal.serve import parse_address


def add_log_options(parser: Any) -> None:
    parser.add_argument(
        "--log-fluentd",
        metavar="HOST:PORT",
        type=agent_address,
        help="send access and audit events to the fluentd agent, or the lake, that listens there",
    )


def agent_address(text: str) -> tuple[str, int]:
    """Where an agent listens; another text is wrong usage."""
    try:
        host, port = parse_address(text)
    except BadInput:
        host, port = "", 0
    if not port or ":" in host:  # fluent-logger makes sockets of IPv4
        raise argparse.ArgumentTypeError(
            f"{text} is no address of an agent: give HOST:PORT, such as {FORWARD}; HOST is a name or an IPv4 address"
        )
    return host, port
