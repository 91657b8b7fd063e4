"""Scripts that make shells complete what can be typed."""

from __future__ import annotations

import shtab

from ebulk.cli.arguments import COMMANDS, FOLDER_OR_FILE, command_parsers, make_parser

FOLDERS = ("folder", "directory")
PATHS = ("data_set", "output", "password_file", "paths")


def script(shell: str) -> str:
    """What makes `shell` complete commands, options, files and folders."""
    parser = make_parser()
    for command in command_parsers(parser).values():
        for action in command._actions:
            if action.dest in FOLDERS and action.metavar != FOLDER_OR_FILE:
                action.complete = shtab.DIRECTORY  # type: ignore[attr-defined]
            elif action.dest in PATHS or action.metavar == FOLDER_OR_FILE:
                action.complete = shtab.FILE  # type: ignore[attr-defined]
            elif action.dest == "topic":
                action.choices = COMMANDS
    return f"{shtab.complete(parser, shell).rstrip()}\n"
