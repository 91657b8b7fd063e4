"""A data set folder: any folder with `.ebulk/config` in it, which names the lake and the data set.

The config is JSON: `{"format": 1, "url": "http://…/erp5" or null, "reference": "brain_mri"}`. There is no url until a
lake is known, so that `ebulk init` needs no network.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path

from ebulk.errors import EbulkError, UsageError
from ebulk.local.atomic import write_atomically
from ebulk.local.names import CONTROL_FOLDER, check_reference, shown

FORMAT = 1


@dataclass(frozen=True, slots=True)
class Folder:
    """A data set folder; `root` is absolute."""

    root: Path
    reference: str
    url: str | None

    @property
    def control(self) -> Path:
        """Where ebulk keeps its own files."""
        return self.root / CONTROL_FOLDER

    @property
    def parts(self) -> Path:
        """Where downloads are until they are complete and verified."""
        return self.control / "parts"

    def with_url(self, url: str) -> Folder:
        """The same folder with another lake, written down."""
        if url == self.url:
            return self
        folder = replace(self, url=url)
        _write(folder)
        return folder


def create(path: Path, reference: str | None = None, url: str | None = None) -> Folder:
    """Make `path` a data set folder, and the folder itself if there is none.

    UsageError: a bad reference. EbulkError: it is a file, is a data set folder already, or is within one.
    """
    root = path.absolute()
    if root.is_symlink() or root.exists():
        root = root.resolve()
        if not root.is_dir():
            raise EbulkError(f"{shown(str(path))} is not a folder.", "A data set is a folder with files in it.")
    name = check_reference(reference if reference is not None else root.name)
    around = _around(root)
    if around == root:
        raise EbulkError(
            f"{shown(str(path))} is a data set folder already.", "`ebulk status` says what has changed in it."
        )
    if around:
        raise EbulkError(
            f"{shown(str(path))} is within the data set folder {shown(str(around))}.",
            "A data set cannot hold another: make it beside that folder.",
        )
    (root / CONTROL_FOLDER).mkdir(parents=True, exist_ok=True)
    folder = Folder(root, name, url)
    _write(folder)
    return folder


def load(path: Path) -> Folder:
    """The data set folder that `path` itself is; EbulkError if it is none."""
    if not is_data_set(path):
        if not path.exists():
            raise EbulkError(
                f"There is no folder {shown(str(path))}.",
                "Name a data set folder; `ebulk clone DATA_SET` gets one from the lake, `ebulk init FOLDER` makes one.",
            )
        around = _around(path.absolute())
        if around:
            raise EbulkError(
                f"{shown(str(path))} is a folder within the data set folder {shown(str(around))}.",
                "Name that folder, and choose a part of it by --directory.",
            )
        raise EbulkError(f"{shown(str(path))} is not a data set folder.", f"`ebulk init {path}` makes it one.")
    return _read(path.resolve())


def find(start: Path) -> Folder | None:
    """The data set folder that `start` is, or the nearest around it; None if there is none."""
    root = _around(start.absolute())
    return _read(root) if root else None


def find_here(start: Path) -> Folder:
    """The same; EbulkError if there is none."""
    folder = find(start)
    if folder is None:
        raise EbulkError(
            "This folder is not in a data set folder.", "Name one, or make one of this folder by `ebulk init .`."
        )
    return folder


def is_data_set(path: Path) -> bool:
    """Whether `path` is a data set folder."""
    return (path / CONTROL_FOLDER / "config").is_file()


def _around(start: Path) -> Path | None:
    return next((path for path in (start, *start.parents) if is_data_set(path)), None)


def _read(root: Path) -> Folder:
    path = root / CONTROL_FOLDER / "config"
    try:
        config = json.loads(path.read_bytes())
        if config["format"] > FORMAT:
            raise EbulkError(f"{path} was written by a newer ebulk.", "Update ebulk on this machine.")
        url, reference = config["url"], config["reference"]
        if not isinstance(reference, str) or not (url is None or isinstance(url, str)):
            raise TypeError
        check_reference(reference)
    except (ValueError, KeyError, TypeError, UsageError) as error:
        raise EbulkError(
            f"{path} is damaged.", f'It should read {{"format": {FORMAT}, "url": null, "reference": "NAME"}}.'
        ) from error
    return Folder(root, reference, url)


def _write(folder: Folder) -> None:
    config = {"format": FORMAT, "url": folder.url, "reference": folder.reference}
    text = json.dumps(config, ensure_ascii=False, indent=1) + "\n"
    write_atomically(folder.control / "config", text.encode())
