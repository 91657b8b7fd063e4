"""`ebulk pull`."""

from __future__ import annotations

import argparse
from pathlib import Path

from ebulk.cli.array import pull_slice
from ebulk.cli.commands.clone import clone_into, pull_in
from ebulk.cli.context import Context
from ebulk.cli.kind import Kind, kind_of
from ebulk.cli.stream import pull_part
from ebulk.errors import UsageError
from ebulk.local import folder as folders
from ebulk.local.names import shown


def run(arguments: argparse.Namespace, context: Context) -> int:
    """Bring a folder up to date, or a stream or array; a folder is made if the name is a data set's."""
    kind = kind_of(arguments)
    if kind is Kind.STREAM:
        return pull_part(arguments, context)
    if kind is Kind.ARRAY:
        return pull_slice(arguments, context)
    name = arguments.data_set
    if name is None or folders.is_data_set(Path(name)):
        return pull_in(context.folder(name), arguments, context)
    around = folders.find(context.working_folder)
    if name in (".", "..") or "/" in name or (around is None and _is_taken(Path(name))):
        return pull_in(context.folder(name), arguments, context)  # which says why not
    if around is None:
        return clone_into(name, Path(name), arguments, context)
    if around.reference == name:
        return pull_in(around, arguments, context)
    raise UsageError(
        f"This folder is in the data set {shown(around.reference)}, not in {shown(name)}.",
        "Pull another data set into a folder outside of it.",
    )


def _is_taken(path: Path) -> bool:
    """Whether a data set cannot be pulled into a new folder of this name: there is a file, or a folder with files."""
    return path.exists() and (not path.is_dir() or any(path.iterdir()))
