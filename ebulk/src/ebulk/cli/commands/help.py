"""`ebulk help`, and `--help`."""

from __future__ import annotations

import argparse
import shutil
import sys

from ebulk.cli.arguments import check_command
from ebulk.cli.context import Context
from ebulk.cli.manual.page import WHOLE, page
from ebulk.cli.manual.text import overview, render
from ebulk.cli.pager import show

WIDTH = 100
"""The most columns: longer lines are hard to read."""


def run(arguments: argparse.Namespace, context: Context) -> int:
    """Show a page of the manual, or the list of commands."""
    topic = arguments.topic
    if topic is None:
        text = overview()
    else:
        width = min(WIDTH, shutil.get_terminal_size().columns)
        text = render(page(topic if topic == WHOLE else check_command(topic)), width, styled=sys.stdout.isatty())
    show(text, context.environment)
    return 0
