"""`ebulk init`."""

from __future__ import annotations

import argparse
from pathlib import Path

from ebulk.cli.context import Context
from ebulk.local.names import shown
from ebulk.verbs.init import init


def run(arguments: argparse.Namespace, context: Context) -> int:
    """Make a folder a data set."""
    folder = init(Path(arguments.folder), arguments.reference, context.known_url())
    context.output.document({"reference": folder.reference, "folder": str(folder.root), "url": folder.url})
    context.output.line(f"{shown(str(folder.root))} is the data set {shown(folder.reference)} now.")
    return 0
