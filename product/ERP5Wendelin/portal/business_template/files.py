"""The files of a template on disk, before anybody looks into them.

Names are percent-encoded as ERP5 writes them (`Data%20Set.xml`); a path here is decoded. Links, paths that would lead
out of the template, and two names for one path are errors, and so is whatever is too large.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote

from Products.ERP5Wendelin.portal.business_template.template import TemplateError

MAX_FILES = 20_000
MAX_FILE_SIZE = 8 << 20
MAX_SIZE = 256 << 20
MAX_DEPTH = 16

IGNORED = (".gitignore", "__pycache__")


class Files:
    """The files of a template by decoded path, as in 'PathTemplateItem/data_product_module/default.xml'.

    It remembers which have been read, so that `unread` can tell of those that nobody asked for.
    """

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self._files: dict[str, Path] = {}
        size = 0
        for file in _walk(directory, directory):
            path = self._decoded(file)
            if path in self._files:
                raise TemplateError(f"{path!r} is there twice.", self.name(file))
            self._files[path] = file
            size += file.stat().st_size
            if len(self._files) > MAX_FILES:
                raise TemplateError(f"A template has at most {MAX_FILES} files.", directory.name)
            if size > MAX_SIZE:
                raise TemplateError(f"A template has at most {MAX_SIZE >> 20} MiB.", directory.name)
        self._unread = set(self._files)

    def __contains__(self, path: str) -> bool:
        return path in self._files

    def below(self, folder: str) -> list[str]:
        """The paths of all files below a folder, sorted."""
        return sorted(path for path in self._files if path.startswith(f"{folder}/"))

    def folders(self) -> set[str]:
        """The folders at the top."""
        return {path.partition("/")[0] for path in self._files}

    def unread(self) -> list[str]:
        """The paths of the files that were not read, sorted."""
        return sorted(self._unread)

    def name(self, file: Path | str) -> str:
        """A file's name for messages: from the template's folder on, as on disk."""
        file = self._files.get(file, self.directory / file) if isinstance(file, str) else file
        return f"{self.directory.name}/{file.relative_to(self.directory).as_posix()}"

    def read(self, path: str) -> bytes:
        """The content of a file. TemplateError: there is none, or it is too large."""
        if path not in self._files:
            raise TemplateError("There is no such file.", self.name(path))
        self._unread.discard(path)
        with self._files[path].open("rb") as file:
            content = file.read(MAX_FILE_SIZE + 1)
        if len(content) > MAX_FILE_SIZE:
            raise TemplateError(f"A file of a template has at most {MAX_FILE_SIZE >> 20} MiB.", self.name(path))
        return content

    def text(self, path: str) -> str:
        """The content of a text file, with `\\n` at the ends of lines. TemplateError: it is not UTF-8."""
        try:
            text = self.read(path).decode("utf-8-sig")
        except UnicodeDecodeError as error:
            raise TemplateError(f"It is not UTF-8 (byte {error.start}).", self.name(path)) from None
        return text.replace("\r\n", "\n").replace("\r", "\n")

    def _decoded(self, file: Path) -> str:
        parts = file.relative_to(self.directory).parts
        decoded = [unquote(part, errors="surrogateescape") for part in parts]
        for part in decoded:
            if part in ("", ".", "..") or "/" in part or "\\" in part or not part.isprintable():
                raise TemplateError(f"{part!r} can't be a name in a template.", ascii(self.name(file))[1:-1])
        return "/".join(decoded)


def _walk(folder: Path, root: Path) -> Iterator[Path]:
    """The regular files below a folder; anything else that is not a folder is an error."""
    place = folder.relative_to(root.parent).as_posix()
    if place.count("/") > MAX_DEPTH:
        raise TemplateError(f"Folders in a template are at most {MAX_DEPTH} deep.", place)
    with os.scandir(folder) as entries:
        for entry in sorted(entries, key=lambda entry: entry.name):
            if entry.name in IGNORED:
                continue
            if entry.is_dir(follow_symlinks=False):
                yield from _walk(Path(entry.path), root)
            elif entry.is_file(follow_symlinks=False):
                yield Path(entry.path)
            else:
                raise TemplateError(
                    "A template has files and folders only, no links or devices.", f"{place}/{entry.name}"
                )
