"""The Data Streams in a database that no process uses."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from .stored_site import opened_site


@contextmanager
def opened_streams(data_fs: Path) -> Iterator[dict[str, Any]]:
    """The streams in a FileStorage, by their references."""
    with opened_site(data_fs) as site:
        yield {stream.getReference(): stream for stream in site.data_stream_module.objectValues()}
