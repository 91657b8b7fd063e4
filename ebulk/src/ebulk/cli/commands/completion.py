"""`ebulk completion`."""

from __future__ import annotations

import argparse
import sys

from ebulk.cli.completion import script
from ebulk.cli.context import Context


def run(arguments: argparse.Namespace, context: Context) -> int:
    """Print a script for a shell."""
    sys.stdout.write(script(arguments.shell))
    return 0
