"""The Data Streams in a database that no process uses."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from .site import Lake, open_data_fs, start_zope


@contextmanager
def opened_streams(data_fs: Path) -> Iterator[dict[str, Any]]:
    """The streams in a FileStorage, by their references."""
    start_zope()
    db = open_data_fs(data_fs)
    try:
        with Lake(db).open("system") as site:
            yield {stream.getReference(): stream for stream in site.data_stream_module.objectValues()}
    finally:
        db.close()
