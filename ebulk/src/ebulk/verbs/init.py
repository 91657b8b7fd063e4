"""Makes a folder a data set. Asks no lake."""

from __future__ import annotations

from pathlib import Path

from ebulk.local.folder import Folder, create
from ebulk.local.index import Index


def init(path: Path, reference: str | None = None, url: str | None = None) -> Folder:
    """Make `path` a data set folder, named like the folder unless `reference` is given."""
    folder = create(path, reference, url)
    with Index(folder.control / "index.db"):
        pass
    return folder
