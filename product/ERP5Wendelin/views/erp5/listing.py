"""The list of a data set's files as the original ebulk reads it.

It has each file twice, and so 20,000 files are 10 MB: it is written to a temporary file, which is sent from there.
"""

from __future__ import annotations

import io
import shutil
from collections.abc import Iterator
from json.encoder import encode_basestring
from tempfile import SpooledTemporaryFile
from typing import IO, Any

from Products.ERP5Wendelin.content.entry import FOLDER, SYMLINK, Entry
from Products.ERP5Wendelin.content.file_id import format_id
from Products.ERP5Wendelin.download.body import READ_SIZE, SeekableBody
from Products.ERP5Wendelin.protocol import MIB
from Products.ERP5Wendelin.views.answer import JSON, NO_STORE, Answer

IN_MEMORY = 4 * MIB


def files(data_set: Any) -> Iterator[tuple[str, Entry]]:
    """The files of a data set by path; folders and symbolic links are none to the original ebulk."""
    return ((path, entry) for path, entry in data_set.manifest.items() if entry.mode not in (FOLDER, SYMLINK))


def count_of(data_set: Any) -> int:
    """How many files it lists."""
    return sum(1 for _ in files(data_set))


def listing(data_set: Any) -> Answer:
    """`result`, a list of the files, and `result_dict`, the same by reference; a file is one stream here.

    A file whose md5 is not known yet has an empty `hash`.
    """
    body = SpooledTemporaryFile(IN_MEMORY)  # noqa: SIM115 (it is sent when this has returned)
    with SpooledTemporaryFile(IN_MEMORY) as by_reference:
        body.write(b'{"status_code":0,"result":[')
        separator = ""
        for path, entry in files(data_set):
            reference = encode_basestring(data_set.getIngestionReference(path))
            known = data_set.getMd5(entry.digest)
            md5 = "" if known is None else known.hex()
            id = format_id(data_set.getId(), data_set.manifest.version, path)
            stream = f'"id":"data_stream_module/{id}"'
            size_and_hash = f'"size":{entry.size},"hash":"{md5}"'
            body.write(f'{separator}{{{stream},"reference":{reference},{size_and_hash}}}'.encode())
            by_reference.write(
                f'{separator}{reference}:{{"data-stream-list":[{{{stream},{size_and_hash}}}],'
                f'"large-hash":"{md5}","full-size":{entry.size}}}'.encode()
            )
            separator = ","
        body.write(b'],"result_dict":{')
        by_reference.seek(0)
        shutil.copyfileobj(by_reference, body, READ_SIZE)
        body.write(b"}}")
    size = body.tell()
    body.seek(0)
    return Answer(FileBody(body, size), headers={"Content-Type": JSON, "Content-Length": str(size), **NO_STORE})


class FileBody(SeekableBody):
    """A file that is sent as the body of a response, and closed behind it."""

    def __init__(self, file: IO[bytes], size: int) -> None:
        super().__init__(size)
        self._file = file

    def read(self, size: int | None = -1) -> bytes:
        return self._file.read(-1 if size is None else size)

    def tell(self) -> int:
        return self._file.tell()

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        self._file.seek(offset, whence)
        return self._file.tell()

    def close(self) -> None:
        """Remove the file."""
        self._file.close()
        super().close()
