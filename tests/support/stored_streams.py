"""The Data Streams of a lake that no process uses, by their references."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from .lake import ServedLake
from .site import Lake, open_data_fs, start_zope


@contextmanager
def opened_streams(lake: ServedLake) -> Iterator[dict[str, Any]]:
    """The streams of a lake in a FileStorage."""
    start_zope()
    db = open_data_fs(lake.directory / "var" / "Data.fs")
    try:
        with Lake(db).open("system") as site:
            yield {stream.getReference(): stream for stream in site.data_stream_module.objectValues()}
    finally:
        db.close()
