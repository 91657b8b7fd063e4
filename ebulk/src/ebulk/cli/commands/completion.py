"""`ebulk completion`."""

from __future__ import annotations

import argparse
import sys

import shtab

from ebulk.cli.arguments import command_parsers, make_parser
from ebulk.cli.context import Context

FILES = ("password_file",)
FOLDERS = ("folder", "directory")
PATHS = ("paths", "data_set")


def run(arguments: argparse.Namespace, context: Context) -> int:
    """Print a script for a shell."""
    sys.stdout.write(script(arguments.shell))
    return 0


def script(shell: str) -> str:
    """What makes `shell` complete commands, options, files and folders."""
    parser = make_parser()
    for command in command_parsers(parser).values():
        for action in command._actions:
            if action.dest in FOLDERS:
                action.complete = shtab.DIRECTORY  # type: ignore[attr-defined]
            elif action.dest in FILES + PATHS:
                action.complete = shtab.FILE  # type: ignore[attr-defined]
    return f"{shtab.complete(parser, shell).rstrip()}\n"
