"""`ebulk init`."""

from __future__ import annotations

import argparse
import shlex
from pathlib import Path

from ebulk.cli.context import Context
from ebulk.local.names import shown
from ebulk.verbs.init import init


def run(arguments: argparse.Namespace, context: Context) -> int:
    """Make a folder a data set."""
    folder = init(Path(arguments.folder), arguments.reference, context.known_url())
    context.output.document({"reference": folder.reference, "folder": str(folder.root), "url": folder.url})
    context.output.line(f"The folder {shown(arguments.folder)} holds the data set {shown(folder.reference)} now.")
    push = shlex.join(["ebulk", "push", *([arguments.folder] if arguments.folder != "." else [])])
    if folder.url is None:
        context.output.line(f"  `ebulk login URL` chooses a lake; then `{push}` sends what is in it.")
    else:
        context.output.line(f"  `{push}` sends what is in it to {folder.url}.")
    return 0
