"""Pulls a data set into a new folder."""

from __future__ import annotations

from pathlib import Path

from ebulk.errors import EbulkError, NotFoundError
from ebulk.local.folder import Folder, create, is_data_set, load
from ebulk.local.index import Index
from ebulk.local.names import shown
from ebulk.remote.lake import Lake


def prepare_clone(lake: Lake, reference: str, path: Path, version: int | None = None) -> Folder:
    """The folder to pull into: a new or empty one, or that of a clone of the same data set that was broken off.

    NotFoundError, and no folder, when there is no such data set, or it has no such version yet.
    """
    info = lake.data_set(reference)
    if version is not None and version > info.version:
        raise NotFoundError(
            f"{shown(reference)} has no version {version}; the newest is {info.version}.",
            "`ebulk log` shows the versions of a data set folder.",
        )
    if is_data_set(path):
        return _broken_off(load(path), lake.url, reference)
    if path.exists() and (not path.is_dir() or any(path.iterdir())):
        raise EbulkError(
            f"{shown(str(path))} is there already and is not a data set folder.",
            f"Choose another folder; or make it one by `ebulk init {path}` and pull in it.",
        )
    return create(path, info.reference, lake.url)


def _broken_off(folder: Folder, url: str, reference: str) -> Folder:
    with Index(folder.control / "index.db") as index:
        version = index.base_version()
    if folder.reference != reference or folder.url not in (None, url) or version:
        raise EbulkError(
            f"{shown(str(folder.root))} is a data set folder already, of {shown(folder.reference)}.",
            "Pull in it to bring it up to date, or choose another folder.",
        )
    return folder
